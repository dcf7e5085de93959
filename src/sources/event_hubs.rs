//! Azure Event Hubs: log ends from the broker's management node, committed positions from the checkpoint store.

pub mod checkpoints;
pub mod identity;
pub mod management;
