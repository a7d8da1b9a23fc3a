//! What the operator did at run time, kept over restarts in one readable JSON file.
//!
//! The configuration file declares nodes; the operator adds, changes, drains and removes them while kamari runs. This
//! file holds only the second. **The newest word wins**: what was said at run time stands over the configuration file,
//! until that file says something else of the node than it said then.
//!
//! Invariant: what [`StateFile`] promises. Only its owner may read it, for it may hold passwords of nodes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::event::Intent;
use super::name::NodeName;
use super::spec::NodeSpec;
use crate::statefile::StateFile;
pub use crate::statefile::StoreError;

/// The file's format. Raise it when an older kamari would misread what is written.
const VERSION: u32 = 1;

/// What is remembered of one node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredNode {
    pub(crate) name: NodeName,
    /// The operator's intent.
    #[serde(default)]
    pub(crate) intent: Intent,
    /// The node as added or changed at run time; absent where the configuration file's word stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spec: Option<NodeSpec>,
    /// Removed at run time, though the configuration file declares it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) removed: bool,
    /// What the configuration file said when the operator said otherwise (without the password).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) declared: Option<NodeSpec>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    nodes: Vec<StoredNode>,
}

/// The state file; without a path, run-time changes end with the process.
#[derive(Debug, Clone)]
pub(crate) struct Store(StateFile);

impl Store {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self(StateFile::new(path, VERSION))
    }

    /// What was remembered; nothing when there is no file yet.
    pub(crate) fn load(&self) -> Result<Vec<StoredNode>, StoreError> {
        Ok(self.0.load::<Document>()?.map(|document| document.nodes).unwrap_or_default())
    }

    /// Remembers `nodes` in place of what was. Blocks on the disk: call it where blocking is allowed.
    pub(crate) fn save(&self, nodes: Vec<StoredNode>) -> Result<(), StoreError> {
        self.0.save(&Document { version: VERSION, nodes })
    }
}

/// Where a node's declaration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration file.
    File,
    /// Added, or changed, at run time.
    Runtime,
}

/// A node of the pool, or the memory of one that was removed.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) spec: NodeSpec,
    pub(crate) intent: Intent,
    pub(crate) origin: Origin,
    /// What the configuration file says of it, if it does.
    pub(crate) declared: Option<NodeSpec>,
    /// Removed at run time; kept only while the configuration file still declares it.
    pub(crate) removed: bool,
}

impl Member {
    /// A node that the operator added at run time.
    pub(crate) fn added(spec: NodeSpec, declared: Option<NodeSpec>) -> Self {
        Self { spec, intent: Intent::Active, origin: Origin::Runtime, declared, removed: false }
    }

    /// What the state file keeps of it: nothing where the configuration file says it all.
    pub(crate) fn to_store(&self) -> Option<StoredNode> {
        let changed = self.origin == Origin::Runtime || self.removed;
        if !changed && self.intent == Intent::Active {
            return None;
        }
        Some(StoredNode {
            name: self.spec.name.clone(),
            intent: self.intent,
            spec: (self.origin == Origin::Runtime && !self.removed).then(|| self.spec.clone()),
            removed: self.removed,
            declared: self.declared.as_ref().filter(|_| changed).map(without_password),
        })
    }
}

fn without_password(spec: &NodeSpec) -> NodeSpec {
    NodeSpec { password: None, ..spec.clone() }
}

/// The pool at start: what the configuration file declares, and what was said at run time, the newest word winning.
/// Order: the file's, then run-time nodes as remembered.
pub(crate) fn merge(declared: Vec<NodeSpec>, stored: Vec<StoredNode>) -> Vec<Member> {
    let mut stored: Vec<Option<StoredNode>> = stored.into_iter().map(Some).collect();
    let mut members: Vec<Member> = Vec::new();
    for file in declared {
        let memory = stored.iter_mut().find(|slot| slot.as_ref().is_some_and(|node| node.name == file.name));
        members.push(recall(file, memory.and_then(Option::take)));
    }
    // A removal whose declaration has gone from the file has nothing left to say.
    for node in stored.into_iter().flatten().filter(|node| !node.removed) {
        if let Some(spec) = node.spec {
            members.push(Member { intent: node.intent, ..Member::added(spec, None) });
        }
    }
    members
}

