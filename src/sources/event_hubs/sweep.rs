//! The log ends of many partitions, side by side, as far as the budget of calls and the time of the poll allow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::hub::Hub;
use super::management::PartitionProperties;
use super::shared::SharedReading;
use crate::model::sample::Failure;

/// Calls under way at once; more would only wait in the broker's queue.
const MOST_IN_FLIGHT: usize = 64;

/// A partition's log end.
#[derive(Clone, Debug)]
pub struct LogEnd {
    /// What it tells is of this moment or later.
    pub asked_at: Instant,
    /// What the broker says.
    pub properties: PartitionProperties,
}

/// What reading partitions brought, by id. A partition that is not in it was not asked.
pub type PartitionReads = BTreeMap<String, Result<LogEnd, Failure>>;

/// Reads partitions, which may be wanted again while it goes on. What failed with the connection is tried once more.
pub struct Sweep<'a> {
    hub: &'a Hub,
    until: Instant,
    /// What is yet to be read, and of which moment at least.
    left: VecDeque<(String, Instant)>,
    under_way: FuturesUnordered<BoxFuture<'static, (String, Result<LogEnd, Failure>)>>,
    retried: BTreeSet<String>,
    read: PartitionReads,
}

impl<'a> Sweep<'a> {
    /// Reads these in that order, each as of that moment or later; calls begin before `until`.
    pub fn new(hub: &'a Hub, wanted: Vec<(String, Instant)>, until: Instant) -> Self {
        Self {
            hub,
            until,
            left: wanted.into(),
            under_way: FuturesUnordered::new(),
            retried: BTreeSet::new(),
            read: PartitionReads::new(),
        }
    }

    /// The next partition that is read; `None` once none is left. May be dropped at any moment and called again.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let wait = self.begin();
            if self.under_way.is_empty() && self.left.is_empty() {
                return None;
            }
            let done = match wait {
                None => self.under_way.next().await,
                Some(wait) => tokio::select! {
                    Some(done) = self.under_way.next() => Some(done),
                    () = tokio::time::sleep_until(wait) => None,
                },
            };
            if let Some((id, result)) = done
                && self.take_in(&id, result)
            {
                return Some(id);
            }
        }
    }

    /// What was read of a partition.
    pub fn log_end(&self, id: &str) -> Option<&LogEnd> {
        self.read.get(id)?.as_ref().ok()
    }

    /// Reads these again, before what else is left: what is known of them is older than `since` and of no use.
    pub fn read_again(&mut self, ids: impl IntoIterator<Item = String>, since: Instant) {
        for id in ids {
            self.read.remove(&id);
            self.left.push_front((id, since));
        }
    }

    /// Everything that was read.
    pub fn read(&self) -> &PartitionReads {
        &self.read
    }

    /// Everything that was read.
    pub fn into_read(self) -> PartitionReads {
        self.read
    }

    /// Begins to read what may begin now; gives the time to wait until for the next, where the budget is what it waits for.
    fn begin(&mut self) -> Option<Instant> {
        while let Some((id, since)) = self.left.front() {
            if Instant::now() >= self.until {
                self.take_what_others_read();
                return None;
            }
            if self.under_way.len() >= MOST_IN_FLIGHT {
                return None;
            }
            match self.hub.log_end(id, *since) {
                Ok(asked) => {
                    let (id, _) = self.left.pop_front()?;
                    self.wait_for(id, asked);
                }
                Err(wait) => return Some((Instant::now() + wait).min(self.until)),
            }
        }
        None
    }

    /// No call begins any more, but other groups may have asked for what is left.
    fn take_what_others_read(&mut self) {
        for (id, since) in std::mem::take(&mut self.left) {
            if let Some(asked) = self.hub.known_log_end(&id, since) {
                self.wait_for(id, asked);
            }
        }
    }

    fn wait_for(&mut self, id: String, asked: SharedReading<PartitionProperties>) {
        self.under_way.push(Box::pin(async move {
            let asked_at = asked.at;
            let log_end = |properties| LogEnd {
                asked_at,
                properties,
            };
            (id, asked.answer().await.map(log_end))
        }));
    }

    /// Notes what came, unless it is to be tried once more.
    fn take_in(&mut self, id: &str, result: Result<LogEnd, Failure>) -> bool {
        let is_outage = result.as_ref().is_err_and(|f| f.kind.is_outage());
        let now = Instant::now();
        if is_outage && now < self.until && self.retried.insert(id.to_owned()) {
            // The failure stands if no second call can be made.
            self.read.insert(id.to_owned(), result);
            self.left.push_back((id.to_owned(), now));
            return false;
        }
        self.read.insert(id.to_owned(), result);
        true
    }
}
