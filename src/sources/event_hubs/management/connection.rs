//! One authorized connection: the AMQP connection, its token, kept fresh, and the link pair to the management node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fe2o3_amqp::Session;
use fe2o3_amqp::connection::{Connection as Amqp, ConnectionHandle};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{Access, ConnectTarget, Token};
use super::exchange::{Exchange, Ids};
use super::line::{ConnectionHealth, Severable};
use super::message::{ManagementRequest, Reply};
use super::{amqp_error, failure, transport};
use crate::model::sample::Failure;

/// The server is asked to let nothing be silent for longer, in milliseconds; as Microsoft's clients do.
const IDLE_TIMEOUT_MILLIS: u32 = 60_000;

/// Frames up to this size are taken; as Microsoft's clients do.
const MAX_FRAME_BYTES: u32 = 65_536;

/// How long the server may take to answer a close before the stream is cut.
const FAREWELL: Duration = Duration::from_millis(500);

/// A connection that requests can be made on. It closes when dropped.
pub struct AmqpConnection {
    target: ConnectTarget,
    token: Arc<Mutex<Arc<Token>>>,
    management: Exchange,
    ids: Arc<Ids>,
    line: Arc<ConnectionHealth>,
}

impl AmqpConnection {
    /// Connects, authorizes and attaches. `answer_within` bounds each later renewal of the token, not this call.
    pub async fn open(
        access: Arc<Access>,
        calls: Arc<AtomicU64>,
        answer_within: Duration,
    ) -> Result<Arc<Self>, Failure> {
        let (target, token) = access.grant().await?;
        let subject: Arc<str> = target.subject().into();
        let line = Arc::new(ConnectionHealth::default());
        let cut = CancellationToken::new();
        let guard = cut.clone().drop_guard();
        let mut handle = dial(&access, &target, &cut).await?;
        let mut session = Session::begin(&mut handle)
            .await
            .map_err(|error| amqp_error::of_begin(&subject, &error))?;
        let cbs = Exchange::attach(&mut session, "$cbs", &subject, &line).await?;
        let ids = Arc::new(Ids::new(1));
        put(&cbs, &ids, &calls, &target, &token).await?;
        let management = Exchange::attach(&mut session, "$management", &subject, &line).await?;
        let token = Arc::new(Mutex::new(Arc::new(token)));
        let renewal = Renewal {
            access,
            target: target.clone(),
            token: token.clone(),
            cbs,
            ids: ids.clone(),
            calls,
            answer_within,
        };
        tokio::spawn(keep(handle, session, renewal, line.clone(), guard));
        Ok(Arc::new(Self {
            target,
            token,
            management,
            ids,
            line,
        }))
    }

    /// Where it leads.
    pub const fn target(&self) -> &ConnectTarget {
        &self.target
    }

    /// Asks the management node; `request` is made with the token of now.
    pub async fn ask(
        &self,
        request: impl FnOnce(&ConnectTarget, &Token) -> ManagementRequest,
    ) -> Result<Reply, Failure> {
        let token = current(&self.token);
        let request = request(&self.target, &token);
        self.management.ask(&self.ids, request).await
    }

    /// Drops the connection: whatever is under way on it fails with `why`.
    pub fn end(&self, why: Failure) {
        self.line.end(why);
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.line.is_over()
    }
}

impl Drop for AmqpConnection {
    fn drop(&mut self) {
        self.line.end(failure::unreachable(
            &self.target.subject(),
            "the connection was dropped",
        ));
    }
}

