//! What Microsoft's checkpoint store for JavaScript writes.

use super::*;

/// A stale blob of the layout before is beside each, as after an upgrade.
#[tokio::test(flavor = "multi_thread")]
async fn what_microsofts_javascript_store_writes_is_found_beside_what_an_upgrade_left() {
    let old = |partition: u32| {
        let text = format!(r#"{{"Offset":"9","SequenceNumber":7,"PartitionId":"{partition}"}}"#);
        let name = format!("{NAMESPACE}/{HUB}/{GROUP}/{partition}");
        json!(["write", CONTAINER, name, text])
    };
    let (server, _secret, mut config, _) = filled(&[old(0), old(1), old(2)]);
    config.strategy = CheckpointStrategy::Auto;
    let store = reader(&config);
    let (before, _) = read_counted(&store, 3).await;
    assert_eq!(positions(&before), [("0", 7), ("1", 7), ("2", 7)].into());
    let writes = json!({
        "checkpoints": {"0": [41, "900"], "1": [42, "1:2:3"]},
        "owners": {"0": "alice", "1": "bob"},
    });
    write_by_javascript(&server.connection_string(), &writes);
    // It writes names in lower case, which lie elsewhere: they are found when the whole container is looked through again.
    let committed = eventually("the new blobs are found", DEADLINE, async || {
        let (committed, _) = read_counted(&store, 3).await;
        let is_new = positions(&committed) == [("0", 41), ("1", 42), ("2", 7)].into();
        is_new.then_some(committed)
    })
    .await;
    assert_eq!(owners(&committed), Some(vec![("0", "alice"), ("1", "bob")]));
    let CheckpointState::Present(second) = &committed.partitions["1"] else {
        panic!("present");
    };
    assert_eq!(second.offset, "1:2:3");
    assert!(
        committed.layouts.contains("blob_metadata on 2 of 3"),
        "{}",
        committed.layouts
    );
    // A first reading finds the same.
    let (anew, _) = read_counted(&reader(&config), 3).await;
    assert_eq!(positions(&anew), positions(&committed));
    // It moves on.
    let writes = json!({"checkpoints": {"0": [60, "1900"]}, "owners": {}});
    write_by_javascript(&server.connection_string(), &writes);
    let (moved, _) = read_counted(&store, 3).await;
    assert_eq!(positions(&moved)["0"], 60);
}
