//! Tokens are taken, refused and outlived as their policy says; changes of the hub are told at once.

use fe2o3_amqp::sasl_profile::SaslProfile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::asker::{Asker, DEADLINE};
use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::state::{Hub, now_ms};
use crate::support::event_hub::tokens::TokenPolicy;
use crate::support::eventually;

async fn started(policy: TokenPolicy) -> EventHubServer {
    let server = EventHubServer::start(Hub::new("orders", 2)).await;
    server.set_token_policy(policy);
    server
}

#[tokio::test]
async fn any_token_is_taken_and_remembered() {
    let server = started(TokenPolicy::AcceptAny).await;
    let mut asker = Asker::connect(&server, "$cbs").await;
    let until = now_ms() - 1000;
    assert_eq!(asker.put_token(1, "t1", until).await.status, 202);
    let tokens = server.tokens();
    assert_eq!((tokens.len(), server.counts().put_tokens), (1, 1));
    assert_eq!(
        (tokens[0].kind.as_str(), tokens[0].token.as_str()),
        ("jwt", "t1")
    );
    assert_eq!(tokens[0].audience, "sb://localhost/orders");
    assert_eq!(tokens[0].expires_at_ms, Some(until));
    let mut asker = asker.turn_to("$management").await;
    asker.ask_partition(2, "0").await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
}

#[tokio::test]
async fn a_token_is_refused_with_401() {
    let server = started(TokenPolicy::Reject).await;
    let mut asker = Asker::connect(&server, "$cbs").await;
    assert_eq!(
        asker.put_token(1, "t1", now_ms() + 60_000).await.status,
        401
    );
}

#[tokio::test]
async fn reads_are_refused_once_the_connections_token_has_run_out() {
    let server = started(TokenPolicy::Expire).await;
    let mut asker = Asker::connect(&server, "$cbs").await;
    assert_eq!(asker.put_token(1, "t1", now_ms() + 1_500).await.status, 202);
    let mut asker = asker.turn_to("$management").await;
    asker.ask_partition(2, "0").await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
    eventually("the token has run out", DEADLINE, async || {
        asker.ask_partition(3, "0").await.expect("accepted");
        (asker.reply().await.status == 401).then_some(())
    })
    .await;
    let mut asker = asker.turn_to("$cbs").await;
    assert_eq!(
        asker.put_token(4, "t2", now_ms() + 60_000).await.status,
        202
    );
    let mut asker = asker.turn_to("$management").await;
    asker.ask_partition(5, "0").await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
    // The first token, carried along by the read, is as bad as one that was put.
    let asked = asker.ask_partition_of("orders", 6, "0", Some("t1"));
    asked.await.expect("accepted");
    assert_eq!(asker.reply().await.status, 401);
    let asked = asker.ask_partition_of("orders", 7, "0", Some("t2"));
    asked.await.expect("accepted");
    assert_eq!(asker.reply().await.status, 200);
}

#[tokio::test]
async fn a_carried_signature_ends_when_it_says() {
    let server = started(TokenPolicy::Expire).await;
    let mut asker = Asker::connect(&server, "$cbs").await;
    let until = now_ms() + 60_000;
    assert_eq!(asker.put_token(1, "t1", until).await.status, 202);
    let mut asker = asker.turn_to("$management").await;
    for (number, se, status) in [(2, 1_000, 401), (3, until / 1000, 200)] {
        let token = format!("SharedAccessSignature sr=sb%3a%2f%2fx&sig=abc%3d&se={se}&skn=listen");
        let asked = asker.ask_partition_of("orders", number, "0", Some(&token));
        asked.await.expect("accepted");
        assert_eq!(asker.reply().await.status, status);
    }
}

#[tokio::test]
async fn a_password_needs_no_token_and_nothing_at_all_is_not_enough() {
    let server = started(TokenPolicy::Expire).await;
    let password = SaslProfile::Plain {
        username: "listen".to_owned(),
        password: "secret".to_owned(),
    };
    for (sasl, status) in [(password, 200), (SaslProfile::Anonymous, 401)] {
        let mut asker = Asker::connect_as(&server, "$management", sasl).await;
        asker.ask_partition(1, "0").await.expect("accepted");
        assert_eq!(asker.reply().await.status, status);
    }
    assert_eq!(server.mechanisms(), ["PLAIN", "ANONYMOUS"]);
}

#[tokio::test]
async fn the_mechanism_that_is_named_after_tokens_leads_in() {
    let server = started(TokenPolicy::AcceptAny).await;
    let mut line = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .expect("a TCP connection");
    // The header of SASL, then its init with the symbol MSSBCBS: no client library at hand sends that.
    let init = b"AMQP\x03\x01\x00\x00\x00\x00\x00\x17\x02\x01\x00\x00\x00\x53\x41\xc0\x0a\x01\xa3\x07MSSBCBS";
    line.write_all(init).await.expect("written");
    let mut said = Vec::new();
    // The outcome is a list whose first field is 0: ok.
    let outcome = b"\x00\x53\x44\xd0\x00\x00\x00\x07\x00\x00\x00\x02\x50\x00\x40";
    let until_outcome = async {
        while !said.windows(outcome.len()).any(|seen| seen == outcome) {
            assert!(
                line.read_buf(&mut said).await.expect("read") > 0,
                "{said:?}"
            );
        }
    };
    let answered = tokio::time::timeout(DEADLINE, until_outcome).await;
    assert!(answered.is_ok(), "{said:?}");
    assert_eq!(server.mechanisms(), ["MSSBCBS"]);
}

#[tokio::test]
async fn the_hub_moves_as_told() {
    let server = started(TokenPolicy::AcceptAny).await;
    server.append("1", 10, 50);
    let partition = server.partition("1");
    assert_eq!(partition.last_enqueued_sequence_number, 9);
    assert_eq!(partition.last_enqueued_offset, "450");
    assert!(!partition.is_empty && partition.last_enqueued_time_ms > now_ms() - 60_000);
    server.trim("1", 10);
    let trimmed = server.partition("1");
    assert!(trimmed.is_empty && trimmed.begin_sequence_number == 10);
    server.add_partitions(2);
    let before = server.hub();
    assert_eq!(before.partitions.len(), 4);
    server.recreate(3);
    let after = server.hub();
    assert!(after.created_at_ms > before.created_at_ms);
    assert_eq!(after.partitions, Hub::new("orders", 3).partitions);
}
