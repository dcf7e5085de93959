//! A bounded number of places that clients share fairly: who comes when all are taken displaces the oldest of the client that has the
//! most. So a crowd from one place crowds out itself, and whoever is alone stays.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::peer::Peer;

/// The places.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    taken: Mutex<SeatsTaken>,
}

/// Places in the order in which they were taken.
#[derive(Debug, Default)]
struct SeatsTaken {
    next: u64,
    seats: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// One place; free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    of: Arc<Seats>,
    number: u64,
}

impl Seats {
    /// `most` places, at least one.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Mutex::default(),
        }
    }

    /// A place for the client. If there was none, another connection is closed for it.
    pub fn take(self: &Arc<Self>, client: &Peer) -> Seat {
        let mut taken = self.lock();
        if taken.seats.len() >= self.most {
            taken.displace(client.address);
        }
        let number = taken.next;
        taken.next += 1;
        let seat = (client.address, client.closing.clone());
        taken.seats.insert(number, seat);
        Seat {
            of: self.clone(),
            number,
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.lock().seats.len()
    }

    fn lock(&self) -> MutexGuard<'_, SeatsTaken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatsTaken {
    fn displace(&mut self, newcomer: IpAddr) {
        // As if the newcomer sat already: of equals, it makes room itself.
        let mut held = HashMap::from([(newcomer, 1)]);
        for (address, _) in self.seats.values() {
            *held.entry(*address).or_insert(0_usize) += 1;
        }
        let most = held.values().copied().max().unwrap_or_default();
        let has_most = |address: &IpAddr| held.get(address) == Some(&most);
        let of_newcomer = |address: &IpAddr| *address == newcomer && has_most(address);
        let oldest = |is_it: &dyn Fn(&IpAddr) -> bool| {
            let mut seats = self.seats.iter();
            seats.find_map(|(number, (address, _))| is_it(address).then_some(*number))
        };
        let number = oldest(&of_newcomer).or_else(|| oldest(&has_most));
        if let Some((_, closing)) = number.and_then(|number| self.seats.remove(&number)) {
            closing.cancel();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.of.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Peer {
        Peer {
            address: [10, 0, 0, last].into(),
            ..Peer::default()
        }
    }

    #[test]
    fn a_crowd_from_one_place_crowds_out_itself() {
        let seats = Arc::new(Seats::new(3));
        let keda = client(1);
        let _kedas = seats.take(&keda);
        let crowd: Vec<(Peer, Seat)> = (0..50)
            .map(|_| {
                let one = client(2);
                let seat = seats.take(&one);
                (one, seat)
            })
            .collect();
        assert!(!keda.closing.is_cancelled());
        let closed = |(one, _): &&(Peer, Seat)| one.closing.is_cancelled();
        assert_eq!(crowd.iter().filter(closed).count(), 48, "the oldest first");
        assert!(!crowd[49].0.closing.is_cancelled() && !crowd[48].0.closing.is_cancelled());
        let page = client(3);
        let _pages = seats.take(&page);
        assert!(!keda.closing.is_cancelled() && crowd[48].0.closing.is_cancelled());
        assert_eq!(seats.taken(), 3);
        drop(crowd);
        assert_eq!(
            seats.taken(),
            2,
            "of those who were displaced nothing is left"
        );
    }

    #[test]
    fn among_equals_the_newcomer_makes_room_itself_if_it_can() {
        let seats = Arc::new(Seats::new(2));
        let (one, other) = (client(1), client(2));
        let _seats = (seats.take(&one), seats.take(&other));
        let again = client(2);
        let _again = seats.take(&again);
        assert!(other.closing.is_cancelled() && !one.closing.is_cancelled());
        let third = client(3);
        let _third = seats.take(&third);
        assert!(one.closing.is_cancelled(), "the oldest of equals");
    }
}
