//! KEDA's side: per ScaledObject a stream that stays open, the specs now and then, and values.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tonic::Status;
use tonic::transport::Channel;

use super::support::service::Service;

/// So many ScaledObjects have triggers on one stream.
pub const PER_STREAM: usize = 10;
/// Streams that are deleted now and then: of these a zero may be true.
pub const VICTIMS: usize = 2;
pub const BUSY_MESSAGES: usize = 7;

const NAMESPACES: usize = 10;
/// The HPA asks for values this often.
const ASKS_EVERY: Duration = Duration::from_secs(15);
/// KEDA asks for specs whenever it reconciles: every so manieth time.
const SPECS_EVERY: u64 = 8;
/// KEDA's wait before it opens a stream again.
const REOPENS_AFTER: Duration = Duration::from_secs(2);
/// Longer than any call may take.
const HANG: Duration = Duration::from_secs(5);

/// The stream of a ScaledObject.
const fn stream_of(object: usize) -> usize {
    object / PER_STREAM
}

/// Whether messages wait on the stream all the time.
pub fn is_busy(stream: usize) -> bool {
    stream < VICTIMS || stream.is_multiple_of(2)
}

type Client = ExternalScalerClient<Channel>;

/// What was answered.
#[derive(Default)]
pub struct Tally {
    answered: AtomicU64,
    opened: AtomicU64,
    false_zeros: AtomicU64,
    hung: AtomicU64,
    specs_failed: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
}

/// They call until this is dropped.
pub struct Callers {
    pub tally: Arc<Tally>,
    _calls: JoinSet<()>,
}

impl Callers {
    pub async fn start(service: &Service, references: usize) -> Self {
        let channel = Channel::from_shared(format!("http://{}", service.grpc)).expect("an address");
        let client = Client::new(channel.connect().await.expect("a connection"));
        let tally = Arc::<Tally>::default();
        let objects: Vec<_> = (0..references).map(object).collect();
        let mut calls = JoinSet::new();
        for (n, object) in objects.iter().enumerate() {
            let (client, object, tally) = (client.clone(), object.clone(), Arc::clone(&tally));
            calls.spawn(follow(client, n, object, tally));
        }
        let tally_too = Arc::clone(&tally);
        calls.spawn(async move {
            let mut due = interval(ASKS_EVERY / references as u32);
            for round in 0.. {
                for (n, object) in objects.iter().enumerate() {
                    due.tick().await;
                    let asks_specs = (n as u64 + round).is_multiple_of(SPECS_EVERY);
                    let (client, object) = (client.clone(), object.clone());
                    tokio::spawn(ask(client, n, object, asks_specs, Arc::clone(&tally_too)));
                }
            }
        });
        Self {
            tally,
            _calls: calls,
        }
    }
}

/// Half of them say how many messages, half how many replicas.
fn object(n: usize) -> ScaledObjectRef {
    let metadata = [
        ("source", "main".to_owned()),
        ("stream", format!("soak:{}", stream_of(n))),
        ("consumerGroup", "workers".to_owned()),
        if n % 4 < 2 {
            ("backlogThreshold", "5".to_owned())
        } else {
            ("capacityPerReplica", "50".to_owned())
        },
    ];
    ScaledObjectRef {
        name: format!("worker-{n}"),
        namespace: format!("team-{}", n % NAMESPACES),
        scaler_metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<HashMap<_, _>>(),
    }
}

/// Keeps its stream open.
async fn follow(mut client: Client, n: usize, object: ScaledObjectRef, tally: Arc<Tally>) {
    loop {
        match client.stream_is_active(object.clone()).await {
            Ok(stream) => {
                tally.opened.fetch_add(1, Ordering::Relaxed);
                let mut stream = stream.into_inner();
                while let Ok(Some(message)) = stream.message().await {
                    tally.check(n, !message.result);
                }
            }
            Err(status) => tally.fail("StreamIsActive", &status),
        }
        sleep(REOPENS_AFTER).await;
    }
}

async fn ask(
    mut client: Client,
    n: usize,
    object: ScaledObjectRef,
    asks_specs: bool,
    tally: Arc<Tally>,
) {
    let asked = async {
        if asks_specs && let Err(status) = client.get_metric_spec(object.clone()).await {
            tally.specs_failed.fetch_add(1, Ordering::Relaxed);
            tally.fail("GetMetricSpec", &status);
        }
        let request = GetMetricsRequest {
            scaled_object_ref: Some(object.clone()),
            metric_name: if n % 4 < 2 { "backlog" } else { "replicas" }.to_owned(),
        };
        match client.get_metrics(request).await {
            Ok(values) => {
                let values = values.into_inner().metric_values;
                tally.check(
                    n,
                    values.iter().all(|value| value.metric_value_float == 0.0),
                );
            }
            Err(status) => tally.fail("GetMetrics", &status),
        }
        match client.is_active(object).await {
            Ok(active) => tally.check(n, !active.into_inner().result),
            Err(status) => tally.fail("IsActive", &status),
        }
    };
    if timeout(HANG, asked).await.is_err() {
        tally.hung.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tally {
    /// Calls that were answered, messages of streams among them.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn check(&self, n: usize, is_zero: bool) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let stream = stream_of(n);
        if is_zero && stream >= VICTIMS && is_busy(stream) {
            self.false_zeros.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fail(&self, call: &str, status: &Status) {
        let mut failed = self.failed.lock().expect("no panic");
        *failed
            .entry(format!("{call} {:?}", status.code()))
            .or_default() += 1;
    }

    fn failures(&self) -> u64 {
        self.failed.lock().expect("no panic").values().sum()
    }

    /// Cells of the table.
    pub fn row(&self) -> String {
        let opened = self.opened.load(Ordering::Relaxed);
        format!("{} | {} | {opened}", self.answered(), self.failures())
    }

    /// For the end.
    pub fn summary(&self) -> String {
        let failed = self.failed.lock().expect("no panic");
        let failed: Vec<_> = failed
            .iter()
            .map(|(what, n)| format!("{what} {n}"))
            .collect();
        format!(
            "{} answers, false zeros {}, hung calls {}, failed: {}",
            self.answered(),
            self.false_zeros.load(Ordering::Relaxed),
            self.hung.load(Ordering::Relaxed),
            if failed.is_empty() {
                "none".to_owned()
            } else {
                failed.join(", ")
            },
        )
    }

    /// What must not be.
    pub fn faults(&self) -> Vec<String> {
        let none = [
            ("false zeros", &self.false_zeros),
            ("hung calls", &self.hung),
            ("failed GetMetricSpec", &self.specs_failed),
        ];
        let counts = none.map(|(what, counter)| (what, counter.load(Ordering::Relaxed)));
        let wrong = counts.into_iter().filter(|(_, count)| *count > 0);
        wrong
            .map(|(what, count)| format!("{what}: {count}, must be 0"))
            .collect()
    }
}
