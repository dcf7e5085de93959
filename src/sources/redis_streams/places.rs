//! How much is asked of a server at a time, and whose turn is next: the poll that will have asked for the least. Requests on one connection
//! are answered in order, so without this a group of one stream waits for all that the groups of others ask at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How much is under way at a time, in commands and entries: hundreds of small groups over a slow line, or two large requests, of which the
/// server answers one while the other is read here.
const UNDER_WAY: usize = 4_000;

/// No request counts for more.
const MOST: usize = UNDER_WAY / 2;

/// Bytes that count as much as a command does.
const BYTES: usize = 2 << 10;

/// What a request weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(usize);

impl Weight {
    /// So many commands or entries, and bytes that they bring beside.
    pub fn new(commands: usize, bytes: usize) -> Self {
        Self((commands + bytes / BYTES).clamp(1, MOST))
    }
}

/// What a poll asked for so far, by weight.
#[derive(Debug, Default)]
pub struct AskedSoFar(AtomicUsize);

/// What may be under way on one connection.
#[derive(Debug)]
pub struct RequestPlaces(Mutex<PlaceQueue>);

#[derive(Debug)]
struct PlaceQueue {
    free: usize,
    came: u64,
    waiting: BTreeMap<QueueNumber, QueuedRequest>,
}

/// What the poll will have asked for, then who came first.
type QueueNumber = (usize, u64);

#[derive(Debug)]
struct QueuedRequest {
    weight: Weight,
    calls: oneshot::Sender<HeldPlace>,
}

/// Room for a request, until this is dropped.
#[derive(Debug)]
pub struct HeldPlace {
    of: Arc<RequestPlaces>,
    weight: Weight,
}

impl RequestPlaces {
    /// Nothing is under way.
    pub fn new() -> Arc<Self> {
        let queue = PlaceQueue {
            free: UNDER_WAY,
            came: 0,
            waiting: BTreeMap::new(),
        };
        Arc::new(Self(Mutex::new(queue)))
    }

    /// Waits until a request of that weight may be made, by a poll that asked for so much before it.
    pub async fn take(self: &Arc<Self>, weight: Weight, asked: &AskedSoFar) -> HeldPlace {
        let (calls, called) = oneshot::channel();
        let number = {
            let mut queue = self.queue();
            queue.came += 1;
            let before = asked.0.fetch_add(weight.0, Ordering::Relaxed);
            let number = (before + weight.0, queue.came);
            queue
                .waiting
                .insert(number, QueuedRequest { weight, calls });
            number
        };
        let leaves = Leaves { of: self, number };
        self.call();
        match called.await {
            Ok(place) => {
                drop(leaves);
                place
            }
            // Never: it leaves only when this is dropped.
            Err(_) => std::future::pending().await,
        }
    }

    /// Lets in who is next, as many as there is room for.
    fn call(self: &Arc<Self>) {
        while let Some(next) = self.next() {
            let place = HeldPlace {
                of: Arc::clone(self),
                weight: next.weight,
            };
            // Who has just given up hands it on.
            drop(next.calls.send(place));
        }
    }

    fn next(&self) -> Option<QueuedRequest> {
        let mut queue = self.queue();
        let next = queue.waiting.first_entry()?;
        let Weight(weight) = next.get().weight;
        let next = (weight <= queue.free).then(|| queue.waiting.pop_first())??;
        queue.free -= weight;
        Some(next.1)
    }

    fn queue(&self) -> MutexGuard<'_, PlaceQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.of.queue().free += self.weight.0;
        self.of.call();
    }
}

/// Gives up waiting when dropped.
struct Leaves<'p> {
    of: &'p Arc<RequestPlaces>,
    number: QueueNumber,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let left = self.of.queue().waiting.remove(&self.number);
        if left.is_some() {
            // Who came after may need less room.
            self.of.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;

    use super::*;

    fn asked(before: usize) -> AskedSoFar {
        AskedSoFar(AtomicUsize::new(before))
    }

    type Waits<'w> = Pin<Box<dyn Future<Output = HeldPlace> + 'w>>;

    /// Those who are let in, by their names.
    fn let_in(waiting: &mut Vec<(&'static str, Waits<'_>)>) -> (Vec<&'static str>, Vec<HeldPlace>) {
        let (mut names, mut places) = (Vec::new(), Vec::new());
        waiting.retain_mut(|(name, waits)| match waits.as_mut().now_or_never() {
            Some(place) => {
                names.push(*name);
                places.push(place);
                false
            }
            None => true,
        });
        (names, places)
    }

    #[tokio::test]
    async fn who_asks_for_the_least_is_next_and_nobody_waits_while_there_is_room() {
        let places = RequestPlaces::new();
        let large = Weight::new(100_000, 0);
        let [first_asked, none, some, much] = [0, 0, 1, 10 * MOST].map(asked);
        let first = places
            .take(large, &first_asked)
            .now_or_never()
            .expect("room");
        let second = places.take(large, &much).now_or_never().expect("room");
        let mut waiting: Vec<(&str, Waits<'_>)> = vec![
            ("much", Box::pin(places.take(large, &much))),
            ("some", Box::pin(places.take(large, &some))),
            ("small", Box::pin(places.take(Weight::new(1, 0), &none))),
        ];
        assert!(let_in(&mut waiting).0.is_empty());
        drop(first);
        // What is left then is not enough for a large one.
        let (names, small) = let_in(&mut waiting);
        assert_eq!(names, ["small"]);
        drop(small);
        let (names, _some) = let_in(&mut waiting);
        assert_eq!(names, ["some"]);
        drop(second);
        let (names, _much) = let_in(&mut waiting);
        assert_eq!(names, ["much"]);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_room_to_others() {
        let places = RequestPlaces::new();
        let large = Weight::new(MOST, 0);
        let none = asked(0);
        let held = [
            places.take(large, &none).now_or_never().expect("room"),
            places.take(large, &none).now_or_never().expect("room"),
        ];
        assert!(places.take(large, &none).now_or_never().is_none());
        let mut gives_up = Box::pin(places.take(large, &none));
        assert!((&mut gives_up).now_or_never().is_none());
        drop(held);
        // Called, and dropped before it knew.
        drop(gives_up);
        assert_eq!(places.queue().free, UNDER_WAY);
        assert!(places.queue().waiting.is_empty());
    }
}
