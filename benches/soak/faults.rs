//! The faults, one after the other.

use std::time::Duration;

use redis::{Connection, Pipeline};
use tokio::time::sleep;

use super::callers::BUSY_MESSAGES;
use super::support::proxy::{FaultProxy, Mode};
use super::support::redis::{RedisServer, run};

/// Longer than a poll may take, and than the last value is used.
const LASTS: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_secs(2);

/// Where they happen.
pub struct Scene<'s> {
    pub proxy: &'s FaultProxy,
    pub redis: &'s mut RedisServer,
}

/// What goes wrong.
#[derive(Clone, Copy)]
pub enum Fault {
    Paused,
    Restarted,
    Blackhole,
    ClientKill,
    Deleted,
    Garbage,
    Reset,
    Slow,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::Paused,
        Self::Restarted,
        Self::Blackhole,
        Self::ClientKill,
        Self::Deleted,
        Self::Garbage,
        Self::Reset,
        Self::Slow,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Paused => "kill -STOP for 10 s",
            Self::Restarted => "kill -KILL, restart",
            Self::Blackhole => "blackhole for 10 s",
            Self::ClientKill => "CLIENT KILL, five times",
            Self::Deleted => "DEL of a stream for 10 s",
            Self::Garbage => "garbage bytes for 2 s",
            Self::Reset => "connections reset for 2 s",
            Self::Slow => "200 ms later for 10 s",
        }
    }

    /// Plays it, and mends it.
    pub async fn play(self, scene: &mut Scene<'_>, victim: usize) {
        match self {
            Self::Paused => {
                scene.redis.pause();
                sleep(LASTS).await;
                scene.redis.resume();
            }
            Self::Restarted => {
                scene.redis.kill();
                sleep(SHORT).await;
                scene.redis.restart();
            }
            Self::Blackhole => scene.line(Mode::BlackholeAll, LASTS).await,
            Self::ClientKill => {
                for _ in 0..5 {
                    let () = run(&mut scene.redis.connect(), "CLIENT KILL TYPE normal");
                    sleep(SHORT).await;
                }
            }
            Self::Deleted => {
                let mut connection: Connection = scene.redis.connect();
                let () = run(&mut connection, &format!("DEL soak:{victim}"));
                sleep(LASTS).await;
                let mut commands = redis::pipe();
                create(&mut commands, victim, BUSY_MESSAGES);
                commands.exec(&mut connection).expect("created");
            }
            Self::Garbage => {
                scene
                    .line(Mode::Garbage(b"!garbage\r\n\0\xff".repeat(50)), SHORT)
                    .await
            }
            Self::Reset => scene.line(Mode::Reset, SHORT).await,
            Self::Slow => {
                scene
                    .line(Mode::Latency(Duration::from_millis(200)), LASTS)
                    .await
            }
        }
    }
}

impl Scene<'_> {
    async fn line(&self, mode: Mode, lasts: Duration) {
        self.proxy.set(mode);
        sleep(lasts).await;
        self.proxy.set(Mode::Pass);
    }
}

/// A stream with its group, and messages that wait.
pub fn create(commands: &mut Pipeline, n: usize, messages: usize) {
    let key = format!("soak:{n}");
    let create = commands.cmd("XGROUP").arg("CREATE").arg(&key);
    create.arg("workers").arg("0").arg("MKSTREAM");
    for _ in 0..messages {
        commands.cmd("XADD").arg(&key).arg("*").arg("n").arg(1);
    }
}
