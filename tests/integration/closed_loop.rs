//! The whole way on a real Redis: producers, group readers, the real binary, and a model of KEDA and the HPA that asks it.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge::autoscaler::hpa::HpaSpec;
use streamgauge::autoscaler::keda::{ScaledObject, ScaledObjectSpec, ScalerAnswer};
use streamgauge::commands::demo::keda_client::KedaClient;
use streamgauge::commands::demo::redis_workload::{RedisProducers, RedisReaders, create_groups};
use streamgauge::config::types::{RedisConfig, RedisTls};
use streamgauge::model::time::Timestamp;
use streamgauge::sources::redis_streams::RedisStreams;

use crate::support::certificates::Certificates;
use crate::support::patience;
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, config_at, one_at};
use crate::support::redis_sets::RedisCluster;
use crate::support::service::Service;

const PARTITIONS: usize = 16;
const CAPACITY_PER_SECOND: f64 = 50.0;
const MOST_REPLICAS: u32 = 20;
const START_UP: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(50);

/// Where the streams are: as the config says it, as our own producers and readers find it, and what has to live meanwhile.
struct Place {
    source: String,
    config: RedisConfig,
    _servers: Box<dyn Any>,
}

impl Place {
    fn on_one_server() -> Self {
        let redis = RedisServer::start(Flavour::Redis70);
        Self {
            source: format!("{{ url: \"redis://{}\" }}", redis.address()),
            config: redis.config(),
            _servers: Box::new(redis),
        }
    }

    fn in_a_cluster() -> Self {
        let cluster = RedisCluster::start(Flavour::Redis82, 3, 0);
        let seed = cluster.nodes[0].address();
        Self {
            source: format!("{{ mode: cluster, url: \"redis://{seed}\" }}"),
            config: cluster.config(),
            _servers: Box::new(cluster),
        }
    }

    fn over_tls() -> Self {
        let (certificates, port) = (Certificates::make(), free_port());
        let own = certificates.redis_args(port);
        let mut args: Vec<_> = own.iter().map(String::as_str).collect();
        args.extend(["--tls-auth-clients", "no"]);
        let redis = RedisServer::start_with(Flavour::Redis70, &args);
        let ca_file = &certificates.authority;
        let source =
            format!("{{ url: \"rediss://localhost:{port}\", tls: {{ ca_file: {ca_file:?} }} }}");
        let tls = RedisTls {
            ca_file: Some(ca_file.clone()),
            ..RedisTls::default()
        };
        let config = RedisConfig {
            servers: one_at("localhost", port),
            tls: Some(tls),
            ..config_at(port)
        };
        Self {
            source,
            config,
            _servers: Box::new((redis, certificates)),
        }
    }
}

struct Loop {
    started: Instant,
    _place: Place,
    service: Service,
    producers: RedisProducers,
    readers: RedisReaders,
    client: KedaClient,
    object: ScaledObject,
    /// Every change of replicas: when, to how many, and the answer before it.
    moves: Vec<(Duration, u32, Option<ScalerAnswer>)>,
    /// Every answer or its absence.
    answers: Vec<Option<ScalerAnswer>>,
}

impl Loop {
    async fn start(place: Place) -> Self {
        let redis = RedisStreams::new(place.config.clone(), patience(Duration::from_secs(3)));
        let redis = Arc::new(redis);
        let keys: Vec<String> = (0..PARTITIONS).map(|n| format!("orders:{n}")).collect();
        create_groups(&redis, &keys, "billing").await.unwrap();
        let service = Service::start(&format!(
            r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }}
poll_interval: 200ms
sources: [ {{ name: main, redis: {} }} ]
groups:
  - name: billing
    source: main
    stream: "orders:{{0..15}}"
    consumer_group: billing
    policy:
      target_delay: 5s
      capacity_per_replica: {CAPACITY_PER_SECOND}
      max_replicas: {MOST_REPLICAS}
      activation_window: 2s
      scale_in_hold: 3s
"#,
            place.source
        ));
        let spec = ScaledObjectSpec {
            min_replicas: 0,
            polling_interval: Duration::from_millis(500),
            cooldown: Duration::from_secs(2),
            hpa_sync: Duration::from_millis(300),
            hpa: HpaSpec {
                max_replicas: MOST_REPLICAS,
                stabilization_down: Duration::ZERO,
                scale_up_period: Duration::from_millis(300),
                ..HpaSpec::default()
            },
            ..ScaledObjectSpec::default()
        };
        Self {
            started: Instant::now(),
            producers: RedisProducers::start(&redis, keys.clone()).await.unwrap(),
            readers: RedisReaders::new(redis, keys, "billing", START_UP, CAPACITY_PER_SECOND),
            client: KedaClient::connect(service.grpc, "shop", "worker", &[("group", "billing")])
                .await
                .unwrap(),
            object: ScaledObject::new(spec, 0, Timestamp::from_millis(0)),
            service,
            _place: place,
            moves: vec![(Duration::ZERO, 0, None)],
            answers: Vec::new(),
        }
    }

    fn produce(&self, per_second: f64) {
        // The first partition takes a quarter of it.
        let rest = per_second * 0.75 / (PARTITIONS - 1) as f64;
        let rates: Vec<f64> = (0..PARTITIONS)
            .map(|n| if n == 0 { per_second / 4.0 } else { rest })
            .collect();
        self.producers.set_rates(&rates);
    }

    /// Plays on until `done`, for at most `within`.
    async fn until(&mut self, what: &str, within: Duration, done: impl Fn(&Self) -> bool) {
        let (began, within) = (Instant::now(), patience(within));
        let mut tick = tokio::time::interval(TICK);
        while !done(self) {
            assert!(
                began.elapsed() < within,
                "{what}: not within {within:?}; moves {:?}",
                self.moves
            );
            tick.tick().await;
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let now = Timestamp::from_millis(self.started.elapsed().as_millis() as u64);
        while let Some(asker) = self.object.due(now) {
            let answer = self.client.ask().await.ok();
            self.answers.push(answer);
            let before = self.object.replicas();
            self.object.answered(now, asker, answer);
            if self.object.replicas() != before {
                self.moves
                    .push((self.started.elapsed(), self.object.replicas(), answer));
            }
        }
        self.readers.set_replicas(self.object.replicas() as usize);
        assert!(self.producers.failure().is_none() && self.readers.failure().is_none());
    }

    fn peak(&self) -> u32 {
        self.moves
            .iter()
            .map(|(_, replicas, _)| *replicas)
            .max()
            .unwrap()
    }
}

