//! One Kamailio with two scripted nodes, a caller, and a scripted kamari.

use std::sync::Arc;
use std::time::Duration;

use kamari::fallback::{Destination, DestinationUri, Fallback, Settings, Use};
use kamari::telemetry::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::lab::{Kamailio, KamailioVersion, Lab, wait_until};
use super::stand_in::StandIn;

/// The three ways in which the files are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kamailio 6.1, `http_client`.
    Blocking,
    /// Kamailio 6.1, `http_async_client`.
    Async,
    /// Kamailio 5.6, `http_client` (Debian has no `http_async_client` for it).
    Old,
}

/// Everything that a test needs; the lab ends with it.
pub(crate) struct Bench {
    pub(crate) kamari: Option<StandIn>,
    pub(crate) nodes: [Agent; 2],
    pub(crate) caller: Agent,
    pub(crate) kamailio: Kamailio,
    pub(crate) lab: Lab,
}

/// Runs `test` on each kind, one after the other.
pub(crate) fn on_each(test: impl Fn(&mut Bench)) {
    on_each_with(&[], test);
}

/// The same with settings for site.cfg.
pub(crate) fn on_each_with(options: &[&str], test: impl Fn(&mut Bench)) {
    for kind in [Kind::Blocking, Kind::Async, Kind::Old] {
        println!("on {kind:?}");
        test(&mut Bench::new(kind, options));
    }
}

impl Bench {
    pub(crate) fn new(kind: Kind, options: &[&str]) -> Self {
        let lab = Lab::start();
        let nodes = [1, 2].map(|n| Agent::new(lab.node_address(n), 5060, lab.core()));
        let caller = Agent::new(lab.client_address(1), 5061, lab.edge());
        let kamari = StandIn::new(lab.address(0, 2), &[("as1", &nodes[0]), ("as2", &nodes[1])]);
        let mut all = vec!["NODES=1,2", "SITE_NODE_SILENT_MS=700", "SITE_WORLD_SILENT_MS=2000"];
        let version = match kind {
            Kind::Blocking => KamailioVersion::V6_1,
            Kind::Async => {
                all.push("WITH_ASYNC");
                KamailioVersion::V6_1
            }
            Kind::Old => KamailioVersion::V5_6,
        };
        all.extend(options);
        let kamailio = lab.kamailio(version, &all);
        Self { kamari: Some(kamari), nodes, caller, kamailio, lab }
    }

    /// The kamari that is there.
    pub(crate) fn kamari(&self) -> &StandIn {
        self.kamari.as_ref().expect("kamari is there")
    }

    /// kamari, there and answering rightly.
    pub(crate) fn revive(&mut self) {
        let nodes = [("as1", &self.nodes[0]), ("as2", &self.nodes[1])];
        if let Some(kamari) = &self.kamari {
            kamari.routes_to(&nodes);
        } else {
            self.kamari = Some(StandIn::new(self.lab.address(0, 2), &nodes));
        }
    }

    /// The Route headers of a dialog through both sockets, from the edge's side.
    pub(crate) fn own_routes(&self) -> String {
        format!("Route: <sip:{};r2=on;lr>,<sip:{};r2=on;lr>", self.lab.edge(), self.lab.core())
    }

    /// URI and first letter of FLAGS of each destination in set 1, sorted.
    pub(crate) fn dispatcher(&self) -> Vec<(String, char)> {
        let Ok(answer) = self.kamailio.rpc("dispatcher.list", &[]) else { return Vec::new() };
        let mut all = Vec::new();
        for record in answer["result"]["RECORDS"].as_array().into_iter().flatten() {
            for target in record["SET"]["TARGETS"].as_array().into_iter().flatten() {
                let text = |key: &str| target["DEST"][key].as_str().unwrap_or_default().to_owned();
                all.push((text("URI"), text("FLAGS").chars().next().unwrap_or('?')));
            }
        }
        all.sort_unstable();
        all
    }

    /// kamari's real [`Fallback`] against this Kamailio. Called on a blocking thread of a runtime.
    pub(crate) fn keeps_the_dispatcher(&self) {
        let node = |n: u8| format!("sip:{}:5060", self.lab.node_address(n));
        let want = |all: &[(u8, Use)]| -> Vec<Destination> {
            all.iter()
                .map(|(n, used)| Destination {
                    uri: DestinationUri::new(&node(*n)).expect("a SIP address"),
                    used: *used,
                })
                .collect()
        };
        let expect = |what: &str, all: &[(u8, char)]| {
            let expected: Vec<(String, char)> = all.iter().map(|(n, state)| (node(*n), *state)).collect();
            // A node that answers is A; one that nobody plays turns T or I by probing, which is Kamailio's business.
            let same = || {
                let now = self.dispatcher();
                now.len() == expected.len()
                    && now.iter().zip(&expected).all(|(now, then)| now.0 == then.0 && (now.1 == 'D') == (then.1 == 'D'))
            };
            wait_until(what, Duration::from_secs(30), same);
        };
        let settings =
            Settings { rpc: vec![self.kamailio.rpc_url()], interval_s: 1, spacing_ms: 20, ..Settings::default() };
        let (wanted, receiver) = watch::channel(want(&[(1, Use::Active), (3, Use::Disabled), (4, Use::Active)]));
        let metrics = Metrics::new().expect("metrics");
        let fallback = Fallback::new(&settings, &receiver, &Arc::clone(&metrics.fallback)).expect("settings");
        let (status, stop) = (fallback.status(), CancellationToken::new());
        let running = tokio::runtime::Handle::current().spawn(fallback.run(stop.clone()));

        expect("the pool in place of the file", &[(1, 'A'), (3, 'D'), (4, 'A')]);
        wanted.send_replace(want(&[(1, Use::Disabled), (3, Use::Active)]));
        expect("states and removals", &[(1, 'D'), (3, 'A')]);
        assert_eq!(self.kamailio.rpc("dispatcher.add", &["1", &format!("\"{}\"", node(3))]).map(|_| ()), Ok(()));
        expect("one entry where somebody added a second", &[(1, 'D'), (3, 'A')]);
        self.kamailio.kill9();
        wait_until("the loss to be noticed", Duration::from_secs(30), || !status.targets()[0].in_step);
        assert!(status.targets()[0].error.is_some());
        self.kamailio.restart();
        expect("the pool after a restart of Kamailio", &[(1, 'D'), (3, 'A')]);
        wait_until("agreement", Duration::from_secs(30), || status.targets()[0].in_step);
        stop.cancel();
        tokio::runtime::Handle::current().block_on(running).expect("it ends");
    }
}
