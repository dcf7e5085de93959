//! A disk that hangs at the start.

use super::*;

/// A disk that does not answer for as long as the other end is kept.
struct Hung(Mutex<std::sync::mpsc::Receiver<()>>);

impl StateStore for Hung {
    fn load(&self, _: &GroupKey, _: Moment) -> Result<Option<Loaded>, StateError> {
        let _ = self.0.lock().expect("no panic").recv();
        Ok(None)
    }

    fn set_aside(&self, _: &GroupKey) -> Result<(), StateError> {
        Ok(())
    }

    fn save(&self, _: &GroupKey, _: Moment, _: &Remembered) -> Result<(), StateError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_at_the_start_keeps_a_group_waiting_for_so_long_and_no_longer() {
    let (answers, never) = std::sync::mpsc::channel();
    let keeper = Keeper::new(Box::new(Hung(Mutex::new(never))), Duration::from_secs(300));
    let outlets = Outlets {
        state: Some(Arc::clone(&keeper)),
        ..Outlets::default()
    };
    let polls: Arc<AtomicU32> = Arc::default();
    let source = guarded(Box::new(Faulty(|_| false, Arc::clone(&polls))));
    let collecting = keep_collecting(group(), source, outlets, Clock::start());
    let collecting = tokio::spawn(collecting);
    let mut waited = 0;
    while polls.load(Ordering::Relaxed) == 0 {
        assert!(waited < 30, "not polled");
        waited += 1;
        // Time stands still by itself while a thread is blocked.
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert!((9..=12).contains(&waited), "{waited}");
    assert_eq!(keeper.stats().failures, 1, "it is counted");
    collecting.abort();
    drop(answers);
}
