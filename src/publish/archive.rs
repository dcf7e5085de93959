//! Groups as they were at a moment, computed from their journals: the same is published of them as was then.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{Group, GroupDefinition, GroupSnapshot, lock};
pub use crate::journal::KeptJournal;
use crate::journal::{Journals, PastSpan, ReplayStep, ReplayedGroup, shown};
use crate::model::capacity::CapacityRules;
use crate::model::time::{Timestamp, WallOffset};

/// How long the last group is kept: a page asks for several parts of it.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The journals, to be looked into. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    journals: Journals,
    turn: Arc<Semaphore>,
    last: Arc<Mutex<Option<LastLook>>>,
}

/// What was computed last.
#[derive(Debug)]
struct LastLook {
    folder: PathBuf,
    at: Timestamp,
    reach: Duration,
    made: Instant,
    group: PastGroup,
}

/// What of the past is asked for.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    /// By the wall clock.
    pub at: Timestamp,
    /// For how long before that the polls are wanted, too.
    pub reach: Duration,
    /// Whether somebody still waits for it. Asked at every event.
    pub is_wanted: &'a dyn Fn() -> bool,
}

/// A group at a moment.
#[derive(Clone, Debug)]
pub struct PastGroup {
    /// As it was.
    pub group: Arc<Group>,
    /// The moment, by the clock of the process that observed it …
    pub now: Timestamp,
    /// … and where the wall clock was.
    pub wall: WallOffset,
    /// Whether it is sure that nothing more happened until then: of the present, the latest may not be written yet.
    pub is_complete: bool,
}

/// Why the past cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// It has not happened yet.
    #[error("{at} is in the future; {range}", at = shown(*at))]
    Future {
        /// What was asked for.
        at: Timestamp,
        /// What there is, in words.
        range: String,
    },
    /// Nothing is kept of it.
    #[error("nothing is kept of {at}; {range}", at = shown(*at))]
    NotKept {
        /// What was asked for.
        at: Timestamp,
        /// What there is, in words.
        range: String,
    },
    /// No journal is of that group.
    #[error("no journal is kept of a group named {0:?}")]
    NoSuchGroup(String),
    /// The file system says no, or what is there is damaged.
    #[error("the journal cannot be read at that moment: {0}")]
    Unreadable(String),
    /// It took too long, or nobody waits for it any more.
    #[error(
        "computing that moment again takes too long; choose one soon after the full hour, or ask for less history"
    )]
    TooLong,
}

impl Archive {
    /// Of these journals.
    pub fn of(journals: Journals) -> Self {
        Self {
            journals,
            turn: Arc::new(Semaphore::new(1)),
            last: Arc::default(),
        }
    }

    /// Waits until nobody else looks: memory and processors are for one at a time.
    ///
    /// # Errors
    /// Never.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.turn).acquire_owned().await
    }

    /// The journals that reach back to `at`, by the wall clock that shows `now`; of the group of that name, where one is asked for. Blocks.
    ///
    /// # Errors
    /// There are none, or `at` is yet to come; says what there is.
    pub fn reaching(
        &self,
        name: Option<&str>,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<KeptJournal>, PastError> {
        let all = self.journals.kept();
        let mut all = all.map_err(|error| PastError::Unreadable(error.to_string()))?;
        if let Some(name) = name {
            all.retain(|kept| kept.name == name);
            if all.is_empty() {
                return Err(PastError::NoSuchGroup(name.to_owned()));
            }
        }
        let range = range(name, &all);
        if at > now {
            return Err(PastError::Future { at, range });
        }
        all.retain(|kept| kept.begins <= at);
        match all.is_empty() {
            true => Err(PastError::NotKept { at, range }),
            false => Ok(all),
        }
    }

    /// The group of that journal as it was. Blocks, for as long as it takes to compute up to an hour and the reach again.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn at(
        &self,
        kept: &KeptJournal,
        definition: GroupDefinition,
        glance: Glance<'_>,
    ) -> Result<PastGroup, PastError> {
        let Glance { at, reach, .. } = glance;
        let is_it =
            |last: &&LastLook| last.folder == kept.folder && last.at == at && last.reach >= reach;
        if let Some(last) = lock(&self.last).as_ref().filter(is_it) {
            return Ok(last.group.clone());
        }
        as_it_was(&kept.folder, definition, glance)
    }

    /// As that, and keeps it for a minute: [`Self::forget`] is to be called then.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn keep(
        &self,
        kept: &KeptJournal,
        definition: GroupDefinition,
        glance: Glance<'_>,
    ) -> Result<PastGroup, PastError> {
        let group = self.at(kept, definition, glance)?;
        *lock(&self.last) = group.is_complete.then(|| LastLook {
            folder: kept.folder.clone(),
            at: glance.at,
            reach: glance.reach,
            made: Instant::now(),
            group: group.clone(),
        });
        Ok(group)
    }

    /// Returns once what is kept now was given up, unless it was asked for again.
    pub async fn forget(&self) {
        tokio::time::sleep(KEPT_FOR).await;
        lock(&self.last).take_if(|last| last.made.elapsed() >= KEPT_FOR);
    }
}

fn as_it_was(
    folder: &Path,
    definition: GroupDefinition,
    glance: Glance<'_>,
) -> Result<PastGroup, PastError> {
    let unreadable = |why: String| PastError::Unreadable(why);
    let span = PastSpan {
        from: glance.at.minus(glance.reach),
        to: glance.at,
    };
    let past = ReplayedGroup::of(folder, None, span).map_err(|error| unreadable(error.to_string()));
    let mut past = past?.ok_or_else(|| unreadable(folder.display().to_string()))?;
    let group = Group::new(definition, CapacityRules::default());
    while let Some(step) = past.next_step() {
        if !(glance.is_wanted)() {
            return Err(PastError::TooLong);
        }
        let (ReplayStep::Happened(wall, happened), Some(state)) = (step, past.state()) else {
            continue;
        };
        let record = happened.record;
        match wall >= span.from {
            true => {
                group.show(state, &record.event);
                group.remember(&record.decided);
            }
            false => group.remember(&record.decided),
        }
    }
    let state = past.state();
    let state = state.ok_or_else(|| unreadable(past.problems.join("; ")))?;
    let wall = state.facts().wall;
    let now = wall.off_the_wall(glance.at);
    let snapshot = GroupSnapshot::of(state, now);
    group.published.send_replace(Arc::new(snapshot));
    if let Some(at) = state.decided_at() {
        group.decided_at.store(at.as_millis(), Ordering::Release);
    }
    let group = Arc::new(group);
    Ok(PastGroup {
        group,
        now,
        wall,
        is_complete: past.is_complete(),
    })
}

/// `the journal of billing goes from … to …`.
fn range(name: Option<&str>, all: &[KeptJournal]) -> String {
    let of = name.map_or_else(
        || "the journals go".to_owned(),
        |name| format!("the journal of {name} goes"),
    );
    let begins = all.iter().map(|kept| kept.begins).min();
    let ends = all.iter().map(|kept| kept.ends).max();
    match begins.zip(ends) {
        Some((begins, ends)) => format!("{of} from {} to {}", shown(begins), shown(ends)),
        None => "the journals are empty".to_owned(),
    }
}
