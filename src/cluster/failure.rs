//! The library's errors in words of ours: a class, what to do, and nothing of a body or a credential.

use std::error::Error as _;
use std::time::Duration;

use kube::Error;
use kube::api::ApiResource;
use kube::client::AuthError;

use crate::policy::replicas::{Unread, UnreadKind};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub resource: &'a ApiResource,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Asked<'_> {
    /// `ScaledObject shop/billing`.
    fn object(&self) -> String {
        format!("{} {}/{}", self.resource.kind, self.namespace, self.name)
    }

    /// `scaledobjects.keda.sh in namespace shop`.
    fn right(&self) -> String {
        let dot = if self.resource.group.is_empty() {
            ""
        } else {
            "."
        };
        format!(
            "{}{dot}{} in namespace {}",
            self.resource.plural, self.resource.group, self.namespace
        )
    }
}

pub(super) fn of(error: &Error, asked: &Asked<'_>) -> Unread {
    match error {
        Error::Api(status) => of_status(status.code, asked),
        Error::SerdeError(_) | Error::FromUtf8(_) => misunderstood(asked, "is no such object"),
        Error::Auth(_) => no_credential(),
        _ if is_auth(error) => no_credential(),
        Error::Service(_) | Error::HyperError(_) => unread(
            UnreadKind::Unreachable,
            format!("the Kubernetes API cannot be reached: {}", cause(error)),
        ),
        _ => misunderstood(asked, "is no HTTP that makes sense"),
    }
}

fn of_status(code: u16, asked: &Asked<'_>) -> Unread {
    match code {
        401 => unread(
            UnreadKind::Auth,
            "the Kubernetes API does not accept the credential (401): is the service account still there?",
        ),
        403 => unread(
            UnreadKind::Auth,
            format!(
                "the Kubernetes API does not let streamgauge get {}: bind the rights of manifests/clusterrole.yaml",
                asked.right()
            ),
        ),
        404 => unread(
            UnreadKind::NotFound,
            format!("there is no {}", asked.object()),
        ),
        429 => unread(
            UnreadKind::Throttled,
            "the Kubernetes API asks to be asked less often (429)",
        ),
        500.. => unread(
            UnreadKind::Transient,
            format!("the Kubernetes API answers with status {code}"),
        ),
        _ => misunderstood(asked, &format!("has status {code}")),
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

/// It failed before, and is asked again in a moment.
pub(super) fn failing() -> Unread {
    unread(UnreadKind::Transient, "the Kubernetes API keeps failing")
}

/// An answer of another shape than expected.
pub(super) fn misunderstood(asked: &Asked<'_>, why: &str) -> Unread {
    unread(
        UnreadKind::Protocol,
        format!("the Kubernetes API's answer about {} {why}", asked.object()),
    )
}

/// Without the reason: a plugin's output is part of it.
fn no_credential() -> Unread {
    unread(
        UnreadKind::Auth,
        "no credential for the Kubernetes API could be obtained: look at the token file or the plugin that the kubeconfig names",
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
        let resource = super::super::object::scaled_objects();
        let asked = Asked {
            resource: &resource,
            namespace: "shop",
            name: "billing",
        };
        let check = |code, kind, text: &str| {
            let said = of_status(code, &asked);
            assert_eq!(said.kind, kind, "{code}");
            assert!(said.text.contains(text), "{code}: {said}");
        };
        check(401, UnreadKind::Auth, "does not accept the credential");
        check(
            403,
            UnreadKind::Auth,
            "get scaledobjects.keda.sh in namespace shop: bind the rights",
        );
        check(
            404,
            UnreadKind::NotFound,
            "there is no ScaledObject shop/billing",
        );
        check(429, UnreadKind::Throttled, "less often");
        check(503, UnreadKind::Transient, "status 503");
        check(302, UnreadKind::Protocol, "status 302");
    }
}
