//! Sorts what the broker or the network said into classes of failures, each with a text that says what to do.

use crate::model::sample::{Failure, FailureKind};
use crate::sources::redact::redact_words;

const RIGHTS: &str =
    "check the key, or the identity's role (it needs Listen, or Azure Event Hubs Data Receiver)";
const NOT_FOUND: &str = "it does not exist: check namespace and event_hub";
const ASKED_AGAIN: &str = "streamgauge retries";
const LESS_OFTEN: &str =
    "the namespace is throttled: lower management_calls_per_second or poll less often";

/// What the broker answered a request with, instead of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerRefusal {
    /// The status, as HTTP has it; 0 if there was none.
    pub status: u16,
    /// The AMQP error condition, if it named one.
    pub condition: String,
    /// Its words.
    pub description: String,
}

/// What a refusal means. `subject` says which event hub, where.
pub fn of_refusal(subject: &str, refusal: &BrokerRefusal) -> Failure {
    let (kind, advice) = meaning(refusal);
    let code = match (refusal.status, refusal.condition.as_str()) {
        (0, condition) => condition.to_owned(),
        (status, "") => format!("status {status}"),
        (status, condition) => format!("status {status}, {condition}"),
    };
    let said = match redact_words(&refusal.description) {
        said if said.is_empty() => String::new(),
        said => format!(" ({said})"),
    };
    Failure::new(kind, format!("{subject}: {code}{said}: {advice}"))
}

/// What an error condition alone means, as a detach, an end or a close carries it.
pub fn of_condition(subject: &str, condition: &str, description: Option<&str>) -> Failure {
    let refusal = BrokerRefusal {
        status: 0,
        condition: redact_words(condition),
        description: description.unwrap_or_default().to_owned(),
    };
    of_refusal(subject, &refusal)
}

/// No answer in time.
pub fn timed_out(subject: &str, to_what: &str) -> Failure {
    let text = format!("{subject}: no answer to {to_what} in time; the connection is dropped");
    Failure::new(FailureKind::Timeout, text)
}

/// A reply that cannot be what was asked for.
pub fn garbled(subject: &str, what: &str) -> Failure {
    let text = format!(
        "{subject}: the reply could not be parsed: {}",
        redact_words(what)
    );
    Failure::new(FailureKind::Protocol, text)
}

/// No connection, or it broke.
pub fn unreachable(subject: &str, what: &str) -> Failure {
    let text = format!(
        "{subject} cannot be reached: {}: check the namespace's name and the network path to it",
        redact_words(what)
    );
    Failure::new(FailureKind::Unreachable, text)
}

/// Something that has to be put right first.
pub fn misconfigured(text: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Misconfigured, text)
}

fn meaning(refusal: &BrokerRefusal) -> (FailureKind, &'static str) {
    let throttled = refusal.description.contains("50002");
    match (refusal.status, refusal.condition.as_str()) {
        (_, "com.microsoft:server-busy") | (429, _) => (FailureKind::Throttled, LESS_OFTEN),
        (_, "com.microsoft:argument-out-of-range" | "com.microsoft:argument-error") => {
            of_argument()
        }
        (503, _) if throttled => (FailureKind::Throttled, LESS_OFTEN),
        (401 | 403, _) => (FailureKind::Auth, RIGHTS),
        (404 | 410, _) => (FailureKind::Misconfigured, NOT_FOUND),
        (400, _) => of_argument(),
        (408 | 500..=599, _) => (FailureKind::Transient, ASKED_AGAIN),
        (_, condition) => of_bare_condition(condition, throttled),
    }
}

