//! Situations in which servers' own lag goes wrong, as steps.

/// Steps: `add N [from]`, `read N`, `mk [id …]`, anything else is a command.
pub const SCENARIOS: [(&str, &[&str]); 24] = [
    ("01 normal", &["mk", "add 4", "read 2"]),
    (
        "02 delete one ahead",
        &["mk", "add 4", "read 2", "XDEL x 3-0"],
    ),
    (
        "03 … then read to the end",
        &["mk", "add 4", "read 2", "XDEL x 3-0", "read 5"],
    ),
    (
        "04 delete the head past the group",
        &["mk", "add 4", "read 2", "XDEL x 1-0 2-0 3-0"],
    ),
    (
        "05 delete behind the group",
        &["mk", "add 4", "read 2", "XDEL x 1-0"],
    ),
    (
        "06 trim past the group",
        &["mk", "add 5", "read 1", "XTRIM x MAXLEN 1"],
    ),
    (
        "07 … then read to the end",
        &["mk", "add 5", "read 1", "XTRIM x MAXLEN 1", "read 5"],
    ),
    (
        "08 … then 10 more",
        &[
            "mk",
            "add 5",
            "read 1",
            "XTRIM x MAXLEN 1",
            "read 5",
            "add 10 6",
        ],
    ),
    ("09 group created in the middle", &["add 4", "mk 2-0"]),
    ("10 … then read 1", &["add 4", "mk 2-0", "read 1"]),
    (
        "11 … then read to the end, 3 more",
        &["add 4", "mk 2-0", "read 9", "add 3 5"],
    ),
    (
        "12 group created at $, then 3",
        &["add 4", "mk $", "add 3 5"],
    ),
    ("13 group created at 0", &["add 4", "mk 0"]),
    (
        "14 emptied by a trim",
        &["mk", "add 5", "read 2", "XTRIM x MAXLEN 0"],
    ),
    (
        "15 … then 3 more",
        &["mk", "add 5", "read 2", "XTRIM x MAXLEN 0", "add 3 6"],
    ),
    (
        "16 all deleted",
        &["mk", "add 5", "read 2", "XDEL x 1-0 2-0 3-0 4-0 5-0"],
    ),
    (
        "17 SETID to the middle",
        &["mk", "add 6", "read 1", "XGROUP SETID x g 3-0"],
    ),
    ("18 ENTRIESREAD lies", &["add 4", "mk 0 ENTRIESREAD 3"]),
    (
        "19 undelivered tail deleted",
        &["mk", "add 4", "read 2", "XDEL x 4-0"],
    ),
    (
        "20 MAXLEN runs past the group",
        &[
            "mk",
            "add 2",
            "read 2",
            "XADD x MAXLEN 3 3-0 d a",
            "XADD x MAXLEN 3 4-0 d a",
            "XADD x MAXLEN 3 5-0 d a",
            "XADD x MAXLEN 3 6-0 d a",
            "XADD x MAXLEN 3 7-0 d a",
            "XADD x MAXLEN 3 8-0 d a",
            "XADD x MAXLEN 3 9-0 d a",
            "XADD x MAXLEN 3 10-0 d a",
        ],
    ),
    (
        "21 middle and head trimmed up to it",
        &["add 4", "mk 2-0", "XTRIM x MAXLEN 2"],
    ),
    (
        "22 consumer deletes what it acked",
        &["mk", "add 6", "read 3", "XDEL x 1-0 2-0 3-0"],
    ),
    (
        "23 out of order, then more",
        &["mk", "add 6", "read 6", "XDEL x 5-0", "add 4 7"],
    ),
    (
        "24 … then read 2",
        &["mk", "add 6", "read 6", "XDEL x 5-0", "add 4 7", "read 2"],
    ),
];
