//! Calls while the registry changes: none waits, none is lost.

use std::sync::atomic::AtomicU64;
use std::task::{Context, Wake, Waker};

use super::*;

/// Who asks the registry as soon as there is news of a group: within whatever tells the group.
struct Asking {
    registry: Arc<Registry>,
    times: AtomicU64,
}

impl Wake for Asking {
    fn wake(self: Arc<Self>) {
        self.registry.wait_for_lock();
        self.times.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn calls_are_answered_while_groups_are_told() {
    let asking = Arc::new(Asking {
        registry: Arc::new(registry()),
        times: AtomicU64::new(0),
    });
    let registry = &asking.registry;
    let group = call(registry, &billing(&[]), NOW).group.clone();
    let asks_meanwhile = |change: &dyn Fn()| {
        let before = asking.times.load(Ordering::Relaxed);
        let waker = Waker::from(asking.clone());
        let mut changes = group.subscribe();
        let mut news = std::pin::pin!(changes.changed());
        let polled = news.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        change();
        asking.times.load(Ordering::Relaxed) > before
    };
    let ask = || drop(registry.resolve("shop", "b", &billing(&[]), at(1)));
    assert!(asks_meanwhile(&ask));
    let remove = || assert!(registry.remove_object("shop", "b", at(2)));
    assert!(asks_meanwhile(&remove));
    let changed = CONFIG.replace("group: billing }", "group: billing, poll_interval: 9s }");
    let changed = Config::parse(&changed, "test.yaml").expect("a valid config");
    let reload = || registry.reconfigure(changed.clone(), &BTreeSet::new(), at(3));
    assert!(asks_meanwhile(&reload));
}

#[test]
fn a_call_during_a_reload_is_not_lost() {
    let registry = registry();
    let asked = call(&registry, &billing(&[]), NOW);
    let changed = CONFIG.replace("group: billing }", "group: billing, poll_interval: 9s }");
    let changed = Config::parse(&changed, "test.yaml").expect("a valid config");
    registry.reconfigure(changed, &BTreeSet::new(), at(1));
    assert!(!Arc::ptr_eq(&asked.group, &registry.targets()[0].group));
    // It was looked up before and is noted after.
    asked.touch(at(2));
    assert_eq!(registry.last_called()[&asked.key], at(2));
}

#[test]
fn what_a_group_notices_after_a_successor_took_over_it_does_not_report() {
    let registry = registry();
    let group = call(&registry, &billing(&[]), NOW).group.clone();
    let observe = |second| {
        let what = What::Observed(Ok(Sample::default()));
        group.apply_contained(&Event {
            at: at(second),
            what,
        });
    };
    observe(1);
    assert!(Arc::ptr_eq(&group.reportable(), &group.snapshot()));
    let changed = CONFIG.replace("group: billing }", "group: billing, poll_interval: 9s }");
    let changed = Config::parse(&changed, "test.yaml").expect("a valid config");
    registry.reconfigure(changed, &BTreeSet::new(), at(2));
    let known = group.reportable();
    observe(3);
    assert!(Arc::ptr_eq(&group.reportable(), &known));
    assert!(!Arc::ptr_eq(&group.reportable(), &group.snapshot()));
}
