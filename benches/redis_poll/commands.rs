//! The commands alone: those of a poll of ours, pipelined, and KEDA's, one after the other.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::keys;
use super::support::redis::RedisServer;

fn packed(words: &[&str]) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    command.get_packed_command()
}

/// What a poll of ours sends where nothing has to be counted.
pub fn our_commands(streams: usize) -> Vec<Vec<u8>> {
    let of_key = |key: String| {
        let commands = [
            packed(&["MULTI"]),
            packed(&["XINFO", "STREAM", &key]),
            packed(&["XINFO", "GROUPS", &key]),
            packed(&["XPENDING", &key, "g", "-", "+", "1"]),
            packed(&["EXEC"]),
        ];
        commands.concat()
    };
    keys(streams).map(of_key).collect()
}

/// Sends everything at once and throws the replies away, until the last one.
pub fn send(server: &RedisServer, requests: &[Vec<u8>]) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let mut sender = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            requests
                .iter()
                .for_each(|request| sender.write_all(request).unwrap());
            sender
                .write_all(&packed(&["PING", "that was all"]))
                .unwrap();
        });
        read_until(&mut stream, b"that was all\r\n");
    });
}

fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut page = vec![0; 1 << 16];
    let mut tail = Vec::new();
    while !tail.ends_with(end) {
        let read = stream.read(&mut page).unwrap();
        assert!(read > 0, "the server hung up");
        tail.extend_from_slice(&page[..read]);
        tail.drain(..tail.len().saturating_sub(end.len()));
    }
}

/// What KEDA's redis-streams scaler asks for each trigger with a lagCount: the server's version, then the groups.
pub fn kedas_commands(streams: usize) -> Vec<[Vec<u8>; 2]> {
    let of_key = |key: String| [packed(&["INFO"]), packed(&["XINFO", "GROUPS", &key])];
    keys(streams).map(of_key).collect()
}

/// One after the other, each waiting for its reply, as one trigger after the other does.
pub fn in_turn(server: &RedisServer, triggers: &[[Vec<u8>; 2]]) {
    let mut connection = server.connect();
    for commands in triggers {
        for command in commands {
            redis::ConnectionLike::req_packed_command(&mut connection, command).unwrap();
        }
    }
}
