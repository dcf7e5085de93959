//! What the Azure SDK says went wrong, as failures: its errors hide the cause, so every layer is looked at.

use std::error::Error;

use azure_core_amqp::AmqpError;
use azure_core_amqp::error::AmqpErrorKind;
use azure_messaging_eventhubs::EventHubsError;
use azure_messaging_eventhubs::error::ErrorKind;

use super::failure::{self, BrokerRefusal};
use crate::model::sample::Failure;

/// Layers of causes looked at.
const DEPTH: usize = 16;

/// What a call of the SDK failed with.
pub fn of_error(subject: &str, error: &EventHubsError) -> Failure {
    if matches!(error.kind, ErrorKind::InvalidManagementResponse) {
        return failure::garbled(subject, "a field is missing");
    }
    let outermost: &(dyn Error + 'static) = error;
    let layers = || std::iter::successors(Some(outermost), |layer| (*layer).source()).take(DEPTH);
    let told = layers().find_map(|layer| of_layer(subject, layer));
    told.unwrap_or_else(|| {
        let texts: Vec<_> = layers().map(ToString::to_string).collect();
        of_text(
            subject,
            texts.last().map_or("", String::as_str),
            &texts.join(": "),
        )
    })
}

/// What one layer tells, if it tells anything.
fn of_layer(subject: &str, layer: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = layer.downcast_ref::<AmqpError>() {
        return of_amqp(subject, error.kind());
    }
    if let Some(rustls::Error::InvalidCertificate(why)) = layer.downcast_ref() {
        return Some(failure::misconfigured(format!(
            "{subject}: its certificate is not trusted ({why}): check the host name, or set SSL_CERT_FILE"
        )));
    }
    let error = layer.downcast_ref::<std::io::Error>()?;
    // An error of TLS comes wrapped in one of these.
    let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    let inner = inner.and_then(|inner| of_layer(subject, inner));
    Some(inner.unwrap_or_else(|| failure::unreachable(subject, &error.to_string())))
}

fn of_amqp(subject: &str, kind: &AmqpErrorKind) -> Option<Failure> {
    match kind {
        AmqpErrorKind::ManagementStatusCode(status, description) => {
            let refusal = BrokerRefusal {
                status: (*status).into(),
                condition: String::new(),
                description: description.clone().unwrap_or_default(),
            };
            Some(failure::of_refusal(subject, &refusal))
        }
        AmqpErrorKind::AmqpDescribedError(error) => {
            let description = error.description.as_deref();
            Some(failure::of_condition(
                subject,
                error.condition.as_ref(),
                description,
            ))
        }
        _ => None,
    }
}

/// Conditions that the SDK passes on in words only, by the names that its AMQP library prints.
const WORDS: [(&str, &str); 5] = [
    ("UnauthorizedAccess", "amqp:unauthorized-access"),
    ("NotFound", "amqp:not-found"),
    ("server-busy", "com.microsoft:server-busy"),
    ("ConnectionForced", "amqp:connection:forced"),
    ("DetachForced", "amqp:link:detach-forced"),
];

/// The last resort: the words. What they do not tell is taken for a broken connection, which is asked again on a new one.
fn of_text(subject: &str, innermost: &str, all: &str) -> Failure {
    match WORDS.into_iter().find(|(word, _)| all.contains(word)) {
        Some((_, condition)) => failure::of_condition(subject, condition, Some(innermost)),
        None => failure::unreachable(subject, innermost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::FailureKind;

    /// As the SDK wraps what goes wrong while it authorizes.
    fn wrapped(kind: AmqpErrorKind) -> EventHubsError {
        let inner = azure_core::Error::with_error(
            azure_core::error::ErrorKind::Other,
            AmqpError::from(kind),
            "Error authorizing management path",
        );
        AmqpError::from(inner).into()
    }

    #[test]
    fn the_cause_is_found_below_what_hides_it() {
        let check = |error: EventHubsError, kind, words: &str| {
            let failure = of_error("hub", &error);
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.text.contains(words), "{failure}");
        };
        let status =
            |status: u16| AmqpErrorKind::ManagementStatusCode(status.into(), Some("said".into()));
        check(wrapped(status(401)), FailureKind::Auth, "status 401 (said)");
        check(
            wrapped(status(404)),
            FailureKind::Misconfigured,
            "status 404 (said)",
        );
        check(
            wrapped(status(503)),
            FailureKind::Transient,
            "status 503 (said)",
        );
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        check(
            wrapped(AmqpErrorKind::ConnectionDropped(Box::new(refused))),
            FailureKind::Unreachable,
            "connection refused",
        );
        let closed =
            "Remote peer closed with error Error { condition: AmqpError(UnauthorizedAccess) }";
        check(
            wrapped(AmqpErrorKind::ConnectionClosedByRemote(closed.into())),
            FailureKind::Auth,
            "amqp:unauthorized-access",
        );
        check(
            ErrorKind::InvalidManagementResponse.into(),
            FailureKind::Protocol,
            "missing",
        );
    }
}
