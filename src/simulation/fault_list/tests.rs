//! Lists of faults that are right, and the exact texts that wrong ones are answered with.

use super::*;

fn trace() -> Trace {
    Trace::generate("orders", 3, 10, |_, _| 1)
}

#[test]
fn a_list_gives_the_faults_of_the_trace_that_it_names() {
    let list = FaultList::parse(
        "- { kind: downstream, from: 16h, to: 16h20m, per_second: 60 }\n\
         - { kind: stuck, trace: orders, from: 10s, to: 20s, partition: 2 }\n\
         - { kind: crash, trace: mails, from: 5s }\n",
    )
    .unwrap();
    let second = Duration::from_secs(1);
    let expect = vec![
        Fault::new(
            16.0,
            16.0 + 1.0 / 3.0,
            FaultKind::Downstream { per_second: 60.0 },
        ),
        Fault::between(10 * second, 20 * second, FaultKind::Stuck { partition: 2 }),
    ];
    assert_eq!(list.of(&trace()), Ok(expect));
    let check = |text: &str, expect: &str| {
        let list = FaultList::parse(text).unwrap();
        let error = list.check(&[trace()]).unwrap_err();
        assert_eq!(error.to_string(), expect, "{text}");
    };
    check(
        "- { kind: crash, trace: mails, from: 5s }",
        "[0].trace: unknown trace `mails`; must be one of: orders",
    );
    check(
        "- { kind: crash, from: 45s }\n- { kind: crash, from: 50s }",
        "[1].from: is after the end of the trace, which is 50s long",
    );
}

#[test]
fn the_example_is_accepted() {
    let list = FaultList::parse(include_str!("../../../examples/faults.yaml")).unwrap();
    assert_eq!(list.of(&trace()).map(|faults| faults.len()), Ok(4));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let check = |text: &str, expect: &str| {
        let error = FaultList::parse(text).and_then(|list| list.of(&trace()));
        assert_eq!(error.unwrap_err().to_string(), expect, "{text}");
    };
    check(
        "kind: crash",
        ": must be a list: items that start with `- `",
    );
    check(
        "- {from: 5s}",
        &format!("[0].kind: is missing: set it to {KINDS}"),
    );
    check(
        "- {kind: meteor, from: 5s, to: 6s}",
        &format!("[0].kind: unknown kind `meteor`; must be one of: {KINDS}"),
    );
    check(
        "- {kind: crash}",
        "[0].from: is missing: set it to the start of the fault",
    );
    check(
        "- {kind: evict, from: 5s, replicas: 0}",
        "[0].replicas: must be the number of evicted replicas, a whole number of at least 1",
    );
    check(
        "- {kind: slow_replica, from: 5s, to: 9s, ratio: 3}",
        "[0].ratio: must be the share of its capacity that is left, above 0 and below 1",
    );
    check(
        "- {kind: crash, from: 5}",
        "[0].from: must be a time after the start, such as 90s or 16h20m",
    );
    check(
        "- {kind: slow_replica, from: 5s, ratio: 0.3}",
        "[0].to: is missing: set it to the end of the fault",
    );
    check(
        "- {kind: slow_replica, from: 5s, to: 2s, ratio: 0.3}",
        "[0].to: must be later than from",
    );
    check(
        "- {kind: crash, from: 5s}\n- {kind: downstream, from: 5s, to: 9s, per_second: 0}",
        "[1].per_second: must be messages per second of all replicas, a number above 0",
    );
    check(
        "- {kind: crash, from: 5s, ratio: 2}",
        "[0].ratio: is not a field of `crash`: remove it",
    );
    check(
        "- {kind: stuck, from: 5s, to: 9s, partition: 7}",
        "[0].partition: trace `orders` has no column `7`",
    );
}
