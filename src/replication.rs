//! Several replicas that give one answer. Each group has an owner among those that are there, and a standby that follows it event by
//! event, so that both know the same to the bit. Who is asked and is not the owner hands the question on.
//!
//! ```text
//! discovery (config or Leases) → link (who answers?) → view (who owns what?) → collector (poll, follow or rest), adapters (whom to ask)
//! ```

mod discovery;
pub mod follow;
pub mod leases;
mod link;
mod members;
pub mod proto;
mod rank;
pub mod service;
pub mod view;

pub use self::discovery::Addresses;
pub use self::members::{MemberSeen, Members};
