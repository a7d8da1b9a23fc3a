//! One slow node among real ones: kamari against Kamailio's dispatcher by round robin (algorithm 4) and by call load
//! (algorithm 10), with real Asterisk nodes, and the same with equal nodes.
//!
//! Beside a slow node, every node has a share of a processor, by a cgroup, so that the machine itself is never what is short; the
//! slow one has a third of that. Equal nodes have all they want. How many calls a second are too many depends on the machine, so
//! what a call costs a node is measured first, and the rate chosen by it: a third of the calls is [`OVERLOAD`] times the CPU time
//! that the slow node has, and all together need less than half of what all have. Equal nodes get more of them. Each rule gets
//! the same calls at the same rate, in turns, on the same nodes; the calls are run by kamari in all turns, only who chooses the node differs. Calls begin and end
//! by chance: of calls that all last equally long one ends just when another begins, and whoever chooses the least loaded node has
//! that node do both at once. The first seconds of each turn warm up and do not count. A try failed when Kamailio had to turn to
//! another node, or to give the caller up.

#[path = "../tests/lab/mod.rs"]
mod lab;
mod rows;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::{Kamailio, KamailioVersion, Kamari, Lab, Node, wait_until};
use rows::{Goal, Rows};

const NODES: u8 = 3;
/// Of one processor, what each node gets beside a slow one, and what the slow one gets.
const SHARE: f64 = 0.24;
const SLOWED: f64 = 0.08;
/// The same where all are equal: as much as it wants. With less, what is compared is whose calls come in even steps.
const WHOLE: f64 = 1.0;
/// So much of its CPU time, calls that are shared out evenly ask of the slow node. Already more than it can do: its threads come in
/// bursts, with its share used up all of them wait, those with a lock too, and what is sent to it again costs it once more. At 0.85
/// it serves next to nothing, whoever chooses.
const OVERLOAD: f64 = 0.65;
/// Calls a second at which it is looked first what a call costs, and for how long, in seconds.
const FIRST_LOOK: f64 = 30.0;
const LOOK: f64 = 8.0;
/// More calls a second than this, and the machine itself would be short.
const HIGHEST: f64 = 150.0;
/// Calls a second where all nodes are equal. They could do with more; so many make a turn's 99th percentile that of 800 calls.
const EQUAL_RATE: f64 = 100.0;
/// How long a turn is, and how much of its begin does not count, in seconds.
const TURN_SLOWED: f64 = 20.0;
const TURN_EQUAL: f64 = 12.0;
const WARM_UP: f64 = 4.0;
/// Turns of each rule.
const TURNS_SLOWED: usize = 2;
const TURNS_EQUAL: usize = 5;
const EQUAL: &str = "equal nodes";
const SLOW: &str = "one slow node";
/// A caller who was never answered has waited at least this long (SIP's timer B), in milliseconds.
const NEVER: f64 = 32_000.0;
/// Longest that nodes may take to get over a turn, at full speed. One that still has calls then (a caller's last word may have
/// been lost while it was slow) begins anew.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same after that: a node that began anew is eased in.
const LAST_PATIENCE: Duration = Duration::from_mins(1);

/// Who chooses the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Kamari,
    RoundRobin,
    CallLoad,
}

const RULES: [Rule; 3] = [Rule::Kamari, Rule::RoundRobin, Rule::CallLoad];

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::Kamari => "kamari",
            Self::RoundRobin => "round robin",
            Self::CallLoad => "call load",
        }
    }
}

/// The calls of one rule that count.
#[derive(Debug, Default)]
struct Found {
    /// From INVITE to 200, in milliseconds.
    setup_ms: Vec<f64>,
    /// Its 99th percentile in each turn.
    turns_p99: Vec<f64>,
    failed_first: usize,
    /// Calls that the slow node (or the last one, of equals) answered.
    on_slow: usize,
}

