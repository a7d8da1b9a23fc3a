//! Who is in the pool: nodes taken in, changed and let go, each with its slot in the balancer and its monitor.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::Instant;

use super::Registry;
use crate::ari::{AriClient, AriTarget};
use crate::balance::Standing;
use crate::pool::event::{Intent, PoolEvent};
use crate::pool::handle::PoolError;
use crate::pool::link::{APPLICATION, NodeLink};
use crate::pool::monitor::Monitor;
use crate::pool::name::NodeName;
use crate::pool::node::Node;
use crate::pool::observer::NodeObserver;
use crate::pool::spec::NodeSpec;
use crate::pool::status::NodeStatus;
use crate::pool::store::Member;

/// Why a node that the operator disabled is down.
pub(super) const DISABLED: &str = "disabled by the operator";

impl Registry {
    pub(super) fn add(&mut self, spec: NodeSpec) -> Result<NodeStatus, PoolError> {
        let name = spec.name.clone();
        if self.nodes.contains_key(&name) {
            return Err(PoolError::Exists(name));
        }
        let declared = self.removed.iter().find(|member| member.spec.name == name).and_then(|one| one.declared.clone());
        self.take_in(Member::added(spec, declared))?;
        self.removed.retain(|member| member.spec.name != name);
        self.set_targets();
        self.say(PoolEvent::NodeAdded { node: name.clone() });
        self.status(&name)
    }

    /// Gives the node its slot and its monitor.
    pub(super) fn take_in(&mut self, member: Member) -> Result<(), PoolError> {
        let name = member.spec.name.clone();
        let capacity = member.spec.capacity.unwrap_or(self.settings.default_capacity);
        // Whatever may be refused is asked before anything changes.
        let client = self.client(&member.spec)?;
        let slot = self.balancer.add(capacity).ok_or(PoolError::Full(self.balance.max_nodes))?;
        let disabled = member.intent == Intent::Disabled;
        let node = Node::new(member, slot, &self.settings, self.pool_metrics.node(name.as_str()));
        self.nodes.insert(name.clone(), node);
        if disabled {
            self.step(&name, |lifecycle| lifecycle.fail(DISABLED));
        } else {
            self.watch(&name, client);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        let status = self.status(name)?;
        self.unwatch(name);
        let Some(node) = self.nodes.remove(name) else { return Err(PoolError::Unknown(name.clone())) };
        if let Some(state) = self.balancer.node_mut(node.slot) {
            state.set_standing(Standing::Withheld, self.routing.epoch.elapsed());
        }
        if let Some(declared) = node.member.declared.clone() {
            self.removed.push(Member { removed: true, spec: declared, ..node.member });
        }
        self.set_targets();
        // Published before the promises are dropped: a lookup must not promise the node anew.
        self.publish();
        self.routing.reservations.forget_node(node.slot);
        self.resting.push((Instant::now(), node.slot));
        self.pool_metrics.forget(name.as_str());
        self.ari_metrics.forget(name.as_str());
        self.say(PoolEvent::NodeRemoved { node: name.clone() });
        let (listener, name) = (Arc::clone(&self.world.listener), name.clone());
        if let Some(task) = self.tasks.remove(&name) {
            // The last word about the node, after its monitor's; the node's next monitor waits for it.
            let farewell = tokio::spawn({
                let name = name.clone();
                async move {
                    if let Err(error) = task.await {
                        tracing::error!(node = %name, %error, "the node's monitor had panicked");
                    }
                    listener.on_removed(&name);
                }
            });
            self.tasks.insert(name, farewell);
        } else {
            listener.on_removed(&name);
        }
        Ok(status)
    }

    /// Gives a node another specification, and watches it anew where that matters. Whether anything changed.
    pub(super) fn change(&mut self, name: &NodeName, spec: NodeSpec) -> Result<bool, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let (slot, former) = (node.slot, node.member.spec.clone());
        if spec.same_as(&former) {
            return Ok(false);
        }
        let client = self.client(&spec)?;
        let capacity = spec.capacity.unwrap_or(self.settings.default_capacity);
        let elsewhere = !NodeSpec { capacity: former.capacity, ..spec.clone() }.same_as(&former);
        let now = self.now();
        if let Some(state) = self.balancer.node_mut(slot) {
            state.set_capacity(capacity);
        }
        let Some(node) = self.nodes.get_mut(name) else { return Err(PoolError::Unknown(name.clone())) };
        node.member.spec = spec;
        let watched = node.monitor.is_some();
        self.set_targets();
        self.say(PoolEvent::NodeChanged { node: name.clone() });
        if elsewhere && watched {
            if let Some(state) = self.balancer.node_mut(slot) {
                state.on_resync(0, now);
            }
            self.step(name, |lifecycle| lifecycle.begin_again("changed by the operator; not checked yet"));
            self.unwatch(name);
            self.watch(name, client);
        }
        Ok(true)
    }

    pub(super) fn client(&self, spec: &NodeSpec) -> Result<(AriClient, Arc<NodeObserver>), PoolError> {
        let username = spec.username.as_deref().unwrap_or(&self.settings.username);
        let password = spec.password.clone().or_else(|| self.settings.password.clone());
        let password = password.unwrap_or_else(|| SecretString::from(String::new()));
        let target = AriTarget::new(&spec.ari, username, password, APPLICATION)?;
        let observer = Arc::new(NodeObserver::new(Arc::clone(&self.ari_metrics), spec.name.as_str()));
        Ok((AriClient::new(target, &self.ari, Arc::clone(&observer) as _)?, observer))
    }

    /// Starts a monitor, in place of the one there is.
    pub(super) fn watch(&mut self, name: &NodeName, (client, observer): (AriClient, Arc<NodeObserver>)) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        self.next_monitor += 1;
        let link = NodeLink::standalone(name.clone(), node.member.spec.sip.clone(), client);
        let (monitor, handle) = Monitor::new(self.next_monitor, link, observer, self.world.clone());
        if let Some(former) = node.monitor.replace(handle) {
            self.monitors.remove(&former.id);
        }
        self.monitors.insert(self.next_monitor, name.clone());
        let predecessor = self.tasks.remove(name);
        self.tasks.insert(name.clone(), tokio::spawn(monitor.run(predecessor)));
    }

    /// Ends the watch over a node that stays in the pool, or is about to leave it.
    pub(super) fn unwatch(&mut self, name: &NodeName) {
        if let Some(handle) = self.nodes.get_mut(name).and_then(|node| node.monitor.take()) {
            self.monitors.remove(&handle.id);
        }
    }
}
