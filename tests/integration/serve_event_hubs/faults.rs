//! A broker or a checkpoint store that fails for a while: the last answer stands, and no zero is false.

use std::time::Duration;

use super::world::{PARTITIONS, World, keda};
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::line::Mode as Line;
use crate::support::keda::{HEALS_WITHIN, Keda, unavailable};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::service::Service;

const OUTAGE: Duration = Duration::from_secs(3);

/// While a fault lasts the busy group keeps its answer and the idle one is zero only as long as that is fresh; afterwards both
/// are right within five seconds.
async fn survives(what: &str, busy: &mut Keda, idle: &mut Keda, heal: impl AsyncFnOnce()) {
    let zero_at_most = |a: &Result<(f64, bool), _>| unavailable(a) || matches!(a, Ok((0.0, false)));
    let ((), ()) = tokio::join!(
        busy.during(
            what,
            OUTAGE,
            |a| matches!(a, Ok((value, true)) if *value == PARTITIONS as f64)
        ),
        idle.during(what, OUTAGE, zero_at_most),
    );
    let late = idle.ask().await;
    assert!(
        unavailable(&late),
        "{what}: {late:?} after {OUTAGE:?} is no fresh zero"
    );
    heal().await;
    idle.until(
        &format!("idle is right after {what}"),
        HEALS_WITHIN,
        |value, active| value == 0.0 && !active,
    )
    .await;
    busy.until(
        &format!("busy is right after {what}"),
        HEALS_WITHIN,
        |value, active| value == PARTITIONS as f64 && active,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_broker_leaves_the_last_answer_and_never_a_false_zero() {
    let world = World::start().await;
    let service = world.serve();
    let (mut busy, mut idle) = both(&service).await;
    let broker = world.server.broker();
    let close = Fault::Close {
        condition: "amqp:connection:forced".to_owned(),
        text: "moving".to_owned(),
    };
    for fault in [
        Fault::NeverReply,
        Fault::DropBeforeDisposition,
        Fault::DropAfterDisposition,
        close,
        Fault::ServerBusy,
        Fault::Slow(Duration::from_secs(20)),
        Fault::AnotherPartition,
        Fault::WrongCorrelation,
    ] {
        let what = format!("{fault:?}");
        broker.fail(fault);
        survives(&what, &mut busy, &mut idle, async || broker.heal()).await;
    }
    for mode in [Line::Frozen, Line::RefusingNew] {
        broker.set_mode(mode);
        if mode == Line::RefusingNew {
            broker.kill_connections();
        }
        survives(&format!("{mode:?}"), &mut busy, &mut idle, async || {
            broker.heal()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_store_that_fails_leaves_the_last_answer_and_never_a_false_zero() {
    let world = World::start().await;
    let proxy = FaultProxy::start(world.azurite.port).await;
    let service = Service::start(&world.config(world.server.port, proxy.port));
    let (mut busy, mut idle) = both(&service).await;
    for fault in [
        Mode::Reset,
        Mode::BlackholeAll,
        Mode::Garbage(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Mode::Garbage(b"HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Mode::Garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        Mode::Truncate(70),
        Mode::Latency(HEALS_WITHIN),
    ] {
        let what = match &fault {
            Mode::Garbage(bytes) => String::from_utf8_lossy(&bytes[..12]).into_owned(),
            other => format!("{other:?}"),
        };
        proxy.set(fault);
        survives(&what, &mut busy, &mut idle, async || proxy.set(Mode::Pass)).await;
    }
}

async fn both(service: &Service) -> (Keda, Keda) {
    let (mut busy, mut idle) = (keda(service, "busy").await, keda(service, "idle").await);
    busy.until(
        "one consumer per partition",
        HEALS_WITHIN,
        |value, active| value == PARTITIONS as f64 && active,
    )
    .await;
    idle.until("nothing to do", HEALS_WITHIN, |value, active| {
        value == 0.0 && !active
    })
    .await;
    (busy, idle)
}
