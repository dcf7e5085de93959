//! Requests to the broker's nodes and what their replies say.

use std::time::Duration;

use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties,
};
use fe2o3_amqp::types::primitives::{OrderedMap, SimpleValue, Timestamp as AmqpTimestamp, Value};

use super::access::{ConnectTarget, Token};
use super::client::{HubProperties, PartitionProperties};
use super::failure::{self, BrokerRefusal};
use crate::model::sample::Failure;
use crate::model::time::Timestamp;

/// A request, before it has an id.
pub struct ManagementRequest {
    properties: Vec<(&'static str, SimpleValue)>,
    body: Value,
}

impl ManagementRequest {
    /// Hands the broker a token for the event hub.
    pub fn put_token(target: &ConnectTarget, token: &Token) -> Self {
        let millis = Duration::from_secs(token.expires_at).as_millis();
        let expires = AmqpTimestamp::from_milliseconds(i64::try_from(millis).unwrap_or(i64::MAX));
        Self {
            properties: vec![
                ("operation", text("put-token")),
                ("name", text(&target.audience())),
                ("type", text(token.kind)),
                ("expiration", SimpleValue::Timestamp(expires)),
            ],
            body: Value::String(token.value.clone()),
        }
    }

    /// Asks for the event hub.
    pub fn hub(target: &ConnectTarget, token: &Token) -> Self {
        Self::read("com.microsoft:eventhub", target, token)
    }

    /// Asks for one partition.
    pub fn partition(target: &ConnectTarget, token: &Token, id: &str) -> Self {
        let mut request = Self::read("com.microsoft:partition", target, token);
        request.properties.push(("partition", text(id)));
        request
    }

    fn read(what: &str, target: &ConnectTarget, token: &Token) -> Self {
        Self {
            properties: vec![
                ("operation", text("READ")),
                ("name", text(&target.event_hub)),
                ("type", text(what)),
                ("security_token", text(&token.value)),
            ],
            body: Value::Null,
        }
    }

    /// The message of the request under that id.
    pub fn message(&self, id: u64, reply_to: &str) -> Message<AmqpValue<Value>> {
        let properties = Properties::builder()
            .message_id(MessageId::Ulong(id))
            .reply_to(reply_to.to_owned())
            .build();
        let named = self.properties.iter();
        let named = named.map(|(name, value)| ((*name).to_owned(), value.clone()));
        Message::builder()
            .properties(properties)
            .application_properties(ApplicationProperties(named.collect()))
            .value(self.body.clone())
            .build()
    }
}

fn text(value: &str) -> SimpleValue {
    SimpleValue::String(value.to_owned())
}

/// A reply: a status, and a map of values when that is good.
pub struct Reply {
    refusal: BrokerRefusal,
    body: Option<OrderedMap<Value, Value>>,
}

impl Reply {
    /// The id of the request that a message answers, and the reply; `None` if it does not name a request.
    pub fn read(message: Message<Body<Value>>) -> Option<(u64, Self)> {
        let id = match message.properties?.correlation_id? {
            MessageId::Ulong(id) => id,
            MessageId::String(id) => id.parse().ok()?,
            MessageId::Uuid(_) | MessageId::Binary(_) => return None,
        };
        let properties = message.application_properties.map(|found| found.0);
        let properties = properties.unwrap_or_default();
        let named = |names: [&str; 2]| names.into_iter().find_map(|name| properties.get(name));
        let words = |names| named(names).map(word).unwrap_or_default();
        let refusal = BrokerRefusal {
            status: named(["status-code", "statusCode"])
                .and_then(status)
                .unwrap_or_default(),
            condition: words(["error-condition", "errorCondition"]),
            description: words(["status-description", "statusDescription"]),
        };
        let body = match message.body {
            Body::Value(AmqpValue(Value::Map(map))) => Some(map),
            _ => None,
        };
        Some((id, Self { refusal, body }))
    }

    /// Whether a token was taken.
    ///
    /// # Errors
    /// What the broker said instead.
    pub fn accepted(&self, subject: &str) -> Result<(), Failure> {
        match self.refusal.status {
            200..=299 => Ok(()),
            0 => Err(failure::garbled(subject, "it has no status")),
            _ => Err(failure::of_refusal(subject, &self.refusal)),
        }
    }

    /// The event hub's properties.
    ///
    /// # Errors
    /// If the broker refused, or the answer is about something else.
    pub fn hub(&self, subject: &str, event_hub: &str) -> Result<HubProperties, Failure> {
        let fields = self.fields(subject)?;
        fields.must_be("name", event_hub)?;
        let ids = match fields.get("partition_ids")? {
            Value::Array(ids) => &ids.0,
            Value::List(ids) => ids,
            _ => return Err(fields.no_good("partition_ids")),
        };
        let ids = ids.iter().map(|id| match id {
            Value::String(id) => Ok(id.clone()),
            _ => Err(fields.no_good("partition_ids")),
        });
        let ids = ids.collect::<Result<_, _>>()?;
        HubProperties::told(subject, fields.time("created_at")?, ids)
    }

