//! Several replicas on a real Redis: whoever is asked, the answer is the same, whatever happens to one of them.

use std::time::{Duration, Instant};

use serde_json::Value;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio_stream::StreamExt;
use tonic::transport::Channel;

use crate::support::keda::Keda;
use crate::support::kubernetes::Kubernetes;
use crate::support::proxy::Mode;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::replicas::{GROUPS, Replicas};
use crate::support::service::Service;
use crate::support::{eventually, patience};

#[tokio::test(flavor = "multi_thread")]
async fn whichever_replica_is_asked_all_say_the_same() {
    let mut all = Replicas::start(3).await;
    all.until_ready(3).await;
    all.add();
    all.until_all_tell("the first message", &[0, 1, 2]).await;
    let (mut compared, started) = (0, Instant::now());
    while compared < 500 {
        all.add();
        for group in 0..GROUPS {
            let before = all.keda[0][group].ask().await;
            let others = [
                all.keda[1][group].ask().await,
                all.keda[2][group].ask().await,
            ];
            let after = all.keda[0][group].ask().await;
            // Nothing was decided in between: then the others decided nothing else either.
            if let (Ok(before), Ok(after)) = (&before, &after)
                && before == after
            {
                for other in &others {
                    assert_eq!(other.as_ref().ok(), Some(before));
                }
                compared += 1;
            }
        }
        assert!(
            started.elapsed() < patience(Duration::from_secs(30)),
            "{compared} compared"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_activity_is_told_through_every_replica() {
    let mut all = Replicas::start(3).await;
    all.until_ready(3).await;
    let mut streams = Vec::new();
    for (service, keda) in all.services.iter().flatten().zip(&all.keda) {
        let channel = Channel::from_shared(format!("http://{}", service.grpc)).expect("an address");
        let mut client = ExternalScalerClient::new(channel.connect().await.expect("a connection"));
        for trigger in keda {
            let opened = client.stream_is_active(trigger.object().clone()).await;
            streams.push(opened.expect("a stream").into_inner());
        }
    }
    all.add();
    for mut stream in streams {
        let told = async {
            while let Some(part) = stream.next().await {
                if part.expect("no error").result {
                    return;
                }
            }
            panic!("it ended without a word");
        };
        let within = patience(Duration::from_secs(5));
        tokio::time::timeout(within, told)
            .await
            .expect("told that it is active");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_killed_is_replaced_without_a_lost_or_lower_answer() {
    let mut all = Replicas::start(2).await;
    all.until_ready(2).await;
    all.add();
    all.until_all_tell("the first message", &[0, 1]).await;
    all.asked_in_turn("before", Duration::from_secs(1), &[0, 1])
        .await;
    all.services[0] = None;
    all.asked_in_turn("while the owner is gone", Duration::from_secs(4), &[1])
        .await;
    all.until_all_tell("messages that came since", &[1]).await;
    // It comes back, and gets its share again.
    all.start_one(0).await;
    all.asked_in_turn("while the replica comes back", Duration::from_secs(2), &[1])
        .await;
    all.until_ready(2).await;
    all.until_all_tell("what it was told when it came back", &[0, 1])
        .await;
    all.asked_in_turn("after it came back", Duration::from_secs(2), &[0, 1])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_stood_still_does_not_answer_with_what_it_knew_then() {
    let mut all = Replicas::start(2).await;
    all.until_ready(2).await;
    all.add();
    all.until_all_tell("the first message", &[0, 1]).await;
    let service = all.services[0].as_ref().expect("it runs");
    service.pause();
    all.asked_in_turn("while the owner stands still", Duration::from_secs(5), &[1])
        .await;
    all.until_all_tell("messages that came since", &[1]).await;
    let since = all.backlog;
    all.services[0].as_ref().expect("it runs").resume();
    for keda in &mut all.keda[0] {
        // The very first answers: as the others, or none.
        if let Ok((value, active)) = keda.ask().await {
            assert!(value >= since && active, "{value} instead of {since}");
        }
    }
    all.asked_in_turn("after it went on", Duration::from_secs(3), &[1])
        .await;
    all.until_ready(2).await;
    all.until_all_tell("what came since", &[0, 1]).await;
    all.asked_in_turn("when all is as before", Duration::from_secs(1), &[0, 1])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_cannot_reach_each_other_answer_for_all_and_agree_again_afterwards() {
    let mut all = Replicas::start(2).await;
    all.until_ready(2).await;
    all.add();
    all.until_all_tell("the first message", &[0, 1]).await;
    all.between(0, 1, Mode::BlackholeAll);
    for n in [0, 1] {
        // Each for itself: two that poll at different times know of different messages.
        all.told = [0.0; GROUPS];
        all.asked_in_turn("while they are apart", Duration::from_secs(4), &[n])
            .await;
        all.until_all_tell("messages that came since", &[n]).await;
    }
    all.between(0, 1, Mode::Pass);
    all.until_ready(2).await;
    all.add();
    all.until_all_tell("what came since", &[0, 1]).await;
    all.asked_in_turn(
        "when they are together again",
        Duration::from_secs(1),
        &[0, 1],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_one_by_one_without_a_lost_or_lower_answer() {
    let mut all = Replicas::start(3).await;
    all.until_ready(3).await;
    all.add();
    all.until_all_tell("the first message", &[0, 1, 2]).await;
    for n in 0..3 {
        let asked: Vec<usize> = (0..3).filter(|other| *other != n).collect();
        let mut old = all.services[n].take().expect("it runs");
        old.terminate();
        all.asked_in_turn("while one leaves", Duration::from_secs(2), &asked)
            .await;
        assert_eq!(old.ended().await, Some(0));
        all.start_one(n).await;
        all.asked_in_turn("while one comes", Duration::from_secs(1), &asked)
            .await;
        all.until_ready(3).await;
    }
    all.until_all_tell("everything", &[0, 1, 2]).await;
    let owners: Vec<usize> = {
        let mut owners = Vec::new();
        for group in 0..GROUPS {
            owners.push(all.owner(0, group).await);
        }
        owners
    };
    for asked in 1..3 {
        for (group, owner) in owners.iter().enumerate() {
            assert_eq!(all.owner(asked, group).await, *owner);
        }
    }
    let metrics: Vec<String> = {
        let mut all_metrics = Vec::new();
        for service in all.services.iter().flatten() {
            all_metrics.push(service.get("/metrics").await);
        }
        all_metrics
    };
    for group in 0..GROUPS {
        let of_group =
            format!("streamgauge_group_backlog_messages{{group=\"main/orders:{group}/billing\"");
        let exported = metrics
            .iter()
            .filter(|text| text.contains(&of_group))
            .count();
        assert_eq!(exported, 1, "group {group} is exported by its owner alone");
    }
    let told: Value = all.services[0]
        .as_ref()
        .expect("it runs")
        .get_json("/api/v1/service")
        .await;
    assert_eq!(told["replicas"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_kubernetes_they_find_each_other_by_leases_and_do_without_the_api_server() {
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders:1 billing $ MKSTREAM");
    let kubernetes = Kubernetes::start().await;
    let kubeconfig = kubernetes.kubeconfig(kubernetes.address.port());
    let start = |name: &str| {
        let config = format!(
            "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
             replication: {{ listen: 127.0.0.1:0 }}\n\
             kubernetes: {{ kubeconfig: \"{}\" }}\n\
             poll_interval: 500ms\n\
             sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
             groups: [ {{ name: billing, source: main, stream: \"orders:1\", consumer_group: billing }} ]\n",
            kubeconfig.display(),
            redis.address(),
        );
        let pod = [
            ("POD_IP", "127.0.0.1"),
            ("POD_NAME", name),
            ("POD_NAMESPACE", "streamgauge"),
        ];
        Service::start_with(&config, &pod)
    };
    let names = async |service: &Service| {
        let told = service.get_json("/api/v1/service").await;
        let replicas = told["replicas"].as_array().cloned().unwrap_or_default();
        let ready = replicas.iter().filter(|it| it["ready"] == true);
        let names = ready.map(|it| it["name"].as_str().expect("a name").to_owned());
        names.collect::<Vec<String>>()
    };
    let until = async |service: &Service, expect: &[&str]| {
        eventually(
            "the replicas are those",
            Duration::from_secs(20),
            async || (names(service).await == expect).then_some(()),
        )
        .await;
    };
    let one = start("streamgauge-a");
    let mut two = start("streamgauge-b");
    until(&one, &["streamgauge-a", "streamgauge-b"]).await;
    until(&two, &["streamgauge-a", "streamgauge-b"]).await;
    // Who is there is who answers.
    kubernetes.fail("leases", 503, "");
    let asked = kubernetes.times_asked("leases");
    eventually(
        "the Leases are asked for in vain",
        Duration::from_secs(20),
        async || (kubernetes.times_asked("leases") >= asked + 4).then_some(()),
    )
    .await;
    assert_eq!(names(&one).await.len(), 2);
    kubernetes.heal();
    two.terminate();
    until(&one, &["streamgauge-a"]).await;
    assert_eq!(two.ended().await, Some(0));
    let owner = one.get_json("/api/v1/groups/billing").await["replica"]["owner"].clone();
    assert_eq!(owner, "streamgauge-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_leases_a_replica_says_so_and_serves_alone() {
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders:1 billing $ MKSTREAM");
    let kubernetes = Kubernetes::start().await;
    kubernetes.fail("leases", 403, "");
    let kubeconfig = kubernetes.kubeconfig(kubernetes.address.port());
    let service = Service::start_with(
        &format!(
            "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
             replication: {{ listen: 127.0.0.1:0 }}\n\
             kubernetes: {{ kubeconfig: \"{}\" }}\n\
             sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
             groups: [ {{ name: billing, source: main, stream: \"orders:1\", consumer_group: billing }} ]\n",
            kubeconfig.display(),
            redis.address(),
        ),
        &[
            ("POD_IP", "127.0.0.1"),
            ("POD_NAME", "a"),
            ("POD_NAMESPACE", "streamgauge"),
        ],
    );
    let mut keda = Keda::new(&service, "worker", &[("group", "billing")]).await;
    keda.until("an answer", Duration::from_secs(10), |_, active| !active)
        .await;
    service.until_logged("apply manifests/role.yaml").await;
}
