//! Stub.
#![allow(missing_docs)]
use crate::policy::spec::PolicySettings;
use std::collections::HashMap;
pub enum Subject {
    Named(String),
    Inline {
        source: String,
        stream: String,
        consumer_group: String,
    },
}
pub struct TriggerRequest {
    pub subject: Subject,
    pub settings: PolicySettings,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct MetadataError;
impl TriggerRequest {
    pub fn parse(_m: &HashMap<String, String>) -> Result<Self, MetadataError> {
        Err(MetadataError)
    }
}
