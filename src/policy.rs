//! From what is known to a replica target and its reason. Pure, like the model.

pub mod decision;
pub mod spec;
