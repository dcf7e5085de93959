//! Messages, client and server, generated from `proto/replication.proto` by a test: a build neither needs nor compiles a generator.
// Generated code carries no docs, and unwraps where its generator proved it safe.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic
)]

include!("../../proto/streamgauge.replication.v1.rs");
