//! The AMQP server in a process of its own, so that it takes no time of the clients' runtime.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::state::Hub;

/// The argument that makes this program the server.
pub const SERVE: &str = "serve-event-hub";

/// Serves until its input ends: `serve-event-hub PARTITIONS DELAY_MILLIS`.
pub async fn serve(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let (partitions, delay) = (number(0) as usize, Duration::from_millis(number(1)));
    let server = EventHubServer::start(Hub::new("clicks", partitions)).await;
    for partition in 0..partitions {
        server.append(&partition.to_string(), 10, 100);
    }
    if !delay.is_zero() {
        server.fail(Fault::Slow(delay));
    }
    println!("{}", server.port);
    let ended = || std::io::stdin().read_to_end(&mut Vec::new());
    let _ = tokio::task::spawn_blocking(ended).await;
}

/// A running server; ends when dropped.
pub struct Server {
    pub port: u16,
    child: Child,
}

impl Server {
    /// Every partition holds ten events; each reply takes `delay`, side by side with others.
    pub fn start(partitions: usize, delay: Duration) -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut child = Command::new(own)
            .args([SERVE, &partitions.to_string()])
            .arg(delay.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("its port");
        let port = line.trim().parse().expect("a port");
        Self { port, child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
