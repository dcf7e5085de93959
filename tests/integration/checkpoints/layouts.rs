//! Which layouts are there, and which of them counts: alone, mixed, left behind after a migration, in other people's company.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamgauge::config::types::{BlobAuth, CheckpointStrategy, CheckpointsConfig};
use streamgauge::model::sample::{Failure, FailureKind};
use streamgauge::sources::event_hubs::checkpoints::{CheckpointState, Committed};

use super::filled;
use super::store::*;

const LAYOUTS: [CheckpointStrategy; 5] = [
    CheckpointStrategy::BlobMetadata,
    CheckpointStrategy::AzureFunction,
    CheckpointStrategy::GoSdk,
    CheckpointStrategy::Dapr,
    CheckpointStrategy::Legacy,
];

/// A step that writes a checkpoint as the writers of that layout do, under these names.
fn write_as(
    layout: CheckpointStrategy,
    container: &str,
    [namespace, hub, group]: [&str; 3],
    partition: &str,
    number: i64,
) -> Value {
    use CheckpointStrategy as S;
    let top = format!(
        r#"{{"Offset":"9","SequenceNumber":{number},"PartitionId":"{partition}","Owner":"w","Token":"t","Epoch":1}}"#
    );
    let nested = format!(
        r#"{{"partitionID":"{partition}","epoch":0,"owner":"","checkpoint":{{"offset":"9","sequenceNumber":{number},"enqueueTime":""}}}}"#
    );
    let path = format!("{namespace}/{hub}/{group}");
    match layout {
        S::Auto => panic!("no layout"),
        S::BlobMetadata => {
            let metadata = json!({"sequencenumber": number.to_string(), "offset": "9"});
            json!([
                "write",
                container,
                format!("{path}/checkpoint/{partition}"),
                "",
                metadata
            ])
        }
        S::AzureFunction => json!(["write", container, format!("{path}/{partition}"), top]),
        S::GoSdk => json!(["write", container, partition, nested]),
        S::Dapr => json!([
            "write",
            container,
            format!("dapr-{hub}-{group}-{partition}"),
            nested
        ]),
        S::Legacy => json!(["write", container, format!("{group}/{partition}"), top]),
    }
}

const OURS: [&str; 3] = [NAMESPACE, HUB, GROUP];

fn write(layout: CheckpointStrategy, partition: &str, number: i64) -> Value {
    write_as(layout, CONTAINER, OURS, partition, number)
}

fn with(config: &CheckpointsConfig, strategy: CheckpointStrategy, container: &str) -> Reader {
    reader(&CheckpointsConfig {
        strategy,
        container: Some(container.to_owned()),
        ..config.clone()
    })
}

async fn read(store: &Reader) -> Result<Committed, Failure> {
    store.read(GROUP, &partitions(4)).await
}

