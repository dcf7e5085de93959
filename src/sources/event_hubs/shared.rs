//! Readings that several consumer groups want: whoever comes first asks, the others take part.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use crate::model::sample::{Failure, FailureKind};

/// The last reading of each thing, on its way or there.
pub struct SharedReadings<K, T: Clone>(Mutex<BTreeMap<K, SharedReading<T>>>);

/// A reading that was asked for, as often as it is wanted.
#[derive(Clone)]
pub struct SharedReading<T: Clone> {
    /// What it tells is of this moment or later.
    pub at: Instant,
    answer: Shared<BoxFuture<'static, Result<T, Failure>>>,
}

impl<T: Clone> SharedReading<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// It failed.
    pub async fn answer(self) -> Result<T, Failure> {
        self.answer.await
    }

    /// Whether it has failed already; looks itself, for nobody may have waited for it.
    fn has_failed(&self) -> bool {
        let answer = self.answer.clone().now_or_never();
        answer.is_some_and(|answer| answer.is_err())
    }
}

impl<K, T: Clone> Default for SharedReadings<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, T: Clone + Send + Sync + 'static> SharedReadings<K, T> {
    /// The last reading, if it was asked for at `since` or later and has not failed.
    pub fn find<Q>(&self, key: &Q, since: Instant) -> Option<SharedReading<T>>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let asked = self.map().get(key).cloned();
        asked.filter(|asked| asked.at >= since && !asked.has_failed())
    }

    /// Has it asked now, by a task of its own: whoever goes away takes nothing from the others.
    pub fn ask<F>(&self, key: K, asking: F) -> SharedReading<T>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let at = Instant::now();
        let task = tokio::spawn(asking);
        let gone = |_| {
            let text = "a call to the event hub was canceled";
            Err(Failure::new(FailureKind::Unreachable, text))
        };
        let answer = async move { task.await.unwrap_or_else(gone) };
        let answer = answer.boxed().shared();
        let asked = SharedReading { at, answer };
        self.map().insert(key, asked.clone());
        asked
    }

    /// Has everything asked again.
    pub fn forget(&self) {
        self.map().clear();
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<K, SharedReading<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asked_may_go_away_and_the_others_still_get_the_answer() {
        let readings = SharedReadings::<u8, u8>::default();
        let started = Instant::now();
        let slow = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(7)
        };
        drop(readings.ask(1, slow));
        let joined = readings.find(&1, started).expect("on its way");
        assert_eq!(joined.answer().await, Ok(7));
        let known = readings.find(&1, started).expect("there");
        assert_eq!((known.at, known.answer().await), (started, Ok(7)));
        assert!(readings.find(&2, started).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_or_failed_is_not_found() {
        let readings = SharedReadings::<u8, u8>::default();
        let asked = readings.ask(1, async { Ok(7) });
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(readings.find(&1, Instant::now()).is_none(), "too old");
        let failing = readings.ask(1, async {
            Err(Failure::new(FailureKind::Unreachable, "no"))
        });
        assert!(failing.clone().answer().await.is_err());
        assert!(readings.find(&1, failing.at).is_none(), "failed");
        assert_eq!(
            asked.answer().await,
            Ok(7),
            "who holds the older one has it"
        );
    }
}
