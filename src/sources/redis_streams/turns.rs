//! Which keys go into which request, in which order: what was left out comes first, and what did not answer is asked in
//! smaller parts, so that a slow key costs itself its turn and no other.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::lean;
use super::range::REQUEST_BYTES;

/// Partitions per request: bounds the memory that the replies take, which hold two message bodies each.
const PARTITIONS_PER_REQUEST: usize = 500;

/// Message bodies per partition in a reply: the first and the last entry.
const BODIES: usize = 2;

/// How the keys of one group fared.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<String, Turn>);

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    read_at: Option<Instant>,
    /// Whether it was not read the last time.
    is_left_out: bool,
    /// Requests in a row that it was in and that were not answered.
    in_vain: u32,
    /// How often the requests that it goes into were halved.
    halvings: u32,
    entry_bytes: usize,
}

impl Turn {
    fn partitions_per_request(self) -> usize {
        (PARTITIONS_PER_REQUEST >> self.halvings).max(1)
    }
}

impl Turns {
    /// Forgets all but these keys, which are in order.
    pub fn keep(&mut self, keys: &[String]) {
        self.0.retain(|key, _| keys.binary_search(key).is_ok());
    }

    /// Whether any of the keys is known to have entries that are large.
    pub fn any_large(&self, keys: &[String]) -> bool {
        keys.iter().any(|key| lean::is_large(self.entry_bytes(key)))
    }

    /// What an entry of the key takes, as far as seen.
    pub fn entry_bytes(&self, key: &str) -> usize {
        self.turn(key).entry_bytes
    }

    /// All keys, request by request; `is_lean` if large entries come without their bodies.
    pub fn requests(&mut self, keys: &[String], is_lean: bool) -> Vec<Vec<String>> {
        let mut turns: Vec<_> = keys.iter().map(|key| (key, self.turn(key))).collect();
        // What stays silent, however small its part, comes last every other time: nothing else is to wait for it.
        let comes_last = |turn: &Turn| turn.in_vain > 0 && turn.in_vain.is_multiple_of(2);
        turns.sort_by_key(|(_, turn)| {
            let last = comes_last(turn);
            (last, Reverse(turn.is_left_out && !last), turn.read_at)
        });
        let mut requests: Vec<Vec<String>> = Vec::new();
        let (mut room, mut bytes) = (0, 0);
        for (key, turn) in turns {
            let size = match is_lean && lean::is_large(turn.entry_bytes) {
                true => 0,
                false => BODIES * turn.entry_bytes,
            };
            let most = turn.partitions_per_request();
            match requests.last_mut() {
                Some(request)
                    if room > 0 && request.len() < most && bytes + size <= REQUEST_BYTES =>
                {
                    room = (room - 1).min(most - request.len() - 1);
                    bytes += size;
                    request.push(key.clone());
                }
                _ => {
                    requests.push(vec![key.clone()]);
                    (room, bytes) = (most - 1, size);
                }
            }
        }
        requests
    }

    /// A key was read, by a request that took that part of the time it had.
    pub fn read(&mut self, key: &str, at: Instant, entry_bytes: usize, took: f64) {
        let before = self.turn(key);
        let halvings = before.halvings.saturating_sub(u32::from(took < 0.25));
        let turn = Turn {
            read_at: Some(at),
            halvings,
            entry_bytes,
            ..Turn::default()
        };
        self.0.insert(key.to_owned(), turn);
    }

    /// These were asked for and did not answer.
    pub fn in_vain(&mut self, keys: &[String]) {
        for key in keys {
            let turn = self.0.entry(key.clone()).or_default();
            turn.is_left_out = true;
            turn.in_vain = turn.in_vain.saturating_add(1);
            turn.halvings = (turn.halvings + 1).min(9);
        }
    }

    /// For these no time was left.
    pub fn not_reached(&mut self, keys: &[String]) {
        for key in keys {
            self.0.entry(key.clone()).or_default().is_left_out = true;
        }
    }

    fn turn(&self, key: &str) -> Turn {
        self.0.get(key).copied().unwrap_or_default()
    }
}

/// Up to when a request may be answered that `others` follow: half of what is left, so that one that hangs leaves time for another.
pub fn share(now: Instant, until: Instant, others: usize) -> Instant {
    let left: Duration = until.saturating_duration_since(now);
    if others == 0 { until } else { now + left / 2 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("k{n:05}")).collect()
    }

    /// A poll with time for `answered` requests that are answered; those with one of the `slow` keys never are.
    fn poll(turns: &mut Turns, keys: &[String], mut answered: usize, slow: &[usize]) {
        let is_slow = |key: &String| slow.iter().any(|n| keys[*n] == *key);
        let mut silent = 0;
        for request in turns.requests(keys, false) {
            if silent == 3 || answered == 0 {
                turns.not_reached(&request);
            } else if request.iter().any(is_slow) {
                silent += 1;
                turns.in_vain(&request);
            } else {
                answered -= 1;
                silent = 0;
                for key in &request {
                    turns.read(key, Instant::now(), 10, 0.1);
                }
            }
        }
    }

    #[test]
    fn requests_hold_as_many_keys_as_fit_their_bytes() {
        let mut turns = Turns::default();
        let keys = keys(1_200);
        let sizes = |turns: &mut Turns| -> Vec<usize> {
            turns.requests(&keys, false).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&mut turns), [500, 500, 200]);
        for key in &keys {
            turns.read(key, Instant::now(), REQUEST_BYTES / 200, 0.1);
        }
        assert_eq!(sizes(&mut turns), [100; 12]);
        turns.read(&keys[0], Instant::now(), 10 * REQUEST_BYTES, 0.1);
        assert_eq!(turns.requests(&keys, false).last().map(Vec::len), Some(1));
    }

    #[test]
    fn what_was_left_out_comes_first_and_in_smaller_parts() {
        let mut turns = Turns::default();
        let keys = keys(1_500);
        for (n, request) in turns.requests(&keys, false).iter().enumerate() {
            match n {
                0 => request
                    .iter()
                    .for_each(|key| turns.read(key, Instant::now(), 10, 0.1)),
                1 => turns.in_vain(request),
                _ => turns.not_reached(request),
            }
        }
        let requests = turns.requests(&keys, false);
        assert_eq!(requests[0][0], keys[500]);
        assert_eq!(requests[0].len(), 250);
        assert_eq!(
            requests.last().map(|last| last[0].clone()),
            Some(keys[0].clone())
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_key_starves_for_slow_ones(count in 1_usize..2_000, slow in prop::collection::vec(0_usize..2_000, 0..3)) {
            let keys = keys(count);
            let slow: Vec<usize> = slow.into_iter().filter(|n| *n < count).collect();
            let mut turns = Turns::default();
            for _ in 0..60 {
                poll(&mut turns, &keys, 6, &slow);
            }
            let seen = Instant::now();
            for _ in 0..12 {
                poll(&mut turns, &keys, 6, &slow);
            }
            for (n, key) in keys.iter().enumerate().filter(|(n, _)| !slow.contains(n)) {
                prop_assert!(turns.turn(key).read_at >= Some(seen), "{n} of {count}, slow {slow:?}");
            }
        }
    }
}
