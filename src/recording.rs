//! What arrived, written down per group in the form that `simulate --trace` reads. Never in the way of the polls: observations go
//! through a channel to a thread of its own, and one that finds no room is left out, which costs nothing (positions add up).

mod files;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::types::RecordingConfig;
use crate::model::sample::{PartitionObservation, Sample};
use crate::model::time::{Moment, Timestamp};

use files::RecordingFiles;
use rows::Observation;

/// Observations that may wait for the disk.
const WAITING: usize = 1_024;

/// A group's name and what was seen of it.
type Note = (String, Observation);

/// Where observations are handed in. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Recording {
    notes: SyncSender<Note>,
    failures: Arc<AtomicU64>,
}

impl Recording {
    /// Starts the thread that writes. The receiver hears when that ends.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(config: &RecordingConfig) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let (notes, received) = sync_channel(WAITING);
        let (alive, ended) = oneshot::channel();
        let failures = Arc::new(AtomicU64::new(0));
        let mut files = RecordingFiles::new(config.clone());
        let counted = failures.clone();
        std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || {
                write_all(&received, &mut files, &counted);
                drop(alive);
            })?;
        Ok((Self { notes, failures }, ended))
    }

    /// Hands in what a poll saw of a group. Returns at once.
    pub fn note(&self, group: &str, now: Moment, sample: &Sample) {
        // A full channel: the next observation tells all that this one would have.
        let _ = self
            .notes
            .try_send((group.to_owned(), observe(now, sample)));
    }

    /// Rows that could not be written since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Without a failure for so long, recording works again.
const WORKS_AFTER: Duration = Duration::from_secs(60);

/// When writing last failed. The first failure is logged, and the recovery; not every row in between, nor each time that a disk which is
/// almost full takes a few bytes.
#[derive(Debug, Default)]
struct LastFailure(Option<Timestamp>);

impl LastFailure {
    /// Whether that is worth a line.
    fn is_news(&mut self, at: Timestamp, failed: bool) -> bool {
        match self.0 {
            _ if failed => self.0.replace(at).is_none(),
            Some(last) if at.since(last) >= WORKS_AFTER => self.0.take().is_some(),
            _ => false,
        }
    }
}

fn write_all(notes: &Receiver<Note>, files: &mut RecordingFiles, failures: &AtomicU64) {
    let mut last = LastFailure::default();
    while let Ok((group, observation)) = notes.recv() {
        match files.note(&group, &observation) {
            Ok(false) => {}
            Ok(true) => {
                if last.is_news(observation.at, false) {
                    tracing::info!("recording works again");
                }
            }
            Err(error) => {
                failures.fetch_add(1, Ordering::Relaxed);
                if last.is_news(observation.at, true) {
                    tracing::warn!(
                        group,
                        "arrivals cannot be recorded; everything else continues: {error}"
                    );
                }
            }
        }
    }
}

fn observe(now: Moment, sample: &Sample) -> Observation {
    let log_end = |seen: &PartitionObservation| match seen {
        PartitionObservation::Present(sample) => sample.log_end,
        PartitionObservation::GroupMissing { log_end, .. } => *log_end,
        PartitionObservation::StreamMissing => Some(0),
        PartitionObservation::Failed(_) | PartitionObservation::NotAsked => None,
    };
    let partitions = sample.partitions.iter();
    Observation {
        at: now.at,
        wall: now.wall,
        log_ends: partitions
            .map(|(id, seen)| (id.clone(), log_end(seen)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_and_its_end_once_it_has_stayed_away_for_a_minute() {
        let mut last = LastFailure::default();
        // A disk that is almost full: some rows find room.
        for (second, failed, expect) in [
            (0, false, false),
            (5, true, true),
            (10, false, false),
            (15, true, false),
            (74, false, false),
            (75, false, true),
            (80, false, false),
            (85, true, true),
        ] {
            let at = Timestamp::from_millis(second * 1_000);
            assert_eq!(last.is_news(at, failed), expect, "{second}");
        }
    }
}
