//! Sorts what the store or the network said into classes of failures, each with a text that says what to do.

use crate::model::sample::{Failure, FailureKind};
use crate::sources::redact::redact;
use crate::web::root_cause;

/// What a refusal means. Of the store's answer only status and code are told: its messages repeat what was sent.
pub fn of_answer(subject: &str, status: u16, code: &str) -> Failure {
    let (kind, advice) = match status {
        401 | 403 => (FailureKind::Auth, of_refusal(code)),
        404 => of_absence(code),
        400 | 405 | 415 => of_request(code),
        429 => (FailureKind::Throttled, "the server is throttling requests"),
        503 if matches!(code, "ServerBusy" | "") => (
            FailureKind::Throttled,
            "the server is busy and throttling requests",
        ),
        409 | 500..=599 => (FailureKind::Transient, "streamgauge retries"),
        300..=399 => {
            let advice = "the server redirects elsewhere: correct checkpoints.account_url";
            (FailureKind::Misconfigured, advice)
        }
        _ => (FailureKind::Protocol, "unexpected response"),
    };
    let code = if code.is_empty() {
        format!("status {status}")
    } else {
        format!("{code} (status {status})")
    };
    Failure::new(kind, format!("{subject}: {code}: {advice}"))
}

fn of_refusal(code: &str) -> &'static str {
    match code {
        "AuthenticationFailed" | "InvalidAuthenticationInfo" => {
            "the key, signature or token is wrong or has expired: check checkpoints.auth, and this machine's clock"
        }
        "AuthorizationPermissionMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationProtocolMismatch"
        | "InsufficientAccountPermissions" => {
            "the credential lacks permission: grant the role Storage Blob Data Reader, or a signature with read and \
             list on the container"
        }
        "AuthorizationFailure" | "AuthorizationSourceIPMismatch" => {
            "the credential lacks permission, or the account's firewall blocks this address"
        }
        "KeyBasedAuthenticationNotPermitted" => {
            "the account does not allow key access: use a Microsoft Entra identity"
        }
        "AccountIsDisabled" => "the account is disabled",
        _ => "check checkpoints.auth and its permissions",
    }
}

fn of_absence(code: &str) -> (FailureKind, &'static str) {
    match code {
        "ContainerNotFound" => (
            FailureKind::Misconfigured,
            "the container does not exist: correct checkpoints.container, or start a consumer that creates it",
        ),
        _ => (
            FailureKind::Unreachable,
            "this address is not the account's blob service: check the account's name and \
             checkpoints.account_url",
        ),
    }
}

fn of_request(code: &str) -> (FailureKind, &'static str) {
    let advice = match code {
        "InvalidResourceName" | "OutOfRangeInput" | "InvalidUri" => {
            "the container name is invalid: correct checkpoints.container"
        }
        "AccountRequiresHttps" => "the account requires https://: correct checkpoints.account_url",
        _ => "the store rejected the request: check checkpoints.account_url",
    };
    (FailureKind::Misconfigured, advice)
}

/// No answer within the deadline.
pub fn timed_out(subject: &str) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("{subject}: no answer in time"),
    )
}

/// An answer that makes no sense.
pub fn garbled(subject: &str, what: &str) -> Failure {
    let text = format!("{subject}: the response could not be parsed: {what}");
    Failure::new(FailureKind::Protocol, text)
}

/// What kept a request from being answered.
pub fn of_transport(subject: &str, error: reqwest::Error, secrets: &[String]) -> Failure {
    if error.is_timeout() {
        return timed_out(subject);
    }
    // The url carries the signature.
    let error = error.without_url();
    let cause = redact(&root_cause(&error), secrets);
    let advice = if cause.contains("certificate") {
        ": set checkpoints.ca_file, or correct the server's certificate"
    } else if cause.contains("lookup") {
        ": check the account's name and checkpoints.account_url"
    } else {
        ""
    };
    let text = format!("{subject}: cannot be reached: {cause}{advice}");
    Failure::new(FailureKind::Unreachable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |status, code, kind, part: &str| {
            let failure = of_answer("storage account a, container c", status, code);
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(
                failure.text.starts_with("storage account a, container c: "),
                "{failure}"
            );
            assert!(failure.text.contains(part), "{failure}");
        };
        check(
            403,
            "AuthenticationFailed",
            FailureKind::Auth,
            "wrong or has expired",
        );
        check(
            403,
            "AuthorizationPermissionMismatch",
            FailureKind::Auth,
            "Storage Blob Data Reader",
        );
        check(403, "AuthorizationFailure", FailureKind::Auth, "firewall");
        check(
            403,
            "KeyBasedAuthenticationNotPermitted",
            FailureKind::Auth,
            "Entra",
        );
        check(401, "", FailureKind::Auth, "status 401");
        check(
            404,
            "ContainerNotFound",
            FailureKind::Misconfigured,
            "the container does not exist",
        );
        check(404, "", FailureKind::Unreachable, "account's name");
        check(
            404,
            "ResourceNotFound",
            FailureKind::Unreachable,
            "account's name",
        );
        check(
            400,
            "InvalidResourceName",
            FailureKind::Misconfigured,
            "checkpoints.container",
        );
        check(
            400,
            "AccountRequiresHttps",
            FailureKind::Misconfigured,
            "https://",
        );
        check(429, "", FailureKind::Throttled, "throttling");
        check(503, "ServerBusy", FailureKind::Throttled, "busy");
        check(
            503,
            "OperationTimedOut",
            FailureKind::Transient,
            "streamgauge retries",
        );
        check(
            500,
            "InternalError",
            FailureKind::Transient,
            "streamgauge retries",
        );
        check(
            409,
            "ContainerBeingDeleted",
            FailureKind::Transient,
            "streamgauge retries",
        );
        check(302, "", FailureKind::Misconfigured, "account_url");
        check(204, "", FailureKind::Protocol, "unexpected response");
    }

    #[tokio::test]
    async fn the_librarys_own_error_loses_url_and_signature() {
        let url = "http://127.0.0.1:1/c/b?sv=2024&sig=hush%2Bhush%3D";
        let client = || {
            reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client")
        };
        let error = client().get(url).send().await.expect_err("refused");
        assert!(
            error.to_string().contains("sig=hush"),
            "the library shows it: {error}"
        );
        let failure = of_transport("storage account a", error, &[]);
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(!failure.text.contains("hush"), "{failure}");
        assert!(failure.text.contains("refused"), "{failure}");
        let error = client().get(url).send().await.expect_err("refused");
        assert!(!redact(&format!("{error} {error:?}"), &[]).contains("hush"));
    }
}
