//! What a client does about each fault of the server: it ends in time, lies never, and works again when the server does.

use std::time::{Duration, Instant};

use streamgauge::config::types::ManagementClient::{self, Pipelined, Sdk};
use streamgauge::model::sample::{Failure, FailureKind};

use super::bench::{BOTH, Bench, DEADLINE, read_all};
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::line::Mode;
use crate::support::event_hub::tokens::TokenPolicy;
use crate::support::{Rng, eventually};

/// What a fault may cost that only a deadline ends. It has to do for a connection, a token and a read on a busy machine.
const SHORT: Duration = Duration::from_secs(4);

/// What scheduling may add on a machine with other work to do.
const SLACK: Duration = Duration::from_secs(10);

fn close(condition: &str) -> Fault {
    Fault::Close {
        condition: condition.to_owned(),
        text: "said the server".to_owned(),
    }
}

/// The deadline of a client: where a fault is told, or is none, it is not to end before that.
fn deadline(expected: Option<FailureKind>) -> Duration {
    match expected {
        Some(FailureKind::Timeout) => SHORT,
        _ => DEADLINE,
    }
}

/// Sets the fault on a warm client, reads eight partitions and the hub, heals, and reads again.
async fn check(client: ManagementClient, fault: Fault, expected: Option<FailureKind>) {
    let bench = Bench::with_deadline(client, 8, deadline(expected)).await;
    bench.warm_up(8).await;
    bench.server.fail(fault.clone());
    let started = Instant::now();
    let reads = read_all(&*bench.client, 8).await;
    assert!(
        started.elapsed() < deadline(expected) + SLACK,
        "{client:?} {fault:?}: {:?}",
        started.elapsed()
    );
    for (id, read) in reads {
        match (&read, expected) {
            (Ok(read), None) => bench.must_be_right(&id, read),
            (Err(failure), Some(kind)) => {
                // The SDK may stall instead of telling; then the deadline ends it.
                let stalled = client == Sdk && failure.kind == FailureKind::Timeout;
                assert!(
                    stalled || failure.kind == kind,
                    "{client:?} {fault:?}: {failure:?}"
                );
                must_be_told_well(failure);
            }
            (Err(failure), None) if client == Sdk && failure.kind == FailureKind::Timeout => {}
            _ => panic!("{client:?} {fault:?}: {read:?}"),
        }
    }
    bench.server.heal();
    bench.read_all_right(8).await;
}

