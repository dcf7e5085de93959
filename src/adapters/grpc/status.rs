//! Refusals and missing answers as gRPC status. The text reaches the user as an event of the KEDA operator.

use tonic::Status;

use crate::publish::NoAnswer;
use crate::registry::Refusal;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(text) => Self::invalid_argument(text),
            Refusal::NotAllowed(text) => Self::permission_denied(text),
            Refusal::Full(text) => Self::resource_exhausted(text),
        }
    }
}

impl From<NoAnswer> for Status {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::NotNow(text) => Self::unavailable(text),
            NoAnswer::NeedsRepair(text) => Self::failed_precondition(text),
        }
    }
}
