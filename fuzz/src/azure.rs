//! What Azure sends: management replies by AMQP, listings and checkpoints by HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::primitives::Value;
use serde_amqp::read::SliceReader;
use streamgauge::sources::event_hubs::checkpoints::assemble::{Assembly, GatheredBlobs};
use streamgauge::sources::event_hubs::checkpoints::document;
use streamgauge::sources::event_hubs::checkpoints::layout::{Layout, Names, Site, Whose};
use streamgauge::sources::event_hubs::checkpoints::listing::{self, Blob};
use streamgauge::sources::event_hubs::management::message::Reply;

const NAMES: Names<'static> = Names {
    namespace: "n",
    event_hub: "h",
    group: "$default",
};

/// A reply of the management node, or of the one that takes tokens.
pub fn amqp_reply(bytes: &[u8]) {
    let Ok(message) = Body::<Value>::decode_message_from_reader(SliceReader::new(bytes)) else {
        return;
    };
    let Some((_, reply)) = Reply::read(message) else {
        return;
    };
    let accepted = reply.accepted("hub").is_ok();
    let hub = reply.hub("hub", "h");
    let partition = reply.partition("hub", "h", "0");
    assert!(accepted || (hub.is_err() && partition.is_err()));
    if let Ok(partition) = partition {
        assert_eq!(partition.partition_id, "0");
    }
}

/// A page of a listing, and what it says of a consumer group.
pub fn blob_listing(bytes: &[u8]) {
    let Ok(page) = listing::parse(bytes) else {
        return;
    };
    assert_ne!(page.next.as_deref(), Some(""));
    let partitions = ["0", "1"];
    let wanted = BTreeSet::from(partitions);
    let mut sites = BTreeSet::new();
    for (name, _) in &page.blobs {
        if let Whose::Ours(site) = NAMES.recognize(name, &wanted) {
            assert!(name.starts_with(&site.prefix), "{name} {site:?}");
            sites.insert(site);
        }
    }
    let gathered = GatheredBlobs {
        blobs: page.blobs.into_iter().collect(),
        ..GatheredBlobs::default()
    };
    sites.iter().for_each(|site| put_together(site, &gathered));
}

fn put_together(site: &Site, gathered: &GatheredBlobs) {
    let partitions = ["0".to_owned(), "1".to_owned()];
    let findings = Assembly {
        site,
        partitions: &partitions,
        expiry: Duration::from_secs(60),
        place: "a/c",
    }
    .findings(gathered);
    assert!(findings.checkpoints.len() <= partitions.len());
}

/// The content of a checkpoint's blob in every layout that has one, and the metadata of the layout that has none.
pub fn checkpoint_body(bytes: &[u8]) {
    let partition = "0";
    for layout in Layout::ALL {
        let Some(site) = NAMES.candidates(layout).into_iter().next() else {
            continue;
        };
        let name = site.checkpoint(partition);
        let mut gathered = GatheredBlobs::default();
        let mut blob = Blob::default();
        if layout.has_content() {
            let read = document::of_json(bytes, layout.is_nested(), partition);
            if let Err(why) = &read {
                assert!(!why.is_empty());
            }
            gathered.documents.insert(name.clone(), read);
        } else {
            blob.metadata = metadata(bytes);
            let _ = document::of_metadata(&blob.metadata);
        }
        gathered.blobs.insert(name, blob);
        put_together(&site, &gathered);
    }
}

/// As `key=value` lines.
fn metadata(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect()
}
