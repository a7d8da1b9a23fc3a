//! The demonstration, told as a story: real Kamailio, three real Asterisk nodes, kamari and real calls; a fourth node is
//! added while calls run, one is killed, and every step says what happened and is checked.
//!
//! `make demo` runs it and leaves everything up until Enter is pressed; `CI=1 make demo`, and plain `cargo test`, end by
//! themselves: 0 when every step held, 1 and the step's name when one did not.

mod lab;

use lab::{KamailioVersion, Kamari, Lab, Node, Report, wait_until};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const TENANT: &str = r#"
[[tenants]]
name = "example"
domains = ["example.test"]
[tenants.extensions]
"100" = { app = "playback", prompts = ["hello"] }
"101" = { app = "playback", prompts = ["music"] }
"110" = { app = "echo" }
"_2XX" = { app = "conference" }
"#;

/// How long a step may take before the story ends badly.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    // Asked by a test runner for its list, there is one.
    if std::env::args().any(|argument| argument == "--list") {
        println!("demo: test");
        return;
    }
    let stay = std::env::args().any(|argument| argument == "--show") && std::env::var_os("CI").is_none();

    chapter("The cast");
    let lab = Lab::start();
    let nodes: Vec<Node> = (1..=3).map(|n| lab.node(n)).collect();
    for node in &nodes {
        say(&format!(
            "{} is a real Asterisk at {}; its whole dialplan is Stasis(EVERYTHING)",
            node.name(),
            node.address
        ));
    }
    let kamailio = lab.kamailio(KamailioVersion::V6_1, &[]);
    say(&format!("Kamailio listens for phones at {} and for the nodes at {}", kamailio.edge, kamailio.core));
    let kamari = lab.kamari(&configuration(&kamailio.rpc_url(), &nodes));
    say(&format!(
        "kamari answers Kamailio's lookups at {} and the operator at {}",
        kamari.lookup_url(),
        kamari.api_url()
    ));
    for node in &nodes {
        wait_until(&format!("{} to be up", node.name()), PATIENCE, || availability(&kamari, &node.name()) == "up");
    }
    say("all three nodes passed kamari's checks and are up");

    chapter("60 calls to the number 100, ten a second");
    say(
        "SIPp calls; Kamailio asks kamari for the best node; the node asks kamari what to do; the caller hears a chime",
    );
    let report = lab.calls("100").count(60).rate(10.0).until_hung_up().run();
    report.assert_all_answered();
    tell(&report, &nodes);

    chapter("A fourth node, while calls run");
    let running = lab.calls("101").count(300).rate(15.0).hold(Duration::from_secs(2)).start();
    wait_until("calls to flow", PATIENCE, || running.so_far().answered() >= 10);
    let fourth = lab.node(4);
    let added = Instant::now();
    add(&lab, &kamari, &fourth);
    wait_until("the fourth node to carry a call", PATIENCE, || {
        running.so_far().by_node().contains_key(&fourth.address)
    });
    say(&format!(
        "{} answered its first call {:.1} s after `kamari node add`",
        fourth.name(),
        added.elapsed().as_secs_f64()
    ));

    chapter("A node dies, while calls run");
    let victim = &nodes[0];
    victim.kill9();
    let killed_at = now();
    say(&format!("kill -9 of {}", victim.name()));
    wait_until("kamari to call it down", PATIENCE, || availability(&kamari, &victim.name()) == "down");
    say(&format!("kamari took it out of the pool after {:.1} s", now() - killed_at));
    // Callers who talk to the dead node at this moment hang up into the void; nobody need wait for them.
    wait_until("every call to have its answer", PATIENCE, || {
        let so_far = running.so_far();
        so_far.calls.len() == 300 && so_far.calls.iter().all(|call| call.code.is_some())
    });
    let report = running.so_far();
    let lost = report.calls.iter().filter(|call| call.placed_at >= killed_at && call.code != Some(200)).count();
    assert_eq!(lost, 0, "calls placed after the node's death were lost: {:?}", report.codes());
    assert_eq!(report.failed(), 0, "calls were lost: {:?}", report.codes());
    let all: Vec<Node> = nodes.iter().chain([&fourth]).cloned().collect();
    tell(&report, &all);
    let after = report.calls.iter().filter(|call| call.placed_at >= killed_at).count();
    say(&format!("{after} calls were placed after the death, and all of them were answered"));

    chapter("What is left");
    lab.assert_nodes_empty();
    say("no channel and no bridge on any living node: every call was cleaned up");
    say(&format!("the web page: {}/", kamari.api_url()));
    say(&format!("the metrics:  {}/metrics", kamari.api_url()));
    say(&format!("the nodes:    KAMARI_API={} kamari node list", kamari.api_url()));
    if stay && std::io::stdin().is_terminal() {
        say(&format!(
            "a phone may call sip:110@example.test (echo) or sip:200@example.test (a room) by way of {}",
            kamailio.edge
        ));
        say("everything stays up until you press Enter");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a terminal can be read");
    }
    println!("\nEvery step held.\n\n1 passed, 0 failed");
}

fn configuration(rpc: &str, nodes: &[Node]) -> String {
    let declared = nodes.iter().map(|node| node.toml(100)).collect::<String>();
    format!("[fallback]\nrpc = [\"{rpc}\"]\n{declared}{TENANT}")
}

fn add(lab: &Lab, kamari: &Kamari, node: &Node) {
    let (ari, sip) = (format!("http://{}:8088", node.address), node.sip_uri());
    let password = lab.directory().join("ari-password").display().to_string();
    let name = node.name();
    let words = ["node", "add", &name, "--ari", &ari, "--sip", &sip, "--capacity", "100", "--username", "kamari"];
    say(&format!("$ kamari {}", words.join(" ")));
    kamari.cli(&[&words[..], &["--password-file", &password]].concat()).expect("the node is taken");
}

fn availability(kamari: &Kamari, node: &str) -> String {
    kamari.get(&format!("/v1/nodes/{node}"))["state"].as_str().unwrap_or_default().to_owned()
}

fn tell(report: &Report, nodes: &[Node]) {
    say(&format!("{} calls placed, {} answered", report.calls.len(), report.answered()));
    let shares = report.by_node();
    for node in nodes {
        let share = shares.get(&node.address).copied().unwrap_or(0);
        let bar = "#".repeat(share * 50 / report.calls.len().max(1));
        say(&format!("  {:<6} {share:>4}  {bar}", node.name()));
    }
    if let (Some(median), Some(slowest)) = (report.setup_percentile(0.5), report.setup_percentile(1.0)) {
        say(&format!("from INVITE to 200 OK: {:.1} ms in the middle, {:.0} ms at most", ms(median), ms(slowest)));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Seconds since 1970, as the calls' time stamps are.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs_f64()
}

fn chapter(title: &str) {
    println!("\n== {title}");
}

fn say(line: &str) {
    println!("   {line}");
}