struct Stage {
    nodes: Vec<Node>,
    kamailio: Kamailio,
    kamari: Kamari,
    /// Kamailio's own files as they are in the repository: kamari.cfg, routes.cfg.
    files: [String; 2],
    lab: Lab,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stage = Stage::start()?;
    let rate = stage.rate()?;
    let mut rows = Rows::new("slow_node");
    let mut missed = None;
    // Equal nodes first: what was learned of a slow one is remembered for a while.
    for (pool, rate, shares, turns, time) in [
        (EQUAL, EQUAL_RATE, [WHOLE, WHOLE], TURNS_EQUAL, TURN_EQUAL),
        (SLOW, rate, [SHARE, SLOWED], TURNS_SLOWED, TURN_SLOWED),
    ] {
        rows.add(&format!("{pool}: calls placed"), rate, "/s", Goal::None);
        let mut found = RULES.map(|_| Found::default());
        for turn in 0..turns {
            // Each begins in its turn: whoever comes after another may find what that one left.
            for at in (0..RULES.len()).map(|at| (at + turn) % RULES.len()) {
                stage.turn(RULES[at], rate, shares, time, &mut found[at])?;
            }
        }
        tell(&mut rows, pool, &found);
        if pool == SLOW && found[1..].iter().any(|other| other.failed_first == 0) {
            missed =
                Some("one of the other rules had no failed tries: the slow node was not loaded enough to compare them");
        }
    }
    rows.write()?;
    missed.map_or(Ok(()), |missed| Err(missed.into()))
}

