//! What every whole-call test stands on: nodes, kamari that knows them, and Kamailio that asks kamari.

use crate::lab::{Kamailio, KamailioVersion, Kamari, Lab, Node, wait_until};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a condition may take that needs no more than a few rounds of checks. Generous: a busy machine is slow.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The numbers of both tenants. `other.test` has the same numbers and the same room name as `example.test`.
const TENANTS: &str = r#"
[[tenants]]
name = "example"
domains = ["example.test"]
[tenants.extensions]
"100" = { app = "playback", prompts = ["hello"] }
"101" = { app = "playback", prompts = ["music"] }
"110" = { app = "echo" }
"102" = { app = "music" }
"_2XX" = { app = "conference" }
"300" = { app = "conference", room = "led", pin = "12", moderator_pin = "4711" }
"603" = { app = "reject", sip = 603 }
"_30X" = { app = "dial", to = "user{number}", timeout_s = 20, busy_then = "101" }
"320" = { app = "dial", to = ["user301", "user302"], timeout_s = 20 }
"321" = { app = "dial", to = ["absent", "user302"], strategy = "serial", timeout_s = 20, caller_name = "Front desk" }

[tenants.extensions.130]
app = "queue"
queue = "desk"
agents = ["user301", "user302"]
strategy = "longest_idle"
wrap_up_s = 0
handling_s = 60
announce_every_s = 2

[tenants.extensions.120]
app = "ivr"
menus.main = { prompts = "music", digits = { 1 = { menu = "second" } } }
menus.second = { prompts = "hello", timeout = "join", first_digit_timeout_s = 1, digits = { 5 = { extension = "110" } } }
[tenants.extensions.121]
app = "ivr"
menus.main = { prompts = "music", digits = { 1 = "repeat" } }
hours = { zone = "Europe/Berlin" }
closed_then = "102"

[[tenants]]
name = "other"
domains = ["other.test"]
[tenants.extensions]
"_2XX" = { app = "conference" }
"#;

/// Running servers, ready for calls. The lab comes last, so that it is dropped last.
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) kamari: Kamari,
    pub(crate) kamailio: Kamailio,
    pub(crate) lab: Lab,
}

impl Stage {
    /// `nodes` equal nodes of 100 calls behind a Kamailio of today.
    pub(crate) fn of(nodes: u8) -> Self {
        Self::with(nodes, KamailioVersion::V6_1, &[])
    }

    /// The same behind a Kamailio of this version and with these options of its site include.
    pub(crate) fn with(nodes: u8, version: KamailioVersion, options: &[&str]) -> Self {
        Self::configured(nodes, version, options, |_| TENANTS.to_owned())
    }

    /// The same with these settings (tenants and whatever else) in place of the usual tenants.
    pub(crate) fn configured(
        nodes: u8,
        version: KamailioVersion,
        options: &[&str],
        settings: impl FnOnce(&Lab) -> String,
    ) -> Self {
        let lab = Lab::start();
        let nodes: Vec<Node> = (1..=nodes).map(|n| lab.node(n)).collect();
        let kamailio = lab.kamailio(version, options);
        let declared = nodes.iter().map(|node| node.toml(100)).collect::<String>();
        let fallback = format!("[cdr]\nto = \"file:cdr.jsonl\"\n[fallback]\nrpc = [\"{}\"]\n", kamailio.rpc_url());
        let kamari = lab.kamari(&format!("{fallback}{declared}{}", settings(&lab)));
        let stage = Self { nodes, kamari, kamailio, lab };
        for node in &stage.nodes {
            stage.wait_for_node(&node.name(), "up");
        }
        stage
    }

    /// Waits until kamari says this of the node's availability.
    pub(crate) fn wait_for_node(&self, name: &str, availability: &str) {
        wait_until(&format!("{name} to be {availability}"), SOON, || self.node_field(name, "state") == availability);
    }

