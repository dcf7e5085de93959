//! What fails for a fault of the program, or of what it was given, costs its own groups what they knew and nobody else anything.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::group::event::Event;
use crate::model::time::Timestamp;

use super::Group;

/// Does a part of the work for a group, or for several at once. If that fails, these start over, which is counted and shown, and
/// nobody else is concerned: `None`.
pub fn contained<'g, T>(
    groups: impl IntoIterator<Item = &'g Group>,
    at: Timestamp,
    work: impl FnOnce() -> T,
) -> Option<T> {
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => return Some(done),
        Err(panic) => panic,
    };
    let text = panic_text(panic.as_ref());
    for group in groups {
        let name = &group.definition().name;
        tracing::error!(
            group = name,
            "processing an event failed; the group's state is reset: {text}"
        );
        group.start_over(at);
    }
    None
}

impl Group {
    /// As [`Self::apply`], for who also serves other groups: a fault of the program costs this one what it knew.
    pub fn apply_contained(&self, event: &Event) {
        contained([self], event.at, || self.apply(event));
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason given")
}
