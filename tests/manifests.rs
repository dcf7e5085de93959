//! The manifests are what they claim: valid YAML, a config and metadata that this version accepts, ports that agree.

#![allow(
    clippy::expect_used,
    reason = "a manifest that cannot be read has to fail loudly"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use streamgauge::config::metadata::TriggerRequest;
use streamgauge::config::types::Config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("readable");
    serde_yaml::from_str(&text).expect("YAML")
}

fn config() -> Config {
    let map = read("configmap.yaml");
    let text = map["data"]["config.yaml"]
        .as_str()
        .expect("a config")
        .to_owned();
    Config::parse(&text, "configmap.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_manifest_names_its_kind_and_object() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy();
        let name = name.into_owned();
        let manifest = read(&name);
        for field in ["apiVersion", "kind", "metadata"] {
            assert!(!manifest[field].is_null(), "{name}: {field} is missing");
        }
        assert!(manifest["metadata"]["name"].is_string(), "{name}: no name");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} manifests");
}

#[test]
fn the_example_s_metadata_is_accepted_by_the_example_s_config() {
    let object = read("scaledobject-example.yaml");
    let trigger = &object["spec"]["triggers"][0];
    let metadata: HashMap<String, String> = serde_yaml::from_value(trigger["metadata"].clone())
        .expect("texts only, as KEDA wants them");
    let request = TriggerRequest::parse(&metadata).unwrap_or_else(|errors| panic!("{errors}"));
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .expect("a namespace");
    let target = config()
        .resolve(&request, namespace)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        target.group, "billing",
        "the inline triple is the configured group"
    );
    let spec = target.settings.resolve();
    assert_eq!(
        object["spec"]["minReplicaCount"].as_u64(),
        Some(u64::from(spec.min_replicas))
    );
    assert_eq!(
        object["spec"]["maxReplicaCount"].as_u64(),
        Some(u64::from(spec.max_replicas))
    );
}

#[test]
fn ports_agree_from_the_config_to_the_scaler_address() {
    let config = config();
    let service = read("service.yaml");
    assert_eq!(
        service["spec"]["clusterIP"].as_str(),
        Some("None"),
        "headless"
    );
    let deployment = read("deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    for (index, port) in [config.server.grpc.port(), config.server.http.port()]
        .into_iter()
        .enumerate()
    {
        let port = Some(u64::from(port));
        assert_eq!(service["spec"]["ports"][index]["port"].as_u64(), port);
        assert_eq!(container["ports"][index]["containerPort"].as_u64(), port);
    }
    let object = read("scaledobject-example.yaml");
    let address = object["spec"]["triggers"][0]["metadata"]["scalerAddress"].as_str();
    let name = |part: &str| {
        service["metadata"][part]
            .as_str()
            .expect("named")
            .to_owned()
    };
    let expect = format!(
        "{}.{}.svc:{}",
        name("name"),
        name("namespace"),
        config.server.grpc.port()
    );
    assert_eq!(address, Some(expect.as_str()));
}

#[test]
fn the_pod_runs_unprivileged_and_its_account_may_only_get() {
    let deployment = read("deployment.yaml");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"].as_str(),
        Some("RuntimeDefault")
    );
    let role = read("clusterrole.yaml");
    let rules = role["rules"].as_sequence().expect("rules");
    let verbs: Vec<_> = rules.iter().map(|rule| &rule["verbs"]).collect();
    let get: Value = serde_yaml::from_str("[get]").expect("YAML");
    assert!(verbs.iter().all(|verbs| **verbs == get), "{verbs:?}");
    let binding = read("clusterrolebinding.yaml");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let account = read("serviceaccount.yaml");
    for part in ["name", "namespace"] {
        assert_eq!(binding["subjects"][0][part], account["metadata"][part]);
    }
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    assert_eq!(container["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(container["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(container["capabilities"]["drop"][0].as_str(), Some("ALL"));
}
