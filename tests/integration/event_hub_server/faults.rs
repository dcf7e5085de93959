//! Every fault does what it says, and nothing else.

use std::time::{Duration, Instant};

use fe2o3_amqp::sasl_profile::SaslProfile;

use super::asker::{Asker, DEADLINE, MOMENT, open};
use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::faults::{Fault, Reads};
use crate::support::event_hub::line::Mode;
use crate::support::event_hub::state::Hub;
use crate::support::eventually;

const NODE: &str = "$management";

async fn started() -> (EventHubServer, Asker) {
    let server = EventHubServer::start(Hub::new("orders", 8)).await;
    let asker = Asker::connect(&server, NODE).await;
    (server, asker)
}

#[tokio::test]
async fn requests_on_one_link_wait_side_by_side_and_each_gets_its_own_reply() {
    let (server, mut asker) = started().await;
    server.fail(Fault::Slow(Duration::from_millis(300)));
    let began = Instant::now();
    for number in 0..8 {
        let partition = number.to_string();
        let asked = asker.ask_partition(number, &partition);
        asked.await.expect("accepted");
    }
    for _ in 0..8 {
        let reply = asker.reply().await;
        let number = reply.number().expect("a number").to_string();
        assert_eq!(reply.partition(), Some(number.as_str()));
    }
    assert!(began.elapsed() >= Duration::from_millis(300));
    let counts = server.counts();
    assert_eq!((counts.partition_reads, counts.most_in_flight), (8, 8));
}

#[tokio::test]
async fn an_unknown_partition_or_hub_is_not_found() {
    let (_server, mut asker) = started().await;
    asker.ask_partition(1, "8").await.expect("accepted");
    asker
        .ask_partition_of("other", 2, "0", None)
        .await
        .expect("accepted");
    assert_eq!(asker.reply().await.status, 404);
    assert_eq!(asker.reply().await.status, 404);
}

#[tokio::test]
async fn a_fault_for_the_next_read_leaves_the_one_after_it_alone() {
    let (server, mut asker) = started().await;
    server.fail_next(1, Fault::NeverReply);
    asker.ask_partition(1, "1").await.expect("accepted");
    assert_eq!(asker.reply_within(MOMENT).await, None);
    asker.ask_partition(2, "2").await.expect("accepted");
    assert_eq!(asker.reply().await.number(), Some(2));
}

#[tokio::test]
async fn a_fault_may_meet_one_partition_only() {
    let (server, mut asker) = started().await;
    server.fail_reads(Reads::Partition("3".to_owned()), Fault::Unauthorized, None);
    for (number, partition, status) in [(1, "3", 401), (2, "4", 200), (3, "3", 401)] {
        let asked = asker.ask_partition(number, partition);
        asked.await.expect("accepted");
        assert_eq!(asker.reply().await.status, status);
    }
}

#[tokio::test]
async fn statuses_carry_the_services_texts() {
    let (server, mut asker) = started().await;
    for (fault, status, text) in [
        (Fault::Unauthorized, 401, "claim"),
        (Fault::NotFound, 404, "could not be found"),
        (Fault::ServerBusy, 503, "50002"),
    ] {
        server.fail_next(1, fault);
        asker.ask_partition(1, "1").await.expect("accepted");
        let reply = asker.reply().await;
        assert_eq!(reply.status, status);
        assert!(reply.description.contains(text), "{}", reply.description);
    }
}

#[tokio::test]
async fn replies_in_the_wrong_order_are_correlated_rightly() {
    let (server, mut asker) = started().await;
    server.fail(Fault::WrongOrder);
    for number in 0..4 {
        let partition = number.to_string();
        let asked = asker.ask_partition(number, &partition);
        asked.await.expect("accepted");
    }
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let reply = asker.reply().await;
        let number = reply.number().expect("a number");
        assert_eq!(reply.partition(), Some(number.to_string().as_str()));
        numbers.push(number);
    }
    assert_eq!(numbers, [3, 2, 1, 0]);
}

