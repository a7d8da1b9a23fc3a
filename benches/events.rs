//! What nodes and calls cost kamari: memory per node and per live call, CPU of polling 1,000 nodes, and events from socket
//! to mailbox. kamari is a process of its own; the 1,000 fake nodes, which speak real ARI, and their calls are in this one.
//!
//! A live call is one of the app `playback`: answered, its prompt playing. The measured event is a key that its caller
//! presses: read from the socket, decoded, found its call, and put into that call's mailbox, where it stays. That none was
//! dropped on the way is checked.
//!
//! `KAMARI_BENCH_NODES` and `KAMARI_BENCH_CALLS` make it smaller, for a look.

#[path = "../tests/support/fake_node/mod.rs"]
mod fake_node;
mod process;
mod rows;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fake_node::{Behaviour, FakeNode, IncomingCall, PASSWORD, USERNAME};
use process::{Kamari, Result};
use rows::{Goal, Rows};
use tokio::runtime::Runtime;

/// Calls that may be on their way to their prompt at once: new ones come as fast as kamari takes them, and no faster.
const UNDER_WAY: usize = 500;
/// Keys that the caller of each call presses: fewer than a mailbox holds.
const KEYS: usize = 5;
/// Longest that all calls may take to be answered.
const PATIENCE: Duration = Duration::from_mins(4);
/// `/proc/self/stat` of a node, as a real one showed it.
const STAT: &str = "40 (asterisk) S 1 40 40 0 -1 4194560 12299 0 39 0 29 6 0 0 20 0 42 0 2951780 1149407232 16491 18446744073709551615 93977916456960 93977919147893 140735766937296 0 0 0 0 4100 21053443 0 0 0 17 1 0 0 0 0 0 93977919931872 93977920120736 93978413121536 140735766940176 140735766940220 140735766940220 140735766941669 0";
/// How long polls are watched.
const WATCHED: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let nodes = size("KAMARI_BENCH_NODES", 1_000)?;
    let calls = size("KAMARI_BENCH_CALLS", 100_000)?;
    let runtime = Runtime::new()?;
    let mut rows = Rows::new("events");

    let empty = Kamari::start(&config(&[]))?.memory_kib()?;
    let fakes = runtime.block_on(start_nodes(nodes));
    let kamari = Kamari::start(&config(&fakes))?;
    kamari.until("all nodes are up", || Ok(kamari.metric("kamari_node_up")? as usize == nodes))?;
    let (idle, polls) = watch(&kamari)?;
    // Of as many polls as it is to make: on a busy machine they begin late, and fewer of them would seem cheap.
    let name = format!("CPU of polling {nodes} nodes each second");
    rows.add(&name, idle / polls * nodes as f64 * 100.0, "% of a core", Goal::AtMost(15.0));
    rows.add("polls of each node per second meanwhile", polls / nodes as f64, "/s", Goal::None);
    let with_nodes = kamari.memory_kib()?;
    rows.add("memory per node", (with_nodes - empty) / nodes as f64, "KiB", Goal::None);

    let before = kamari.cpu()?;
    let channels = runtime.block_on(place(&fakes, calls))?;
    kamari.until("all calls are served", || Ok(kamari.metric("kamari_calls")? as usize == calls))?;
    kamari.until("all calls play", || Ok(playing(&fakes) == calls))?;
    let took = kamari.cpu()?.saturating_sub(before);
    rows.add("CPU of a call's begin, polls included", took.as_secs_f64() * 1e6 / calls as f64, "us", Goal::None);
    rows.add("memory per live call", (kamari.memory_kib()? - with_nodes) / calls as f64, "KiB", Goal::None);
    let (busy, _) = watch(&kamari)?;
    rows.add(&format!("CPU of polling with {calls} live calls"), busy * 100.0, "% of a core", Goal::None);

    let heard = kamari.metric("kamari_ari_events_total")?;
    let (before, began) = (kamari.cpu()?, Instant::now());
    runtime.block_on(press_keys(&fakes, &channels));
    let sent = (KEYS * calls) as f64;
    kamari.until("all keys are heard", || Ok(kamari.metric("kamari_ari_events_total")? >= heard + sent))?;
    let polls = busy * began.elapsed().as_secs_f64();
    let used = kamari.cpu()?.saturating_sub(before).as_secs_f64() - polls;
    for metric in ["kamari_ari_events_dropped_total", "kamari_call_mailbox_overflows_total"] {
        let lost = kamari.metric(metric)?;
        if lost > 0.0 {
            return Err(format!("{metric} is {lost}: what was counted did not all reach its mailbox").into());
        }
    }
    rows.add("events from socket to mailbox, per second of a core", sent / used, "/s", Goal::None);
    rows.write()?;
    Ok(())
}

