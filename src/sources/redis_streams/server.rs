//! Which server it is, as far as answers have to be read differently.

use std::sync::Arc;

use redis::Value;

use super::reply;
use crate::model::sample::Counting;

/// What a server says of itself in its answer to `HELLO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTraits {
    /// Product and version, such as `redis 7.0.15`; `None` where it does not say.
    pub product: Option<Arc<str>>,
    /// Whether it keeps a lag per group at all (Redis 7.0); `None` where that is not known.
    pub has_lag: Option<bool>,
    /// What its count of deliveries is worth.
    pub counting: Counting,
    /// How it is run, where that matters here; `None` also where it does not say.
    pub mode: Option<ServerMode>,
}

/// How a server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMode {
    /// As one of several that share the keys.
    Cluster,
    /// It watches over others and holds no keys.
    Sentinel,
}

impl ServerTraits {
    /// By the answer; nothing is certain without one.
    pub fn of(hello: Option<&Value>) -> Self {
        let text = |name| {
            let value = hello.and_then(|hello| reply::field(hello, name))?;
            std::str::from_utf8(reply::bytes(value)?).ok()
        };
        let mode = match text("mode") {
            Some("cluster") => Some(ServerMode::Cluster),
            Some("sentinel") => Some(ServerMode::Sentinel),
            _ => None,
        };
        let (server, version) = (text("server"), text("version").unwrap_or_default());
        Self {
            product: server.map(|server| Arc::from(format!("{server} {version}").trim_end())),
            has_lag: major_and_minor(version).0.map(|major| major >= 7),
            counting: counting(server, version),
            mode,
        }
    }

    /// What it is and what it lacks, for who checks a config.
    pub fn described(&self) -> String {
        let product = match &self.product {
            Some(product) => product,
            None => "a server that does not say what it is (HELLO)",
        };
        let lag = match self.has_lag {
            Some(true) => {
                "its own lag is used where it is proven right, otherwise entries are counted"
            }
            Some(false) => "it has no lag, so entries are counted",
            None => "its lag is used where it is proven right, otherwise entries are counted",
        };
        format!("{product}: {lag}")
    }
}

fn major_and_minor(version: &str) -> (Option<u32>, Option<u32>) {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    (numbers.next().flatten(), numbers.next().flatten())
}

/// What the count of deliveries (`entries-read`) is worth. Measured on Redis 6.2, 7.0 and 8.2 and on Valkey 9.1: the newer ones set
/// it to the place in the log when a group reads on after a trim. A server that does not answer, or is none of these, may do either.
fn counting(server: Option<&str>, version: &str) -> Counting {
    match (server, major_and_minor(version)) {
        (Some("redis"), (Some(7), Some(0))) => Counting::Reads,
        (Some("redis"), (Some(8..), _)) | (Some("valkey"), (Some(9..), _)) => Counting::Place,
        _ => Counting::Untold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(pairs: &[(&str, &str)]) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let flat = pairs
            .iter()
            .flat_map(|(key, value)| [text(key), text(value)]);
        Value::Array(flat.collect())
    }

    #[test]
    fn only_servers_that_were_measured_are_trusted() {
        let check = |server: &str, version: &str, expect| {
            let hello = hello(&[("server", server), ("version", version)]);
            let found = ServerTraits::of(Some(&hello)).counting;
            assert_eq!(found, expect, "{server} {version}");
        };
        check("redis", "7.0.15", Counting::Reads);
        check("redis", "7.2.4", Counting::Untold);
        check("redis", "8.2.3", Counting::Place);
        check("valkey", "9.1.2", Counting::Place);
        check("valkey", "8.0.1", Counting::Untold);
        check("redis", "", Counting::Untold);
    }

    #[test]
    fn what_a_server_is_and_lacks_is_told() {
        let described = |pairs: &[(&str, &str)]| ServerTraits::of(Some(&hello(pairs))).described();
        let old = described(&[("server", "redis"), ("version", "6.2.14")]);
        assert!(old.starts_with("redis 6.2.14: it has no lag"), "{old}");
        let new = described(&[("server", "valkey"), ("version", "9.1.2")]);
        assert!(new.starts_with("valkey 9.1.2: its own lag"), "{new}");
        let silent = described(&[]);
        assert!(silent.starts_with("a server that does not say"), "{silent}");
    }

    #[test]
    fn a_server_says_how_it_is_run_or_nothing_is_assumed() {
        for (mode, expect) in [
            ("standalone", None),
            ("cluster", Some(ServerMode::Cluster)),
            ("sentinel", Some(ServerMode::Sentinel)),
        ] {
            let hello = hello(&[("mode", mode)]);
            assert_eq!(ServerTraits::of(Some(&hello)).mode, expect);
        }
        for silent in [Some(&Value::Nil), None] {
            let nothing = ServerTraits {
                counting: Counting::Untold,
                ..ServerTraits::default()
            };
            assert_eq!(ServerTraits::of(silent), nothing);
        }
    }
}
