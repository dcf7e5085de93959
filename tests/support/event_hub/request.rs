//! Requests and answers of the nodes `$cbs` and `$management` as AMQP messages.

use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties,
};
use fe2o3_amqp::types::primitives::{OrderedMap, SimpleValue, Value};

/// What a client asks.
pub struct Request {
    pub message_id: Option<MessageId>,
    /// Python's client says none.
    pub reply_to: Option<String>,
    pub properties: OrderedMap<String, SimpleValue>,
    body: Body<Value>,
}

impl From<Message<Body<Value>>> for Request {
    fn from(message: Message<Body<Value>>) -> Self {
        let properties = message.properties.unwrap_or_default();
        Self {
            message_id: properties.message_id,
            reply_to: properties.reply_to,
            properties: message.application_properties.unwrap_or_default().0,
            body: message.body,
        }
    }
}

impl Request {
    /// An application property that is text in any of AMQP's forms.
    pub fn text(&self, property: &str) -> Option<String> {
        match self.properties.get(property)? {
            SimpleValue::String(text) => Some(text.clone()),
            SimpleValue::Symbol(text) => Some(text.0.clone()),
            SimpleValue::Binary(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        }
    }

    /// The body if it is text.
    pub fn body_text(&self) -> Option<String> {
        match &self.body {
            Body::Value(AmqpValue(Value::String(text))) => Some(text.clone()),
            Body::Value(AmqpValue(Value::Binary(bytes))) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        }
    }
}

/// What a node says to it.
pub struct Answer {
    pub status: u16,
    description: String,
    condition: Option<&'static str>,
    body: Value,
}

impl Answer {
    pub fn good(status: u16, description: &str, body: Value) -> Self {
        Self {
            status,
            description: description.to_owned(),
            condition: None,
            body,
        }
    }

    pub fn bad(status: u16, condition: &'static str, description: &str) -> Self {
        Self {
            status,
            description: description.to_owned(),
            condition: Some(condition),
            body: Value::Null,
        }
    }

    /// The message, with the status under the service's name and under the one that older clients look for.
    pub fn into_message(self, to: Option<MessageId>) -> Message<AmqpValue<Value>> {
        let status = SimpleValue::Int(i32::from(self.status));
        let description = SimpleValue::String(self.description);
        let mut said = ApplicationProperties::default();
        for name in ["status-code", "statusCode"] {
            said.0.insert(name.to_owned(), status.clone());
        }
        for name in ["status-description", "statusDescription"] {
            said.0.insert(name.to_owned(), description.clone());
        }
        if let Some(condition) = self.condition {
            for name in ["error-condition", "errorCondition"] {
                let condition = SimpleValue::Symbol(condition.into());
                said.0.insert(name.to_owned(), condition);
            }
        }
        let properties = Properties {
            correlation_id: to,
            ..Properties::default()
        };
        Message {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: Some(properties),
            application_properties: Some(said),
            body: AmqpValue(self.body),
            footer: None,
        }
    }
}
