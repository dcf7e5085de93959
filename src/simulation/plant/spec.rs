//! The plant's constants, and those of the cluster around it.

use std::time::Duration;

use crate::model::identity::Assignment;
use crate::simulation::assignment::Rebalance;
use crate::simulation::steps::StepLength;
use crate::simulation::steps::TICK;

/// How consumers commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Commits {
    /// Every so often, staggered over partitions.
    Every(Duration),
    /// After so many messages.
    After(u64),
}

/// The plant's constants. The defaults are those of docs/simulate.md.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantSpec {
    /// How long a tick is; the trace's.
    pub step: StepLength,
    /// Messages per second one replica does.
    pub capacity_per_second: f64,
    /// Mean time a replica takes to start; each takes 0.8 to 1.2 of it.
    pub start_up: Duration,
    /// How long a partition rests when it changes hands.
    pub moved_pause: Duration,
    /// How consumers commit.
    pub commits: Commits,
    /// Whether a partition belongs to one replica.
    pub assignment: Assignment,
    /// Messages that a consumer fetches at a time, under shared assignment.
    pub batch: u32,
    /// What fetching and acknowledging a batch takes beside its messages, under shared assignment.
    pub fetch: Duration,
    /// After how long a consumer that found nothing reads again, under shared assignment. Zero: it blocks until a message comes, so that nothing is
    /// undelivered while one is idle, and KEDA's `redis-streams` may find a busy stream inactive.
    pub idle_read: Duration,
    /// How partitions move.
    pub rebalance: Rebalance,
    /// How long a crashed replica keeps its partitions, or what it fetched.
    pub ownership_expiry: Duration,
    /// The HPA's, and every policy's, largest count.
    pub max_replicas: u32,
    /// The smallest count; 0 lets a policy go to zero.
    pub min_replicas: u32,
    /// How often streamgauge looks at its source; whole ticks.
    pub poll_interval: Duration,
    /// The cluster as a real one is; `None`: as docs/simulate.md has it for the long traces.
    pub cluster: Option<ClusterSpec>,
}

/// What a real cluster adds: a start from `min_replicas`, phases of polls and syncs that differ from run to run, counts that streamgauge
/// reads from Kubernetes, the behaviour of `manifests/scaledobject-example.yaml` for streamgauge and Kubernetes' own for its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// `pollingInterval` of every ScaledObject.
    pub polling_interval: Duration,
    /// `cooldownPeriod`.
    pub cooldown: Duration,
}

impl Default for ClusterSpec {
    /// The intervals of `manifests/scaledobject-example.yaml`.
    fn default() -> Self {
        Self {
            polling_interval: Duration::from_secs(5),
            cooldown: Duration::from_secs(60),
        }
    }
}

impl Default for PlantSpec {
    fn default() -> Self {
        Self {
            step: StepLength::default(),
            capacity_per_second: 100.0,
            start_up: Duration::from_secs(40),
            moved_pause: Duration::from_secs(15),
            commits: Commits::Every(Duration::from_secs(10)),
            assignment: Assignment::Exclusive,
            batch: 10,
            fetch: Duration::from_millis(5),
            idle_read: Duration::from_millis(250),
            rebalance: Rebalance::Sticky,
            ownership_expiry: Duration::from_secs(60),
            max_replicas: 100,
            min_replicas: 1,
            poll_interval: TICK,
            cluster: None,
        }
    }
}
