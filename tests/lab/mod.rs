//! The lab from Rust: real Asterisk nodes, Kamailio, kamari and SIP clients, each by one call from a test.
//!
//! Why it exists: what a call does on real servers is the only proof that the parts fit. `tests/lab/lab`, a script, is
//! the one place that knows how anything is built, started and ended; these types call it and hold what a test needs.
//!
//! Invariants:
//! - A [`Lab`] owns everything that runs in it, through its keeper: when the keeper's standard input closes (drop, panic,
//!   Ctrl-C, `kill -9`) the kernel ends every process of the lab, and its run directory and slot are given back.
//! - Starting something returns when it is ready, found by condition; nothing here sleeps for a fixed time.
//! - Labs share nothing: each has its own addresses, `127.<100 + slot>.x.x`.
//! - A lab whose test panics keeps its logs in `target/lab-logs/` and prints their place.
//!
//! Use: `mod lab;` in an integration test. Methods panic with what the script said when it fails: in a test that is the
//! right end.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "every test binary that says `mod lab;` uses a part of it"
)]

pub mod audio;
mod kamailio;
mod kamari;
mod load;
mod node;
mod phone;
mod script;
mod sipp;

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

pub use kamailio::{Kamailio, KamailioVersion};
pub use kamari::Kamari;
pub use load::Counts;
pub use node::{AsteriskVersion, Node};
pub use phone::{Phone, Received};
pub use script::Script;
pub use sipp::{Calls, PlacedCall, Report, Running};

/// The tenant that labs use, and a second one.
pub const DOMAIN: &str = "example.test";
/// A second tenant.
pub const OTHER_DOMAIN: &str = "other.test";

/// A running lab. Dropping it ends all that runs in it.
pub struct Lab {
    script: Script,
    slot: u8,
    keeper: Child,
    /// The lab lives as long as this is open.
    life: Option<ChildStdin>,
    /// Client address given out last; phones are numbered by tests, from 1 on.
    last_client: AtomicU8,
}

impl Lab {
    /// Begins a lab in a free slot. The first lab on a machine builds the root, which takes a minute.
    pub fn start() -> Self {
        Script::new(None).run_shown(&["root", "forky"]);
        let mut keeper = Script::new(None)
            .command(&["keep"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/lab/lab can be run");
        let life = keeper.stdin.take();
        let mut first = String::new();
        BufReader::new(keeper.stdout.take().expect("stdout is piped"))
            .read_line(&mut first)
            .expect("the keeper speaks");
        let (slot, run) = first.trim().split_once(' ').expect("the keeper prints its slot and run directory");
        Self {
            script: Script::new(Some(PathBuf::from(run))),
            slot: slot.parse().expect("a slot is a number"),
            keeper,
            life,
            last_client: AtomicU8::new(99),
        }
    }

    /// Starts generic node `n` (1 to 254), an Asterisk 22, and returns when ARI and SIP answer.
    pub fn node(&self, n: u8) -> Node {
        self.node_of(AsteriskVersion::V22, n)
    }

    /// Starts generic node `n` of one version of Asterisk.
    pub fn node_of(&self, version: AsteriskVersion, n: u8) -> Node {
        Node::start(&self.script, self.node_address(n), version, n)
    }

    /// Starts Kamailio with this repository's files. `options` are `NAME=VALUE` for settings of site.cfg and `WITH_X`
    /// for its switches.
    pub fn kamailio(&self, version: KamailioVersion, options: &[&str]) -> Kamailio {
        Kamailio::start(&self.script, self.edge(), self.core(), version, options)
    }

    /// Starts `kamari serve` with `config` (TOML) and returns when it says that it is ready. Its two listeners are set
    /// to this lab's addresses by the environment; nodes are named in `config` or added at runtime.
    pub fn kamari(&self, config: &str) -> Kamari {
        Kamari::start(&self.script, self.address(0, 2), config)
    }

    /// Calls by SIPp to `user` at [`DOMAIN`], from a client address of their own.
    pub fn calls(&self, user: &str) -> Calls {
        Calls::new(&self.script, self, user)
    }

    /// A phone (baresip) at client address `n` (1 to 254), that sends and records audio.
    pub fn phone(&self, n: u8) -> phone::Builder {
        phone::Builder::new(&self.script, self.client_address(n), n)
    }

    /// `127.<100 + slot>.third.fourth`.
    pub fn address(&self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 100 + self.slot, third, fourth)
    }

    /// Address of node `n`.
    pub fn node_address(&self, n: u8) -> Ipv4Addr {
        self.address(1, n)
    }

    /// Address of SIP client `n`.
    pub fn client_address(&self, n: u8) -> Ipv4Addr {
        self.address(2, n)
    }

    fn next_client(&self) -> u8 {
        self.last_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Kamailio's socket for the world.
    pub fn edge(&self) -> Ipv4Addr {
        self.address(0, 5)
    }

    /// Kamailio's socket for the nodes: whoever calls from here is Kamailio to them.
    pub fn core(&self) -> Ipv4Addr {
        self.address(0, 6)
    }

    /// The run directory: one directory for each part, and `logs/`.
    pub fn directory(&self) -> &Path {
        self.script.run_directory()
    }

    /// Password of the nodes' ARI user `kamari`.
    pub fn ari_password(&self) -> String {
        std::fs::read_to_string(self.directory().join("ari-password")).expect("written by the keeper").trim().to_owned()
    }

    /// Fails unless every running node comes to hold no channel and no bridge.
    pub fn assert_nodes_empty(&self) {
        self.script.run(&["assert-empty"]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or("lab").replace("::", ".");
            // The output of a failing test is shown: say where to look.
            match self.script.try_run(&["keep-logs", &test]) {
                Ok(place) => println!("lab: logs kept in {}", place.trim()),
                Err(error) => println!("lab: logs not kept: {error}"),
            }
        }
        drop(self.life.take());
        // The keeper ends when nothing of the lab is left.
        let _ = self.keeper.wait();
    }
}

/// Waits until `condition` holds; fails after `limit`, saying `what` was awaited. For conditions in other processes, of
/// which no event tells.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
