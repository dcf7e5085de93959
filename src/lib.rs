//! streamgauge: KEDA's external scaler for partitioned streams.
//!
//! Data flows one way, and the modules stand in that order:
//!
//! ```text
//! sources → sample → model (backlog, rates, capacity) → policy → snapshot → adapters
//! ```

pub mod adapters;
pub mod autoscaler;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod collector;
pub mod commands;
pub mod config;
pub mod files;
pub mod group;
pub mod inbound;
pub mod journal;
pub mod migration;
pub mod model;
pub mod policy;
pub mod publish;
pub mod recording;
pub mod registry;
pub mod replication;
pub mod resilience;
pub mod scaled_object;
pub mod shutdown;
pub mod signals;
pub mod simulation;
pub mod sources;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod web;
