//! Checkpoints in Blob Storage: written by Microsoft's clients into Microsoft's emulator, read by ours.

mod crowded;
mod entra;
mod javascript;
mod layouts;
mod refusals;
mod store;

use std::time::Duration;

use crate::support::azurite::{ACCOUNT_KEY, Azurite};
use crate::support::eventually;
use futures_util::FutureExt;
use serde_json::{Value, json};
use store::*;
use streamgauge::config::types::{BlobAuth, CheckpointStrategy, CheckpointsConfig, Secret};
use streamgauge::model::sample::FailureKind;
use streamgauge::sources::event_hubs::checkpoints::CheckpointState;

/// An account with a container in which the steps were done, and what a config with its connection string looks like.
fn filled(steps: &[Value]) -> (Azurite, SecretFile, CheckpointsConfig, Vec<Value>) {
    let server = Azurite::start();
    let mut all = vec![json!(["create", CONTAINER])];
    all.extend_from_slice(steps);
    let results = prepare(&server.connection_string(), None, &Value::from(all));
    let secret = SecretFile::new(&server.connection_string());
    let config = config(BlobAuth::ConnectionString(secret.secret()));
    (server, secret, config, results)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_microsofts_python_store_writes_is_read_in_one_request() {
    let mut steps: Vec<_> = (0..32)
        .map(|id| checkpoint(&id.to_string(), 1000 + id, "77"))
        .collect();
    steps.push(json!(["own", CONTAINER, NAMESPACE, HUB, GROUP, {"0": "alice", "1": "bob", "2": "alice", "3": "bob"}]));
    steps.push(json!(["own", CONTAINER, NAMESPACE, HUB, GROUP, {"3": ""}]));
    let (server, _secret, mut config, _) = filled(&steps);
    let store = reader(&config);
    let (committed, requests) = read_counted(&store, 40).await;
    assert_eq!(requests, 1, "whatever the number of partitions");
    let found = positions(&committed);
    assert_eq!(
        found.len(),
        32,
        "what has no checkpoint is missing: {found:?}"
    );
    assert!((0..32).all(|id| found[id.to_string().as_str()] == 1000 + id));
    assert_eq!(
        owners(&committed),
        Some(vec![("0", "alice"), ("1", "bob"), ("2", "alice")])
    );
    let CheckpointState::Present(first) = &committed.partitions["0"] else {
        panic!("present");
    };
    assert_eq!(first.offset, "77");
    assert!(first.written_at.is_some());
    assert_eq!(read_counted(&store, 1).await.1, 1);

    // Owners that did not renew for so long are gone; Azurite's dates are in whole seconds.
    config.ownership_expiry = Duration::from_secs(1);
    let hasty = reader(&config);
    eventually("ownership expires", DEADLINE, async || {
        let (committed, _) = read_counted(&hasty, 32).await;
        assert_eq!(positions(&committed).len(), 32);
        (owners(&committed) == Some(vec![])).then_some(())
    })
    .await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_without_a_number_is_unreadable_and_never_zero() {
    let named = |partition: &str| {
        format!("{NAMESPACE}/{HUB}/{GROUP}/checkpoint/{partition}").to_lowercase()
    };
    let steps = [
        json!(["write", CONTAINER, named("0"), "", {"offset": ""}]),
        json!(["write", CONTAINER, named("1"), "", {"sequencenumber": "many"}]),
        json!(["write", CONTAINER, named("2"), "", {"Sequencenumber": "12"}]),
        json!(["write", CONTAINER, named("3"), "", {"SEQUENCENUMBER": "13", "offset": ""}]),
    ];
    let (_server, _secret, config, _) = filled(&steps);
    let (committed, _) = read_counted(&reader(&config), 5).await;
    for partition in ["0", "1"] {
        let CheckpointState::Unreadable(failure) = &committed.partitions[partition] else {
            panic!("{:?}", committed.partitions[partition]);
        };
        assert_eq!(failure.kind, FailureKind::Protocol);
        assert!(failure.text.contains(&named(partition)), "{failure}");
        assert!(failure.text.contains("sequencenumber"), "{failure}");
    }
    for (partition, number) in [("2", 12), ("3", 13)] {
        let CheckpointState::Present(checkpoint) = &committed.partitions[partition] else {
            panic!("{:?}", committed.partitions[partition]);
        };
        assert_eq!(checkpoint.sequence_number, number);
    }
    assert!(!committed.partitions.contains_key("4"));
    assert_eq!(committed.owners, None, "nobody ever recorded an owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_is_read_in_both_spellings_of_its_path() {
    use CheckpointStrategy as S;
    let of_functions = |partition: usize, number: i64| {
        format!(
            r#"{{"Offset":"9","SequenceNumber":{number},"PartitionId":"{partition}","Owner":"w","Token":"t","Epoch":1}}"#
        )
    };
    let of_go = |partition: usize, number: i64| {
        format!(
            r#"{{"partitionID":"{partition}","epoch":0,"owner":"","checkpoint":{{"offset":"9","sequenceNumber":{number},"enqueueTime":""}},"state":"","token":""}}"#
        )
    };
    let path = format!("{NAMESPACE}/{HUB}/{GROUP}/");
    let dapr = format!("dapr-{HUB}-{GROUP}-");
    let legacy = format!("{GROUP}/");
    let layouts = [
        (S::BlobMetadata, path.as_str(), false),
        (S::AzureFunction, &path, false),
        (S::GoSdk, "", true),
        (S::Dapr, &dapr, true),
        (S::Legacy, &legacy, false),
    ];
    let mut steps = Vec::new();
    for (index, (strategy, prefix, is_go)) in layouts.iter().enumerate() {
        for (spelling, prefix) in [
            ("low", prefix.to_lowercase()),
            ("asis", (*prefix).to_owned()),
        ] {
            let container = format!("c-{index}-{spelling}");
            steps.push(json!(["create", container]));
            for partition in 0..3_usize {
                let number = 100 * partition as i64 + 5;
                let text = if *is_go {
                    of_go(partition, number)
                } else {
                    of_functions(partition, number)
                };
                let step = if *strategy == S::BlobMetadata {
                    let name = format!("{prefix}checkpoint/{partition}");
                    json!(["write", container, name, "", {"sequencenumber": number.to_string()}])
                } else {
                    json!(["write", container, format!("{prefix}{partition}"), text])
                };
                steps.push(step);
            }
        }
    }
    let (_server, _secret, mut config, _) = filled(&steps);
    for (index, (strategy, ..)) in layouts.iter().enumerate() {
        for spelling in ["low", "asis"] {
            config.strategy = *strategy;
            config.container = Some(format!("c-{index}-{spelling}"));
            let store = reader(&config);
            let (committed, _) = read_counted(&store, 4).await;
            let expected = [("0", 5), ("1", 105), ("2", 205)].into();
            assert_eq!(positions(&committed), expected, "{strategy:?} {spelling}");
            let (again, requests) = read_counted(&store, 4).await;
            assert_eq!(
                again.partitions, committed.partitions,
                "{strategy:?} {spelling}"
            );
            assert_eq!(
                requests, 1,
                "path and contents are remembered: {strategy:?} {spelling}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_contents_only_those_that_changed_are_read_again() {
    let content =
        |number: i64| format!(r#"{{"Offset":"9","SequenceNumber":{number},"Owner":"w"}}"#);
    let name = |partition: &str| format!("{GROUP}/{partition}");
    let steps: Vec<_> = partitions(24)
        .iter()
        .map(|partition| json!(["write", CONTAINER, name(partition), content(7)]))
        .collect();
    let (server, _secret, mut config, _) = filled(&steps);
    config.strategy = CheckpointStrategy::Legacy;
    let store = reader(&config);
    assert_eq!(read_counted(&store, 24).await.1, 1 + 24);
    let steps = json!([
        ["write", CONTAINER, name("3"), content(8)],
        ["write", CONTAINER, name("4"), "{"],
        ["delete", CONTAINER, name("5")],
        ["lease", CONTAINER, name("6")],
    ]);
    prepare(&server.connection_string(), None, &steps);
    let (committed, requests) = read_counted(&store, 24).await;
    assert_eq!(requests, 1 + 2, "a lease is no change of content");
    let CheckpointState::Present(third) = &committed.partitions["3"] else {
        panic!("{:?}", committed.partitions["3"]);
    };
    assert_eq!(third.sequence_number, 8);
    let CheckpointState::Unreadable(failure) = &committed.partitions["4"] else {
        panic!("{:?}", committed.partitions["4"]);
    };
    assert!(failure.text.contains("not JSON"), "{failure}");
    assert!(!committed.partitions.contains_key("5"));
    assert_eq!(
        owners(&committed),
        None,
        "one document that could hold an owner is broken"
    );
    let repair = json!([["write", CONTAINER, name("4"), content(9)]]);
    prepare(&server.connection_string(), None, &repair);
    let (committed, requests) = read_counted(&store, 24).await;
    assert_eq!((owners(&committed), requests), (Some(vec![("6", "w")]), 2));
    prepare(
        &server.connection_string(),
        None,
        &json!([["release", CONTAINER, name("6")]]),
    );
    let (committed, requests) = read_counted(&store, 24).await;
    assert_eq!((owners(&committed), requests), (Some(vec![]), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_moved_to_the_other_spelling_is_found_again() {
    let low = format!("{NAMESPACE}/{HUB}/{GROUP}/checkpoint/0").to_lowercase();
    let as_is = format!("{NAMESPACE}/{HUB}/{GROUP}/checkpoint/0");
    let write = |name: &str, number: &str| json!(["write", CONTAINER, name, "", {"sequencenumber": number}]);
    let (server, _secret, config, _) = filled(&[write(&low, "1")]);
    let store = reader(&config);
    assert_eq!(
        positions(&read_counted(&store, 1).await.0),
        [("0", 1)].into()
    );
    let moved = json!([["delete", CONTAINER, low], write(&as_is, "2")]);
    prepare(&server.connection_string(), None, &moved);
    let (committed, requests) = read_counted(&store, 1).await;
    assert_eq!((positions(&committed), requests), ([("0", 2)].into(), 2));
    assert_eq!(read_counted(&store, 1).await.1, 1, "it is remembered");
    // Where this thread has to wait, the server may answer a reading before it can be given up.
    let is_given_up = |_: &u32| store.read(GROUP, &partitions(1)).now_or_never().is_none();
    assert_ne!((0..10).filter(is_given_up).count(), 0);
    let requests = read_counted(&store, 1).await.1;
    assert_eq!(
        requests, 1,
        "readings that are given up take nothing from it"
    );

    // A consumer on another SDK takes over while the old checkpoint stays: sooner or later the newer one counts. Dates are in
    // whole seconds, so the newer one has to be written in a later one.
    eventually(
        "the newer spelling counts",
        Duration::from_secs(30),
        async || {
            prepare(
                &server.connection_string(),
                None,
                &json!([write(&low, "3")]),
            );
            for _ in 0..60 {
                let (committed, _) = read_counted(&store, 1).await;
                if positions(&committed) == [("0", 3)].into() {
                    return Some(());
                }
            }
            None
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signatures_open_the_account_too() {
    let steps = [
        checkpoint("0", 5, "1"),
        json!(["account_signature", "rl"]),
        json!(["container_signature", CONTAINER, "rl"]),
    ];
    let (server, _secret, mut config, results) = filled(&steps);
    let text = |at: usize| results[at].as_str().expect("a signature").to_owned();
    let url = server.account_url();
    let with_signature = format!("BlobEndpoint={url};SharedAccessSignature={}", text(2));
    type Kind = fn(Secret) -> BlobAuth;
    let auths: [(&str, Kind); 5] = [
        (ACCOUNT_KEY, BlobAuth::AccountKey),
        (&text(2), BlobAuth::Sas),
        (&format!("?{}", text(2)), BlobAuth::Sas),
        (&text(3), BlobAuth::Sas),
        (&with_signature, BlobAuth::ConnectionString),
    ];
    for (value, auth) in auths {
        let secret = SecretFile::new(&format!("{value}\n"));
        config.auth = auth(secret.secret());
        config.account_url = Some(format!("{url}/")).filter(|_| value != with_signature);
        let store = reader(&config);
        let (committed, requests) = read_counted(&store, 3).await;
        assert_eq!((positions(&committed), requests), ([("0", 5)].into(), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_list_every_blob_is_asked_for_by_name() {
    let go = r#"{"partitionID":"1","checkpoint":{"offset":"9","sequenceNumber":6}}"#;
    let steps = [
        checkpoint("0", 5, "1"),
        json!(["own", CONTAINER, NAMESPACE, HUB, GROUP, {"0": "alice"}]),
        json!(["write", CONTAINER, "1", go]),
        json!(["container_signature", CONTAINER, "r"]),
    ];
    let (server, secret, mut config, results) = filled(&steps);
    secret.set(results[4].as_str().expect("a signature"));
    config.auth = BlobAuth::Sas(secret.secret());
    config.account_url = Some(server.account_url());
    let store = reader(&config);
    let (committed, requests) = read_counted(&store, 4).await;
    assert_eq!(positions(&committed), [("0", 5)].into());
    assert_eq!(owners(&committed), Some(vec![("0", "alice")]));
    assert_eq!(
        requests,
        1 + 8,
        "one listing in vain, then a checkpoint and an owner each"
    );
    assert_eq!(read_counted(&store, 4).await.1, 8, "it is remembered");

    config.strategy = CheckpointStrategy::GoSdk;
    let store = reader(&config);
    assert_eq!(
        positions(&read_counted(&store, 4).await.0),
        [("1", 6)].into()
    );
    let (committed, requests) = read_counted(&store, 4).await;
    assert_eq!(
        (positions(&committed), requests),
        ([("1", 6)].into(), 4),
        "unchanged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_special_characters_are_found() {
    let group = "grö ße+%23&x='<$>";
    let name = format!("{NAMESPACE}/{HUB}/{group}/checkpoint/0").to_lowercase();
    let steps = [
        json!(["write", CONTAINER, name, "", {"sequencenumber": "3"}]),
        json!(["container_signature", CONTAINER, "r"]),
    ];
    let (server, secret, mut config, results) = filled(&steps);
    let read = async |config: &CheckpointsConfig| {
        let committed = reader(config)
            .read(group, &partitions(2))
            .await
            .expect("read");
        positions(&committed).get("0").copied()
    };
    assert_eq!(read(&config).await, Some(3));
    secret.set(results[2].as_str().expect("a signature"));
    config.auth = BlobAuth::Sas(secret.secret());
    config.account_url = Some(server.account_url());
    assert_eq!(read(&config).await, Some(3), "by name");
    let refused = reader(&config)
        .read("../other", &partitions(1))
        .await
        .expect_err("no group");
    assert_eq!(refused.kind, FailureKind::Misconfigured);
}
