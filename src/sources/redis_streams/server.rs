//! Which server it is, as far as answers have to be read differently.

use redis::Value;

use super::reply;
use crate::model::sample::Counting;

/// What a server says of itself in its answer to `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTraits {
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
        Self {
            counting: counting(text("server"), text("version").unwrap_or_default()),
            mode,
        }
    }
}

/// What the count of deliveries (`entries-read`) is worth. Measured on Redis 6.2, 7.0 and 8.2 and on Valkey 9.1: the newer ones set
/// it to the place in the log when a group reads on after a trim. A server that does not answer, or is none of these, may do either.
fn counting(server: Option<&str>, version: &str) -> Counting {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    match (server, version) {
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
                mode: None,
            };
            assert_eq!(ServerTraits::of(silent), nothing);
        }
    }
}
