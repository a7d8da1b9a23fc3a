//! All nodes' balancing state in one hand: slots given out and taken back, and the scores to publish.
//!
//! Owned by one task. Lookup threads get the load table (shared, atomic) and the latest `Scores` (immutable) from it.

use super::node::NodeState;
use super::scores::{Record, Scores};
use super::settings::Settings;
use super::table::{LoadTable, Slot};
use std::sync::Arc;
use std::time::Duration;

/// The owner's side of balancing.
#[derive(Debug)]
pub struct Balancer {
    settings: Arc<Settings>,
    table: Arc<LoadTable>,
    nodes: Vec<Option<NodeState>>,
}

impl Balancer {
    /// An empty pool. The settings must have been validated.
    pub fn new(settings: Settings) -> Self {
        let table = Arc::new(LoadTable::new(settings.max_nodes));
        Self { settings: Arc::new(settings), table, nodes: Vec::new() }
    }

    /// The load table, to be shared with the lookup threads.
    pub fn table(&self) -> Arc<LoadTable> {
        Arc::clone(&self.table)
    }

    /// Adds a node of `capacity` calls (at least 1), not yet offered. `None` when `max_nodes` are there already.
    pub fn add(&mut self, capacity: u32) -> Option<Slot> {
        let index = self.nodes.iter().position(Option::is_none).unwrap_or(self.nodes.len());
        if index >= self.table.slots() {
            return None;
        }
        if index == self.nodes.len() {
            self.nodes.push(None);
        }
        let slot = Slot::new(index as u32);
        let state = NodeState::new(slot, capacity.max(1), Arc::clone(&self.table), Arc::clone(&self.settings));
        self.nodes[index] = Some(state);
        Some(slot)
    }

    /// Removes a node and frees its slot. Do this only when scores without the node have been out for longer than a
    /// lookup takes, and its reservations are gone: a late one would count for the slot's next tenant.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(node) = self.nodes.get_mut(slot.index()) {
            *node = None;
            self.table.reset(slot);
        }
    }

    /// One node's state.
    pub fn node(&self, slot: Slot) -> Option<&NodeState> {
        self.nodes.get(slot.index())?.as_ref()
    }

    /// One node's state, to be told what happened.
    pub fn node_mut(&mut self, slot: Slot) -> Option<&mut NodeState> {
        self.nodes.get_mut(slot.index())?.as_mut()
    }

    /// Time passes, for every node: to be called about once a second, followed by `scores`.
    pub fn tick(&mut self, now: Duration) {
        for node in self.nodes.iter_mut().flatten() {
            node.tick(now);
        }
    }

    /// The scores to publish now. Call it after each change of a node's standing, and after each tick.
    pub fn scores(&self, _now: Duration) -> Scores {
        let record = |node: &Option<NodeState>| node.as_ref().map_or(Record::WITHHELD, NodeState::record);
        Scores { records: self.nodes.iter().map(record).collect(), routes: self.settings.routes }
    }
}
