//! Both clients of an event hub's management node against a server that misbehaves: right values or a failure in time, never
//! another partition's.

mod bench;
mod credentials;
mod faults;
mod speed;

use std::time::Duration;

use streamgauge::config::types::ManagementClient::{Pipelined, Sdk};

use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::faults::Fault;
use crate::support::eventually;
use bench::{BOTH, Bench, config, hub, open, read_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_partition_is_told_as_the_server_holds_it() {
    for client in BOTH {
        let bench = Bench::start(client, 32).await;
        let told = bench.client.hub().await.expect("the hub");
        assert_eq!(told.partition_ids.len(), 32);
        let created = told.created_at.expect("a time").as_millis();
        assert_eq!(
            created,
            u64::try_from(bench.server.hub().created_at_ms).expect("after 1970")
        );
        for (id, read) in read_all(&*bench.client, 32).await {
            bench.must_be_right(&id, &read.expect("a partition"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_without_an_event_have_no_time() {
    for client in BOTH {
        let bench = Bench::start(client, 1).await;
        bench.server.recreate(2);
        let empty = bench.client.partition("1").await.expect("a partition");
        assert!(empty.is_empty);
        assert_eq!(
            (empty.last_enqueued_sequence_number, empty.last_enqueued_at),
            (-1, None)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_hub_is_never_taken_to_have_no_partitions() {
    for client in BOTH {
        let bench = Bench::start(client, 1).await;
        bench.server.recreate(0);
        let failure = bench.client.hub().await.expect_err("every hub has some");
        assert_eq!(failure.kind.as_str(), "protocol", "{failure}");
        assert!(failure.text.contains("no partitions"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_under_an_authority_of_its_own_is_read_with_ca_file_and_only_so() {
    let server = EventHubServer::start_tls(hub(32)).await;
    let mut config = config(Pipelined, &server.connection_string());
    let untrusted = open(&config.config, bench::DEADLINE).partition("0").await;
    let failure = untrusted.expect_err("an unknown authority");
    assert_eq!(failure.kind.as_str(), "misconfigured", "{failure}");
    assert!(failure.text.contains("ca_file"), "{failure}");

    config.config.ca_file = Some(server.authority().to_owned());
    let client = open(&config.config, bench::DEADLINE);
    for (id, read) in read_all(&*client, 32).await {
        bench::must_be_right(&server, &id, &read.expect("a partition"));
    }
    assert_eq!(server.counts().connections, 2);

    config.config.client = Sdk;
    let refused = open(&config.config, bench::DEADLINE).partition("0").await;
    let failure = refused.expect_err("the SDK takes no ca_file");
    assert_eq!(failure.kind.as_str(), "misconfigured", "{failure}");
    assert!(
        failure.text.contains("ca_file") && failure.text.contains("SSL_CERT_FILE"),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_clients_trust_the_authority_that_ssl_cert_file_names() {
    let server = EventHubServer::start_tls(hub(4)).await;
    let program = std::env::current_exe().expect("this program");
    // The variable is the process's: a second one is asked.
    let status = tokio::process::Command::new(program)
        .args([
            "--exact",
            "event_hub_management::the_second_process_reads_over_tls",
            "--ignored",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", server.authority())
        .env("STREAMGAUGE_TEST_HUB", server.connection_string())
        .status()
        .await
        .expect("it runs");
    assert!(status.success(), "{status}");
    assert_eq!(server.counts().partition_reads, 8);
}

#[tokio::test]
#[ignore = "a part of the test above"]
async fn the_second_process_reads_over_tls() {
    let Ok(connection_string) = std::env::var("STREAMGAUGE_TEST_HUB") else {
        return;
    };
    for client in BOTH {
        let config = config(client, &connection_string);
        for (id, read) in read_all(&*open(&config.config, bench::DEADLINE), 4).await {
            assert_eq!(read.expect("a partition").partition_id, id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_come_together_share_connections() {
    for (client, most) in [(Pipelined, 1), (Sdk, 8)] {
        let bench = Bench::start(client, 32).await;
        bench.server.fail(Fault::Slow(Duration::from_millis(50)));
        for (_, read) in read_all(&*bench.client, 32).await {
            read.expect("a partition");
        }
        let counts = bench.server.counts();
        // The SDK's clients that failed to open come on top.
        assert!(
            counts.connections <= if client == Pipelined { 1 } else { 5 * most },
            "{client:?}: {counts:?}"
        );
        let in_flight = 2..=if client == Pipelined { 32 } else { most };
        assert!(
            in_flight.contains(&counts.most_in_flight),
            "{client:?}: {counts:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_and_every_put_token_is_counted() {
    for client in BOTH {
        let bench = Bench::start(client, 8).await;
        bench.client.hub().await.expect("the hub");
        for (_, read) in read_all(&*bench.client, 8).await {
            read.expect("a partition");
        }
        let counts = bench.server.counts();
        let seen = counts.put_tokens + counts.hub_reads + counts.partition_reads;
        let (told, seen) = (bench.client.calls(), u64::try_from(seen).expect("fits"));
        // On a busy machine the SDK's client gives attempts up before they are sent: these count, too.
        let is_counted = match client {
            Pipelined => told == seen,
            Sdk => (seen..seen + 8).contains(&told),
        };
        assert!(is_counted, "{client:?}: {told}, {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_does_not_shift_later_answers() {
    for client in BOTH {
        let bench = Bench::start(client, 8).await;
        bench.client.partition("0").await.expect("a partition");
        let (mut round, mut cancelled) = (0, 0);
        while cancelled < 10 {
            round += 1;
            assert!(round < 200, "{client:?}: hardly a call could be cancelled");
            let before = bench.server.counts().partition_reads;
            bench
                .server
                .fail_next(1, Fault::Slow(Duration::from_millis(60)));
            let arrived = async {
                let seen = async || (bench.server.counts().partition_reads > before).then_some(());
                eventually("the request arrives", bench::DEADLINE, seen).await;
            };
            tokio::select! {
                // On a busy machine the slow answer may be there before its request is seen: nothing was cancelled.
                read = bench.client.partition("5") => {
                    read.unwrap_or_else(|e| panic!("{client:?} {round}: {e}"));
                }
                () = arrived => cancelled += 1,
            }
            for id in ["2", "5", "7"] {
                let read = bench.client.partition(id).await;
                bench.must_be_right(
                    id,
                    &read.unwrap_or_else(|e| panic!("{client:?} {round}: {e}")),
                );
            }
        }
        if client == Pipelined {
            assert_eq!(bench.server.counts().connections, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_client_leaves_no_connection_behind() {
    for client in BOTH {
        let Bench {
            server,
            client: management,
            configured: _configured,
        } = Bench::start(client, 8).await;
        for (_, read) in read_all(&*management, 8).await {
            read.expect("a partition");
        }
        drop(management);
        let closed = async || (server.open_connections() == 0).then_some(());
        eventually("all connections are closed", bench::DEADLINE, closed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_reconnect_a_new_connection_is_used() {
    for client in BOTH {
        let bench = Bench::start(client, 2).await;
        bench.client.partition("0").await.expect("a partition");
        bench.client.reconnect();
        let read = bench.client.partition("1").await.expect("a partition");
        bench.must_be_right("1", &read);
        let connections = bench.server.counts().connections;
        // The SDK's clients that failed to open come on top.
        let most = if client == Pipelined { 2 } else { 10 };
        assert!(
            (2..=most).contains(&connections),
            "{client:?}: {connections}"
        );
        let old_one_closed = async || (bench.server.open_connections() == 1).then_some(());
        eventually(
            "the old connection is closed",
            bench::DEADLINE,
            old_one_closed,
        )
        .await;
    }
}
