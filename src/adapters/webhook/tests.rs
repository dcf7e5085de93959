//! Order, patience and bounds of deliveries, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;

use super::*;
use crate::config::types::Config;
use crate::model::incident::{Incident, IncidentKind};
use crate::publish::notices::Notices;

fn notice(at: Timestamp, number: u64, kind: IncidentKind, change: IncidentChange) -> Notice {
    Notice {
        at,
        group: "billing/x".to_owned(),
        change,
        incident: Incident {
            number,
            kind,
            started_at: at,
            noticed_at: at,
            ended_at: (change == IncidentChange::Ended).then_some(at),
            signals: BTreeSet::new(),
            partitions: BTreeSet::new(),
            text: "why".to_owned(),
        },
    }
}

fn config(url: &str, kinds: &str) -> Option<WebhookConfig> {
    let text = format!(
        "sources: [ {{ name: m, redis: {{ url: \"redis://h\" }} }} ]\n\
         incidents: {{ webhook: {{ url: \"{url}\", secret: {{ env: PATH }}{kinds} }} }}"
    );
    Config::parse(&text, "c").expect("a right config").webhook
}

/// A receiver that answers with these statuses, the last of them for ever; the subjects and types that it saw.
async fn receiver(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, calls) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
    let answer = move |body: String| {
        let event: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let kind = event["type"].as_str().expect("a type");
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let status = statuses[call.min(statuses.len() - 1)];
        let said = format!("{status} {} {kind}", event["data"]["number"]);
        kept.lock()
            .expect("kept")
            .push(said.replace("io.streamgauge.incident.", ""));
        async move { StatusCode::from_u16(status).expect("a status") }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let url = format!(
        "http://{}/hook",
        listener.local_addr().expect("its address")
    );
    let router = Router::new().route("/hook", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

async fn told(
    url: &str,
    kinds: &str,
    news: Vec<Notice>,
    clock: Clock,
) -> BTreeMap<NotificationOutcome, u64> {
    let webhook = Arc::new(Webhook::new(config(url, kinds), clock));
    let (notices, queue) = Notices::new();
    for notice in news {
        notices.tell(notice);
    }
    drop(notices);
    Arc::clone(&webhook).deliver(queue).await;
    webhook.outcomes()
}

#[tokio::test]
async fn news_come_in_order_however_often_one_must_be_tried() {
    let clock = Clock::start();
    let (url, seen) = receiver(&[503, 202]).await;
    let kind = IncidentKind::HotPartition;
    let news = vec![
        notice(clock.now(), 1, kind, IncidentChange::Noticed),
        notice(clock.now(), 1, kind, IncidentChange::Ended),
        notice(clock.now(), 2, kind, IncidentChange::Noticed),
    ];
    let outcomes = told(&url, "", news, clock).await;
    assert_eq!(
        outcomes,
        BTreeMap::from([(NotificationOutcome::Delivered, 3)])
    );
    let expect = [
        "503 1 noticed",
        "202 1 noticed",
        "202 1 ended",
        "202 2 noticed",
    ];
    assert_eq!(*seen.lock().expect("seen"), expect);
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    let clock = Clock::start();
    let (url, seen) = receiver(&[400, 200]).await;
    let kind = IncidentKind::ProducerStop;
    let news = (1..=2).map(|n| notice(clock.now(), n, kind, IncidentChange::Noticed));
    let outcomes = told(&url, "", news.collect(), clock).await;
    let expect = BTreeMap::from([
        (NotificationOutcome::Delivered, 1),
        (NotificationOutcome::Refused, 1),
    ]);
    assert_eq!(outcomes, expect);
    assert_eq!(
        *seen.lock().expect("seen"),
        ["400 1 noticed", "200 2 noticed"]
    );
}

#[tokio::test]
async fn kinds_that_nobody_asked_for_are_not_told_unless_they_were_another_before() {
    let clock = Clock::start();
    let (url, seen) = receiver(&[200]).await;
    let (crash, outage) = (IncidentKind::ConsumerCrash, IncidentKind::DownstreamOutage);
    let news = vec![
        notice(clock.now(), 1, crash, IncidentChange::Noticed),
        notice(clock.now(), 2, outage, IncidentChange::Noticed),
        notice(clock.now(), 2, crash, IncidentChange::Changed),
        notice(clock.now(), 2, crash, IncidentChange::Ended),
        notice(clock.now(), 1, crash, IncidentChange::Ended),
    ];
    told(&url, ", kinds: [downstream_outage]", news, clock).await;
    let expect = ["200 2 noticed", "200 2 changed", "200 2 ended"];
    assert_eq!(*seen.lock().expect("seen"), expect);
}

#[tokio::test(start_paused = true)]
async fn after_a_quarter_of_an_hour_news_are_none_any_more() {
    let clock = Clock::start();
    let start = clock.now();
    let news = vec![notice(
        start,
        1,
        IncidentKind::TrafficSurge,
        IncidentChange::Noticed,
    )];
    // Nobody listens there.
    let outcomes = told("http://127.0.0.1:1/", "", news, clock).await;
    assert_eq!(
        outcomes,
        BTreeMap::from([(NotificationOutcome::Expired, 1)])
    );
    let tried_for = clock.now().since(start);
    let expect = NEWS_FOR - LONGEST_PAUSE..=NEWS_FOR;
    assert!(expect.contains(&tried_for), "{tried_for:?}");
}

#[test]
fn what_comes_on_top_of_a_full_queue_is_lost_and_counted() {
    let (notices, _queue) = Notices::new();
    let at = Timestamp::from_millis(1);
    for number in 0..1005 {
        notices.tell(notice(
            at,
            number,
            IncidentKind::StuckPartition,
            IncidentChange::Noticed,
        ));
    }
    assert_eq!((notices.waiting(), notices.lost()), (1000, 5));
}