fn recall(file: NodeSpec, memory: Option<StoredNode>) -> Member {
    let plain = Member {
        spec: file.clone(),
        intent: Intent::Active,
        origin: Origin::File,
        declared: Some(file),
        removed: false,
    };
    let Some(memory) = memory else { return plain };
    let file_unchanged = match (&memory.declared, &plain.declared) {
        (Some(then), Some(now)) => then.same_as(&without_password(now)),
        _ => false,
    };
    match memory.spec {
        _ if memory.removed && file_unchanged => Member { removed: true, ..plain },
        Some(spec) if file_unchanged => Member { spec, intent: memory.intent, origin: Origin::Runtime, ..plain },
        _ if memory.removed => plain,
        _ => Member { intent: memory.intent, ..plain },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Member, Origin, Store, StoreError, merge};
    use crate::pool::event::Intent;
    use crate::pool::spec::{NodeSpec, RawNode};

    fn spec(name: &str, port: u16) -> NodeSpec {
        RawNode {
            name: name.into(),
            ari: format!("http://127.0.0.1:{port}"),
            sip: "sip:127.0.0.1:5060".into(),
            capacity: None,
            username: None,
            password: Some("secret".to_owned().into()),
        }
        .validate()
        .expect("valid")
    }

    /// A restart: what the members leave behind, merged with what the file declares by then.
    fn restart(members: &[Member], declared: Vec<NodeSpec>) -> Vec<Member> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(Some(folder.path().join("deeper/state.json")));
        store.save(members.iter().filter_map(Member::to_store).collect()).expect("saved");
        merge(declared, store.load().expect("loaded"))
    }

    #[test]
    fn runtime_nodes_and_intents_survive() {
        let mut members = merge(vec![spec("a", 1)], vec![]);
        members[0].intent = Intent::Draining;
        members.push(Member::added(spec("b", 2), None));
        let after = restart(&members, vec![spec("a", 1)]);
        assert_eq!(after.len(), 2);
        assert_eq!((after[0].origin, after[0].intent), (Origin::File, Intent::Draining));
        assert_eq!(after[1].origin, Origin::Runtime);
        assert!(after[1].spec.same_as(&spec("b", 2)));
    }

    #[test]
    fn a_removed_file_node_stays_removed_until_the_file_speaks_again() {
        let mut members = merge(vec![spec("a", 1)], vec![]);
        members[0].removed = true;
        let after = restart(&members, vec![spec("a", 1)]);
        assert!(after[0].removed);
        let again = restart(&after, vec![spec("a", 1)]);
        assert!(again[0].removed, "and over a second restart");
        let moved = restart(&again, vec![spec("a", 9)]);
        assert!(!moved[0].removed, "the file now says something else: the newest word");
        let dropped = restart(&again, vec![]);
        assert!(dropped.is_empty());
        assert!(!restart(&dropped, vec![spec("a", 1)])[0].removed, "declared anew");
    }

    #[test]
    fn a_changed_file_node_keeps_the_change_until_the_file_changes() {
        let mut members = merge(vec![spec("a", 1)], vec![]);
        members[0].spec = spec("a", 5);
        members[0].origin = Origin::Runtime;
        let after = restart(&members, vec![spec("a", 1)]);
        assert!(after[0].spec.same_as(&spec("a", 5)));
        let moved = restart(&after, vec![spec("a", 9)]);
        assert!(moved[0].spec.same_as(&spec("a", 9)));
        assert_eq!(moved[0].origin, Origin::File);
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let store = Store::new(Some(path.clone()));
        assert!(store.load().expect("no file yet").is_empty());
        for torn in ["", "{\"version\":1,\"nodes\":[{\"na", "{\"version\":1}", "[]"] {
            fs::write(&path, torn).expect("written");
            let refusal = store.load().expect_err(torn);
            assert!(matches!(refusal, StoreError::Damaged { .. }), "{refusal}");
            assert_eq!(fs::read_to_string(&path).expect("still there"), torn);
        }
        let newer = "{\"version\":2,\"leases\":[]}";
        fs::write(&path, newer).expect("written");
        let refusal = store.load().expect_err("newer").to_string();
        assert!(refusal.contains("version 2") && refusal.contains("state.json"), "{refusal}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), newer);
    }

    #[test]
    fn the_file_is_private_and_a_failed_write_leaves_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let store = Store::new(Some(path.clone()));
        store.save(vec![]).expect("saved");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = fs::read(&path).expect("read");
        fs::create_dir(folder.path().join("state.json.new")).expect("in the way");
        let failure = store.save(vec![]).expect_err("cannot be written");
        assert!(matches!(failure, StoreError::Unwritable { .. }), "{failure}");
        assert_eq!(fs::read(&path).expect("read"), before);
    }
    #[test]
    fn a_place_that_cannot_be_written_is_refused_before_anything_is_lost_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        let refusal = Store::new(Some(file.join("state.json"))).load().expect_err("no folder can be made there");
        assert!(matches!(refusal, StoreError::Unwritable { .. }), "{refusal}");

        let path = folder.path().join("new/state.json");
        assert!(Store::new(Some(path)).load().expect("a folder is made").is_empty());
        let left: Vec<_> = fs::read_dir(folder.path().join("new")).expect("made").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
