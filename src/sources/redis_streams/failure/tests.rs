//! What answers and errors mean, and what is said of them.

use super::*;

#[test]
fn answers_are_told_from_outages() {
    let check = |code: &str, detail: &str, kind| {
        let failure = of_answer("h:1", code, detail);
        assert_eq!(failure.kind, kind, "{code} {detail}");
        assert!(failure.text.contains("h:1"), "{}", failure.text);
    };
    check(
        "WRONGTYPE",
        "Operation against a key",
        FailureKind::WrongType,
    );
    check("NOAUTH", "Authentication required.", FailureKind::Auth);
    check(
        "WRONGPASS",
        "invalid username-password pair",
        FailureKind::Auth,
    );
    check("NOPERM", "this user has no permissions", FailureKind::Auth);
    check(
        "ERR",
        "Client sent AUTH, but no password is set",
        FailureKind::Auth,
    );
    for code in [
        "LOADING",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "TRYAGAIN",
        "BUSY",
        "READONLY",
    ] {
        check(code, "", FailureKind::Transient);
    }
    check("MOVED", "3999 127.0.0.1:6381", FailureKind::Misconfigured);
    check("ASK", "3999 127.0.0.1:6381", FailureKind::Misconfigured);
    check(
        "ERR",
        "DB index is out of range",
        FailureKind::Misconfigured,
    );
    check("ERR", "unknown command 'XINFO'", FailureKind::Misconfigured);
    check(
        "ERR",
        "max number of clients reached",
        FailureKind::Transient,
    );
    check("ERR", "something else", FailureKind::Protocol);
}

#[test]
fn a_cluster_node_is_named_as_the_reason() {
    let failure = of_answer("h:1", "MOVED", "1 x:2");
    assert_eq!(
        failure.text,
        "redis at h:1: MOVED 1 x:2: the key is on another node of a cluster: set mode: cluster"
    );
}

#[test]
fn an_answer_that_may_repeat_the_command_sent_is_not_quoted() {
    let failure = of_answer("h:1", "ERR", "unknown command 'AUTH', with args: 's3cret'");
    assert!(!failure.text.contains("s3cret"), "{}", failure.text);
    assert!(
        failure.text.contains("unknown command AUTH"),
        "{}",
        failure.text
    );
    let failure = of_answer(
        "h:1",
        "ERR",
        "unknown command `XINFO`, with args beginning with: `x`",
    );
    assert!(
        failure
            .text
            .contains("unknown command XINFO: the command is renamed"),
        "{}",
        failure.text
    );
}

#[test]
fn what_only_a_person_can_mend_is_no_outage() {
    for (code, detail) in [
        ("ERR", "unknown command 'xpending'"),
        ("unsupported", "command 'multi'"),
        ("invalid", "request"),
        ("ERR", "This command is disabled"),
    ] {
        let failure = of_answer("h:1", code, detail);
        assert_eq!(failure.kind, FailureKind::Misconfigured, "{code} {detail}");
    }
    let failure = of_answer("h:1", "upstream", "failure");
    assert_eq!(failure.kind, FailureKind::Transient);
}
