//! One pair of links to a node of the broker: requests go out as they come, replies find their request by correlation id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fe2o3_amqp::link::SendError;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{Body, Outcome};
use fe2o3_amqp::types::primitives::Value;
use fe2o3_amqp::{Receiver, Sender};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::line::ConnectionHealth;
use super::message::{ManagementRequest, Reply};
use super::{amqp_error, failure};
use crate::model::sample::Failure;

/// A pair of links, each served by a task of its own for as long as the connection lives.
pub struct Exchange {
    subject: Arc<str>,
    line: Arc<ConnectionHealth>,
    waiting: Arc<WaitingRequests>,
    outbox: mpsc::UnboundedSender<(u64, ManagementRequest)>,
    reply_to: String,
}

/// What an answer is: the reply, or why there will be none.
type ReplyOrFailure = Result<Reply, Failure>;

/// The requests that have no answer yet. One who no longer waits is not in it: a late reply then finds nobody.
#[derive(Default)]
struct WaitingRequests(Mutex<HashMap<u64, oneshot::Sender<ReplyOrFailure>>>);

impl WaitingRequests {
    fn map(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<ReplyOrFailure>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: u64, answer: ReplyOrFailure) {
        if let Some(asker) = self.map().remove(&id) {
            // The asker may be gone at this very moment.
            let _ = asker.send(answer);
        }
    }
}

/// Takes a request out of [`WaitingRequests`] when its asker goes away, answered or not.
struct RequestPlace<'a> {
    waiting: &'a WaitingRequests,
    id: u64,
}

impl Drop for RequestPlace<'_> {
    fn drop(&mut self) {
        self.waiting.map().remove(&self.id);
    }
}

/// Message ids of one connection, each used once, whatever the link.
pub type Ids = AtomicU64;

impl Exchange {
    /// Attaches both links to `node` and starts serving them.
    pub async fn attach(
        session: &mut SessionHandle<()>,
        node: &str,
        subject: &Arc<str>,
        line: &Arc<ConnectionHealth>,
    ) -> Result<Self, Failure> {
        let name = format!("streamgauge-{}", node.trim_start_matches('$'));
        let sender = Sender::attach(session, format!("{name}-sender"), node)
            .await
            .map_err(|error| amqp_error::of_sender_attach(subject, &error))?;
        let receiver = Receiver::builder()
            .name(format!("{name}-receiver"))
            .source(node)
            .target(name.as_str())
            .auto_accept(true)
            .attach(session)
            .await
            .map_err(|error| amqp_error::of_receiver_attach(subject, &error))?;
        let (outbox, queue) = mpsc::unbounded_channel();
        let exchange = Self {
            subject: subject.clone(),
            line: line.clone(),
            waiting: Arc::default(),
            outbox,
            reply_to: name,
        };
        exchange.serve(sender, receiver, queue);
        Ok(exchange)
    }

    /// Asks, and waits for the answer to this very request. Sets no deadline; may be dropped at any moment.
    pub async fn ask(&self, ids: &Ids, request: ManagementRequest) -> ReplyOrFailure {
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        self.waiting.map().insert(id, asker);
        let _place = RequestPlace {
            waiting: &self.waiting,
            id,
        };
        // Nobody takes the request when the connection has ended; then the line says why.
        let _ = self.outbox.send((id, request));
        tokio::select! {
            biased;
            Ok(answer) = answer => answer,
            failure = self.line.over() => Err(failure),
        }
    }

    fn serve(&self, sender: Sender, receiver: Receiver, queue: Queue) {
        let outgoing = Outgoing {
            subject: self.subject.clone(),
            waiting: self.waiting.clone(),
            reply_to: self.reply_to.clone(),
            sender,
            queue,
            unsettled: FuturesUnordered::new(),
        };
        self.spawn(outgoing.run());
        self.spawn(receive(
            self.subject.clone(),
            self.waiting.clone(),
            receiver,
        ));
    }

    /// Runs until the connection ends, and ends the connection if that is how it ends.
    fn spawn(&self, run: impl Future<Output = Failure> + Send + 'static) {
        let line = self.line.clone();
        tokio::spawn(async move {
            tokio::select! {
                failure = run => line.end(failure),
                _ = line.over() => {}
            }
        });
    }
}

type Queue = mpsc::UnboundedReceiver<(u64, ManagementRequest)>;
type Settlement = Result<Outcome, SendError>;

/// The sending link.
struct Outgoing {
    subject: Arc<str>,
    waiting: Arc<WaitingRequests>,
    reply_to: String,
    sender: Sender,
    queue: Queue,
    /// Requests that the broker has neither accepted nor refused. Their replies do not wait for it.
    unsettled: FuturesUnordered<BoxFuture<'static, (u64, Settlement)>>,
}

impl Outgoing {
    async fn run(mut self) -> Failure {
        loop {
            let step = tokio::select! {
                Some((id, settled)) = self.unsettled.next() => self.note(id, settled),
                next = self.queue.recv() => match next {
                    Some((id, request)) => self.send(id, &request).await,
                    None => std::future::pending().await,
                },
                detached = self.sender.on_detach() => {
                    Err(amqp_error::of_detach(&self.subject, &detached))
                }
            };
            if let Err(failure) = step {
                return failure;
            }
        }
    }

    async fn send(&mut self, id: u64, request: &ManagementRequest) -> Result<(), Failure> {
        if !self.waiting.map().contains_key(&id) {
            return Ok(());
        }
        let message = request.message(id, &self.reply_to);
        let sent: Result<DeliveryFut<Settlement>, _> = self.sender.send_batchable(message).await;
        let sent = sent.map_err(|error| amqp_error::of_send(&self.subject, &error))?;
        self.unsettled
            .push(sent.map(move |settled| (id, settled)).boxed());
        Ok(())
    }

    /// Tells the asker of a request that the broker did not accept.
    fn note(&self, id: u64, settled: Settlement) -> Result<(), Failure> {
        let outcome = settled.map_err(|error| amqp_error::of_send(&self.subject, &error))?;
        let refused = match &outcome {
            Outcome::Accepted(_) => return Ok(()),
            Outcome::Rejected(rejected) => rejected.error.as_ref(),
            Outcome::Released(_) | Outcome::Modified(_) => None,
        };
        let failure = refused.map_or_else(
            || {
                failure::of_condition(
                    &self.subject,
                    "amqp:internal-error",
                    Some("the request was not accepted"),
                )
            },
            |error| amqp_error::of_frame(&self.subject, error),
        );
        self.waiting.answer(id, Err(failure));
        Ok(())
    }
}

/// The receiving link.
async fn receive(
    subject: Arc<str>,
    waiting: Arc<WaitingRequests>,
    mut receiver: Receiver,
) -> Failure {
    loop {
        let delivery = match receiver.recv::<Body<Value>>().await {
            Ok(delivery) => delivery,
            Err(error) => return amqp_error::of_receive(&subject, &error),
        };
        match Reply::read(delivery.into_message()) {
            Some((id, reply)) => waiting.answer(id, Ok(reply)),
            // Without it nobody can tell whose answer this is, nor any later one.
            None => return failure::garbled(&subject, "it does not match any request"),
        }
    }
}