    /// A partition's properties.
    ///
    /// # Errors
    /// If the broker refused, or the answer is about something else.
    pub fn partition(
        &self,
        subject: &str,
        event_hub: &str,
        id: &str,
    ) -> Result<PartitionProperties, Failure> {
        let fields = self.fields(subject)?;
        fields.must_be("name", event_hub)?;
        fields.must_be("partition", id)?;
        let Value::Bool(is_empty) = fields.get("is_partition_empty")? else {
            return Err(fields.no_good("is_partition_empty"));
        };
        Ok(PartitionProperties {
            partition_id: id.to_owned(),
            beginning_sequence_number: fields.number("begin_sequence_number")?,
            last_enqueued_sequence_number: fields.number("last_enqueued_sequence_number")?,
            last_enqueued_offset: fields.text("last_enqueued_offset")?,
            last_enqueued_at: fields.time("last_enqueued_time_utc")?,
            is_empty: *is_empty,
            epoch: fields.optional_number("last_enqueued_sequence_number_epoch"),
        })
    }

    fn fields<'a>(&'a self, subject: &'a str) -> Result<ReplyFields<'a>, Failure> {
        self.accepted(subject)?;
        match &self.body {
            Some(map) => Ok(ReplyFields { subject, map }),
            None => Err(failure::garbled(subject, "it is no map")),
        }
    }
}

/// The map of a good reply.
struct ReplyFields<'a> {
    subject: &'a str,
    map: &'a OrderedMap<Value, Value>,
}

impl ReplyFields<'_> {
    fn get(&self, name: &str) -> Result<&Value, Failure> {
        let value = self.map.get(&Value::String(name.to_owned()));
        value.ok_or_else(|| self.no_good(name))
    }

    fn no_good(&self, name: &str) -> Failure {
        failure::garbled(
            self.subject,
            &format!("{name} is missing or of the wrong type"),
        )
    }

    /// Event hubs are named without regard to case.
    fn must_be(&self, name: &str, expected: &str) -> Result<(), Failure> {
        let found = self.text(name)?;
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        let text = format!("{name} is {found}, requested was {expected}");
        Err(failure::garbled(self.subject, &text))
    }

    fn text(&self, name: &str) -> Result<String, Failure> {
        match self.get(name)? {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            other => whole(other)
                .map(|n| n.to_string())
                .ok_or_else(|| self.no_good(name)),
        }
    }

    fn number(&self, name: &str) -> Result<i64, Failure> {
        whole(self.get(name)?).ok_or_else(|| self.no_good(name))
    }

    /// A number of 0 or more; `None` where there is none. Nothing rests on it alone, so anything else is no fault.
    fn optional_number(&self, name: &str) -> Option<i64> {
        let number = self.get(name).ok().and_then(whole)?;
        (number >= 0).then_some(number)
    }

    /// A time; `None` for those before 1970, which stand for "never".
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        match self.get(name)? {
            Value::Timestamp(at) => {
                let millis = u64::try_from(at.milliseconds()).ok();
                Ok(millis
                    .filter(|millis| *millis > 0)
                    .map(Timestamp::from_millis))
            }
            Value::Null => Ok(None),
            _ => Err(self.no_good(name)),
        }
    }
}

fn whole(value: &Value) -> Option<i64> {
    match *value {
        Value::Long(n) => Some(n),
        Value::Int(n) => Some(n.into()),
        Value::Short(n) => Some(n.into()),
        Value::Byte(n) => Some(n.into()),
        Value::Ulong(n) => i64::try_from(n).ok(),
        Value::Uint(n) => Some(n.into()),
        Value::Ushort(n) => Some(n.into()),
        Value::Ubyte(n) => Some(n.into()),
        _ => None,
    }
}

fn status(value: &SimpleValue) -> Option<u16> {
    match *value {
        SimpleValue::Int(n) => u16::try_from(n).ok(),
        SimpleValue::Uint(n) => u16::try_from(n).ok(),
        SimpleValue::Long(n) => u16::try_from(n).ok(),
        SimpleValue::Ulong(n) => u16::try_from(n).ok(),
        SimpleValue::Short(n) => u16::try_from(n).ok(),
        SimpleValue::Ushort(n) => Some(n),
        _ => None,
    }
}

fn word(value: &SimpleValue) -> String {
    match value {
        SimpleValue::String(text) => text.clone(),
        SimpleValue::Symbol(symbol) => symbol.as_str().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
