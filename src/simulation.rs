//! Policies compared in virtual time: a plant of replicas and partitions, with the real model and policy inside. Pure, like them.

pub mod assignment;
pub mod cold;
pub mod comparison;
pub mod course;
pub mod fault_list;
pub mod faults;
pub mod plant;
pub mod policies;
pub mod run;
pub mod scenarios;
pub mod steps;
pub mod study;
pub mod trace;
pub mod workload;