impl Stage {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let lab = Lab::start();
        let nodes: Vec<Node> = (1..=NODES).map(|n| lab.node(n)).collect();
        let declared: String = nodes.iter().map(|node| node.toml(100)).collect();
        let kamari = lab.kamari(&format!(
            "{declared}\n[[tenants]]\nname = \"example\"\ndomains = [\"example.test\"]\n[tenants.extensions]\n\"110\" = {{ app = \"echo\" }}\n"
        ));
        let kamailio = lab.kamailio(KamailioVersion::V6_1, &[]);
        let directory = lab.directory().join("kamailio");
        let list: Vec<String> =
            nodes.iter().map(|node| format!("1 {} 0 0 duid={};maxload=10000\n", node.sip_uri(), node.name())).collect();
        fs::write(directory.join("dispatcher.list"), list.concat())?;
        let files =
            [fs::read_to_string(directory.join("kamari.cfg"))?, fs::read_to_string(directory.join("routes.cfg"))?];
        Ok(Self { nodes, kamailio, kamari, files, lab })
    }

    fn slow(&self) -> &Node {
        &self.nodes[self.nodes.len() - 1]
    }

    fn kamailio_file(&self, name: &str) -> PathBuf {
        self.lab.directory().join("kamailio").join(name)
    }

    /// Starts Kamailio anew, with files by which this rule chooses.
    fn choose_by(&self, rule: Rule) -> Result<(), Box<dyn std::error::Error>> {
        let [mut kamari, mut routes] = self.files.clone();
        if rule != Rule::Kamari {
            put(
                &mut kamari,
                "route[KAMARI] {\n",
                "    $ru = \"sip:\" + $rU + \"@\" + $rd;\n    route(KAMARI_FALLBACK);\n",
            )?;
        }
        if rule == Rule::CallLoad {
            let select = "ds_select_dst(\"1\", \"4\", \"5\")";
            if !kamari.contains(select) {
                return Err(format!("kamari.cfg has no {select}").into());
            }
            kamari = kamari.replace(select, "ds_select_dst(\"1\", \"10\", \"5\")");
            put(
                &mut kamari,
                "modparam(\"dispatcher\", \"flags\", 2)\n",
                "modparam(\"dispatcher\", \"ds_hash_size\", 9)\n",
            )?;
            let answered = "    if ($rs >= 200 && $rs < 300) {\n        ds_load_update();\n    }\n";
            put(&mut kamari, "onreply_route[KAMARI_NODE] {\n", answered)?;
            put(&mut kamari, "failure_route[KAMARI_NODE] {\n", "    ds_load_unset();\n")?;
            let ended = "    if (is_method(\"BYE\")) {\n        ds_load_update();\n    }\n";
            put(&mut routes, "route[IN_DIALOG] {\n", ended)?;
        }
        self.kamailio.kill9();
        fs::write(self.kamailio_file("kamari.cfg"), kamari)?;
        fs::write(self.kamailio_file("routes.cfg"), routes)?;
        self.kamailio.restart();
        Ok(())
    }

    /// Calls a second that ask [`OVERLOAD`] times its CPU time of the slow node if each node gets its third. Looked at twice:
    /// the more calls there are, the less each of them costs.
    fn rate(&self) -> Result<f64, Box<dyn std::error::Error>> {
        self.choose_by(Rule::RoundRobin)?;
        self.settle();
        for node in &self.nodes {
            node.limit(SHARE);
        }
        let mut rate = FIRST_LOOK;
        for _ in 0..2 {
            let used = || self.nodes.iter().map(|node| self.lab.cpu(&node.name()).as_secs_f64()).sum::<f64>();
            let (before, count) = (used(), (rate * LOOK) as u32);
            self.lab.calls("110").rate(rate).count(count).scattered().run();
            let cost = (used() - before) / f64::from(count);
            println!("at {rate:.0} calls a second, a call costs its node {:.1} ms", cost * 1e3);
            rate = (OVERLOAD * f64::from(NODES) * SLOWED / cost).min(HIGHEST);
        }
        Ok(rate)
    }

    /// One turn of a rule, from idle nodes to idle nodes.
    fn turn(
        &self,
        rule: Rule,
        rate: f64,
        [each, last]: [f64; 2],
        time: f64,
        found: &mut Found,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.choose_by(rule)?;
        // What the turn before has left is worked off at full speed.
        for node in &self.nodes {
            node.limit(1.0);
        }
        self.settle();
        for node in &self.nodes {
            node.limit(each);
        }
        self.slow().limit(last);
        let logged = self.kamailio.log().len();
        let report = self.lab.calls("110").rate(rate).count((rate * time) as u32).scattered().run();
        let log = self.kamailio.log();
        let failed = failed_tries(log.get(logged..).unwrap_or_default());
        let began = report.calls.first().ok_or("SIPp placed no call")?.placed_at;
        let slow = self.slow().address;
        let counted = report.calls.iter().filter(|call| call.placed_at >= began + WARM_UP);
        let mut turn = Found::default();
        for call in counted {
            let answered = call.code == Some(200);
            let setup = call.setup.filter(|_| answered).map_or(NEVER, |setup| setup.as_secs_f64() * 1_000.0);
            turn.setup_ms.push(setup);
            turn.failed_first += usize::from(!answered || failed.contains(call.call_id.as_str()));
            turn.on_slow += usize::from(call.answered_by == Some(slow));
        }
        if turn.setup_ms.is_empty() {
            return Err(format!("{}: no call came after the warm-up: {}", rule.name(), report.errors).into());
        }
        println!("{}: {} {:?} {:?}", rule.name(), turn.line(), report.codes(), report.by_node());
        found.turns_p99.push(turn.percentile(0.99));
        found.setup_ms.extend(turn.setup_ms);
        found.failed_first += turn.failed_first;
        found.on_slow += turn.on_slow;
        Ok(())
    }

    /// Waits until the nodes are up and have no calls.
    fn settle(&self) {
        let began = Instant::now();
        wait_until("the nodes to be idle", PATIENCE + PATIENCE, || self.is_idle() || began.elapsed() > PATIENCE);
        for node in self.nodes.iter().filter(|node| !self.is_idle_node(node)) {
            node.kill9();
            node.restart();
        }
        wait_until("the nodes to be idle and up", LAST_PATIENCE, || self.is_idle());
    }

    fn is_idle(&self) -> bool {
        self.nodes.iter().all(|node| self.is_idle_node(node))
    }

    fn is_idle_node(&self, node: &Node) -> bool {
        let metrics = self.kamari.get_text("/metrics");
        let shown = |name: &str, value: &str| {
            let series = format!("{name}{{node=\"{}\"}} {value}", node.name());
            metrics.lines().any(|line| line == series)
        };
        shown("kamari_node_calls", "0") && shown("kamari_node_reservations", "0") && shown("kamari_node_up", "1")
    }
}

