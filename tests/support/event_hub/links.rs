//! The links of a session: requests come in on one, replies go out on another, possibly late, wrong or out of order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fe2o3_amqp::link::delivery::{Delivery, DeliveryInfo};
use fe2o3_amqp::types::messaging::{AmqpValue, Body, Message, MessageId};
use fe2o3_amqp::types::primitives::Value;
use fe2o3_amqp::{Receiver, Sendable, Sender};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::broker::locked;
use super::connection::{Connected, error};
use super::faults::Fault;
use super::management::{self, Asked};
use super::request::{Answer, Request};
use super::tokens;

/// How long replies in the wrong order are held for another one to come.
const HOLD: Duration = Duration::from_millis(150);

/// A reply on its way to its link.
pub struct Reply {
    message: Message<AmqpValue<Value>>,
    held: bool,
}

/// The reply links of one session. A fast client's request comes before the link for its reply has been taken note of.
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<Links>>);

#[derive(Default)]
struct Links {
    open: Vec<ReplyLink>,
    /// Replies from that node for which there is no link yet.
    early: Vec<(String, Reply)>,
}

struct ReplyLink {
    node: String,
    address: Option<String>,
    outgoing: UnboundedSender<Reply>,
}

impl Replies {
    pub fn add(&self, node: String, address: Option<String>) -> UnboundedReceiver<Reply> {
        let (outgoing, replies) = unbounded_channel();
        let mut links = locked(&self.0);
        let early = std::mem::take(&mut links.early);
        let (now, later): (Vec<_>, Vec<_>) = early.into_iter().partition(|(from, _)| *from == node);
        links.early = later;
        for (_, reply) in now {
            let _ = outgoing.send(reply);
        }
        links.open.push(ReplyLink {
            node,
            address,
            outgoing,
        });
        replies
    }

    /// To the link with that address if the request named one, else to the node's newest.
    fn send(&self, node: &str, reply_to: Option<&str>, reply: Reply) {
        let mut links = locked(&self.0);
        links.open.retain(|link| !link.outgoing.is_closed());
        let of_node = || links.open.iter().rev().filter(|link| link.node == node);
        let named =
            of_node().find(|link| reply_to.is_some() && link.address.as_deref() == reply_to);
        match named.or_else(|| of_node().next()) {
            Some(link) => {
                let _ = link.outgoing.send(reply);
            }
            None => links.early.push((node.to_owned(), reply)),
        }
    }
}

/// Sends replies until the client detaches.
pub async fn write_replies(mut sender: Sender, mut replies: UnboundedReceiver<Reply>) {
    let mut held = Vec::new();
    loop {
        let next = tokio::select! {
            reply = replies.recv() => reply,
            () = tokio::time::sleep(HOLD), if !held.is_empty() => None,
            _ = sender.on_detach() => return,
        };
        let now = match next {
            Some(reply) if reply.held => {
                held.push(reply);
                continue;
            }
            Some(reply) => vec![reply],
            None => held.drain(..).rev().collect(),
        };
        if now.is_empty() {
            return;
        }
        for reply in now {
            let sendable = Sendable::builder().message(reply.message).settled(true);
            if sender.send_batchable(sendable.build()).await.is_err() {
                return;
            }
        }
    }
}

/// Takes requests until the client detaches.
pub async fn read_requests(
    connected: Connected,
    node: String,
    mut receiver: Receiver,
    replies: Replies,
) {
    let mut running = JoinSet::new();
    while let Ok(delivery) = receiver.recv::<Body<Value>>().await {
        while running.try_join_next().is_some() {}
        let asking = Asking {
            connected: connected.clone(),
            node: node.clone(),
            replies: replies.clone(),
        };
        if node.ends_with("$cbs") {
            let _ = receiver.accept(&delivery).await;
            asking.put_token(&delivery.into_message().into());
        } else if let Some((request, asked, fault)) = asking.take(&mut receiver, delivery).await {
            running.spawn(asking.read(request, asked, fault));
        }
    }
}

/// What it takes to answer a request.
struct Asking {
    connected: Connected,
    node: String,
    replies: Replies,
}

impl Asking {
    fn put_token(&self, request: &Request) {
        let Connected {
            broker,
            credentials,
            ..
        } = &self.connected;
        if let Some(answer) = tokens::put_token(broker, credentials, request) {
            let id = request.message_id.clone();
            self.reply(request, answer, id, false);
        }
    }

    /// Takes a management request in, with what is going to go wrong; nothing if it is never to be answered.
    async fn take(
        &self,
        receiver: &mut Receiver,
        delivery: Delivery<Body<Value>>,
    ) -> Option<(Request, Asked, Option<Fault>)> {
        let line = &self.connected.line;
        let info = DeliveryInfo::from(&delivery);
        let request = Request::from(delivery.into_message());
        let asked = Asked::by(&request);
        self.count(&asked);
        let fault = self.connected.broker.meet_fault(asked.partition());
        match &fault {
            Some(Fault::DropBeforeDisposition) => {
                line.cut();
                return None;
            }
            Some(Fault::DropAfterDisposition) => line.cut_after_disposition(),
            _ => {}
        }
        let _ = receiver.accept(info).await;
        match &fault {
            Some(Fault::NeverReply | Fault::DropAfterDisposition) => None,
            Some(Fault::Close { condition, text }) => {
                let _ = self.connected.closing.send(error(condition, text));
                None
            }
            _ => Some((request, asked, fault)),
        }
    }

    fn count(&self, asked: &Asked) {
        self.connected.broker.count(|counts| match asked {
            Asked::Hub { .. } => counts.hub_reads += 1,
            Asked::Partition { .. } => counts.partition_reads += 1,
            Asked::Unknown => {}
        });
    }

    async fn read(self, request: Request, asked: Asked, fault: Option<Fault>) {
        let broker = Arc::clone(&self.connected.broker);
        let _in_flight = broker.read_started();
        if let Some(Fault::Slow(delay)) = fault {
            tokio::time::sleep(delay).await;
        }
        let token = request.text("security_token");
        let answer = match self.connected.credentials.admit(&broker, token.as_deref()) {
            true => management::answer(&broker.hub(), &asked, fault.as_ref()),
            false => management::unauthorized(),
        };
        if answer.status == 200 {
            broker.count(|counts| counts.good_replies += 1);
        }
        let id = match fault {
            Some(Fault::WrongCorrelation) => Some(MessageId::String("nobody-asked".to_owned())),
            _ => request.message_id.clone(),
        };
        self.reply(&request, answer, id, fault == Some(Fault::WrongOrder));
    }

    fn reply(&self, request: &Request, answer: Answer, to: Option<MessageId>, held: bool) {
        let message = answer.into_message(to);
        let reply_to = request.reply_to.as_deref();
        self.replies
            .send(&self.node, reply_to, Reply { message, held });
    }
}
