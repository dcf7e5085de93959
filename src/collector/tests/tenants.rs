//! How often groups are asked that share a source, of which some fail, or all do.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::resilience::breaker::CircuitState;

/// A source that answers no group while it is out, and those whose name begins with `slow` only once it is fast.
#[derive(Clone, Default)]
struct Tenants {
    is_out: Arc<AtomicBool>,
    is_fast: Arc<AtomicBool>,
    polls: Arc<Mutex<Vec<(String, Instant)>>>,
    group: String,
}

impl Source for Tenants {
    fn reader(&self, _: &StreamSelector, group: &str, _: Duration) -> Box<dyn GroupReader> {
        let group = group.to_owned();
        Box::new(Self {
            group,
            ..self.clone()
        })
    }
}

impl GroupReader for Tenants {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        let poll = (self.group.clone(), Instant::now());
        self.polls.lock().expect("no panic").push(poll);
        Box::pin(async {
            let is_slow = self.group.starts_with("slow") && !self.is_fast.load(Ordering::Relaxed);
            if is_slow || self.is_out.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Ok(Sample::default())
        })
    }
}

impl Tenants {
    /// A collector for each of these groups, at moments of their own.
    async fn run(&self, groups: &[&str]) -> (Arc<GuardedSource>, JoinSet<()>) {
        let source = guarded(Box::new(self.clone()));
        let mut running = JoinSet::new();
        for name in groups {
            let group = named(name);
            running.spawn(collect(
                group,
                source.clone(),
                Outlets::default(),
                Clock::start(),
            ));
            tokio::time::sleep(POLL / groups.len() as u32).await;
        }
        (source, running)
    }

    /// When that group, or any, was polled since then, in seconds from there.
    fn polled(&self, group: Option<&str>, since: Instant) -> Vec<u64> {
        let polls = self.polls.lock().expect("no panic").clone();
        let polls = polls
            .into_iter()
            .filter(|(name, at)| *at >= since && group.is_none_or(|group| name == group));
        polls.map(|(_, at)| (at - since).as_secs()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_alone_is_asked_less_often_and_the_others_as_before() {
    let (tenants, started) = (Tenants::default(), Instant::now());
    let (source, _running) = tenants.run(&["a", "slow", "b"]).await;
    tokio::time::sleep(Duration::from_secs(285)).await;
    let slow = tenants.polled(Some("slow"), started);
    assert_eq!(slow[..6], [5, 12, 27, 57, 87, 117]);
    for healthy in ["a", "b"] {
        let polls = tenants.polled(Some(healthy), started).len();
        assert!((20..=21).contains(&polls), "{healthy}: {polls}");
    }
    let stats = source.stats();
    assert_eq!(stats.errors[&FailureKind::Timeout], slow.len() as u64);
    assert_eq!(stats.errors.get(&FailureKind::CircuitOpen), None);
    assert_eq!(stats.reconnects, 0);
    assert!(stats.up);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_probed_by_one_group_at_a_time_and_its_end_is_seen_at_once() {
    let tenants = Tenants::default();
    let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).chain(["slow"]).collect();
    let (source, _running) = tenants.run(&names).await;
    tenants.is_out.store(true, Ordering::Relaxed);
    let out = Instant::now();
    let open = || source.circuit_state(Clock::start().now()) != CircuitState::Closed;
    while !open() {
        assert!(out.elapsed() < Duration::from_secs(6));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let opened = Instant::now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    // A probe takes two seconds, and one or two pass until the next.
    let probes = tenants.polled(None, opened).len();
    assert!((15..=20).contains(&probes), "{probes}");
    tenants.is_out.store(false, Ordering::Relaxed);
    let back = Instant::now();
    tokio::time::sleep(Duration::from_secs(8)).await;
    for name in &names[..30] {
        assert!(!tenants.polled(Some(name), back).is_empty(), "{name}");
    }
    assert!(!open());
}

#[tokio::test(start_paused = true)]
async fn however_many_groups_fail_alone_they_are_asked_one_by_one_and_soon_once_they_are_answered()
{
    let tenants = Tenants::default();
    let name = |n: usize| {
        if n.is_multiple_of(21) {
            format!("{n}")
        } else {
            format!("slow{n}")
        }
    };
    let names: Vec<String> = (0..105).map(name).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (source, _running) = tenants.run(&names).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let from = Instant::now();
    tokio::time::sleep(Duration::from_secs(300)).await;
    for healthy in names.iter().filter(|name| !name.starts_with("slow")) {
        let polls = tenants.polled(Some(healthy), from);
        let gaps = polls.windows(2).map(|gap| gap[1] - gap[0]);
        assert!(polls.len() >= 20 && gaps.max() <= Some(15), "{polls:?}");
    }
    // A poll of theirs takes two seconds.
    let polls = tenants.polled(None, from).len() - 5 * 20;
    assert!((140..=155).contains(&polls), "{polls}");
    let stats = source.stats();
    assert_eq!(stats.errors.get(&FailureKind::CircuitOpen), None);
    tenants.is_fast.store(true, Ordering::Relaxed);
    let back = Instant::now();
    tokio::time::sleep(LONGEST_REST + Duration::from_secs(2)).await;
    for name in &names {
        assert!(!tenants.polled(Some(name), back).is_empty(), "{name}");
    }
}
