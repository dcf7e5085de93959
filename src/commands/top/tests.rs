//! What stands in the lines.

use super::*;

#[test]
fn the_worst_come_first_and_what_is_unknown_is_no_zero() {
    let answer = r#"{ "groups": [
      { "name": "calm", "condition": "ok", "failure": null, "backlog": { "value": 3, "certainty": "exact" },
        "oldest_age_seconds": 0.25, "arrival_per_second": 4.25, "processing_per_second": 120.4, "targets": [
          { "scaled_object": "shop/a", "desired": 2, "current": 2, "limit": "none", "text": "2 replicas: …" },
          { "scaled_object": "shop/b", "desired": 9, "current": 4, "limit": "max_replicas", "text": "9 replicas: …" } ] },
      { "name": "blind", "condition": "unknown", "failure": { "kind": "timeout", "text": "no answer within 1s" }, "backlog": null,
        "oldest_age_seconds": null, "arrival_per_second": null, "processing_per_second": null, "targets": [] },
      { "name": "late", "condition": "late", "failure": null, "backlog": { "value": 900, "certainty": "at_least" },
        "oldest_age_seconds": 61, "arrival_per_second": 10, "processing_per_second": 0, "targets": [
          { "scaled_object": "", "desired": null, "current": null, "limit": null, "text": "a sentence that is longer than the terminal is wide" } ] } ] }"#;
    let answer: ShownGroups = serde_json::from_str(answer).expect("an answer");
    insta::assert_snapshot!(render(&answer.groups, None));
    insta::assert_snapshot!(render(&answer.groups, Some((80, 7))));
}
