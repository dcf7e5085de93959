//! What KEDA is told by the real binary while a real Redis dies, freezes, or hangs half-open; and across a restart.
//!
//! Throughout: no false zero, no hang, right again within five seconds.

use std::time::Duration;

use tonic::Code;

use crate::support::eventually;
use crate::support::keda::{HEALS_WITHIN, Keda, unavailable};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

const OUTAGE: Duration = Duration::from_secs(4);

fn config(redis_port: u16) -> String {
    format!(
        r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }}
poll_interval: 200ms
sources:
  - name: main
    redis: {{ url: "redis://127.0.0.1:{redis_port}" }}
    allow: [ {{ namespaces: ["shop"], streams: ["*"], consumer_groups: ["*"] }} ]
"#
    )
}

/// Two streams: `busy` with a backlog of 300, `idle` with nothing to do.
fn fill(redis: &RedisServer) {
    let mut connection = redis.connect();
    for key in ["busy", "idle"] {
        run::<()>(
            &mut connection,
            &format!("XGROUP CREATE {key} g $ MKSTREAM"),
        );
    }
    for n in 0..300 {
        run::<String>(&mut connection, &format!("XADD busy * n {n}"));
    }
}

async fn busy_and_idle(service: &Service) -> (Keda, Keda) {
    let trigger = |stream| {
        [
            ("source", "main"),
            ("stream", stream),
            ("consumerGroup", "g"),
            ("capacityPerReplica", "1"),
        ]
    };
    let mut busy = Keda::new(service, "busy", &trigger("busy")).await;
    let mut idle = Keda::new(service, "idle", &trigger("idle")).await;
    busy.until("the backlog asks for 10", HEALS_WITHIN, |value, active| {
        value >= 10.0 && active
    })
    .await;
    idle.until("nothing to do", HEALS_WITHIN, |value, active| {
        value == 0.0 && !active
    })
    .await;
    (busy, idle)
}

/// While the source is in trouble: the busy one keeps its last answer, the idle one is at most briefly still fresh and zero,
/// then unavailable; after it heals both are right again.
async fn survives(busy: &mut Keda, idle: &mut Keda, heal: impl AsyncFnOnce()) {
    let settle = Duration::from_secs(2);
    idle.during("idle while it may still be fresh", settle, |a| {
        unavailable(a) || matches!(a, Ok((0.0, false)))
    })
    .await;
    let both = tokio::join!(
        busy.during(
            "busy in the outage",
            OUTAGE,
            |a| matches!(a, Ok((value, true)) if *value >= 10.0)
        ),
        idle.during("idle in the outage", OUTAGE, unavailable),
    );
    let ((), ()) = both;
    heal().await;
    let right_again = tokio::join!(
        busy.until("busy is right again", HEALS_WITHIN, |value, active| value
            >= 10.0
            && active),
        idle.until("idle is right again", HEALS_WITHIN, |value, active| value
            == 0.0
            && !active),
    );
    let ((), ()) = right_again;
}

#[tokio::test]
async fn a_killed_redis_leaves_the_last_answer_and_never_a_false_zero() {
    let mut redis = RedisServer::start_with(
        Flavour::Redis70,
        &["--appendonly", "yes", "--appendfsync", "always"],
    );
    fill(&redis);
    let service = Service::start(&config(redis.port));
    let (mut busy, mut idle) = busy_and_idle(&service).await;
    redis.kill();
    survives(&mut busy, &mut idle, async || redis.restart()).await;
}

