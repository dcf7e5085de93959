//! Messages, client and server, generated from `proto/externalscaler.proto` by a test: a build neither needs nor compiles a generator.
// Generated code carries no docs, and unwraps where its generator proved it safe.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic
)]

include!("../../../proto/externalscaler.rs");

/// The compiled proto, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../../../proto/externalscaler.bin");