    /// One field of a node as the operator API shows it.
    pub(crate) fn node_field(&self, name: &str, field: &str) -> String {
        let node = self.kamari.get(&format!("/v1/nodes/{name}"));
        match &node[field] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The records of calls that kamari has written.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.lab.directory().join("kamari/cdr.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// How many calls kamari serves now.
    pub(crate) fn calls(&self) -> usize {
        self.kamari.get("/v1/calls").as_array().expect("a list of calls").len()
    }

    /// How many rooms are open.
    pub(crate) fn open_rooms(&self) -> usize {
        self.kamari.get("/v1/rooms").as_array().expect("a list of rooms").len()
    }

    /// Value of a metric without labels, or the sum over all of its label sets.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.kamari.get_text("/metrics");
        let samples =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// The end of every test: no call, no reservation, no app task in kamari; no channel and no bridge on any node, nothing that
    /// was recorded on its disk, nothing that it was lent in its cache, and neither there nor in the files that every node has
    /// (`asterisk/`) anything of a tenant.
    pub(crate) fn assert_nothing_left(&self) {
        wait_until("kamari to have no call left", SOON, || self.calls() == 0);
        wait_until("kamari to have no task left", SOON, || self.metric("kamari_call_tasks") == 0.0);
        wait_until("all reservations to be gone", SOON, || self.metric("kamari_node_reservations") == 0.0);
        wait_until("everything to be fetched", SOON, || self.metric("kamari_recordings_pending") == 0.0);
        wait_until("every copy to be forgotten", SOON, || self.metric("kamari_recordings_lent") == 0.0);
        self.lab.assert_nodes_empty();
        for node in &self.nodes {
            let left = recordings_in(&self.lab.directory().join(node.name()));
            assert!(left.is_empty(), "{} has recordings: {left:?}", node.name());
        }
        let words = tenant_words(&self.kamari.get("/v1/tenants"));
        let folders = self.nodes.iter().map(|node| self.lab.directory().join(node.name()));
        for folder in folders.chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("asterisk")]) {
            for word in &words {
                let found = files_with(&folder, word.as_bytes());
                assert!(found.is_empty(), "\"{word}\" of a tenant is in {found:?}");
            }
        }
    }

    /// No node has anything of what was recorded: no recording, no copy in a cache, and on its disk, logs and databases
    /// included, neither a piece of this audio nor any of these words.
    pub(crate) fn assert_no_tenant_data(&self, audio: &[u8], words: &[&str]) {
        for node in &self.nodes {
            let stored = node.ari("GET", "/recordings/stored").expect("a list of recordings");
            assert_eq!(stored, serde_json::json!([]), "{} has recordings", node.name());
            for needle in words.iter().map(|word| word.as_bytes()).chain([audio]) {
                let found = self.files_with(node, needle);
                let shown = String::from_utf8_lossy(&needle[..needle.len().min(20)]).into_owned();
                assert!(found.is_empty(), "{} has {shown:?} in {found:?}", node.name());
            }
        }
    }

    /// The files on a node's disk that contain this.
    pub(crate) fn files_with(&self, node: &Node, needle: &[u8]) -> Vec<PathBuf> {
        files_with(&self.lab.directory().join(node.name()), needle)
    }
}

/// The files below a folder that contain this.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = files_in(folder);
    found.retain(|file| {
        // A file may go while it is looked at.
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window[0] == needle[0] && window == needle)
    });
    found
}

/// What is to be found on no node: names and domains of the tenants, and what they call their numbers, where that is a word
/// and not a few digits or letters that may stand anywhere.
fn tenant_words(tenants: &serde_json::Value) -> Vec<String> {
    let mut words = Vec::new();
    for tenant in tenants.as_array().expect("tenants") {
        let names = tenant["domains"].as_array().expect("domains").iter().chain([&tenant["name"]]);
        words.extend(names.map(|name| name.as_str().expect("a name").to_owned()));
        words.extend(tenant["extensions"].as_object().expect("extensions").keys().cloned());
    }
    words.retain(|word| word.len() >= 6 && word.bytes().any(|byte| byte.is_ascii_alphabetic()));
    words
}

/// Every file below a folder, which is there.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a node's folder").flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// What a node has recorded, by its disk: the node itself is not asked, and need not live.
fn recordings_in(node: &Path) -> Vec<PathBuf> {
    files_in(&node.join("spool/recording"))
}

#[test]
fn a_recording_that_is_left_on_a_node_is_noticed() {
    let node = tempfile::tempdir().expect("a folder");
    let spool = node.path().join("spool/recording");
    std::fs::create_dir_all(spool.join("below")).expect("made");
    assert_eq!(recordings_in(node.path()), Vec::<PathBuf>::new());
    let left = ["kamari-recording-1-0.wav", "below/kamari-recording-2-0.wav"].map(|name| spool.join(name));
    for file in &left {
        std::fs::write(file, b"RIFF").expect("written");
    }
    let mut found = recordings_in(node.path());
    found.sort();
    assert_eq!(found, [left[1].clone(), left[0].clone()]);
}

#[test]
fn a_tenant_that_a_node_knows_is_noticed() {
    let tenants =
        serde_json::json!([{"name": "one", "domains": ["one.test", "*"], "extensions": {"600": {}, "reception": {}}}]);
    assert_eq!(tenant_words(&tenants), ["one.test", "reception"]);
    let node = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(node.path().join("etc")).expect("made");
    assert_eq!(files_with(node.path(), b"one.test"), Vec::<PathBuf>::new());
    std::fs::write(node.path().join("etc/sip.conf"), b"domain = one.test\n").expect("written");
    assert_eq!(files_with(node.path(), b"one.test"), [node.path().join("etc/sip.conf")]);
}
