//! The integration tests: one program, linked once, whose tests run beside each other. `cargo test --test integration page::` runs
//! those of one file.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot start has to fail loudly; clippy knows only #[test] functions as tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod architecture;
mod certified_lag;
mod check;
mod checkpoints;
mod checkpoints_in_batches;
mod clock_steps;
mod closed_loop;
mod config_properties;
mod config_reference;
mod dashboards;
mod decision_steps;
mod decisions_in_words;
mod demo;
mod detect;
mod docs;
mod event_hub_example;
mod event_hub_management;
mod event_hub_server;
mod event_hub_source;
mod exclusive_properties;
mod exposition;
mod first_answer;
mod forecast;
mod formula_in_virtual_time;
mod frozen;
mod fuzz_seeds;
mod hostile_clients;
mod http_access;
mod http_api;
mod incidents_in_simulation;
mod invariant;
mod journal;
mod keda_client;
mod kubernetes;
mod led_again;
mod looking_back;
mod manifests;
mod metrics_page;
mod migrate;
mod names;
mod notifications;
mod open_streams;
mod page;
mod policy_in_simulation;
mod polls;
mod proto;
mod ready_replicas;
mod recording;
mod redis_access;
mod redis_budget;
mod redis_cluster;
mod redis_fat;
mod redis_faults;
mod redis_identity;
mod redis_lies;
mod redis_losses;
mod redis_many_groups;
mod redis_memory;
mod redis_neighbours;
mod redis_oddities;
mod redis_patterns;
mod redis_sentinel;
mod redis_source;
mod redis_tls;
mod redis_wake;
mod refused_triggers;
mod reload;
mod replicas;
mod rules;
mod scaling_in_virtual_time;
mod serve_event_hubs;
mod serve_under_faults;
mod server_tls;
mod signals;
mod simulate;
mod state;
mod traces;
mod uncommitted_estimate;
mod worked_example;
