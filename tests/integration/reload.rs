//! The config file is followed: a change takes effect at once, a bad one changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::prometheus::http_json;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

const WITHIN: Duration = Duration::from_secs(10);

fn config(redis: &RedisServer, groups: &[(&str, u32)]) -> String {
    let groups: String = groups
        .iter()
        .map(|(name, most)| {
            format!(
                "  - {{ name: {name}, source: main, stream: {name}, consumer_group: g, policy: {{ capacity_per_replica: 1, \
                 max_replicas: {most} }} }}\n"
            )
        })
        .collect();
    format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\npoll_interval: 200ms\nsources: [ {{ name: main, redis: {{ url: \
         \"redis://{}\" }} }} ]\ngroups:\n{groups}",
        redis.address()
    )
}

fn groups(service: &Service) -> Option<Vec<Value>> {
    let body = http_json(service.http, "/api/v1/groups")?;
    body["groups"].as_array().cloned()
}

fn desired(service: &Service, name: &str) -> Option<u64> {
    let group = groups(service)?
        .into_iter()
        .find(|group| group["name"] == name)?;
    group["targets"][0]["desired"].as_u64()
}

#[tokio::test]
async fn a_changed_config_takes_effect_and_a_bad_one_changes_nothing() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    for name in ["kept", "gone", "new"] {
        run::<()>(
            &mut connection,
            &format!("XGROUP CREATE {name} g $ MKSTREAM"),
        );
        for n in 0..3_000 {
            run::<String>(&mut connection, &format!("XADD {name} * n {n}"));
        }
    }
    let service = Service::start(&config(&redis, &[("kept", 50), ("gone", 50)]));
    eventually("the first config decides", WITHIN, async || {
        (desired(&service, "kept") == Some(50) && desired(&service, "gone") == Some(50))
            .then_some(())
    })
    .await;

    service.rewrite(&config(&redis, &[("kept", 20), ("new", 30)]));
    eventually("the second config decides", WITHIN, async || {
        let names: BTreeSet<String> = groups(&service)?
            .iter()
            .filter_map(|g| g["name"].as_str().map(str::to_owned))
            .collect();
        let right = names == BTreeSet::from(["kept".to_owned(), "new".to_owned()])
            && desired(&service, "kept") == Some(20)
            && desired(&service, "new") == Some(30);
        right.then_some(())
    })
    .await;

    service.rewrite("sources: [ { name: main, redis: { url: nonsense } } ]");
    service.hang_up();
    service.until_logged("stays in force").await;
    assert_eq!(
        (desired(&service, "kept"), desired(&service, "new")),
        (Some(20), Some(30))
    );

    service.rewrite(&config(&redis, &[("kept", 10)]));
    eventually("and a good one is taken again", WITHIN, async || {
        (desired(&service, "kept") == Some(10) && desired(&service, "new").is_none()).then_some(())
    })
    .await;
}
