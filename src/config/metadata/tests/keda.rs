//! KEDA's own keys: what they mean, its defaults, and where those belong that are not for here.

use super::*;

#[test]
fn keda_s_own_keys_mean_what_keda_makes_of_them() {
    let check = |pairs: &[(&str, &str)], measure, threshold| {
        assert_eq!(
            settings(pairs).mode,
            Some(Mode::Backlog { threshold, measure }),
            "{pairs:?}"
        );
    };
    check(&[("backlogThreshold", "10")], Measure::Backlog, 10);
    check(
        &[("backlogThreshold", "10"), ("mode", "backlog")],
        Measure::Backlog,
        10,
    );
    check(&[("lagCount", "5")], Measure::Lag, 5);
    check(
        &[("lagCount", "5"), ("pendingEntriesCount", "7")],
        Measure::Lag,
        5,
    );
    check(&[("lagCount", "5"), ("streamLength", "7")], Measure::Lag, 5);
    check(&[("pendingEntriesCount", "7")], Measure::Pending, 7);
    check(
        &[
            ("pendingEntriesCount", "7"),
            ("streamLength", "9"),
            ("mode", "backlog"),
        ],
        Measure::Pending,
        7,
    );
    check(&[("streamLength", "9")], Measure::Pending, 5);
    let length = parse(&[
        ("source", "main"),
        ("stream", "s"),
        ("streamLength", "50"),
        ("lagCount", "5"),
    ])
    .expect("valid");
    assert_eq!(
        length.settings.mode,
        Some(Mode::Backlog {
            threshold: 50,
            measure: Measure::StreamLength
        })
    );
    assert!(matches!(
        length.subject,
        TriggerSubject::Inline {
            consumer_group: None,
            ..
        }
    ));
    let named = parse(&[("group", "g"), ("streamLength", "50")]).expect("valid");
    assert_eq!(
        named.settings.mode,
        Some(Mode::Backlog {
            threshold: 50,
            measure: Measure::StreamLength
        })
    );
    assert_eq!(
        settings(&[("lagCount", "5"), ("activationLagCount", "3")]).activation_backlog,
        Some(3)
    );
}

#[test]
fn a_trigger_of_keda_s_without_a_threshold_has_keda_s_default() {
    let check = |pairs: &[(&str, &str)], measure, threshold| {
        let mode = parse(pairs).expect("valid").settings.mode;
        assert_eq!(
            mode,
            Some(Mode::Backlog { threshold, measure }),
            "{pairs:?}"
        );
    };
    let hub = |pairs: &[(&'static str, &'static str)]| {
        [&[("source", "hub"), ("consumerGroup", "g")], pairs].concat()
    };
    for key in [
        ("activationUnprocessedEventThreshold", "5"),
        ("blobContainer", "c"),
        ("checkpointStrategy", "blobMetadata"),
    ] {
        check(&hub(&[key]), Measure::UnprocessedEvents, 64);
        check(
            &hub(&[key, ("mode", "backlog")]),
            Measure::UnprocessedEvents,
            64,
        );
    }
    check(
        &[&INLINE[..], &[("lagCount", "0")]].concat(),
        Measure::Pending,
        5,
    );
    check(
        &[&INLINE[..], &[("activationLagCount", "3")]].concat(),
        Measure::Pending,
        5,
    );
    let both = [("lagCount", "0"), ("pendingEntriesCount", "7")];
    check(&[&INLINE[..], &both].concat(), Measure::Pending, 7);
    for key in [("lagCount", "0"), ("activationLagCount", "3")] {
        check(&[&INLINE[..2], &[key]].concat(), Measure::StreamLength, 5);
    }

    // Whoever writes a key of ours is on ours.
    for own in [
        ("capacityPerReplica", "5"),
        ("targetDelay", "30"),
        ("maxReplicas", "9"),
        ("mode", "replicas"),
    ] {
        let request = parse(&hub(&[("blobContainer", "c"), own])).expect("valid");
        assert!(matches!(request.settings.mode, None | Some(Mode::Replicas)));
    }
    let threshold = hub(&[("blobContainer", "c"), ("backlogThreshold", "7")]);
    check(&threshold, Measure::Backlog, 7);
    assert_eq!(parse(&hub(&[])).expect("valid").settings.mode, None);
    let named = parse(&[("group", "g"), ("blobContainer", "c")]).expect("valid");
    assert_eq!(named.settings.mode, None);
}

