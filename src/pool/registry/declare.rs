//! The settings file is read again: the pool becomes what it would be after a restart with that file, and the nodes that
//! stay the same do not notice.

use super::Registry;
use crate::pool::event::PoolEvent;
use crate::pool::handle::PoolError;
use crate::pool::name::NodeName;
use crate::pool::spec::NodeSpec;
use crate::pool::store::{Member, merge};

impl Registry {
    /// Takes `declared` as the file's word. What was said at run time stands unless the file now says something else.
    pub(super) fn declare(&mut self, declared: Vec<NodeSpec>) -> Result<(), PoolError> {
        let (removed, members): (Vec<_>, Vec<_>) =
            merge(declared, self.to_store()).into_iter().partition(|member| member.removed);
        let stays = |name: &NodeName| members.iter().any(|member| member.spec.name == *name);
        let leaving: Vec<NodeName> = self.nodes.keys().filter(|name| !stays(name)).cloned().collect();
        for name in leaving {
            self.remove(&name)?;
        }
        self.removed = removed;
        for member in members {
            self.settle_in(member)?;
        }
        Ok(())
    }

    /// A node as it is to be: added, changed, or left alone.
    fn settle_in(&mut self, member: Member) -> Result<(), PoolError> {
        let name = member.spec.name.clone();
        if !self.nodes.contains_key(&name) {
            self.take_in(member)?;
            self.set_targets();
            self.say(PoolEvent::NodeAdded { node: name });
            return Ok(());
        }
        self.change(&name, member.spec)?;
        if let Some(node) = self.nodes.get_mut(&name) {
            node.member.origin = member.origin;
            node.member.declared = member.declared;
        }
        Ok(())
    }
}