/// Names of containers hold no underscore.
fn container_of(layout: CheckpointStrategy) -> String {
    format!("only-{}", layout.as_str().replace('_', "-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_is_found_by_itself_and_any_other_strategy_is_refused_by_name() {
    let mut steps = Vec::new();
    for (nth, layout) in LAYOUTS.into_iter().enumerate() {
        let container = container_of(layout);
        steps.push(json!(["create", container]));
        for partition in ["0", "1", "3"] {
            let number = 100 * nth as i64 + 7;
            steps.push(write_as(layout, &container, OURS, partition, number));
        }
    }
    let (_server, _secret, config, _) = filled(&steps);
    for (nth, there) in LAYOUTS.into_iter().enumerate() {
        let container = container_of(there);
        let auto = with(&config, CheckpointStrategy::Auto, &container);
        for _ in 0..2 {
            let committed = read(&auto).await.expect("read");
            let number = 100 * nth as i64 + 7;
            let expected = [("0", number), ("1", number), ("3", number)].into();
            assert_eq!(positions(&committed), expected, "{there:?}");
            let words = format!("{} on 3 of 4 partitions", there.as_str());
            assert_eq!(committed.layouts, words);
            assert!(committed.remarks.is_empty(), "{:?}", committed.remarks);
        }
        let before = auto.requests();
        read(&auto).await.expect("read");
        assert_eq!(auto.requests() - before, 1, "{there:?}: one listing");
        for asked in LAYOUTS {
            let outcome = read(&with(&config, asked, &container)).await;
            if asked == there {
                let expected = positions(outcome.as_ref().expect("read")).len();
                assert_eq!(expected, 3, "{asked:?}");
                continue;
            }
            let failure = outcome.expect_err("another layout is there");
            assert_eq!(failure.kind, FailureKind::Misconfigured);
            for part in [asked.as_str(), there.as_str(), HUB, GROUP, "auto"] {
                assert!(failure.text.contains(part), "{part}: {failure}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_any_blob_is_new_and_the_ones_beside_it_are_named() {
    let other = [NAMESPACE, HUB, "billing"];
    let step = write_as(CheckpointStrategy::BlobMetadata, CONTAINER, other, "0", 5);
    let (_server, _secret, config, _) = filled(&[step]);
    for strategy in [CheckpointStrategy::Auto, CheckpointStrategy::AzureFunction] {
        let committed = read(&with(&config, strategy, CONTAINER))
            .await
            .expect("read");
        assert!(committed.partitions.is_empty());
        for part in [GROUP, "none for", "billing"] {
            assert!(committed.layouts.contains(part), "{}", committed.layouts);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn halfway_through_a_migration_each_partition_goes_by_its_own_layout() {
    use CheckpointStrategy as S;
    for old in [S::AzureFunction, S::Dapr, S::GoSdk, S::Legacy] {
        let mut steps: Vec<_> = (0..4).map(|p| write(old, &p.to_string(), 50)).collect();
        steps.push(write(S::BlobMetadata, "0", 70));
        steps.push(write(S::BlobMetadata, "2", 80));
        let (_server, _secret, config, _) = filled(&steps);
        let committed = read(&with(&config, S::Auto, CONTAINER))
            .await
            .expect("read");
        let expected = [("0", 70), ("1", 50), ("2", 80), ("3", 50)].into();
        assert_eq!(positions(&committed), expected, "{old:?}");
        for part in [
            "blob_metadata on 2 of 4",
            &format!("{} on 2 of 4", old.as_str()),
        ] {
            assert!(committed.layouts.contains(part), "{}", committed.layouts);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_that_moves_counts_however_far_the_one_left_behind_is() {
    use CheckpointStrategy as S;
    // The event hub was made anew since: its numbers began again.
    for (old, new) in [
        (S::AzureFunction, S::BlobMetadata),
        (S::GoSdk, S::BlobMetadata),
        (S::BlobMetadata, S::Dapr),
        (S::Legacy, S::AzureFunction),
    ] {
        let steps = [write(old, "0", 900), write(new, "0", 3)];
        let (server, _secret, config, _) = filled(&steps);
        let store = with(&config, S::Auto, CONTAINER);
        let explicit = with(&config, old, CONTAINER);
        assert_eq!(positions(&read(&store).await.expect("read"))["0"], 900);
        assert_eq!(positions(&read(&explicit).await.expect("read"))["0"], 900);
        let steps = Value::from(vec![write(new, "0", 4)]);
        prepare(&server.connection_string(), None, &steps);
        let committed = read(&store).await.expect("read");
        assert_eq!(positions(&committed)["0"], 4, "{old:?} {new:?}");
        // Whoever asks for what is left behind hears of it, where it is surely of the same group.
        let committed = read(&explicit).await.expect("read");
        if matches!(new, S::BlobMetadata | S::AzureFunction | S::Dapr) {
            let CheckpointState::Unreadable(failure) = &committed.partitions["0"] else {
                panic!("{:?}", committed.partitions);
            };
            assert_eq!(failure.kind, FailureKind::Misconfigured);
            assert!(failure.text.contains(new.as_str()), "{failure}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_appears_while_polling_is_noticed_soon() {
    use CheckpointStrategy as S;
    let (server, _secret, config, _) = filled(&[write(S::Dapr, "0", 5)]);
    let store = with(&config, S::Auto, CONTAINER);
    read(&store).await.expect("read");
    let steps = Value::from(vec![write(S::BlobMetadata, "0", 6)]);
    prepare(&server.connection_string(), None, &steps);
    let mut polls = 0;
    let before = store.requests();
    while positions(&read(&store).await.expect("read"))["0"] != 6 {
        polls += 1;
        assert!(polls < 10, "within ten polls");
    }
    assert_eq!(store.requests() - before, polls + 1, "and costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_name_no_group_never_go_before_those_that_do_in_a_shared_container() {
    use CheckpointStrategy as S;
    let other = [NAMESPACE, "views", GROUP];
    let steps = [
        write(S::GoSdk, "0", 900),
        write(S::GoSdk, "1", 900),
        write(S::BlobMetadata, "0", 3),
        write_as(S::BlobMetadata, CONTAINER, other, "0", 5),
    ];
    let (server, _secret, config, _) = filled(&steps);
    let store = with(&config, S::Auto, CONTAINER);
    read(&store).await.expect("read");
    let steps = Value::from(vec![write(S::GoSdk, "0", 901)]);
    prepare(&server.connection_string(), None, &steps);
    let committed = read(&store).await.expect("read");
    assert_eq!(positions(&committed), [("0", 3), ("1", 900)].into());
    let remark = &committed.remarks["1"];
    assert!(
        remark.contains("go_sdk") && remark.contains("a separate container"),
        "{remark}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_found_in_any_case_and_form_of_their_names() {
    use CheckpointStrategy as S;
    let spellings = [
        ["ns.servicebus.windows.net", "orders", "$default"],
        ["NS.ServiceBus.windows.net", "ORDERS", "$DEFAULT"],
        ["ns.servicebus.windows.net", "Orders", "$default"],
        ["ns.servicebus.windows.net", "orders", "%24Default"],
        ["ns.servicebus.windows.net:5673", "Orders", "$Default"],
    ];
    for layout in [S::BlobMetadata, S::AzureFunction, S::Dapr, S::Legacy] {
        let mut steps = Vec::new();
        for (nth, names) in spellings.into_iter().enumerate() {
            let container = format!("c-{nth}");
            steps.push(json!(["create", container]));
            steps.push(write_as(layout, &container, names, "0", nth as i64 + 5));
        }
        let (_server, _secret, config, _) = filled(&steps);
        for (nth, spelling) in spellings.iter().enumerate() {
            for strategy in [S::Auto, layout] {
                let store = with(&config, strategy, &format!("c-{nth}"));
                let committed = read(&store).await.expect("read");
                let expected: BTreeMap<&str, i64> = [("0", nth as i64 + 5)].into();
                assert_eq!(positions(&committed), expected, "{layout:?} {spelling:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_list_the_layout_is_found_by_name() {
    use CheckpointStrategy as S;
    for layout in LAYOUTS {
        let lower = [NAMESPACE, HUB, GROUP].map(str::to_lowercase);
        let lower = lower.each_ref().map(String::as_str);
        let mut steps: Vec<_> = (0..20)
            .map(|p| write_as(layout, CONTAINER, lower, &p.to_string(), 7))
            .collect();
        steps.push(json!(["container_signature", CONTAINER, "r"]));
        let (server, secret, mut config, results) = filled(&steps);
        secret.set(results[21].as_str().expect("a signature"));
        config.auth = BlobAuth::Sas(secret.secret());
        config.account_url = Some(server.account_url());
        let store = with(&config, S::Auto, CONTAINER);
        for _ in 0..2 {
            let (committed, _) = read_counted(&store, 20).await;
            assert_eq!(positions(&committed).len(), 20, "{layout:?}");
        }
        let most = if layout == S::BlobMetadata { 40 } else { 20 };
        assert_eq!(
            read_counted(&store, 20).await.1,
            most,
            "{layout:?}: remembered"
        );
        let asked = LAYOUTS.into_iter().find(|other| *other != layout);
        let wrong = with(&config, asked.expect("another"), CONTAINER);
        let failure = read(&wrong).await.expect_err("another layout is there");
        assert!(failure.text.contains(layout.as_str()), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_blob_left_behind_does_not_hide_a_good_one() {
    use CheckpointStrategy as S;
    let broken = json!(["write", CONTAINER, "0", "hello"]);
    let steps = [broken, write(S::BlobMetadata, "0", 5)];
    let (_server, _secret, config, _) = filled(&steps);
    let committed = read(&with(&config, S::Auto, CONTAINER))
        .await
        .expect("read");
    assert_eq!(positions(&committed), [("0", 5)].into());
}
