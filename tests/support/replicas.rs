//! Several replicas, and KEDA asking all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::Connection;

use super::eventually;
use super::keda::Keda;
use super::ports::free_port;
use super::proxy::{FaultProxy, Mode};
use super::redis::{Flavour, RedisServer, run};
use super::service::Service;

/// Answers are the backlog, which never falls here.
const SETTINGS: [(&str, &str); 2] = [("mode", "backlog"), ("backlogThreshold", "1")];
/// Consumer groups on as many streams.
pub const GROUPS: usize = 6;
/// Three polls, or five seconds.
pub const TAKES_OVER_WITHIN: Duration = Duration::from_secs(5);

/// Replicas on one Redis, each of which reaches each other through a line of its own.
pub struct Replicas {
    pub redis: RedisServer,
    pub connection: Connection,
    pub ports: Vec<u16>,
    /// By who asks and who is asked.
    lines: BTreeMap<(usize, usize), FaultProxy>,
    pub services: Vec<Option<Service>>,
    pub keda: Vec<Vec<Keda>>,
    /// Messages that every group has to do.
    pub backlog: f64,
    /// The highest answer of each group.
    pub told: [f64; GROUPS],
}

impl Replicas {
    pub async fn start(count: usize) -> Self {
        let redis = RedisServer::start(Flavour::Redis82);
        let mut connection = redis.connect();
        for n in 0..GROUPS {
            let () = run(
                &mut connection,
                &format!("XGROUP CREATE orders:{n} billing $ MKSTREAM"),
            );
        }
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut lines = BTreeMap::new();
        for (from, _) in ports.iter().enumerate() {
            for (to, port) in ports.iter().enumerate() {
                lines.insert((from, to), FaultProxy::start(*port).await);
            }
        }
        let mut all = Self {
            lines,
            redis,
            connection,
            services: ports.iter().map(|_| None).collect(),
            keda: ports.iter().map(|_| Vec::new()).collect(),
            ports,
            backlog: 0.0,
            told: [0.0; GROUPS],
        };
        for n in 0..count {
            all.start_one(n).await;
        }
        all
    }

    pub async fn start_one(&mut self, n: usize) {
        let lines = (0..self.ports.len()).map(|to| self.lines[&(n, to)].port);
        let peers: Vec<String> = lines.map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let service = Service::start(&format!(
            "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
             replication: {{ listen: 127.0.0.1:{}, peers: [{}] }}\n\
             poll_interval: 500ms\n\
             sources: [ {{ name: main, allow: [ {{ namespaces: [shop], streams: [\"orders:*\"], consumer_groups: [billing] }} ], redis: {{ url: \"redis://{}\" }} }} ]\n",
            self.ports[n],
            peers.join(", "),
            self.redis.address(),
        ));
        let mut keda = Vec::new();
        for group in 0..GROUPS {
            let stream = format!("orders:{group}");
            let inline = [
                ("source", "main"),
                ("stream", &stream),
                ("consumerGroup", "billing"),
            ];
            let metadata: Vec<(&str, &str)> = inline.into_iter().chain(SETTINGS).collect();
            keda.push(Keda::new(&service, &format!("worker-{group}"), &metadata).await);
        }
        self.services[n] = Some(service);
        self.keda[n] = keda;
    }

    /// What happens on the lines between two of them.
    pub fn between(&self, one: usize, other: usize, mode: Mode) {
        self.lines[&(one, other)].set(mode.clone());
        self.lines[&(other, one)].set(mode);
    }

    /// One more message for every group.
    pub fn add(&mut self) {
        for n in 0..GROUPS {
            let _: String = run(&mut self.connection, &format!("XADD orders:{n} * a b"));
        }
        self.backlog += 1.0;
    }

    /// All replicas that run say that everybody is there.
    pub async fn until_ready(&self, count: usize) {
        for service in self.services.iter().flatten() {
            eventually(
                "all replicas are ready",
                Duration::from_secs(10),
                async || {
                    let told = service.get_json("/api/v1/service").await;
                    let replicas = told["replicas"].as_array()?;
                    let ready = replicas.iter().filter(|it| it["ready"] == true).count();
                    (ready == count && replicas.len() == count).then_some(())
                },
            )
            .await;
        }
    }

    /// Every replica that can be asked answers with the whole backlog of every group, and knows it itself, unless it has no part in it.
    pub async fn until_all_tell(&mut self, what: &str, asked: &[usize]) {
        let backlog = self.backlog;
        for n in asked {
            for keda in &mut self.keda[*n] {
                keda.until(what, TAKES_OVER_WITHIN, |value, active| {
                    value >= backlog && active
                })
                .await;
            }
            let service = self.services[*n].as_ref().expect("it runs");
            for group in 0..GROUPS {
                let path = format!("/api/v1/groups/main%2Forders:{group}%2Fbilling");
                eventually(what, TAKES_OVER_WITHIN, async || {
                    let told = service.get_json(&path).await;
                    let knows = told["backlog"]["value"].as_f64() >= Some(backlog);
                    (knows || told["replica"]["role"] == "bystander").then_some(())
                })
                .await;
            }
        }
    }

    /// The replica that owns a group, as `asked` sees it.
    pub async fn owner(&self, asked: usize, group: usize) -> usize {
        let service = self.services[asked].as_ref().expect("it runs");
        let told = service
            .get_json(&format!("/api/v1/groups/main%2Forders:{group}%2Fbilling"))
            .await;
        let owner = told["replica"]["owner"]
            .as_str()
            .expect("an owner")
            .to_owned();
        let port = owner
            .rsplit_once(':')
            .expect("a port")
            .1
            .parse::<u16>()
            .expect("a port");
        self.ports
            .iter()
            .position(|it| *it == port)
            .expect("one of them")
    }

    /// KEDA asks the replicas in turn for so long, while messages come: no answer is lost, none falls, none is inactive.
    pub async fn asked_in_turn(&mut self, what: &str, time: Duration, asked: &[usize]) -> usize {
        let (started, mut answers) = (Instant::now(), 0);
        while started.elapsed() < time {
            self.add();
            for n in asked {
                for (group, keda) in self.keda[*n].iter_mut().enumerate() {
                    let answer = keda.ask().await;
                    let (value, active) = answer.unwrap_or_else(|error| {
                        panic!("{what}, after {:?}: {error:?}", started.elapsed())
                    });
                    assert!(
                        value >= self.told[group] && active,
                        "{what}, after {:?}: group {group} at replica {n}: {value} after {}",
                        started.elapsed(),
                        self.told[group],
                    );
                    self.told[group] = value;
                    answers += 1;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("{what}: {answers} answers, none lost, none lower than before");
        answers
    }
}
