//! A plain AMQP client of the nodes `$cbs` and `$management`: what it sends and sees is what is on the wire.

use std::collections::HashMap;
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Timestamp, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};

use crate::support::event_hub::EventHubServer;

/// Longer than anything takes that is going to happen.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Long enough to say that nothing happens.
pub const MOMENT: Duration = Duration::from_millis(200);

/// A connection with one pair of links to a node.
pub struct Asker {
    pub connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    sender: Sender,
    receiver: Receiver,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub struct Reply {
    pub to: Option<MessageId>,
    pub status: i32,
    pub description: String,
    pub fields: HashMap<String, Value>,
}

impl Asker {
    pub async fn connect(server: &EventHubServer, node: &str) -> Self {
        Self::connect_as(server, node, SaslProfile::Anonymous).await
    }

    pub async fn connect_as(server: &EventHubServer, node: &str, sasl: SaslProfile) -> Self {
        let connection = open(server, sasl).await.expect("an open connection");
        Self::attach(connection, node).await
    }

    async fn attach(mut connection: ConnectionHandle<()>, node: &str) -> Self {
        let mut session = Session::begin(&mut connection).await.expect("a session");
        let sender = Sender::attach(&mut session, "asks", node).await;
        let sender = sender.expect("a link to ask on");
        let receiver = Receiver::attach(&mut session, "hears", node).await;
        let receiver = receiver.expect("a link to hear on");
        Self {
            connection,
            session,
            sender,
            receiver,
        }
    }

    /// The same connection with a pair of links to another node.
    pub async fn turn_to(mut self, node: &str) -> Self {
        self.sender.close().await.expect("a closed link");
        self.receiver.close().await.expect("a closed link");
        self.session.end().await.expect("an ended session");
        Self::attach(self.connection, node).await
    }

    /// Asks for a partition's properties; the id of the request is its number. Returns at the disposition.
    pub async fn ask_partition(&mut self, number: u64, partition: &str) -> Result<(), String> {
        self.ask_partition_of("orders", number, partition, None)
            .await
    }

    pub async fn ask_partition_of(
        &mut self,
        hub: &str,
        number: u64,
        partition: &str,
        token: Option<&str>,
    ) -> Result<(), String> {
        let mut asked = vec![
            ("operation", SimpleValue::from("READ".to_owned())),
            ("type", "com.microsoft:partition".to_owned().into()),
            ("name", hub.to_owned().into()),
            ("partition", partition.to_owned().into()),
        ];
        asked.extend(token.map(|it| ("security_token", it.to_owned().into())));
        self.ask(number, asked, Value::Null).await
    }

    /// Puts a token that runs out at that time.
    pub async fn put_token(&mut self, number: u64, token: &str, until_ms: i64) -> Reply {
        let asked = vec![
            ("operation", SimpleValue::from("put-token".to_owned())),
            ("type", "jwt".to_owned().into()),
            ("name", "sb://localhost/orders".to_owned().into()),
            (
                "expiration",
                SimpleValue::Timestamp(Timestamp::from(until_ms)),
            ),
        ];
        let token = Value::String(token.to_owned());
        self.ask(number, asked, token).await.expect("accepted");
        self.reply().await
    }

    async fn ask(
        &mut self,
        number: u64,
        asked: Vec<(&str, SimpleValue)>,
        body: Value,
    ) -> Result<(), String> {
        let properties = Properties {
            message_id: Some(MessageId::Ulong(number)),
            ..Properties::default()
        };
        let mut fields = ApplicationProperties::default();
        for (name, value) in asked {
            fields.0.insert(name.to_owned(), value);
        }
        let message = Message::builder()
            .properties(properties)
            .application_properties(fields)
            .body(AmqpValue(body))
            .build();
        // `send` alone waits for good if the connection ends before the disposition (fe2o3-amqp 0.18.4).
        tokio::select! {
            biased;
            sent = self.sender.send(message) => {
                sent.map(|_| ()).map_err(|error| format!("{error:?}"))
            }
            _ = self.connection.on_close() => Err("the connection ended".to_owned()),
            () = tokio::time::sleep(DEADLINE) => Err("no disposition".to_owned()),
        }
    }

    /// The next reply; panics at the deadline.
    pub async fn reply(&mut self) -> Reply {
        self.reply_within(DEADLINE).await.expect("a reply")
    }

    /// The next reply; nothing if there is none in time.
    pub async fn reply_within(&mut self, time: Duration) -> Option<Reply> {
        let received = tokio::time::timeout(time, self.receiver.recv::<Body<Value>>());
        let delivery = received.await.ok()?.expect("an open link");
        let _ = self.receiver.accept(&delivery).await;
        Some(Reply::from(delivery.into_message()))
    }

    /// What the link ends with; panics at the deadline.
    pub async fn end(mut self) -> String {
        let ended = tokio::time::timeout(DEADLINE, self.receiver.recv::<Body<Value>>());
        let error = ended.await.expect("an end").expect_err("an end");
        format!("{error:?}")
    }
}

/// Opens a connection or says why not.
pub async fn open(
    server: &EventHubServer,
    sasl: SaslProfile,
) -> Result<ConnectionHandle<()>, String> {
    Connection::builder()
        .container_id("asker")
        .sasl_profile(sasl)
        .open(server.endpoint().as_str())
        .await
        .map_err(|error| format!("{error:?}"))
}

impl From<Message<Body<Value>>> for Reply {
    fn from(message: Message<Body<Value>>) -> Self {
        let said = message.application_properties.unwrap_or_default().0;
        let Some(SimpleValue::Int(status)) = said.get("status-code") else {
            panic!("no status: {said:?}");
        };
        let Some(SimpleValue::String(description)) = said.get("status-description") else {
            panic!("no description: {said:?}");
        };
        let fields = match message.body {
            Body::Value(AmqpValue(Value::Map(fields))) => fields.into_inner(),
            _ => Default::default(),
        };
        let named = fields.into_iter().map(|(name, value)| match name {
            Value::String(name) => (name, value),
            other => panic!("{other:?} is no name"),
        });
        Self {
            to: message.properties.unwrap_or_default().correlation_id,
            status: *status,
            description: description.clone(),
            fields: named.collect(),
        }
    }
}

impl Reply {
    /// The number of the request that this answers.
    pub fn number(&self) -> Option<u64> {
        match self.to {
            Some(MessageId::Ulong(number)) => Some(number),
            _ => None,
        }
    }

    /// The partition that it tells of.
    pub fn partition(&self) -> Option<&str> {
        match self.fields.get("partition")? {
            Value::String(id) => Some(id),
            _ => None,
        }
    }
}
