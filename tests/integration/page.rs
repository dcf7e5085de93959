//! The page, as a reader has it: headless Chromium on the real binary.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::demo::Demo;
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer};
use crate::support::service::Service;

/// A scenario of `tests/page/browse.mjs`, at work.
fn browse(scenario: &str, at: SocketAddr) -> Child {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Command::new("node")
        .arg(root.join("tests/page/browse.mjs"))
        .arg(root.join(".tools/node"))
        .arg(scenario)
        .arg(format!("http://{at}/"))
        // Pictures of every view, for whoever wants to look.
        .args(std::env::var_os("STREAMGAUGE_PICTURES"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node: run `make test`, which installs it")
}

fn is_content(mut browser: Child) {
    let mut said = String::new();
    let stderr = browser.stderr.as_mut().expect("its stderr");
    stderr.read_to_string(&mut said).expect("text");
    let status = browser.wait().expect("its end");
    assert!(status.success(), "{said}");
}

#[test]
fn every_view_is_accessible_and_fits_wide_and_narrow_light_and_dark() {
    let demo = Demo::start();
    is_content(browse("views", demo.address()));
}

#[test]
fn a_reader_sees_it_change_finds_out_why_and_needs_no_mouse() {
    let demo = Demo::start();
    is_content(browse("reader", demo.address()));
}

/// A Redis with so many messages for one group.
fn redis_with(messages: usize) -> RedisServer {
    let server = RedisServer::start(Flavour::Redis70);
    add(&server, messages);
    let () = redis::cmd("XGROUP")
        .arg(&["CREATE", "orders:1", "billing", "0"])
        .query(&mut server.connect())
        .expect("a group");
    server
}

fn add(server: &RedisServer, messages: usize) {
    let mut redis = server.connect();
    for _ in 0..messages {
        let id: String = redis::cmd("XADD")
            .arg(&["orders:1", "*", "k", "v"])
            .query(&mut redis)
            .expect("an entry");
        assert!(!id.is_empty());
    }
}

fn config(server: &RedisServer, http: u16, more: &str) -> String {
    format!(
        "server: {{ grpc: 127.0.0.1:0, http: \"127.0.0.1:{http}\" }}\npoll_interval: 200ms\n{more}sources:\n  - name: main\n    \
         redis: {{ url: \"redis://127.0.0.1:{}/0\" }}\ngroups:\n  - name: billing\n    source: main\n    \
         stream: \"orders:*\"\n    consumer_group: billing\n",
        server.port
    )
}

#[test]
fn the_page_says_that_the_service_is_gone_and_goes_on_once_it_is_back() {
    let server = redis_with(7);
    let config = config(&server, free_port(), "");
    let service = Service::start(&config);
    let mut browser = browse("restart", service.http);
    let stdout = browser.stdout.take().expect("its stdout");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    if lines.next().as_deref() == Some("live") {
        drop(service);
        assert_eq!(lines.next().as_deref(), Some("lost"));
        add(&server, 66);
        let _service = Service::start(&config);
        assert_eq!(lines.next().as_deref(), Some("live again"));
    }
    is_content(browser);
}

#[test]
fn a_reader_opens_a_moment_of_the_past_and_comes_back() {
    let server = redis_with(7);
    let folder = tempfile::tempdir().expect("a folder");
    let state = format!("state: {{ dir: \"{}\" }}\n", folder.path().display());
    let service = Service::start(&config(&server, 0, &state));
    let mut browser = browse("past", service.http);
    let stdout = browser.stdout.take().expect("its stdout");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    if lines.next().as_deref() == Some("seen") {
        add(&server, 66);
    }
    is_content(browser);
}

#[test]
fn behind_a_login_the_page_works_with_the_token_as_the_password() {
    let server = RedisServer::start(Flavour::Redis70);
    let service = Service::start_with(
        &format!(
            "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0, login: {{ token: {{ env: PAGE_TOKEN }} }} }}\nsources:\n  - name: main\n    \
             redis: {{ url: \"redis://127.0.0.1:{}/0\" }}\ngroups:\n  - name: billing\n    source: main\n    \
             stream: orders\n    consumer_group: billing\n",
            server.port
        ),
        &[("PAGE_TOKEN", "s3cret")],
    );
    is_content(browse("login", service.http));
}
