//! Which of a source's servers has which keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection::RedisConnection;
use super::failure;
use super::slots::{SlotMap, slot_of};
use crate::model::sample::Failure;

/// What a poll reads from: a server, or the primaries of a cluster.
#[derive(Clone)]
pub struct ServerLayout {
    nodes: Vec<Arc<RedisConnection>>,
    /// Indices of nodes; `None` where one server has every key.
    slots: Option<SlotMap<usize>>,
}

impl ServerLayout {
    /// One server that has every key.
    pub fn one(server: RedisConnection) -> Self {
        Self {
            nodes: vec![Arc::new(server)],
            slots: None,
        }
    }

    /// Nodes of a cluster, at least one, and which of them has which slots.
    pub const fn cluster(nodes: Vec<Arc<RedisConnection>>, slots: SlotMap<usize>) -> Self {
        Self {
            nodes,
            slots: Some(slots),
        }
    }

    /// Whether the same connections have the same slots.
    pub fn is_like(&self, other: &Self) -> bool {
        let (nodes, others) = (self.nodes.iter(), other.nodes.iter());
        let are_same = |(one, other): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(one, other);
        self.nodes.len() == other.nodes.len()
            && nodes.zip(others).all(are_same)
            && self.slots == other.slots
    }

    /// All nodes, in the order of their addresses.
    pub fn nodes(&self) -> &[Arc<RedisConnection>] {
        &self.nodes
    }

    /// Whether they are nodes of a cluster.
    pub const fn is_of_cluster(&self) -> bool {
        self.slots.is_some()
    }

    /// Whether every key is on one of the nodes.
    pub fn is_whole(&self) -> bool {
        self.slots.as_ref().is_none_or(SlotMap::is_whole)
    }

    /// Which of the nodes has the key; `None` if none has.
    pub fn node_of(&self, key: &str) -> Option<usize> {
        self.slots
            .as_ref()
            .map_or(Some(0), |slots| slots.owner(slot_of(key)).copied())
    }

    /// The connection to the node that has the slot.
    ///
    /// # Errors
    /// None has it.
    pub fn of_slot(&self, slot: u16) -> Result<&RedisConnection, Failure> {
        let node = self
            .slots
            .as_ref()
            .map_or(Some(&0), |slots| slots.owner(slot));
        let uncovered = || failure::is_uncovered(self.nodes[0].address());
        node.map(|node| self.nodes[*node].as_ref())
            .ok_or_else(uncovered)
    }

    /// The keys by node, and those that no node has.
    pub fn split<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> (BTreeMap<usize, Vec<K>>, Vec<K>) {
        let (mut split, mut uncovered) = (BTreeMap::<usize, Vec<K>>::new(), Vec::new());
        for key in keys {
            match self.node_of(key.as_ref()) {
                Some(node) => split.entry(node).or_default().push(key),
                None => uncovered.push(key),
            }
        }
        (split, uncovered)
    }
}