fn must_be_told_well(failure: &Failure) {
    let shown = format!("{failure:?}");
    assert!(shown.contains("event hub orders"), "{shown}");
    for secret in ["c2VjcmV0", "sig=", "SharedAccessKey"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_ends_in_a_timeout_and_a_fresh_start() {
    for client in BOTH {
        check(client, Fault::NeverReply, Some(FailureKind::Timeout)).await;
        check(client, Fault::Slow(SHORT * 3), Some(FailureKind::Timeout)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_drops_before_the_disposition_is_a_failure_in_time() {
    for client in BOTH {
        // The SDK waits for a disposition that never comes, until its deadline, unless it finds the connection gone.
        check(
            client,
            Fault::DropBeforeDisposition,
            Some(FailureKind::Unreachable),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_drops_after_the_disposition_is_a_failure_in_time() {
    for client in BOTH {
        check(
            client,
            Fault::DropAfterDisposition,
            Some(FailureKind::Unreachable),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_by_their_kind() {
    for client in BOTH {
        check(client, Fault::Unauthorized, Some(FailureKind::Auth)).await;
        check(client, Fault::NotFound, Some(FailureKind::Misconfigured)).await;
        check(client, Fault::ServerBusy, Some(FailureKind::Throttled)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_that_close_the_connection_are_told_by_their_kind() {
    check(
        Pipelined,
        close("amqp:connection:forced"),
        Some(FailureKind::Transient),
    )
    .await;
    check(
        Pipelined,
        close("amqp:unauthorized-access"),
        Some(FailureKind::Auth),
    )
    .await;
    check(
        Pipelined,
        close("amqp:not-found"),
        Some(FailureKind::Misconfigured),
    )
    .await;
    check(
        Pipelined,
        close("com.microsoft:server-busy"),
        Some(FailureKind::Throttled),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_out_of_order_or_of_another_partition_never_become_values() {
    for client in BOTH {
        check(client, Fault::WrongOrder, None).await;
        check(client, Fault::AnotherPartition, Some(FailureKind::Protocol)).await;
        check(client, Fault::Slow(Duration::from_millis(100)), None).await;
    }
    check(
        Pipelined,
        Fault::WrongCorrelation,
        Some(FailureKind::Protocol),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_ends_in_timeouts_and_leaves_nothing_behind() {
    for client in BOTH {
        let bench = Bench::with_deadline(client, 8, SHORT).await;
        bench.warm_up(1).await;
        bench.server.set_mode(Mode::Frozen);
        for _ in 0..3 {
            let started = Instant::now();
            for (_, read) in read_all(&*bench.client, 8).await {
                let failure = read.expect_err("frozen");
                assert_eq!(failure.kind, FailureKind::Timeout, "{client:?}: {failure}");
                must_be_told_well(&failure);
            }
            assert!(
                started.elapsed() < SHORT + SLACK,
                "{client:?}: {:?}",
                started.elapsed()
            );
        }
        bench.server.heal();
        bench.read_all_right(8).await;
        let few = if client == Pipelined { 1 } else { 8 };
        let closed = async || (bench.server.open_connections() <= few).then_some(());
        eventually("only the connections in use are open", DEADLINE, closed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_lost_between_polls_cost_no_failed_call() {
    for client in BOTH {
        let bench = Bench::start(client, 8).await;
        for _ in 0..5 {
            for (id, read) in read_all(&*bench.client, 8).await {
                match read {
                    Ok(read) => bench.must_be_right(&id, &read),
                    // It stalled.
                    Err(failure) if client == Sdk && failure.kind == FailureKind::Timeout => {
                        bench.read_right(&id).await;
                    }
                    Err(failure) => panic!("{client:?}: {failure}"),
                }
            }
            bench.server.kill_connections();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_connection_is_unreachable() {
    for client in BOTH {
        let bench = Bench::start(client, 8).await;
        bench.server.set_mode(Mode::RefusingNew);
        for (_, read) in read_all(&*bench.client, 8).await {
            let failure = read.expect_err("no connection");
            assert_eq!(
                failure.kind,
                FailureKind::Unreachable,
                "{client:?}: {failure}"
            );
            must_be_told_well(&failure);
        }
        bench.server.heal();
        bench.read_right("0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_taken_is_told_in_time() {
    for client in BOTH {
        for (policy, kind) in [
            (TokenPolicy::Reject, FailureKind::Auth),
            (TokenPolicy::NeverAnswer, FailureKind::Timeout),
        ] {
            let bench = Bench::with_deadline(client, 4, deadline(Some(kind))).await;
            bench.server.set_token_policy(policy);
            let started = Instant::now();
            let failure = bench.client.partition("0").await.expect_err("no token");
            assert_eq!(failure.kind, kind, "{client:?}: {failure}");
            must_be_told_well(&failure);
            assert!(
                started.elapsed() < deadline(Some(kind)) + SLACK,
                "{client:?}"
            );
            bench.server.set_token_policy(TokenPolicy::AcceptAny);
            bench.read_right("0").await;
        }
    }
}

fn any_fault(rng: &mut Rng) -> Fault {
    match rng.below(12) {
        0 => Fault::NeverReply,
        1 => Fault::DropBeforeDisposition,
        2 => Fault::DropAfterDisposition,
        3 => close("amqp:connection:forced"),
        4 => Fault::Unauthorized,
        5 => Fault::NotFound,
        6 => Fault::ServerBusy,
        7 => Fault::Slow(Duration::from_millis(rng.below(400))),
        8 | 9 => Fault::WrongOrder,
        10 => Fault::AnotherPartition,
        _ => Fault::WrongCorrelation,
    }
}

/// Reads in batches while single requests meet faults, some calls being dropped half way; every value must be right.
async fn a_thousand_reads(client: ManagementClient) {
    // The SDK makes a connection and a link for each partition, and begins again after each deadline.
    let deadline = match client {
        Pipelined => Duration::from_millis(250),
        Sdk => Duration::from_secs(1),
    };
    let bench = Bench::with_deadline(client, 16, deadline).await;
    let (mut rng, mut right, mut failed) = (Rng(7), 0, 0);
    for _ in 0..100 {
        let fault = any_fault(&mut rng);
        let faulty = usize::try_from(rng.below(4)).expect("small");
        bench.server.fail_next(faulty, fault);
        let patience = Duration::from_millis(20 + rng.below(400));
        let reads = (0..10).map(|_| {
            let id = rng.below(16).to_string();
            let patience = if rng.below(4) == 0 {
                patience
            } else {
                DEADLINE
            };
            let client = &bench.client;
            async move {
                let started = Instant::now();
                let read = tokio::time::timeout(patience, client.partition(&id)).await;
                (id.clone(), read, started.elapsed())
            }
        });
        for (id, read, took) in futures_util::future::join_all(reads).await {
            assert!(took < deadline + SLACK, "{client:?}: {took:?}");
            match read {
                Ok(Ok(read)) => {
                    bench.must_be_right(&id, &read);
                    right += 1;
                }
                Ok(Err(failure)) => {
                    must_be_told_well(&failure);
                    failed += 1;
                }
                Err(_) => failed += 1,
            }
        }
    }
    println!("{client:?}: of 1000 reads {right} right, {failed} failed or dropped, 0 wrong");
    assert!(
        right > 300,
        "{client:?}: only {right} of 1000 reads got through"
    );
    bench.server.heal();
    bench.read_all_right(16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_reads_under_random_faults_none_is_wrong_with_our_client() {
    a_thousand_reads(Pipelined).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_reads_under_random_faults_none_is_wrong_with_the_sdk() {
    a_thousand_reads(Sdk).await;
}
