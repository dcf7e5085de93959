//! Which server it is, as far as answers have to be read differently.

use redis::Value;

use super::reply;
use crate::model::sample::Counting;

/// What the count of deliveries (`entries-read`) of a server is worth, by its answer to `HELLO`. Measured on Redis 6.2, 7.0 and 8.2
/// and on Valkey 9.1: the newer ones set it to the place in the log when a group reads on after a trim. A server that does not
/// answer, or is none of these, may do either.
pub fn counting(hello: Option<&Value>) -> Counting {
    let text = |name| {
        let value = hello.and_then(|hello| reply::field(hello, name))?;
        std::str::from_utf8(reply::bytes(value)?).ok()
    };
    let (server, version) = (text("server"), text("version").unwrap_or_default());
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

    #[test]
    fn only_servers_that_were_measured_are_trusted() {
        let check = |server: &str, version: &str, expect| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let pairs = [text("server"), text(server), text("version"), text(version)];
            let hello = Value::Array(pairs.to_vec());
            assert_eq!(counting(Some(&hello)), expect, "{server} {version}");
        };
        check("redis", "7.0.15", Counting::Reads);
        check("redis", "7.2.4", Counting::Untold);
        check("redis", "8.2.3", Counting::Place);
        check("valkey", "9.1.2", Counting::Place);
        check("valkey", "8.0.1", Counting::Untold);
        check("redis", "", Counting::Untold);
        assert_eq!(counting(Some(&Value::Nil)), Counting::Untold);
        assert_eq!(counting(None), Counting::Untold);
    }
}
