//! Room for partitions: how many there may be in all, and of the groups that one namespace asks for. What has room keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many partitions there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// In all.
    pub partitions: usize,
    /// Of the groups that ScaledObjects of one namespace name inline.
    pub partitions_per_namespace: usize,
}

impl RoomLimits {
    /// As many as there are.
    pub const NONE: Self = Self {
        partitions: usize::MAX,
        partitions_per_namespace: usize::MAX,
    };
}

/// Who has how much of it.
#[derive(Debug)]
pub struct Room(Mutex<RoomTaken>);

#[derive(Debug)]
struct RoomTaken {
    limits: RoomLimits,
    next: u64,
    claims: BTreeMap<u64, Share>,
}

/// What one group has.
#[derive(Clone, Debug, Default)]
struct Share {
    partitions: usize,
    /// Who asks for it; nobody: the configuration, which is counted in all and never refused.
    namespaces: BTreeSet<String>,
}

/// What a namespace wants.
#[derive(Clone, Copy, Debug)]
pub struct RoomWanted<'a> {
    /// Which one.
    pub namespace: &'a str,
    /// So many partitions, …
    pub partitions: usize,
    /// … of this group, if it is there already …
    pub of: Option<&'a Claim>,
}

/// One group's part of the room, given back when this is dropped.
#[derive(Debug)]
pub struct Claim {
    room: Arc<Room>,
    number: u64,
}

/// Why there is no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// In all.
    #[error(
        "no room for {wanted} more partitions: {used} of {allowed} are in use; raise limits.partitions, or name fewer streams"
    )]
    InAll {
        /// Partitions asked for beyond those that the group has.
        wanted: usize,
        /// In use without them.
        used: usize,
        /// The limit.
        allowed: usize,
    },
    /// Of a namespace.
    #[error(
        "no room for {wanted} more partitions in namespace {namespace}: {used} of {allowed} are in use; raise \
         limits.partitions_per_namespace, name fewer streams, or have the group put into the config"
    )]
    OfNamespace {
        /// Which.
        namespace: String,
        /// As above.
        wanted: usize,
        /// As above.
        used: usize,
        /// As above.
        allowed: usize,
    },
}

impl Room {
    /// An empty room.
    pub fn new(limits: RoomLimits) -> Arc<Self> {
        let taken = RoomTaken {
            limits,
            next: 0,
            claims: BTreeMap::new(),
        };
        Arc::new(Self(Mutex::new(taken)))
    }

    /// Changes the limits; what is beyond them stays.
    pub fn limit(&self, limits: RoomLimits) {
        self.lock().limits = limits;
    }

    /// A claim of nothing yet.
    pub fn claim(self: &Arc<Self>) -> Claim {
        let mut taken = self.lock();
        let number = taken.next;
        taken.next += 1;
        taken.claims.insert(number, Share::default());
        Claim {
            room: self.clone(),
            number,
        }
    }

    /// Partitions in use in all, and by namespace.
    pub fn used(&self) -> (usize, BTreeMap<String, usize>) {
        let taken = self.lock();
        let mut by_namespace = BTreeMap::new();
        for share in taken.claims.values() {
            for namespace in &share.namespaces {
                *by_namespace.entry(namespace.clone()).or_default() += share.partitions;
            }
        }
        (taken.used(), by_namespace)
    }

    /// Whether there is room, once what is `freed` is gone. Takes none.
    ///
    /// # Errors
    /// There is not.
    pub fn check(&self, wanted: RoomWanted<'_>, freed: &[&Claim]) -> Result<(), NoRoom> {
        let taken = self.lock();
        let freed: BTreeSet<u64> = freed.iter().map(|claim| claim.number).collect();
        let before = wanted.of.and_then(|of| taken.claims.get(&of.number));
        let before = before.cloned().unwrap_or_default();
        let mut after = before.clone();
        after.namespaces.insert(wanted.namespace.to_owned());
        after.partitions = after.partitions.max(wanted.partitions);
        taken.admit(&before, &after, &freed)
    }

    fn lock(&self) -> MutexGuard<'_, RoomTaken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Has room for so many partitions from now on.
    ///
    /// # Errors
    /// There is none for more than it had, which it keeps.
    pub fn resize(&self, partitions: usize) -> Result<(), NoRoom> {
        let mut taken = self.room.lock();
        let Some(before) = taken.claims.get(&self.number) else {
            // Given back: the group is on its way out.
            return Ok(());
        };
        if before.partitions == partitions {
            return Ok(());
        }
        let after = Share {
            partitions,
            namespaces: before.namespaces.clone(),
        };
        taken.admit(before, &after, &BTreeSet::new())?;
        taken.claims.insert(self.number, after);
        Ok(())
    }