#[tokio::test]
async fn a_frozen_redis_leaves_the_last_answer_and_never_a_false_zero() {
    let redis = RedisServer::start(Flavour::Redis70);
    fill(&redis);
    let service = Service::start(&config(redis.port));
    let (mut busy, mut idle) = busy_and_idle(&service).await;
    redis.pause();
    survives(&mut busy, &mut idle, async || redis.resume()).await;
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_and_answers_are_right_again_within_five_seconds() {
    let redis = RedisServer::start(Flavour::Redis70);
    fill(&redis);
    let proxy = FaultProxy::start(redis.port).await;
    let service = Service::start(&config(proxy.port));
    let (mut busy, mut idle) = busy_and_idle(&service).await;
    let before = proxy.opened();
    proxy.set(Mode::BlackholeExisting);
    run::<String>(&mut redis.connect(), "XADD idle * n 1");
    let ((), ()) = tokio::join!(
        idle.until(
            "the new message is seen",
            HEALS_WITHIN,
            |value, active| value == 1.0 && active
        ),
        busy.during(
            "busy all the while",
            HEALS_WITHIN,
            |a| matches!(a, Ok((value, true)) if *value >= 10.0)
        ),
    );
    assert!(proxy.opened() > before, "a new connection was opened");
}

#[tokio::test]
async fn every_kind_of_broken_line_is_survived() {
    let redis = RedisServer::start(Flavour::Redis70);
    fill(&redis);
    let proxy = FaultProxy::start(redis.port).await;
    let service = Service::start(&config(proxy.port));
    let (mut busy, mut idle) = busy_and_idle(&service).await;
    let garbage = b"\xff\x00not redis at all\r\n".to_vec();
    for fault in [
        Mode::Reset,
        Mode::BlackholeAll,
        Mode::Garbage(garbage),
        Mode::Truncate(7),
        Mode::Latency(HEALS_WITHIN),
    ] {
        proxy.set(fault.clone());
        let what = format!("{fault:?}");
        let ((), ()) = tokio::join!(
            busy.during(
                &what,
                Duration::from_secs(2),
                |a| matches!(a, Ok((value, true)) if *value >= 10.0)
            ),
            idle.during(&what, Duration::from_secs(2), |a| unavailable(a)
                || matches!(a, Ok((0.0, false)))),
        );
        proxy.set(Mode::Pass);
        idle.until(
            &format!("right again after {what}"),
            HEALS_WITHIN,
            |value, active| value == 0.0 && !active,
        )
        .await;
    }
    proxy.set(Mode::Slice(3));
    idle.during("sliced bytes are no fault", Duration::from_secs(1), |a| {
        unavailable(a) || a.is_ok()
    })
    .await;
    idle.until("and answers stay right", HEALS_WITHIN, |value, active| {
        value == 0.0 && !active
    })
    .await;
}

#[tokio::test]
async fn redis_down_at_the_start_still_gives_specs_and_no_number() {
    let mut redis = RedisServer::start(Flavour::Redis70);
    redis.kill();
    let service = Service::start(&config(redis.port));
    let mut keda = Keda::new(
        &service,
        "worker",
        &[
            ("source", "main"),
            ("stream", "busy"),
            ("consumerGroup", "g"),
            ("capacityPerReplica", "1"),
        ],
    )
    .await;
    keda.during(
        "no number without knowledge",
        Duration::from_secs(2),
        unavailable,
    )
    .await;
    redis.restart();
    keda.until(
        "an answer once Redis is there",
        HEALS_WITHIN,
        |value, active| value == 0.0 && !active,
    )
    .await;
}

#[tokio::test]
async fn a_wrong_type_is_a_failed_precondition_once_there_is_no_older_answer() {
    let redis = RedisServer::start(Flavour::Redis70);
    run::<()>(&mut redis.connect(), "SET busy 1");
    let service = Service::start(&config(redis.port));
    let mut keda = Keda::new(
        &service,
        "worker",
        &[
            ("source", "main"),
            ("stream", "busy"),
            ("consumerGroup", "g"),
        ],
    )
    .await;
    let status = eventually("the wrong type is seen", HEALS_WITHIN, async || {
        keda.ask()
            .await
            .err()
            .filter(|status| status.code() == Code::FailedPrecondition)
    })
    .await;
    assert!(status.message().contains("busy"), "{}", status.message());
}

#[tokio::test]
async fn a_restart_under_load_never_lowers_the_answer_below_what_runs() {
    let redis = RedisServer::start(Flavour::Redis70);
    fill(&redis);
    // Ten consumers at work, each with messages in hand.
    let mut connection = redis.connect();
    for n in 0..10 {
        let read = format!("XREADGROUP GROUP g worker-{n} COUNT 5 STREAMS busy >");
        run::<redis::Value>(&mut connection, &read);
    }
    let trigger = [
        ("source", "main"),
        ("stream", "busy"),
        ("consumerGroup", "g"),
        ("capacityPerReplica", "1"),
    ];
    let first = Service::start(&config(redis.port));
    let mut keda = Keda::new(&first, "busy", &trigger).await;
    keda.until("at least what runs", HEALS_WITHIN, |value, active| {
        value >= 10.0 && active
    })
    .await;
    drop(first);
    // Most of the backlog goes while nobody watches: by itself it would ask for fewer than run.
    run::<i64>(&mut connection, "XTRIM busy MAXLEN 0");
    let second = Service::start(&config(redis.port));
    let mut keda = Keda::new(&second, "busy", &trigger).await;
    keda.until("an answer after the restart", HEALS_WITHIN, |_, active| {
        active
    })
    .await;
    keda.during(
        "not below what runs",
        Duration::from_secs(5),
        |a| matches!(a, Ok((value, true)) if *value >= 10.0),
    )
    .await;
}