impl Found {
    fn percentile(&self, share: f64) -> f64 {
        let mut times = self.setup_ms.clone();
        times.sort_unstable_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * share).ceil() as usize]
    }

    /// The 99th percentile of the turn in the middle: one turn that the machine disturbed does not decide.
    fn p99(&self) -> f64 {
        let mut turns = self.turns_p99.clone();
        turns.sort_unstable_by(f64::total_cmp);
        f64::midpoint(turns[(turns.len() - 1) / 2], turns[turns.len() / 2])
    }

    fn per_cent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.setup_ms.len() as f64
    }

    fn line(&self) -> String {
        let (p50, p99) = (self.percentile(0.5), self.percentile(0.99));
        let (failed, slow) = (self.per_cent(self.failed_first), self.per_cent(self.on_slow));
        format!("p50 {p50:.1} ms, p99 {p99:.1} ms, failed first {failed:.1}%, on the slow node {slow:.1}%")
    }
}

/// The figures of one pool.
fn tell(rows: &mut Rows, pool: &str, found: &[Found; 3]) {
    let [kamari, others @ ..] = found;
    let slowed = pool == SLOW;
    for (rule, other) in RULES[1..].iter().zip(others) {
        let name = format!("{pool}: set-up time (p99), kamari against {}", rule.name());
        // Equal nodes serve equally well whoever chooses.
        let goal = Goal::AtMost(if slowed { 1.0 } else { 1.1 });
        rows.add(&name, kamari.p99() / other.p99(), "x", goal);
    }
    let least = others.iter().map(|other| other.per_cent(other.failed_first)).fold(f64::INFINITY, f64::min);
    for (rule, one) in RULES.iter().zip(found) {
        // Rounded down, to be read.
        let goal = if *rule == Rule::Kamari { Goal::AtMost((least * 100.0).floor() / 100.0) } else { Goal::None };
        rows.add(&format!("{pool}: failed first tries, {}", rule.name()), one.per_cent(one.failed_first), "%", goal);
        rows.add(&format!("{pool}: set-up time (median), {}", rule.name()), one.percentile(0.5), "ms", Goal::None);
        rows.add(&format!("{pool}: set-up time (p99), {}", rule.name()), one.p99(), "ms", Goal::None);
        if slowed {
            let name = format!("{pool}: its share of the calls, {}", rule.name());
            rows.add(&name, one.per_cent(one.on_slow), "%", Goal::None);
        }
    }
}

/// Call-IDs of calls that a node failed, by Kamailio's log, whose lines about a message begin with `{N CALL-ID}`.
fn failed_tries(log: &str) -> HashSet<&str> {
    let of_call = |line: &'_ str| -> Option<(usize, usize)> {
        let (from, to) = (line.find('{')?, line.find('}')?);
        let blank = line.get(from..to)?.find(' ')?;
        Some((from + blank + 1, to))
    };
    let failed = log.lines().filter(|line| line.contains("KAMARI ") && line.contains(" failed with "));
    failed.filter_map(|line| of_call(line).and_then(|(from, to)| line.get(from..to))).collect()
}

/// Puts `more` behind the first `line` of a file.
fn put(text: &mut String, line: &str, more: &str) -> Result<(), String> {
    let at = text.find(line).ok_or_else(|| format!("Kamailio's files have no line {line:?}"))? + line.len();
    text.insert_str(at, more);
    Ok(())
}
