//! The five methods. Every answer comes from memory without waiting, so that KEDA, which sets no deadline, never hangs here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tracing::Span;
use tracing::field::Empty;

use crate::clock::Clock;
use crate::policy::spec::Mode;
use crate::registry::{Registry, Target};
use crate::shutdown::Shutdown;

use super::forward::{Forwarded, Forwarding};
use super::proto::external_scaler_client::ExternalScalerClient;
use super::proto::external_scaler_server::ExternalScaler;
use super::proto::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef,
};
use super::stats::{AnsweredBy, Method, RpcStats};
use super::streams;

/// Answers KEDA from the published snapshots.
#[derive(Debug)]
pub struct Scaler {
    registry: Arc<Registry>,
    clock: Clock,
    shutdown: Shutdown,
    stats: Arc<RpcStats>,
    /// Where there are other replicas.
    forwarding: Option<Forwarding>,
    /// Refusals that were logged: the object and why.
    said: Mutex<VecDeque<(String, String)>>,
}

/// Refusals that are remembered as logged.
const REFUSALS: usize = 2_048;

/// What is logged of a name that Kubernetes would not take.
const LONGEST_NAME: usize = 128;

impl Scaler {
    /// A scaler that answers for the targets of `registry`, and counts how.
    pub fn new(
        registry: Arc<Registry>,
        clock: Clock,
        shutdown: Shutdown,
        stats: Arc<RpcStats>,
    ) -> Self {
        Self {
            registry,
            clock,
            shutdown,
            stats,
            forwarding: None,
            said: Mutex::default(),
        }
    }

    /// The same, as one of several replicas.
    pub fn with_replicas(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = Some(forwarding);
        self
    }

    fn target(&self, object: &ScaledObjectRef) -> Result<Arc<Target>, Status> {
        let now = self.clock.now();
        let metadata = &object.scaler_metadata;
        let resolved = self
            .registry
            .resolve(&object.namespace, &object.name, metadata, now);
        let target = resolved.map_err(|refusal| {
            let status = Status::from(refusal);
            self.say_once(object, &status);
            status
        })?;
        let span = Span::current();
        span.record("namespace", &object.namespace);
        span.record("scaled_object", &object.name);
        span.record("group", &target.group.definition().name);
        // What the answer rests on is told there.
        if let Some(origin) = target.group.origin() {
            origin.link(&span);
        }
        Ok(target)
    }

    /// Logs why a trigger is refused, when it is another reason than before.
    fn say_once(&self, object: &ScaledObjectRef, refusal: &Status) {
        let short = |text: &str| text.chars().take(LONGEST_NAME).collect::<String>();
        let name = format!("{}/{}", short(&object.namespace), short(&object.name));
        let text = refusal.message();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let known = said.iter().any(|(of, why)| *of == name && why == text);
        if !known {
            tracing::warn!(scaled_object = name, "trigger rejected: {text}");
            if said.len() == REFUSALS {
                said.pop_front();
            }
            said.push_back((name, text.to_owned()));
        }
    }

    /// The mode of a trigger, refused or not. KEDA drops the text of an error here, makes no HPA and no use of the fallback, and lets
    /// the object's other triggers fail with it; GetMetrics and IsActive carry the text to the user instead.
    fn mode(&self, object: &ScaledObjectRef) -> Mode {
        match self.target(object) {
            Ok(target) => target.spec.mode,
            Err(status) => {
                Span::current().record("error", status.message());
                self.registry.likely_mode(&object.scaler_metadata)
            }
        }
    }

    /// Whether a trigger that is refused is not any more.
    fn is_served(&self, object: ScaledObjectRef) -> impl Fn() -> bool + Send + 'static {
        let (registry, clock) = (Arc::clone(&self.registry), self.clock);
        move || {
            let ScaledObjectRef {
                namespace,
                name,
                scaler_metadata,
            } = &object;
            let served = registry.resolve(namespace, name, scaler_metadata, clock.now());
            served.is_ok()
        }
    }

    /// Answers within a span, and counts it.
    fn traced<T>(
        &self,
        method: Method,
        answer: impl FnOnce() -> Result<T, Status>,
    ) -> Result<T, Status> {
        let span = tracing::info_span!(
            "answer",
            otel.kind = "server",
            rpc.method = method.as_str(),
            namespace = Empty,
            scaled_object = Empty,
            group = Empty,
            value = Empty,
            error = Empty,
        );
        let _within = span.enter();
        let answered = self.stats.timed(method, answer);
        if let Err(status) = &answered {
            span.record("error", status.message());
        }
        answered
    }
}

impl Scaler {
    /// The answer of the replica that leads the group.
    async fn answered<M: Clone, T>(
        &self,
        method: Method,
        request: &Request<M>,
        object: &ScaledObjectRef,
        question: impl Fn(ExternalScalerClient<Channel>, Request<M>) -> Forwarded<T>,
        here: impl FnOnce() -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        let Some(forwarding) = &self.forwarding else {
            return self.traced(method, here).map(Response::new);
        };
        // A trigger that is refused is refused here, with the reason.
        if let Ok(target) = self.target(object) {
            let group = &target.group;
            if !forwarding.may_answer(group, request) {
                return Err(not_led());
            }
            let started = Instant::now();
            if let Some(answer) = forwarding.ask(group, request.get_ref(), question).await {
                let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
                self.stats.count(method, code, started.elapsed());
                self.stats.answered_by(AnsweredBy::Other);
                return answer;
            }
            self.stats.answered_by(match group.follows() {
                true => AnsweredBy::Standby,
                false => AnsweredBy::Owner,
            });
        }
        forwarding.sign(self.traced(method, here).map(Response::new))
    }