#[test]
fn a_trigger_that_names_its_server_as_keda_s_does_has_keda_s_meaning() {
    let of_server = |pairs: &[(&'static str, &'static str)]| {
        parse(&[&INLINE[1..], pairs].concat()).map(|request| match request.subject {
            TriggerSubject::AtServers { servers, .. } => {
                let addresses = servers.addresses.iter().map(ToString::to_string);
                let addresses = addresses.collect::<Vec<_>>().join(" ");
                (
                    (addresses, servers.master, servers.database),
                    request.settings.mode,
                )
            }
            other => panic!("{other:?}"),
        })
    };
    let pending = |threshold| {
        Some(Mode::Backlog {
            threshold,
            measure: Measure::Pending,
        })
    };
    for (pairs, addresses, master, database) in [
        (&[("address", "redis:6380")][..], "redis:6380", None, 0),
        (
            &[("addressFromEnv", "redis:6380"), ("databaseIndex", "2")],
            "redis:6380",
            None,
            2,
        ),
        (&[("addresses", " redis:6379 ")], "redis:6379", None, 0),
        (
            &[("host", "redis"), ("port", "6380")],
            "redis:6380",
            None,
            0,
        ),
        (
            &[("hostsFromEnv", "redis"), ("portsFromEnv", "6380")],
            "redis:6380",
            None,
            0,
        ),
        (&[("addresses", "a:1, b")], "a:1 b:6379", None, 0),
        (
            &[
                ("hosts", "a,::1"),
                ("ports", "1,2"),
                ("sentinelMaster", "m"),
            ],
            "a:1 [::1]:2",
            Some("m".to_owned()),
            0,
        ),
        (
            &[
                ("addresses", "a"),
                ("sentinelMaster", "m"),
                ("databaseIndex", "3"),
            ],
            "a:26379",
            Some("m".to_owned()),
            3,
        ),
    ] {
        let found = of_server(pairs).expect("valid");
        let expect = (addresses.to_owned(), master, database);
        assert_eq!(found, (expect, pending(5)), "{pairs:?}");
    }
    let address = ("address", "redis:6379");
    let mode = |pair| of_server(&[address, pair]).expect("valid").1;
    assert_eq!(mode(("pendingEntriesCount", "9")), pending(9));
    assert_eq!(mode(("lagCount", "0")), pending(5));
    assert_eq!(mode(("minReplicas", "2")), None);
    assert_eq!(mode(("mode", "replicas")), Some(Mode::Replicas));
    for (pairs, expect) in [
        (
            &[("address", "hunter2@x")][..],
            "address: must be the host and port of a server, such as redis:6379, or a list of them",
        ),
        (
            &[("addresses", "a:1,hunter2@b:1")],
            "address: must be the host and port of a server, such as redis:6379, or a list of them",
        ),
        (
            &[address, ("databaseIndex", "hunter2")],
            "databaseIndex: must be a whole number between 0 and 65,535",
        ),
    ] {
        let error = of_server(pairs).expect_err("faulty").to_string();
        assert_eq!(error, format!("trigger metadata: {expect}"));
    }
}

#[test]
fn what_belongs_into_the_config_is_refused_with_its_place_and_no_value_is_ever_shown() {
    let credentials = "credentials are not allowed in trigger metadata: move them to the source in streamgauge's config, and remove this key";
    for key in [
        "connectionString",
        "sasToken",
        "storageAccountKey",
        "apiKeyFromEnv",
        "xFromEnv",
    ] {
        check(&[(key, "hunter2")], &format!("{key}: {credentials}"));
    }
    for (key, place) in [
        ("connection", "event_hubs.connection_string"),
        ("connectionFromEnv", "event_hubs.connection_string"),
        (
            "storageConnectionFromEnv",
            "event_hubs.checkpoints.connection_string",
        ),
        ("storageAccountName", "event_hubs.checkpoints.account_url"),
        ("eventHubName", "event_hubs.event_hub"),
        ("eventHubNameFromEnv", "event_hubs.event_hub"),
        ("eventHubNamespace", "event_hubs.namespace"),
        ("cloud", "event_hubs.cloud"),
        ("activeDirectoryEndpoint", "event_hubs.authority_host"),
        ("clientSecret", "event_hubs.client_secret"),
        ("address", "redis.url"),
        ("addressFromEnv", "redis.url"),
        ("hosts", "redis.url"),
        ("portFromEnv", "redis.url"),
        (
            "databaseIndex",
            "redis.url (the number after the last slash)",
        ),
        ("username", "redis.username"),
        ("password", "redis.password"),
        ("passwordFromEnv", "redis.password"),
        ("sentinelMaster", "redis.sentinel.master"),
    ] {
        check(
            &[(key, "hunter2")],
            &format!(
                "{key}: belongs in streamgauge's config: set sources[].{place} there, set source here to the name of that \
                 source, and remove this key"
            ),
        );
    }
    check(
        &[("consumerGroupFromEnv", "hunter2")],
        "consumerGroupFromEnv: is not allowed, because KEDA replaces it with the variable's value, which may be a secret: set \
         consumerGroup to the value itself",
    );
    check(
        &[("stalePartitionInfoThreshold", "5")],
        "stalePartitionInfoThreshold: is not needed: streamgauge never treats a checkpoint ahead of the log end as 0; remove it",
    );
    let known = crate::config::reference::trigger_keys().into_iter();
    let known = known.map(|(key, _)| key);
    for key in known.filter(|key| !matches!(key.as_str(), "stream" | "consumerGroup")) {
        let key = key.as_str();
        let error = parse(&[(key, "redis://:hunter2@host")])
            .expect_err(key)
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
