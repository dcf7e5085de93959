//! Policies compared in virtual time: a plant of replicas and partitions, with the real model and policy inside. Pure, like them.

pub mod assignment;
pub mod faults;
pub mod plant;
pub mod policies;
pub mod run;
pub mod trace;
