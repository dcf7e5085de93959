//! The library's errors in words of ours: a class, what to do, and nothing of a body or a credential.

use std::error::Error as _;
use std::time::Duration;

use kube::Error;
use kube::client::AuthError;

use crate::scaled_object::{Unread, UnreadKind};

use super::resource::WatchScope;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// `list` or `watch`, as roles name it.
    pub verb: &'static str,
    pub place: &'a WatchScope,
}

impl Asked<'_> {
    /// `scaledobjects.keda.sh in namespace shop`.
    fn objects(&self) -> String {
        let WatchScope {
            namespace,
            resource,
            ..
        } = self.place;
        format!("{} in namespace {namespace}", resource.full_name())
    }
}

pub(super) fn of(error: &Error, asked: &Asked<'_>) -> Unread {
    match error {
        Error::Api(status) => of_status(status.code, asked),
        Error::SerdeError(_) | Error::FromUtf8(_) => {
            misunderstood(&asked.objects(), "is not the expected list")
        }
        Error::Auth(_) => no_credential(),
        _ if is_auth(error) => no_credential(),
        Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_) => unread(
            UnreadKind::Unreachable,
            format!("the Kubernetes API cannot be reached: {}", cause(error)),
        ),
        _ => misunderstood(&asked.objects(), "is not valid HTTP"),
    }
}

pub(super) fn of_status(code: u16, asked: &Asked<'_>) -> Unread {
    match code {
        401 => unread(
            UnreadKind::Auth,
            "the Kubernetes API rejected the credential (401): check that the service account exists",
        ),
        403 => unread(
            UnreadKind::Auth,
            format!(
                "streamgauge is not allowed to {} {} (403): apply manifests/clusterrole.yaml and its binding",
                asked.verb,
                asked.objects()
            ),
        ),
        404 => unread(
            UnreadKind::NotFound,
            format!(
                "the Kubernetes API has no {} (404): check that the CRD is installed",
                asked.place.resource.full_name()
            ),
        ),
        429 => unread(
            UnreadKind::Throttled,
            "the Kubernetes API is throttling requests (429)",
        ),
        500.. => unread(
            UnreadKind::Transient,
            format!("the Kubernetes API returned status {code}"),
        ),
        _ => misunderstood(&asked.objects(), &format!("has status {code}")),
    }
}

/// Nothing answered in time.
pub(super) fn timed_out(deadline: Duration) -> Unread {
    unread(
        UnreadKind::Timeout,
        format!(
            "the Kubernetes API did not answer within {}",
            humantime::format_duration(deadline)
        ),
    )
}

/// An answer of another shape than expected.
pub(super) fn misunderstood(about: &str, why: &str) -> Unread {
    unread(
        UnreadKind::Protocol,
        format!("the Kubernetes API's response for {about} {why}"),
    )
}

/// Without the reason: a plugin's output is part of it.
fn no_credential() -> Unread {
    unread(
        UnreadKind::Auth,
        "no credential for the Kubernetes API: check the token file, or the plugin named in the kubeconfig",
    )
}

pub(super) fn unread(kind: UnreadKind, text: impl Into<String>) -> Unread {
    let text = text.into();
    Unread { kind, text }
}

fn is_auth(error: &Error) -> bool {
    causes(error).any(|cause| cause.is::<AuthError>())
}

/// The innermost cause says it: `Connection refused`.
fn cause(error: &Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| "no connection".to_owned(), ToString::to_string)
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn causes<'a>(error: &'a Error) -> impl Iterator<Item = Cause<'a>> {
    std::iter::successors(error.source(), |cause: &Cause<'a>| (*cause).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_class_and_says_what_to_do() {
        let place = WatchScope::new("shop", super::super::resource::Resource::scaled_objects());
        let asked = Asked {
            verb: "watch",
            place: &place,
        };
        let check = |code, kind, text: &str| {
            let said = of_status(code, &asked);
            assert_eq!(said.kind, kind, "{code}");
            assert!(said.text.contains(text), "{code}: {said}");
        };
        check(401, UnreadKind::Auth, "rejected the credential");
        check(
            403,
            UnreadKind::Auth,
            "watch scaledobjects.keda.sh in namespace shop (403): apply manifests/clusterrole.yaml",
        );
        check(404, UnreadKind::NotFound, "has no scaledobjects.keda.sh");
        check(429, UnreadKind::Throttled, "throttling");
        check(503, UnreadKind::Transient, "status 503");
        check(302, UnreadKind::Protocol, "status 302");
    }
}