fn size(variable: &str, usual: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(text) => text.parse().map_err(|_| format!("{variable}: a whole number, found {text:?}").into()),
        Err(_) => Ok(usual),
    }
}

fn config(nodes: &[FakeNode]) -> String {
    let mut text = format!(
        r#"
        [pool]
        username = "{USERNAME}"
        password = "{PASSWORD}"
        default_capacity = 1000
        # The bench's own nodes are slow where they have no core: that is not to cost calls.
        check_timeout_ms = 30000
        [ari]
        request_timeout_ms = 30000
        ping_timeout_ms = 30000
        [[tenants]]
        name = "example"
        domains = ["example.test"]
        [tenants.extensions]
        "100" = {{ app = "playback", prompts = ["hello"] }}
        "#
    );
    for (number, node) in nodes.iter().enumerate() {
        let _ =
            writeln!(text, "[[nodes]]\nname = \"n{number}\"\nari = \"{}\"\nsip = \"sip:192.0.2.1:5060\"", node.url());
    }
    text
}

async fn start_nodes(count: usize) -> Vec<FakeNode> {
    let mut nodes = Vec::with_capacity(count);
    for number in 0..count {
        // Every prompt plays on for longer than the bench runs.
        let behaviour = Behaviour { name: format!("n{number}"), play: Duration::from_hours(1), ..Behaviour::default() };
        let node = FakeNode::start_with(behaviour).await;
        // As a real node, each tells what it uses of its CPU.
        node.set_function("CURL(file:///proc/self/status)", "Name:\tasterisk\nCpus_allowed_list:\t0-3\n");
        node.set_function("CURL(file:///proc/self/stat)", STAT);
        nodes.push(node);
    }
    nodes
}

/// The share of one core that kamari uses while nothing changes, and how many polls a second it ends meanwhile.
fn watch(kamari: &Kamari) -> Result<(f64, f64)> {
    let polls = || kamari.metric("kamari_ari_requests_total{operation=\"asterisk.ping\"");
    let (cpu, polled, began) = (kamari.cpu()?, polls()?, Instant::now());
    std::thread::sleep(WATCHED);
    let (cpu, polled) = (kamari.cpu()?.saturating_sub(cpu), polls()? - polled);
    let seconds = began.elapsed().as_secs_f64();
    Ok((cpu.as_secs_f64() / seconds, polled / seconds))
}

/// Places calls on all nodes in turn. The channels, by node.
async fn place(nodes: &[FakeNode], calls: usize) -> Result<Vec<Vec<String>>> {
    let mut channels = vec![Vec::new(); nodes.len()];
    let began = Instant::now();
    for number in 0..calls {
        while number % 100 == 0 && number > playing(nodes) + UNDER_WAY {
            if began.elapsed() > PATIENCE {
                return Err(
                    format!("only {} of {calls} calls were answered within {PATIENCE:?}", playing(nodes)).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let node = number % nodes.len();
        let call = IncomingCall::to("100", &format!("call-{number}@bench.example.test"));
        let taken = nodes[node].call(&call);
        channels[node].push(taken.map_err(|refused| format!("kamari does not hear node {node}: {refused:?}"))?);
    }
    Ok(channels)
}

/// Calls whose prompt plays.
fn playing(nodes: &[FakeNode]) -> usize {
    nodes.iter().map(|node| node.leftovers().playbacks).sum()
}

async fn press_keys(nodes: &[FakeNode], channels: &[Vec<String>]) {
    for key in ['1', '2', '3', '4', '5'].into_iter().take(KEYS) {
        for (node, channels) in nodes.iter().zip(channels) {
            for channel in channels {
                node.far_end_presses(channel, key);
            }
            // The sockets' tasks, on the same threads, send meanwhile.
            tokio::task::yield_now().await;
        }
    }
}