    fn activity(&self, object: &ScaledObjectRef) -> Result<IsActiveResponse, Status> {
        let target = self.target(object)?;
        let result = target.group.activity(&target.key, self.clock.now())?;
        self.note_age(&target);
        Span::current().record("value", result);
        Ok(IsActiveResponse { result })
    }

    fn metrics(
        &self,
        object: &ScaledObjectRef,
        metric: &str,
    ) -> Result<GetMetricsResponse, Status> {
        let target = self.target(object)?;
        let name = metric_name(target.spec.mode);
        if metric != name {
            return Err(Status::invalid_argument(format!(
                "metricName: this trigger has only the metric {name:?}, as returned by GetMetricSpec"
            )));
        }
        let metric = target.group.answer(&target.key, self.clock.now())?.metric;
        self.note_age(&target);
        Span::current().record("value", metric.as_f64());
        let value = MetricValue {
            metric_name: name.to_owned(),
            metric_value: metric.ceil(),
            metric_value_float: metric.as_f64(),
        };
        Ok(GetMetricsResponse {
            metric_values: vec![value],
        })
    }

    /// The owner's stream, or where this replica knows as much its own, for as long as its part in the group is the same.
    async fn shared_activity(
        &self,
        forwarding: &Forwarding,
        target: Arc<Target>,
        object: &ScaledObjectRef,
    ) -> Result<Response<streams::Stream<IsActiveResponse>>, Status> {
        let key = target.group.definition().key.clone();
        let until = forwarding.other_role(key.clone());
        let shutdown = self.shutdown.clone();
        let stream = match forwarding.is_bystander(&key) {
            true => {
                let owners = forwarding.activity(&target.group, object).await;
                // Nobody has one now: it ends soon, and KEDA opens the next.
                owners.unwrap_or_else(|| streams::refused(None, || true, shutdown))
            }
            false => streams::activity(target, self.clock, shutdown),
        };
        let stream = self.traced(Method::StreamIsActive, || Ok(stream))?;
        Ok(Response::new(stream.take_until(until).boxed()))
    }

    fn note_age(&self, target: &Target) {
        if let Some(at) = target.group.decided_at() {
            self.stats.rests_on(self.clock.now().since(at));
        }
    }
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = streams::Stream<IsActiveResponse>;
    type StreamMetricSpecStream = streams::Stream<GetMetricSpecResponse>;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let object = request.get_ref();
        let question = |mut owner: ExternalScalerClient<Channel>, request| -> Forwarded<_> {
            Box::pin(async move { owner.is_active(request).await })
        };
        let here = || self.activity(object);
        self.answered(Method::IsActive, &request, object, question, here)
            .await
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let answer = || Ok(specs(self.mode(request.get_ref())));
        let answer = self.traced(Method::GetMetricSpec, answer)?;
        Ok(Response::new(answer))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let message = request.get_ref();
        let Some(object) = &message.scaled_object_ref else {
            let missing = || Err(Status::invalid_argument("scaledObjectRef is missing"));
            return self.traced(Method::GetMetrics, missing);
        };
        let question = |mut owner: ExternalScalerClient<Channel>, request| -> Forwarded<_> {
            Box::pin(async move { owner.get_metrics(request).await })
        };
        let here = || self.metrics(object, &message.metric_name);
        self.answered(Method::GetMetrics, &request, object, question, here)
            .await
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        if let Some(forwarding) = &self.forwarding
            && let Ok(target) = self.target(request.get_ref())
        {
            return self
                .shared_activity(forwarding, target, request.get_ref())
                .await;
        }
        let open = || {
            let shutdown = self.shutdown.clone();
            Ok(match self.target(request.get_ref()) {
                Ok(target) => streams::activity(target, self.clock, shutdown),
                Err(_) => streams::refused(None, self.is_served(request.into_inner()), shutdown),
            })
        };
        let stream = self.traced(Method::StreamIsActive, open)?;
        Ok(Response::new(stream))
    }

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let open = || {
            let shutdown = self.shutdown.clone();
            Ok(match self.target(request.get_ref()) {
                Ok(target) => {
                    let specs = specs(target.spec.mode);
                    streams::specs(target, specs, self.clock, shutdown)
                }
                Err(_) => {
                    let specs = specs(self.mode(request.get_ref()));
                    let is_served = self.is_served(request.into_inner());
                    streams::refused(Some(specs), is_served, shutdown)
                }
            })
        };
        let stream = self.traced(Method::StreamMetricSpec, open)?;
        Ok(Response::new(stream))
    }
}

/// To another replica, which goes on to the next.
fn not_led() -> Status {
    Status::failed_precondition("this replica does not lead the group")
}

const fn metric_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Replicas | Mode::Jobs => "replicas",
        Mode::Backlog { .. } => "backlog",
    }
}

/// One spec per trigger, both number fields set: clients before KEDA 2.17 read integers only.
fn specs(mode: Mode) -> GetMetricSpecResponse {
    let target = match mode {
        Mode::Replicas | Mode::Jobs => 1,
        Mode::Backlog { threshold, .. } => threshold,
    };
    GetMetricSpecResponse {
        metric_specs: vec![MetricSpec {
            metric_name: metric_name(mode).to_owned(),
            target_size: i64::try_from(target).unwrap_or(i64::MAX),
            target_size_float: target as f64,
        }],
    }
}
