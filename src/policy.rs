//! From what is known to a replica target and its reason. Pure, like the model.

pub mod activation;
pub mod advice;
pub mod agreement;
pub mod answering;
pub mod bootstrap;
pub mod bounds;
pub mod cold;
pub mod decide;
pub mod decision;
pub mod effect;
pub mod emit;
pub mod event;
pub mod exclusive;
pub mod explain;
pub mod forecast;
pub mod freshness;
pub mod hold;
pub mod incurable;
pub mod placement;
pub mod remembered;
pub mod replicas;
mod spans;
pub mod spec;
pub mod state;
pub mod steps;
pub mod surge;
mod told;
