//! Where the replicas are: in the config. Each address is asked by a task of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::Members;
use super::link::keep_asking;
use crate::clock::Clock;
use crate::model::identity::GroupKey;
use crate::registry::Registry;

/// Between two looks around.
const LOOK: Duration = Duration::from_millis(250);

/// The addresses where replicas should be, as they change; `None`: not known yet.
pub type Addresses = watch::Receiver<Option<BTreeSet<Arc<str>>>>;

impl Members {
    /// Asks all replicas whether they are there, and keeps the view true. Never ends.
    pub async fn keep_watch(
        self: Arc<Self>,
        mut addresses: Addresses,
        registry: Arc<Registry>,
        clock: Clock,
    ) {
        let mut links = JoinSet::new();
        let mut asked: BTreeMap<Arc<str>, AbortHandle> = BTreeMap::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            if let Some(now) = addresses.borrow_and_update().clone() {
                self.discovered(&now);
                asked.retain(|address, link| {
                    let stays = now.contains(address);
                    if !stays {
                        link.abort();
                    }
                    stays
                });
                for address in now {
                    asked.entry(address.clone()).or_insert_with(|| {
                        let (members, registry) = (Arc::clone(&self), Arc::clone(&registry));
                        links.spawn(keep_asking(address, members, registry, clock))
                    });
                }
            }
            loop {
                tokio::select! {
                    _ = look.tick() => self.look_around(&groups(&registry)),
                    changed = addresses.changed() => match changed {
                        Ok(()) => break,
                        // Nobody will say another word about it.
                        Err(_) => loop {
                            look.tick().await;
                            self.look_around(&groups(&registry));
                        },
                    },
                }
                while links.try_join_next().is_some() {}
            }
        }
    }
}

fn groups(registry: &Registry) -> Vec<GroupKey> {
    let groups = registry.groups();
    groups
        .iter()
        .map(|group| group.definition().key.clone())
        .collect()
}