fn of_bare_condition(condition: &str, throttled: bool) -> (FailureKind, &'static str) {
    match condition {
        _ if throttled => (FailureKind::Throttled, LESS_OFTEN),
        "amqp:unauthorized-access"
        | "com.microsoft:auth-failed"
        | "com.microsoft:unauthorized-access" => (FailureKind::Auth, RIGHTS),
        "amqp:not-found" | "com.microsoft:entity-disabled" => {
            (FailureKind::Misconfigured, NOT_FOUND)
        }
        "amqp:not-allowed"
        | "amqp:not-implemented"
        | "amqp:invalid-field"
        | "amqp:decode-error" => (
            FailureKind::Protocol,
            "the server rejected streamgauge's request as unsupported",
        ),
        "amqp:resource-limit-exceeded"
        | "amqp:connection:forced"
        | "amqp:internal-error"
        | "amqp:link:detach-forced"
        | "amqp:connection:redirect"
        | "amqp:link:redirect"
        | "com.microsoft:timeout"
        | "com.microsoft:operation-cancelled"
        | "com.microsoft:entity-updated"
        | "com.microsoft:container-close" => (FailureKind::Transient, ASKED_AGAIN),
        _ => (FailureKind::Protocol, "unexpected response"),
    }
}

fn of_argument() -> (FailureKind, &'static str) {
    let advice =
        "the event hub has no such partition, or the server did not understand the request";
    (FailureKind::Misconfigured, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "event hub orders in ns";

    #[test]
    fn statuses_and_conditions_are_told_apart() {
        let check = |status, condition: &str, description: &str, kind| {
            let refusal = BrokerRefusal {
                status,
                condition: condition.into(),
                description: description.into(),
            };
            let failure = of_refusal(SUBJECT, &refusal);
            assert_eq!(failure.kind, kind, "{refusal:?}");
            assert!(failure.text.starts_with(SUBJECT), "{}", failure.text);
        };
        check(401, "", "InvalidSignature", FailureKind::Auth);
        check(401, "amqp:unauthorized-access", "", FailureKind::Auth);
        check(403, "", "", FailureKind::Auth);
        check(0, "amqp:unauthorized-access", "", FailureKind::Auth);
        check(404, "amqp:not-found", "", FailureKind::Misconfigured);
        check(0, "amqp:not-found", "", FailureKind::Misconfigured);
        check(
            400,
            "com.microsoft:argument-out-of-range",
            "",
            FailureKind::Misconfigured,
        );
        check(503, "", "busy. Error code: 50002", FailureKind::Throttled);
        check(503, "com.microsoft:server-busy", "", FailureKind::Throttled);
        check(0, "com.microsoft:server-busy", "", FailureKind::Throttled);
        check(429, "", "", FailureKind::Throttled);
        check(503, "", "try again", FailureKind::Transient);
        check(500, "amqp:internal-error", "", FailureKind::Transient);
        check(0, "amqp:connection:forced", "", FailureKind::Transient);
        check(0, "amqp:link:detach-forced", "", FailureKind::Transient);
        check(200, "", "", FailureKind::Protocol);
        check(0, "new:thing", "", FailureKind::Protocol);
    }

    #[test]
    fn a_text_says_which_hub_what_happened_and_what_to_do() {
        let refusal = BrokerRefusal {
            status: 404,
            condition: "amqp:not-found".into(),
            description: "The messaging entity could not be found. TrackingId:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0_G12".into(),
        };
        assert_eq!(
            of_refusal(SUBJECT, &refusal).text,
            "event hub orders in ns: status 404, amqp:not-found (The messaging entity could not be found. \
             TrackingId:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0_G12): \
             it does not exist: check namespace and event_hub"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_shows_a_token_that_the_broker_repeats(
            secret in "[A-Za-z0-9+/]{43}=",
            frame in 0..5_usize,
        ) {
            let token = crate::sources::event_hubs::sas::sign("sb://ns/orders", "n", &secret, 1);
            let said = [
                format!("invalid token '{token}' was sent"),
                format!("bad key {secret}"),
                format!("SharedAccessKey={}", &secret[..20]),
                format!("Bearer eyJ{secret}.{secret}.{secret}"),
                format!("{token};{secret}"),
            ];
            let signature = token.split("sig=").nth(1).and_then(|s| s.split('&').next()).expect("sig");
            for failure in [
                of_condition(SUBJECT, "amqp:unauthorized-access", Some(&said[frame])),
                of_condition(SUBJECT, &secret, None),
                garbled(SUBJECT, &said[frame]),
                unreachable(SUBJECT, &said[frame]),
            ] {
                let shown = format!("{failure} {failure:?}");
                for private in [signature, &secret[..20]] {
                    proptest::prop_assert!(!shown.contains(private), "{}", shown);
                }
            }
        }
    }
}