fn current(token: &Mutex<Arc<Token>>) -> Arc<Token> {
    token.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn dial(
    access: &Access,
    target: &ConnectTarget,
    cut: &CancellationToken,
) -> Result<ConnectionHandle<()>, Failure> {
    let stream = transport::connect(target).await?;
    if target.endpoint.tls {
        let ca_file = access.config().ca_file.as_deref();
        let stream = transport::secure(target, ca_file, stream).await?;
        open(target, Severable::new(stream, cut)).await
    } else {
        open(target, Severable::new(stream, cut)).await
    }
}

async fn open<S>(target: &ConnectTarget, stream: S) -> Result<ConnectionHandle<()>, Failure>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin + 'static,
{
    static OPENED: AtomicU64 = AtomicU64::new(1);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    Amqp::builder()
        .container_id(format!("streamgauge-{}-{number}", std::process::id()))
        .hostname(target.namespace.as_str())
        // The stream is secured already where it has to be.
        .scheme("amqp")
        .sasl_profile(SaslProfile::Anonymous)
        .max_frame_size(MAX_FRAME_BYTES)
        .idle_time_out(IDLE_TIMEOUT_MILLIS)
        .open_with_stream(stream)
        .await
        .map_err(|error| amqp_error::of_open(&target.subject(), &error))
}

async fn put(
    cbs: &Exchange,
    ids: &Ids,
    calls: &AtomicU64,
    target: &ConnectTarget,
    token: &Token,
) -> Result<(), Failure> {
    calls.fetch_add(1, Ordering::Relaxed);
    let reply = cbs
        .ask(ids, ManagementRequest::put_token(target, token))
        .await?;
    reply.accepted(&target.subject())
}

/// Holds the connection until it ends, then says farewell; whatever comes of that, the stream is cut in the end.
async fn keep(
    mut handle: ConnectionHandle<()>,
    session: SessionHandle<()>,
    renewal: Renewal,
    line: Arc<ConnectionHealth>,
    _cut: DropGuard,
) {
    let subject = renewal.target.subject();
    tokio::select! {
        _ = line.over() => {
            // Nobody learns anything from how the farewell went.
            let _ = timeout(FAREWELL, handle.close()).await;
        }
        ended = handle.on_close() => line.end(amqp_error::of_close(&subject, &ended)),
        failure = renewal.run() => {
            line.end(failure);
            let _ = timeout(FAREWELL, handle.close()).await;
        }
    }
    drop(session);
}

/// Keeps the token of a connection fresh.
struct Renewal {
    access: Arc<Access>,
    target: ConnectTarget,
    token: Arc<Mutex<Arc<Token>>>,
    cbs: Exchange,
    ids: Arc<Ids>,
    calls: Arc<AtomicU64>,
    answer_within: Duration,
}

impl Renewal {
    /// Renews the token whenever two thirds of its life are over. Returns only when the connection cannot be kept.
    async fn run(&self) -> Failure {
        let mut due = current(&self.token).refresh;
        loop {
            sleep_until(due).await;
            due = match self.renew().await {
                Ok(()) => current(&self.token)
                    .refresh
                    .max(Instant::now() + SHORTEST_PAUSE),
                Err(Unrenewed::Lost(failure)) => return failure,
                Err(Unrenewed::NotNow(failure)) => {
                    let ends = current(&self.token).ends;
                    if ends <= Instant::now() {
                        return failure;
                    }
                    tracing::warn!(%failure, "the token could not be renewed; streamgauge keeps the current one");
                    next_attempt(ends)
                }
            };
        }
    }

    async fn renew(&self) -> Result<(), Unrenewed> {
        let subject = self.target.subject();
        // Whoever gives tokens may be slow; that says nothing of the connection.
        let granted = timeout(self.answer_within, self.access.grant()).await;
        let late = |_| Err(failure::timed_out(&subject, "the request for a new token"));
        let (target, token) = granted.unwrap_or_else(late).map_err(Unrenewed::NotNow)?;
        if target != self.target {
            let text = format!("{subject}: the configuration now points elsewhere");
            return Err(Unrenewed::Lost(failure::misconfigured(text)));
        }
        let put = put(&self.cbs, &self.ids, &self.calls, &target, &token);
        let put = timeout(self.answer_within, put).await;
        let late = |_| Unrenewed::Lost(failure::timed_out(&subject, "the renewal of the token"));
        put.map_err(late)?.map_err(Unrenewed::NotNow)?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(token);
        Ok(())
    }
}

/// Why a token was not renewed.
enum Unrenewed {
    /// The connection is of no use any more.
    Lost(Failure),
    /// The present token may be good for a while; then it is tried again.
    NotNow(Failure),
}

/// A token that does not get any fresher, such as a ready signature, is not put again and again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// After half of the time that is left, or when it ends.
fn next_attempt(ends: Instant) -> Instant {
    let now = Instant::now();
    let left = ends.saturating_duration_since(now);
    now + (left / 2).max(SHORTEST_PAUSE).min(left)
}
