//! What the AMQP library says went wrong, as failures: the broker's own error condition wherever there is one.

use fe2o3_amqp::connection::{ConnectionStopReason, Error as ConnectionError, OpenError};
use fe2o3_amqp::link::{
    DetachError, LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
    SessionStopReason,
};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::types::definitions::{self, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;

use super::failure;
use crate::model::sample::Failure;

/// An error that a frame of the broker carried.
pub fn of_frame(subject: &str, error: &definitions::Error) -> Failure {
    let condition = condition(&error.condition);
    failure::of_condition(subject, &condition, error.description.as_deref())
}

/// The symbol of a condition.
pub fn condition(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => symbol.clone(),
    };
    symbol.into_inner()
}

/// The connection could not be opened.
pub fn of_open(subject: &str, error: &OpenError) -> Failure {
    match error {
        OpenError::RemoteClosedWithError(error) => of_frame(subject, error),
        OpenError::ProtocolHeaderMismatch(_) | OpenError::DecodeError(_) => {
            failure::garbled(subject, "no AMQP 1.0 server answers there")
        }
        OpenError::SaslError { .. } => failure::of_condition(
            subject,
            "amqp:unauthorized-access",
            Some("SASL ANONYMOUS is refused"),
        ),
        other => failure::unreachable(subject, &other.to_string()),
    }
}

/// The open connection ended.
pub fn of_close(subject: &str, ended: &Result<(), ConnectionError>) -> Failure {
    match ended {
        Err(ConnectionError::RemoteClosedWithError(error)) => of_frame(subject, error),
        Ok(()) | Err(ConnectionError::RemoteClosed) => closed(subject),
        Err(other) => failure::unreachable(subject, &other.to_string()),
    }
}

/// No session could be begun.
pub fn of_begin(subject: &str, error: &BeginError) -> Failure {
    match error {
        BeginError::RemoteEndedWithError(error) => of_frame(subject, error),
        BeginError::ConnectionStopped(reason) => of_connection_stop(subject, reason),
        other => failure::unreachable(subject, &other.to_string()),
    }
}

/// A sending link could not be attached.
pub fn of_sender_attach(subject: &str, error: &SenderAttachError) -> Failure {
    match error {
        SenderAttachError::RemoteClosedWithError(error) => of_frame(subject, error),
        SenderAttachError::SessionStopped(reason) => of_session_stop(subject, reason),
        other => failure::garbled(subject, &other.to_string()),
    }
}

/// A receiving link could not be attached.
pub fn of_receiver_attach(subject: &str, error: &ReceiverAttachError) -> Failure {
    match error {
        ReceiverAttachError::RemoteClosedWithError(error) => of_frame(subject, error),
        ReceiverAttachError::SessionStopped(reason) => of_session_stop(subject, reason),
        other => failure::garbled(subject, &other.to_string()),
    }
}

/// Nothing could be received.
pub fn of_receive(subject: &str, error: &RecvError) -> Failure {
    match error {
        RecvError::LinkStateError(error) => of_link(subject, error),
        other => failure::garbled(subject, &other.to_string()),
    }
}

/// A request could not be sent, or was not settled.
pub fn of_send(subject: &str, error: &SendError) -> Failure {
    match error {
        SendError::LinkStateError(error) => of_link(subject, error),
        SendError::Detached(error) => of_detach(subject, error),
        other => failure::garbled(subject, &other.to_string()),
    }
}

/// The broker detached a link.
pub fn of_detach(subject: &str, error: &DetachError) -> Failure {
    match error {
        DetachError::RemoteDetachedWithError(error) | DetachError::RemoteClosedWithError(error) => {
            of_frame(subject, error)
        }
        DetachError::SessionStopped(reason) => of_session_stop(subject, reason),
        _ => detached(subject),
    }
}

fn of_link(subject: &str, error: &LinkStateError) -> Failure {
    match error {
        LinkStateError::RemoteDetachedWithError(error)
        | LinkStateError::RemoteClosedWithError(error) => of_frame(subject, error),
        LinkStateError::SessionStopped(reason) => of_session_stop(subject, reason),
        _ => detached(subject),
    }
}

fn of_session_stop(subject: &str, reason: &SessionStopReason) -> Failure {
    match reason {
        SessionStopReason::RemoteEndedWithError(error) => of_frame(subject, error),
        SessionStopReason::ConnectionStopped(reason) => of_connection_stop(subject, reason),
        _ => failure::unreachable(subject, "the session ended"),
    }
}

fn of_connection_stop(subject: &str, reason: &ConnectionStopReason) -> Failure {
    match reason {
        ConnectionStopReason::RemoteClosedWithError(error) => of_frame(subject, error),
        _ => closed(subject),
    }
}

fn closed(subject: &str) -> Failure {
    failure::unreachable(subject, "the connection was closed")
}

fn detached(subject: &str) -> Failure {
    failure::unreachable(subject, "the management link was detached")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::FailureKind;
    use fe2o3_amqp::types::definitions::{AmqpError, ConnectionError as Closing, LinkError};

    #[test]
    fn a_brokers_condition_is_found_however_it_arrives() {
        let error =
            |condition: ErrorCondition| definitions::Error::new(condition, "said".to_owned(), None);
        let denied = error(AmqpError::UnauthorizedAccess.into());
        let forced = error(Closing::ConnectionForced.into());
        let busy = error(ErrorCondition::Custom("com.microsoft:server-busy".into()));
        let check = |failure: Failure, kind| {
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(
                failure.text.starts_with("hub: ") && failure.text.contains("said"),
                "{failure}"
            );
        };
        check(
            of_open("hub", &OpenError::RemoteClosedWithError(forced.clone())),
            FailureKind::Transient,
        );
        check(
            of_close(
                "hub",
                &Err(ConnectionError::RemoteClosedWithError(forced.clone())),
            ),
            FailureKind::Transient,
        );
        check(
            of_sender_attach(
                "hub",
                &SenderAttachError::RemoteClosedWithError(denied.clone()),
            ),
            FailureKind::Auth,
        );
        let detached = LinkStateError::RemoteClosedWithError(busy);
        check(
            of_send("hub", &SendError::LinkStateError(detached)),
            FailureKind::Throttled,
        );
        let stop = ConnectionStopReason::RemoteClosedWithError(forced);
        let stop = LinkStateError::SessionStopped(SessionStopReason::ConnectionStopped(stop));
        check(
            of_receive("hub", &RecvError::LinkStateError(stop)),
            FailureKind::Transient,
        );
        check(
            of_detach("hub", &DetachError::RemoteClosedWithError(denied)),
            FailureKind::Auth,
        );
        check(
            of_frame("hub", &error(LinkError::DetachForced.into())),
            FailureKind::Transient,
        );
    }

    #[test]
    fn what_breaks_without_a_word_is_unreachable() {
        let check =
            |failure: Failure| assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
        check(of_close("hub", &Ok(())));
        check(of_receive(
            "hub",
            &RecvError::LinkStateError(LinkStateError::RemoteClosed),
        ));
        check(of_begin(
            "hub",
            &BeginError::ConnectionStopped(ConnectionStopReason::Closed),
        ));
    }
}
