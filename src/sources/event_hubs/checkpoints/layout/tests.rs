//! Names of blobs, by every writer and in every case.

use proptest::prelude::*;

use super::*;

const NAMES: Names<'static> = Names {
    namespace: "Ns.example",
    event_hub: "Orders",
    group: "$Default",
};

fn recognize(names: Names<'_>, blob: &str) -> Whose {
    names.recognize(blob, &["0", "7"].into())
}

fn ours(layout: Layout, prefix: &str) -> Whose {
    let prefix = prefix.to_owned();
    Whose::Ours(Site { layout, prefix })
}

#[test]
fn every_layout_is_recognized_by_the_names_of_its_blobs_in_any_case() {
    let check = |blob: &str, layout, prefix: &str| {
        assert_eq!(recognize(NAMES, blob), ours(layout, prefix), "{blob}");
    };
    use Layout as L;
    let lower = "ns.example/orders/$default/";
    check(
        "ns.example/orders/$default/checkpoint/7",
        L::BlobMetadata,
        lower,
    );
    check(
        "ns.example/orders/$default/ownership/7",
        L::BlobMetadata,
        lower,
    );
    let mixed = "NS.example/Orders/$default/";
    check(
        "NS.example/Orders/$default/checkpoint/0",
        L::BlobMetadata,
        mixed,
    );
    check("ns.example/orders/$default/7", L::AzureFunction, lower);
    check(
        "ns.example/orders/%24Default/7",
        L::AzureFunction,
        "ns.example/orders/%24Default/",
    );
    check(
        "ns.example:5673/orders/$Default/checkpoint/7",
        L::BlobMetadata,
        "ns.example:5673/orders/$Default/",
    );
    check("dapr-Orders-$default-7", L::Dapr, "dapr-Orders-$default-");
    check("$default/7", L::Legacy, "$default/");
    check("7", L::GoSdk, "");
}

#[test]
fn checkpoints_of_others_are_told_from_ours_and_from_anything_else() {
    let check = |blob: &str, expect: &str| {
        assert_eq!(
            recognize(NAMES, blob),
            Whose::Others(expect.to_owned()),
            "{blob}"
        );
    };
    check(
        "ns.example/orders/other/checkpoint/7",
        "ns.example/orders/other",
    );
    check("ns.example/views/$default/7", "ns.example/views/$default");
    check(
        "ns2.example/orders/$default/ownership/0",
        "ns2.example/orders/$default",
    );
    check("dapr-orders-other-0", "dapr-orders-other");
    check("other/0", "other");
    // The first: a partition that the event hub does not have (any more).
    for blob in [
        "ns.example/orders/$default/checkpoint/9",
        "",
        "8",
        "x",
        "a/b/c/d",
        "a/b/c/d/e",
        "readme.md",
        "a/b/c/checkpoint/7/x",
        "host-7",
    ] {
        assert_eq!(recognize(NAMES, blob), Whose::Unknown, "{blob}");
    }
}

#[test]
fn the_machine_of_an_emulator_has_several_names_and_ports() {
    let names = |namespace| Names { namespace, ..NAMES };
    for (config, blob, is_ours) in [
        ("localhost", "127.0.0.1:5673", true),
        ("127.0.0.1", "localhost", true),
        ("localhost", "[::1]:5672", true),
        ("emulator", "EMULATOR:5672", true),
        ("localhost", "emulator", false),
        ("127.0.0.1", "127.0.0.2", false),
    ] {
        let blob = format!("{blob}/orders/$default/checkpoint/7");
        let found = recognize(names(config), &blob);
        assert_eq!(matches!(found, Whose::Ours(_)), is_ours, "{config} {blob}");
    }
}

#[test]
fn names_that_would_lead_elsewhere_are_not_plain() {
    for name in ["", ".", "..", "a/b", "../x", "a\\b"] {
        assert!(!is_plain(name), "{name}");
    }
    for name in ["$Default", "a.b-c_d", "0", "größe %"] {
        assert!(is_plain(name), "{name}");
    }
}

proptest! {
    /// What is asked for by name is what a listing would recognize, whatever the names and their case.
    #[test]
    fn every_candidate_is_recognized(
        namespace in "[a-zA-Z][a-zA-Z0-9.-]{0,12}", hub in "[a-zA-Z0-9._-]{1,8}", group in "[$a-zA-Z0-9._-]{1,8}",
    ) {
        let names = Names { namespace: &namespace, event_hub: &hub, group: &group };
        for layout in Layout::ALL {
            for site in names.candidates(layout) {
                let blobs = [Some(site.checkpoint("7")), site.ownership("7")];
                for blob in blobs.into_iter().flatten() {
                    prop_assert_eq!(recognize(names, &blob), Whose::Ours(site.clone()), "{}", blob);
                }
            }
        }
    }

    #[test]
    fn no_name_makes_it_panic(blob in ".{0,60}") {
        let _ = recognize(NAMES, &blob);
    }
}
