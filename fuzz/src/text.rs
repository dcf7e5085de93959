//! Texts that people write, and those that streamgauge wrote itself some time ago.

use std::collections::HashMap;

use streamgauge::config::metadata::{TriggerRequest, fingerprint, likely_mode};
use streamgauge::config::types::Config;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, What};
use streamgauge::journal::{Frames, JournalRecord};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::time::{Moment, Timestamp, WallOffset};
use streamgauge::policy::spec::PolicySettings;
use streamgauge::state::files;

use super::redis_server::{polled, sample};

/// A config is refused with the name of its file. What is printed of an accepted one, with its defaults, is accepted and prints the same.
pub fn config_yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Config::parse(text, "c.yaml") {
        Err(errors) => {
            let said = errors.to_string();
            assert!(said.starts_with("c.yaml"), "{said}");
        }
        Ok(config) => {
            let print = |config: &Config| serde_yaml::to_string(&config.to_yaml()).expect("YAML");
            let printed = print(&config);
            match Config::parse(&printed, "printed.yaml") {
                Ok(again) => assert_eq!(print(&again), printed),
                Err(errors) => panic!("{errors}\n{printed}"),
            }
        }
    }
}

/// Metadata as `key=value` lines, since KEDA hands over a map of texts. No value is repeated in an error: it may be a secret.
pub fn trigger_metadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let metadata: HashMap<String, String> = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let _ = (fingerprint(&metadata), likely_mode(&metadata));
    match TriggerRequest::parse(&metadata) {
        Err(errors) => assert!(!errors.to_string().is_empty()),
        Ok(request) => {
            if let Ok(settings) = request.settings_over(&PolicySettings::default()) {
                let spec = settings.resolve();
                assert!(spec.min_replicas <= spec.max_replicas, "{spec:?}");
            }
        }
    }
    // A secret that KEDA resolved, under a key that is none of ours.
    let secret = "Zq7-secret-xK9";
    let with_secret = |(key, value): (&String, &String)| (key.clone(), format!("{value}{secret}"));
    let metadata: HashMap<_, _> = metadata.iter().map(with_secret).collect();
    if let Err(errors) = TriggerRequest::parse(&metadata) {
        let said = errors.to_string();
        assert!(!said.contains(secret), "{said}");
    }
}

/// Records of a journal as they lie there, or (the fuzzer is no good at checksums) one before it is packed. What is read can be
/// written, and is the same when it is read again.
pub fn journal_records(bytes: &[u8]) {
    let mut frames = Frames::new(bytes, 0);
    let mut records = Vec::new();
    while let Ok(Some(record)) = frames.next_record() {
        records.push(record);
    }
    records.extend(JournalRecord::decode(bytes));
    for record in records {
        // By their bytes: what is no number is not equal to itself.
        let written = record.encode().expect("can be written");
        let again = JournalRecord::decode(&written).expect("can be read");
        assert_eq!(again.encode().expect("can be written"), written);
    }
}

/// A state file, gzipped as it lies there or (the fuzzer is no good at gzip) its text. What is restored can go on.
pub fn state_file(bytes: &[u8]) {
    let now = Moment {
        at: Timestamp::from_millis(1_700_000_000_000),
        wall: WallOffset::from_millis(-3),
    };
    let loaded = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => files::read(bytes, 1 << 20, now),
        false => files::parse(&String::from_utf8_lossy(bytes), now),
    };
    let Ok(loaded) = loaded else {
        return;
    };
    assert!(loaded.saved_at <= now.at);
    let mut state = GroupState::new(CapacityRules::default());
    let what = What::Restored(Box::new(loaded.remembered));
    state.apply(&Event { at: now.at, what });
    polled(state, now.at, [sample(1), sample(2), sample(3)]);
}
