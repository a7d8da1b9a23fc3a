//! What the operator orders, and how it is answered: a change is in effect for lookups, then written, then answered.

use super::Registry;
use super::members::DISABLED;
use crate::pool::event::{Intent, PoolEvent};
use crate::pool::handle::{Order, PoolError, Reply};
use crate::pool::name::NodeName;
use crate::pool::node::Node;
use crate::pool::saver::Job;
use crate::pool::spec::NodePatch;
use crate::pool::status::NodeStatus;
use crate::pool::store::{Member, Origin, StoredNode};

impl Registry {
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Add(spec, reply) => {
                let done = self.add(spec);
                self.keep(done, reply);
            }
            Order::Remove(name, reply) => {
                let done = self.remove(&name);
                self.keep(done, reply);
            }
            Order::Patch(name, patch, reply) => {
                let done = self.patch(&name, patch);
                self.keep(done, reply);
            }
            Order::Intent(name, intent, reply) => {
                let done = self.set_intent(&name, intent);
                self.keep(done, reply);
            }
            Order::Declare(specs, reply) => {
                let done = self.declare(specs);
                self.keep(done, reply);
            }
            Order::Get(name, reply) => {
                let _ = reply.send(self.status(&name));
            }
            Order::List(reply) => {
                let (now, scores) = (self.now(), self.scores());
                let status = |node: &Node| node.status(&self.balancer, &scores, now);
                let _ = reply.send(Ok(self.nodes.values().map(status).collect()));
            }
        }
    }

    /// Has the change written, and then answered.
    fn keep<T: Send + 'static>(&mut self, done: Result<T, PoolError>, reply: Reply<T>) {
        // In effect for lookups before anybody hears that it is.
        self.publish();
        match done {
            Ok(answer) => {
                // Who asked may have gone.
                let done = move |written: Result<(), PoolError>| drop(reply.send(written.map(|()| answer)));
                // A saver that has ended drops the reply, which reads as "stopped".
                let _ = self.jobs.send(Job { nodes: self.to_store(), done: Box::new(done) });
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    pub(super) fn to_store(&self) -> Vec<StoredNode> {
        let living = self.nodes.values().map(|node| &node.member);
        living.chain(&self.removed).filter_map(Member::to_store).collect()
    }

    pub(super) fn status(&self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        Ok(node.status(&self.balancer, &self.scores(), self.now()))
    }

    fn patch(&mut self, name: &NodeName, patch: NodePatch) -> Result<NodeStatus, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let spec = node.member.spec.patched(patch)?;
        if self.change(name, spec)?
            && let Some(node) = self.nodes.get_mut(name)
        {
            node.member.origin = Origin::Runtime;
        }
        self.status(name)
    }

    fn set_intent(&mut self, name: &NodeName, intent: Intent) -> Result<NodeStatus, PoolError> {
        let now = self.now();
        let node = self.nodes.get_mut(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let from = std::mem::replace(&mut node.member.intent, intent);
        let slot = node.slot;
        if let Some(monitor) = node.monitor.as_ref().filter(|one| intent == Intent::Active && !one.commands_allowed()) {
            monitor.take_back();
        }
        if from != intent {
            node.drained = false;
            let spec = node.member.spec.clone();
            self.say(PoolEvent::IntentChanged { node: name.clone(), from, to: intent });
            if intent == Intent::Disabled {
                self.unwatch(name);
                // Nobody hears of its calls any more.
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_resync(0, now);
                }
                self.step(name, |lifecycle| lifecycle.fail(DISABLED));
            } else if from == Intent::Disabled {
                let client = self.client(&spec)?;
                self.step(name, |lifecycle| lifecycle.begin_again("enabled by the operator; not checked yet"));
                self.watch(name, client);
            }
            self.offer(name);
        }
        self.status(name)
    }
}
