//! The manifests are what they claim: valid YAML, a config and metadata that this version accepts, ports that agree.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use streamgauge::config::metadata::TriggerRequest;
use streamgauge::config::types::Config;
use streamgauge::policy::spec::Mode;

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
fn the_example_of_a_scaled_job_is_accepted_in_mode_jobs() {
    let object = read("scaledjob-example.yaml");
    let trigger = &object["spec"]["triggers"][0];
    let metadata: HashMap<String, String> =
        serde_yaml::from_value(trigger["metadata"].clone()).expect("texts only");
    let request = TriggerRequest::parse(&metadata).unwrap_or_else(|errors| panic!("{errors}"));
    let target = config()
        .resolve(&request, "shop")
        .unwrap_or_else(|error| panic!("{error}"));
    let spec = target.settings.resolve();
    assert_eq!(spec.mode, Mode::Jobs);
    assert_eq!(
        object["spec"]["maxReplicaCount"].as_u64(),
        Some(u64::from(spec.max_replicas))
    );
    assert!(trigger["metricType"].is_null(), "AverageValue");
}

#[test]
fn an_outage_takes_no_replicas_away_by_the_example_s_fallback() {
    let object = read("scaledobject-example.yaml");
    let fallback = &object["spec"]["fallback"];
    assert_eq!(
        fallback["behavior"].as_str(),
        Some("currentReplicasIfHigher")
    );
    assert!(fallback["replicas"].as_u64() > Some(0));
}

/// From when a process freezes to when the kubelet has given it up, and how long one may be busy without being given up.
fn seconds(probe: &Value) -> (u64, u64) {
    let field = |name: &str, default: u64| probe[name].as_u64().unwrap_or(default);
    let (period, timeout) = (field("periodSeconds", 10), field("timeoutSeconds", 1));
    let failures = field("failureThreshold", 3);
    // The last good probe may have been just before; probes that time out follow one another.
    let noticed = period + failures * timeout.max(period);
    (noticed, (failures - 1) * timeout.max(period))
}

#[test]
fn a_frozen_process_is_given_up_within_ten_seconds_and_a_busy_one_is_not() {
    let deployment = read("deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    for name in ["livenessProbe", "readinessProbe"] {
        let probe = &container[name];
        let (noticed, spared) = seconds(probe);
        assert!(noticed <= 10, "{name}: {noticed} s");
        assert!(spared >= 4, "{name}: only {spared} s to answer");
    }
    let liveness = &container["livenessProbe"];
    assert_eq!(liveness["httpGet"]["path"].as_str(), Some("/livez"));
    let grace = liveness["terminationGracePeriodSeconds"].as_u64();
    assert!(
        grace.is_some_and(|seconds| seconds <= 2),
        "a frozen process uses no grace"
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
fn the_pod_runs_unprivileged_and_its_account_may_only_list_and_watch() {
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
    let read_only: Value = serde_yaml::from_str("[list, watch]").expect("YAML");
    assert!(verbs.iter().all(|verbs| **verbs == read_only), "{verbs:?}");
    let resources: Vec<String> = rules
        .iter()
        .flat_map(|rule| {
            serde_yaml::from_value::<Vec<String>>(rule["resources"].clone()).expect("texts")
        })
        .collect();
    assert_eq!(
        resources,
        [
            "scaledobjects",
            "scaledjobs",
            "horizontalpodautoscalers",
            "deployments",
            "statefulsets",
            "pods",
            "jobs"
        ]
    );
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
