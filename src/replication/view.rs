//! Who is there, as one replica sees it at a moment, and what follows for every group.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::transport::Channel;

use super::rank::ranking;
use crate::model::identity::GroupKey;
use crate::model::time::WallOffset;

/// Another replica that answers.
#[derive(Clone, Debug)]
pub struct OtherReplica {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub channel: Channel,
    /// Whether it takes its share of the groups.
    pub is_ready: bool,
    /// By how much this replica's clock is ahead of that one's.
    pub ahead: WallOffset,
}

/// Who is there.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    /// This replica.
    pub me: Arc<str>,
    /// Whether it takes its share of the groups.
    pub is_ready: bool,
    /// The others, by name.
    pub others: BTreeMap<Arc<str>, OtherReplica>,
}

/// What a replica does for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Polls it, decides and answers.
    Owner,
    /// Follows the owner, and takes over from it.
    Standby,
    /// Hands on what it is asked.
    Bystander,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Standby, Self::Bystander];

    /// The word for it, in labels and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Standby => "standby",
            Self::Bystander => "bystander",
        }
    }
}

impl ReplicaView {
    /// Only this replica, which has yet to look for others.
    pub(super) fn of_one(me: &str) -> Self {
        Self {
            me: me.into(),
            is_ready: false,
            others: BTreeMap::new(),
        }
    }

    /// What this replica does for a group; before it takes its share, what it is about to do.
    pub fn role(&self, group: &GroupKey) -> Role {
        let ready = self.ready().filter(|name| **name != *self.me);
        let ranking = ranking(ready.chain([&*self.me]), group);
        let place = ranking.iter().position(|name| **name == *self.me);
        match place {
            Some(0) if self.is_ready => Role::Owner,
            // It comes to lead once it knows what the present owner does.
            Some(0 | 1) => Role::Standby,
            _ => Role::Bystander,
        }
    }

    /// The owner of a group; `None` while nobody is ready.
    pub fn owner(&self, group: &GroupKey) -> Option<&str> {
        ranking(self.ready(), group).first().copied()
    }

    /// The others in the order in which they are likely to lead that group.
    pub fn others_for(&self, group: &GroupKey) -> Vec<OtherReplica> {
        let ranking = ranking(self.others.keys().map(|name| &**name), group);
        let others = ranking.into_iter().filter_map(|name| self.others.get(name));
        let mut others: Vec<OtherReplica> = others.cloned().collect();
        others.sort_by_key(|other| !other.is_ready);
        others
    }

    fn ready(&self) -> impl Iterator<Item = &str> {
        let others = self.others.values().filter(|other| other.is_ready);
        let me = self.is_ready.then_some(&*self.me);
        others.map(|other| &*other.name).chain(me)
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;

    fn view(me: &str, is_ready: bool, others: &[(&str, bool)]) -> ReplicaView {
        let other = |(name, is_ready): &(&str, bool)| {
            let replica = OtherReplica {
                name: (*name).into(),
                channel: Endpoint::from_static("http://127.0.0.1:1").connect_lazy(),
                is_ready: *is_ready,
                ahead: WallOffset::default(),
            };
            (replica.name.clone(), replica)
        };
        ReplicaView {
            me: me.into(),
            is_ready,
            others: others.iter().map(other).collect(),
        }
    }

    fn group(n: u32) -> GroupKey {
        GroupKey {
            source: "main".into(),
            stream: format!("orders:{n}"),
            consumer_group: "billing".into(),
        }
    }

    #[tokio::test]
    async fn replicas_that_see_each_other_agree_on_one_owner_and_one_standby() {
        let (a, b, c) = (
            view("a", true, &[("b", true), ("c", true)]),
            view("b", true, &[("a", true), ("c", true)]),
            view("c", true, &[("a", true), ("b", true)]),
        );
        for n in 0..50 {
            let group = group(n);
            let roles = [&a, &b, &c].map(|view| view.role(&group));
            for role in Role::ALL {
                assert_eq!(roles.iter().filter(|it| **it == role).count(), 1);
            }
            let owners = [&a, &b, &c].map(|view| view.owner(&group));
            assert!(owners[0].is_some());
            assert!(owners.iter().all(|owner| *owner == owners[0]));
        }
    }

    #[tokio::test]
    async fn who_joins_leads_nothing_and_is_asked_nothing_before_it_is_ready() {
        let joining = view("c", false, &[("a", true), ("b", true)]);
        let present = view("a", true, &[("b", true), ("c", false)]);
        for n in 0..50 {
            let group = group(n);
            assert_ne!(joining.role(&group), Role::Owner);
            assert_eq!(joining.owner(&group), present.owner(&group));
            assert_ne!(present.owner(&group), Some("c"));
            let asked = present.others_for(&group);
            assert_eq!([&*asked[0].name, &*asked[1].name], ["b", "c"]);
        }
    }
}
