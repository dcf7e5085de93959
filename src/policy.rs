//! From what is known to a replica target and its reason. Pure, like the model.

pub mod activation;
pub mod advice;
pub mod answering;
pub mod bootstrap;
pub mod bounds;
pub mod cold;
pub mod decide;
pub mod decision;
pub mod effect;
pub mod emit;
pub mod exclusive;
pub mod explain;
pub mod forecast;
pub mod freshness;
pub mod hold;
pub mod incurable;
pub mod losing;
pub mod pace;
pub mod placement;
pub mod replicas;
pub mod rule;
pub mod scale_history;
pub mod spec;
pub mod steps;
pub mod target;
pub mod tuning;