#[tokio::test]
async fn consumers_scale_from_zero_and_back_to_zero_and_no_message_is_lost() {
    scale_up_and_down(Place::on_one_server()).await;
}

#[tokio::test]
async fn the_same_in_a_cluster() {
    scale_up_and_down(Place::in_a_cluster()).await;
}

#[tokio::test]
async fn the_same_over_tls() {
    scale_up_and_down(Place::over_tls()).await;
}

async fn scale_up_and_down(place: Place) {
    let mut world = Loop::start(place).await;
    world
        .until("nothing to do is zero", Duration::from_secs(5), |w| {
            w.answers.iter().flatten().count() >= 3
        })
        .await;
    assert_eq!(world.object.replicas(), 0);

    world.produce(400.0);
    world
        .until(
            "400 messages/s need 9 replicas of 50/s at 90 %",
            Duration::from_secs(40),
            |w| w.object.replicas() >= 9,
        )
        .await;
    world
        .until(
            "the backlog is caught up with",
            Duration::from_secs(40),
            |w| w.producers.produced() - w.readers.acknowledged() < 400,
        )
        .await;
    let caught_up = world.started.elapsed();
    world.produce(0.0);
    world
        .until(
            "everything is drained and gone",
            Duration::from_secs(40),
            |w| w.producers.produced() == w.readers.acknowledged() && w.object.replicas() == 0,
        )
        .await;
    let ended = world.started.elapsed();
    world.readers.stop().await.unwrap();

    assert_eq!(world.readers.acknowledged(), world.producers.produced());
    assert_eq!(world.readers.duplicates(), 0);
    assert!(
        (10..=MOST_REPLICAS).contains(&world.peak()),
        "peak {}",
        world.peak()
    );
    explained(&world).await;
    println!(
        "{} messages; caught up after {caught_up:.1?}, zero again after {ended:.1?}; peak {}; moves {:?}",
        world.producers.produced(),
        world.peak(),
        world
            .moves
            .iter()
            .map(|(at, n, _)| (at.as_secs_f64().round() as u64, *n))
            .collect::<Vec<_>>(),
    );
}

/// Each move of the deployment follows from the answer before it, and each answer is a decision that says why.
async fn explained(world: &Loop) {
    for pair in world.moves.windows(2) {
        let ((_, before, _), (at, after, answer)) = (&pair[0], &pair[1]);
        let answer = answer.expect("no move without an answer");
        let wanted = answer.reading.value_milli.div_ceil(1000) as u32;
        let fine = match (*before, *after) {
            (0, 1) => answer.active,
            (_, 0) => !answer.active,
            (before, after) if after > before => after <= wanted,
            // The HPA itself stops at one.
            (_, after) => after == wanted.max(1),
        };
        assert!(fine, "{before} → {after} at {at:?} by {answer:?}");
    }
    let decisions = world
        .service
        .get_json("/api/v1/decisions?group=billing&limit=1000")
        .await;
    let decisions = decisions["decisions"].as_array().expect("a list");
    assert!(decisions.len() >= 5, "{}", decisions.len());
    for decision in decisions {
        let text = decision["text"].as_str().expect("a text");
        assert!(
            text.len() > 20 && !decision["reason"].is_null() && !decision["limit"].is_null(),
            "{decision}"
        );
    }
}

#[tokio::test]
async fn steady_arrivals_with_backlog_zero_at_every_poll_never_deactivate() {
    let mut world = Loop::start(Place::on_one_server()).await;
    world.produce(5.0);
    world
        .until("the first replica keeps up", Duration::from_secs(20), |w| {
            w.readers.ready() >= 1 && w.readers.acknowledged() > 20
        })
        .await;
    let asked = world.answers.len();
    let until = world.started.elapsed() + Duration::from_secs(10);
    world
        .until("ten seconds pass", Duration::from_secs(12), |w| {
            w.started.elapsed() >= until
        })
        .await;
    let answers = &world.answers[asked..];
    assert!(answers.len() >= 40, "{}", answers.len());
    for answer in answers {
        let answer = answer.expect("an answer throughout");
        assert!(
            answer.active && answer.reading.value_milli >= 1000,
            "{answer:?}"
        );
    }
    assert!(world.object.replicas() >= 1);
    crate::support::eventually("hardly a backlog", Duration::from_secs(10), async || {
        let group = world.service.get_json("/api/v1/groups/billing").await;
        (group["backlog"]["value"].as_u64()? <= 2).then_some(())
    })
    .await;
    assert_eq!(world.readers.duplicates(), 0);
}