#[tokio::test]
async fn a_confused_server_tells_of_another_partition_or_answers_to_nobody() {
    let (server, mut asker) = started().await;
    server.fail_next(1, Fault::AnotherPartition);
    asker.ask_partition(1, "5").await.expect("accepted");
    let reply = asker.reply().await;
    assert_eq!((reply.number(), reply.partition()), (Some(1), Some("6")));
    server.fail_next(1, Fault::WrongCorrelation);
    asker.ask_partition(2, "5").await.expect("accepted");
    let reply = asker.reply().await;
    assert_eq!((reply.number(), reply.partition()), (None, Some("5")));
}

#[tokio::test]
async fn the_line_is_cut_before_the_disposition_or_right_after_it() {
    let (server, mut asker) = started().await;
    server.fail_next(1, Fault::DropBeforeDisposition);
    let sent = asker.ask_partition(1, "1").await;
    assert_eq!(sent, Err("the connection ended".to_owned()));
    let mut asker = Asker::connect(&server, NODE).await;
    server.fail_next(1, Fault::DropAfterDisposition);
    asker.ask_partition(1, "1").await.expect("accepted");
    let end = asker.end().await;
    assert!(end.contains("Stopped"), "{end}");
    assert_eq!(server.counts().good_replies, 0);
}

#[tokio::test]
async fn the_connection_is_closed_with_the_condition_that_was_set() {
    let (server, mut asker) = started().await;
    let condition = "amqp:connection:forced".to_owned();
    let text = "maintenance".to_owned();
    server.fail_next(1, Fault::Close { condition, text });
    asker.ask_partition(1, "1").await.expect("accepted");
    let closed = tokio::time::timeout(DEADLINE, asker.connection.on_close());
    let error = closed.await.expect("an end").expect_err("an error");
    let said = format!("{error:?}");
    assert!(
        said.contains("Forced") && said.contains("maintenance"),
        "{said}"
    );
}

#[tokio::test]
async fn a_frozen_server_takes_connections_and_answers_when_it_thaws() {
    let (server, mut asker) = started().await;
    server.set_mode(Mode::Frozen);
    let address = ("127.0.0.1", server.port);
    let tcp = tokio::net::TcpStream::connect(address).await;
    tcp.expect("a TCP connection");
    let mut waiting = Box::pin(open(&server, SaslProfile::Anonymous));
    let opened = tokio::time::timeout(MOMENT, &mut waiting).await;
    assert!(opened.is_err(), "a frozen server answered");
    let asked = asker.ask_partition(1, "1");
    let asked = tokio::time::timeout(MOMENT, asked).await;
    assert!(asked.is_err(), "a frozen server answered");
    server.set_mode(Mode::Serving);
    assert_eq!(asker.reply().await.number(), Some(1));
    waiting.await.expect("an open connection");
}

#[tokio::test]
async fn new_connections_are_refused_while_old_ones_go_on() {
    let (server, mut asker) = started().await;
    server.set_mode(Mode::RefusingNew);
    let refused = open(&server, SaslProfile::Anonymous).await;
    assert!(refused.is_err());
    asker.ask_partition(1, "1").await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
    server.heal();
    Asker::connect(&server, NODE).await;
    assert_eq!(server.counts().connections, 2);
}

#[tokio::test]
async fn killed_connections_end_and_new_ones_are_taken() {
    let (server, asker) = started().await;
    server.kill_connections();
    asker.end().await;
    let mut asker = Asker::connect(&server, NODE).await;
    asker.ask_partition(1, "1").await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
}

#[tokio::test]
async fn a_dropped_server_takes_its_connections_with_it() {
    let (server, asker) = started().await;
    let broker = server.broker();
    assert_eq!(broker.open_connections(), 1);
    drop(server);
    asker.end().await;
    eventually("no connection left", DEADLINE, async || {
        (broker.open_connections() == 0).then_some(())
    })
    .await;
}