    /// Has these namespaces, and no others, ask for the group, which has at least so many partitions: whether there is room was
    /// checked before.
    pub fn hold_for(&self, namespaces: BTreeSet<String>, partitions: usize) {
        if let Some(share) = self.room.lock().claims.get_mut(&self.number) {
            share.namespaces = namespaces;
            share.partitions = share.partitions.max(partitions);
        }
    }

    /// Gives the room back, although the group is not gone yet.
    pub fn give_back(&self) {
        self.room.lock().claims.remove(&self.number);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl RoomTaken {
    fn used(&self) -> usize {
        self.claims.values().map(|share| share.partitions).sum()
    }

    /// `freed` as if they were gone.
    fn admit(&self, before: &Share, after: &Share, freed: &BTreeSet<u64>) -> Result<(), NoRoom> {
        let stays = |(number, _): &(&u64, &Share)| !freed.contains(number);
        let shares = || self.claims.iter().filter(stays).map(|(_, share)| share);
        for namespace in &after.namespaces {
            let of_before = match before.namespaces.contains(namespace) {
                true => before.partitions,
                false => 0,
            };
            let wanted = after.partitions.saturating_sub(of_before);
            let of_namespace = shares().filter(|share| share.namespaces.contains(namespace));
            let used: usize = of_namespace.map(|share| share.partitions).sum();
            let allowed = self.limits.partitions_per_namespace;
            if wanted > allowed.saturating_sub(used) {
                return Err(NoRoom::OfNamespace {
                    namespace: namespace.clone(),
                    wanted,
                    used,
                    allowed,
                });
            }
        }
        let wanted = after.partitions.saturating_sub(before.partitions);
        let used: usize = shares().map(|share| share.partitions).sum();
        let allowed = self.limits.partitions;
        let is_configured = after.namespaces.is_empty();
        if !is_configured && wanted > allowed.saturating_sub(used) {
            return Err(NoRoom::InAll {
                wanted,
                used,
                allowed,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Arc<Room> {
        Room::new(RoomLimits {
            partitions: 100,
            partitions_per_namespace: 60,
        })
    }

    fn claim(room: &Arc<Room>, namespace: &str, partitions: usize) -> Result<Claim, NoRoom> {
        let claim = room.claim();
        claim.hold_for([namespace.to_owned()].into(), 0);
        claim.resize(partitions)?;
        Ok(claim)
    }

    #[test]
    fn a_namespace_cannot_take_the_room_of_another() {
        let room = room();
        let first = claim(&room, "shop", 60).expect("room");
        let refused = claim(&room, "shop", 1).expect_err("no more");
        let text = refused.to_string();
        assert!(text.contains("namespace shop: 60 of 60"), "{text}");
        let other = claim(&room, "mail", 40).expect("room for another");
        let refused = claim(&room, "news", 1).expect_err("no more in all");
        assert!(
            refused.to_string().contains("limits.partitions,"),
            "{refused}"
        );
        assert_eq!(room.used().0, 100, "what was refused took nothing");
        drop(first);
        assert_eq!(room.used(), (40, [("mail".to_owned(), 40)].into()));
        other.resize(60).expect("grows");
        other.resize(61).expect_err("not beyond its own");
        assert_eq!(room.used().0, 60, "keeps what it had");
    }

    #[test]
    fn a_group_that_two_namespaces_name_counts_for_both_and_once_in_all() {
        let room = room();
        let shared = claim(&room, "shop", 50).expect("room");
        let mail = RoomWanted {
            namespace: "mail",
            partitions: 50,
            of: Some(&shared),
        };
        room.check(mail, &[]).expect("room");
        let other = claim(&room, "mail", 11).expect("room");
        room.check(mail, &[]).expect_err("none left for both");
        room.check(mail, &[&other]).expect("room without the other");
        drop(other);
        shared.hold_for(["shop", "mail"].map(str::to_owned).into(), 0);
        assert_eq!(room.used().0, 50);
        claim(&room, "mail", 11).expect_err("full");
        shared.hold_for(["shop".to_owned()].into(), 0);
        let _mail = claim(&room, "mail", 11).expect("room again");
    }

    #[test]
    fn the_configuration_is_counted_and_never_refused() {
        let room = room();
        let configured = room.claim();
        configured.resize(300).expect("never refused");
        claim(&room, "shop", 1).expect_err("nothing is left");
        room.limit(RoomLimits {
            partitions: 400,
            partitions_per_namespace: 60,
        });
        let _shop = claim(&room, "shop", 1).expect("room");
    }
}
