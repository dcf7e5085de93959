//! The node `$management`: READ of the hub and of its partitions.

use fe2o3_amqp::types::primitives::{Array, OrderedMap, Value};

use super::faults::Fault;
use super::request::{Answer, Request};
use super::state::{Hub, Partition};

const HUB: &str = "com.microsoft:eventhub";
const PARTITION: &str = "com.microsoft:partition";

/// What is to be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Hub {
        name: String,
    },
    Partition {
        name: String,
        id: String,
    },
    /// Anything else.
    Unknown,
}

impl Asked {
    pub fn by(request: &Request) -> Self {
        let name = request.text("name").unwrap_or_default();
        let read = request.text("operation").as_deref() == Some("READ");
        match (read, request.text("type").as_deref()) {
            (true, Some(HUB)) => Self::Hub { name },
            (true, Some(PARTITION)) => Self::Partition {
                name,
                id: request.text("partition").unwrap_or_default(),
            },
            _ => Self::Unknown,
        }
    }

    pub fn partition(&self) -> Option<&str> {
        match self {
            Self::Partition { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// The answer, after the fault if there is one.
pub fn answer(hub: &Hub, asked: &Asked, fault: Option<&Fault>) -> Answer {
    match fault {
        Some(Fault::Unauthorized) => unauthorized(),
        Some(Fault::NotFound) => not_found("the fault"),
        Some(Fault::ServerBusy) => server_busy(),
        _ => read(hub, asked, fault == Some(&Fault::AnotherPartition)),
    }
}

fn read(hub: &Hub, asked: &Asked, of_another: bool) -> Answer {
    match asked {
        Asked::Unknown => Answer::bad(400, "amqp:not-implemented", "Unknown operation or type."),
        Asked::Hub { name } | Asked::Partition { name, .. }
            if !name.eq_ignore_ascii_case(&hub.name) =>
        {
            not_found(name)
        }
        Asked::Hub { .. } => Answer::good(200, "OK", hub_properties(hub)),
        Asked::Partition { name, id } => {
            let partition = match of_another {
                true => hub.neighbour_of(id),
                false => hub.partition(id),
            };
            match partition {
                Some(partition) => Answer::good(200, "OK", partition_properties(hub, partition)),
                None => not_found(&format!("{name}/Partitions/{id}")),
            }
        }
    }
}

/// The token is missing or has run out.
pub fn unauthorized() -> Answer {
    let text = "Unauthorized access. 'Listen' claim(s) are required to perform this operation.";
    Answer::bad(401, "amqp:unauthorized-access", text)
}

fn not_found(what: &str) -> Answer {
    let text = format!("The messaging entity '{what}' could not be found.");
    Answer::bad(404, "amqp:not-found", &text)
}

/// The service gives the error code in the text only.
fn server_busy() -> Answer {
    let text = "The request was terminated because the namespace is being throttled. Error code: 50002. \
                Please wait 4 seconds and try again.";
    Answer::bad(503, "com.microsoft:server-busy", text)
}

fn hub_properties(hub: &Hub) -> Value {
    let count = i32::try_from(hub.partitions.len()).expect("a count of partitions");
    let ids = hub.partitions.iter().map(|it| text(&it.id));
    map([
        ("type", text(HUB)),
        ("name", text(&hub.name)),
        ("created_at", time(hub.created_at_ms)),
        // Microsoft's Go client refuses an answer without it.
        ("georeplication_factor", Value::Int(1)),
        ("partition_count", Value::Int(count)),
        ("partition_ids", Value::Array(Array(ids.collect()))),
    ])
}

fn partition_properties(hub: &Hub, partition: &Partition) -> Value {
    // Microsoft's Rust client refuses an answer without the epoch, although no client tells it further.
    let epoch = Value::Long(partition.epoch);
    let last = partition.last_enqueued_sequence_number;
    map([
        ("type", text(PARTITION)),
        ("name", text(&hub.name)),
        ("partition", text(&partition.id)),
        (
            "begin_sequence_number",
            Value::Long(partition.begin_sequence_number),
        ),
        ("begin_sequence_number_epoch", epoch.clone()),
        ("last_enqueued_sequence_number", Value::Long(last)),
        ("last_enqueued_sequence_number_epoch", epoch),
        (
            "last_enqueued_offset",
            text(&partition.last_enqueued_offset),
        ),
        (
            "last_enqueued_time_utc",
            time(partition.last_enqueued_time_ms),
        ),
        ("is_partition_empty", Value::Bool(partition.is_empty)),
    ])
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut map = OrderedMap::new();
    for (key, value) in entries {
        map.insert(text(key), value);
    }
    Value::Map(map)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn time(ms: i64) -> Value {
    Value::Timestamp(ms.into())
}
