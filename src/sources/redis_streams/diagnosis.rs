//! Why a server that takes connections ends them at once: asked on a connection of its own, in plain bytes, before anything worked.
//! The library only tells that the pipe broke.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{failure, transport};
use crate::config::types::{RedisAddress, RedisTls};
use crate::model::sample::{Failure, FailureKind};
use crate::tls::TlsError;

/// What a server says of itself comes within this time.
const GREETS_WITHIN: Duration = Duration::from_millis(60);
/// An answer comes within this time.
const ANSWERS_WITHIN: Duration = Duration::from_millis(150);
/// All of it together.
const ALL_WITHIN: Duration = Duration::from_millis(500);

/// Commands that every poll needs, in the order in which they are tried.
const NEEDED: [&str; 5] = ["PING", "TIME", "MULTI", "DISCARD", "XINFO HELP"];

/// The smallest ClientHello of TLS 1.2: whoever speaks TLS answers it by TLS, be it with an alert.
const CLIENT_HELLO: [u8; 52] = {
    let mut hello = [0x5a; 52];
    let head = [0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3];
    let tail = [0, 0, 4, 0xc0, 0x2f, 0, 0x2f, 1, 0];
    let mut n = 0;
    while n < head.len() {
        hello[n] = head[n];
        n += 1;
    }
    n = 0;
    while n < tail.len() {
        hello[head.len() + 32 + n] = tail[n];
        n += 1;
    }
    hello
};

/// What came back.
enum Heard {
    /// These bytes first.
    Bytes(Vec<u8>),
    /// The end of the connection.
    End,
    /// Nothing in time.
    Nothing,
}

/// The reason, if it can be found.
pub async fn of_hang_up(at: &RedisAddress) -> Option<Failure> {
    let found = timeout(ALL_WITHIN, look(at)).await.ok()??;
    let (kind, text) = found;
    let address = at.to_string();
    Some(match text {
        DiagnosisText::Said(line) => of_line(&address, &line)?,
        DiagnosisText::Found(text) => Failure::new(kind, format!("redis at {address}: {text}")),
    })
}

/// The reason why TLS failed: the port does not speak it, or the server does not accept this side's certificate.
pub async fn of_tls_failure(tls: &RedisTls, at: &RedisAddress) -> Option<Failure> {
    let plain = timeout(ALL_WITHIN, answers_without_tls(at)).await;
    if plain == Ok(Some(())) {
        let text = format!(
            "redis at {at}: the port does not use TLS: write redis:// instead of rediss://, or use the server's TLS port"
        );
        return Some(Failure::new(FailureKind::Misconfigured, text));
    }
    match timeout(ALL_WITHIN, transport::refusal(tls, at))
        .await
        .ok()??
    {
        error @ TlsError::NotAccepted(_) => Some(failure::of_tls(&at.to_string(), &error)),
        _ => None,
    }
}

async fn answers_without_tls(at: &RedisAddress) -> Option<()> {
    let mut line = transport::dial(at).await.ok()?;
    line.write_all(b"PING\r\n").await.ok()?;
    match hear(&mut line, ANSWERS_WITHIN).await {
        Heard::Bytes(bytes) if matches!(bytes.first(), Some(b'+' | b'-')) => Some(()),
        _ => None,
    }
}

enum DiagnosisText {
    /// An error reply, as it came.
    Said(Vec<u8>),
    Found(String),
}

async fn look(at: &RedisAddress) -> Option<(FailureKind, DiagnosisText)> {
    let mut line = transport::dial(at).await.ok()?;
    match hear(&mut line, GREETS_WITHIN).await {
        Heard::Bytes(bytes) => return Some((FailureKind::Transient, DiagnosisText::Said(bytes))),
        Heard::End => {
            return Some((
                FailureKind::Unreachable,
                DiagnosisText::Found(AT_ONCE.to_owned()),
            ));
        }
        Heard::Nothing => {}
    }
    for command in NEEDED {
        line.write_all(format!("{command}\r\n").as_bytes())
            .await
            .ok()?;
        match hear(&mut line, ANSWERS_WITHIN).await {
            Heard::Bytes(bytes) if matches!(bytes.first(), Some(b'+' | b'-' | b'*' | b'$')) => {}
            Heard::Bytes(bytes) if is_tls(&bytes) => return Some(tls()),
            Heard::Bytes(_) => {
                return Some(found("this is not a Redis server: correct host and port"));
            }
            Heard::End if command == "PING" && speaks_tls(at).await => return Some(tls()),
            Heard::End => return Some(found(&closes_at(command))),
            Heard::Nothing => return None,
        }
    }
    None
}

const AT_ONCE: &str = "connections are accepted and closed at once: check for a proxy without an upstream server, or a connection limit";

fn tls() -> (FailureKind, DiagnosisText) {
    found(
        "the port expects TLS: write rediss:// instead of redis://, or use a port without TLS within a trusted network",
    )
}

fn closes_at(command: &str) -> String {
    format!(
        "the connection is closed on {command}, usually by a proxy that does not support this command: connect to the server directly"
    )
}

fn found(text: &str) -> (FailureKind, DiagnosisText) {
    (
        FailureKind::Misconfigured,
        DiagnosisText::Found(text.to_owned()),
    )
}

async fn speaks_tls(at: &RedisAddress) -> bool {
    let Ok(mut line) = transport::dial(at).await else {
        return false;
    };
    if line.write_all(&CLIENT_HELLO).await.is_err() {
        return false;
    }
    matches!(hear(&mut line, ANSWERS_WITHIN).await, Heard::Bytes(bytes) if is_tls(&bytes))
}

/// A handshake or an alert of TLS.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, ..])
}

async fn hear(line: &mut TcpStream, within: Duration) -> Heard {
    let mut bytes = vec![0; 256];
    match timeout(within, line.read(&mut bytes)).await {
        Err(_) => Heard::Nothing,
        Ok(Ok(0) | Err(_)) => Heard::End,
        Ok(Ok(read)) => {
            bytes.truncate(read);
            Heard::Bytes(bytes)
        }
    }
}

/// An error that the server sends by itself before it hangs up.
fn of_line(address: &str, line: &[u8]) -> Option<Failure> {
    let text = std::str::from_utf8(line).ok()?.lines().next()?;
    let (code, detail) = text.strip_prefix('-')?.split_once(' ')?;
    Some(failure::of_answer(address, code, detail))
}
