//! How long a lookup takes when kamari is busy: 20,000 lookups a second over 64 kept connections, beside 200 calls a second
//! that arrive, are answered and hang up. kamari is a process of its own with its default settings; the clients, and the ten
//! fake nodes with their calls, are in this one.
//!
//! Lookups are sent in ticks of 1 ms, 20 in each, without waiting for those before (a tick that comes late is made up for).
//! A lookup's time runs from the moment it is given to its connection until its whole answer is read here. On two cores
//! clients, fake nodes and kamari fight for them, and what a lookup waits for a core, at either end, is in its time: the
//! figure is an upper bound of what kamari takes. Its own view, from the parsed question to the finished answer, is
//! `kamari_lookup_duration_seconds`.

#[path = "../tests/support/fake_node/mod.rs"]
mod fake_node;
mod process;
mod rows;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fake_node::{Behaviour, FakeNode, IncomingCall, PASSWORD, USERNAME};
use process::{Kamari, Result};
use rows::{Goal, Rows};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

const NODES: usize = 10;
const CONNECTIONS: usize = 64;
const LOOKUPS_PER_TICK: usize = 20;
const TICK: Duration = Duration::from_millis(1);
/// How long it is measured, after as long a warm-up.
const MEASURED: Duration = Duration::from_secs(10);
const CALLS_PER_SECOND: usize = 200;
/// How long a call stays.
const CALL: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let nodes = Builder::new_multi_thread().worker_threads(1).on_thread_start(give_way).enable_all().build()?;
    let mut fakes = Vec::new();
    for number in 0..NODES {
        let behaviour = Behaviour { name: format!("n{number}"), play: Duration::from_hours(1), ..Behaviour::default() };
        fakes.push(nodes.block_on(FakeNode::start_with(behaviour)));
    }
    let kamari = Kamari::start(&config(&fakes))?;
    kamari.until("all nodes take calls", || Ok(kamari.metric("kamari_node_eligible")? as usize == NODES))?;
    nodes.spawn(calls(fakes));

    let clients = Builder::new_current_thread().enable_all().build()?;
    ask(&clients, kamari.lookup, "warm-up")?;
    let (started, cpu) = (kamari.metric("kamari_calls_started_total")?, kamari.lookup_cpu()?);
    let began = Instant::now();
    let mut times = ask(&clients, kamari.lookup, "measured")?;
    let seconds = began.elapsed().as_secs_f64();
    let calls = kamari.metric("kamari_calls_started_total")? - started;
    let cpu = kamari.lookup_cpu()?.saturating_sub(cpu);

    times.sort_unstable();
    let quantile = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let mut rows = Rows::new("busy");
    let per_second = times.len() as f64 / seconds;
    rows.add("lookups answered", per_second, "/s", Goal::AtLeast(19_500.0));
    rows.add("calls handled beside them", calls / seconds, "/s", Goal::AtLeast(190.0));
    rows.add("a lookup, p99, the client's share included", quantile(0.99), "ms", Goal::AtMost(1.0));
    rows.add("a lookup, median, the client's share included", quantile(0.5), "ms", Goal::None);
    rows.add("CPU of the lookup thread per lookup", cpu.as_secs_f64() * 1e6 / times.len() as f64, "us", Goal::None);
    rows.write()?;
    Ok(())
}

/// The nodes stand for other machines: they take what kamari and the clients leave of this one.
fn give_way() {
    // On Linux a process of no number is the thread that asks.
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        eprintln!("the nodes' thread does not give way: {error}");
    }
}

fn config(nodes: &[FakeNode]) -> String {
    let mut text = format!(
        r#"
        [pool]
        username = "{USERNAME}"
        password = "{PASSWORD}"
        default_capacity = 100000
        max_reservations = 1000000
        [[tenants]]
        name = "example"
        domains = ["example.test"]
        [tenants.extensions]
        "100" = {{ app = "playback", prompts = ["hello"] }}
        "#
    );
    for (number, node) in nodes.iter().enumerate() {
        let _ = writeln!(
            text,
            "[[nodes]]\nname = \"n{number}\"\nari = \"{}\"\nsip = \"sip:192.0.2.{number}:5060\"",
            node.url()
        );
    }
    text
}

/// Places calls on the nodes in turn, and hangs each up after its time, for as long as the bench runs.
async fn calls(nodes: Vec<FakeNode>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / CALLS_PER_SECOND as u32);
    let mut up: VecDeque<(FakeNode, String)> = VecDeque::new();
    let stay = CALLS_PER_SECOND * CALL.as_millis() as usize / 1_000;
    for (number, node) in nodes.iter().cycle().enumerate() {
        tick.tick().await;
        let call = IncomingCall::to("100", &format!("call-{number}@bench.example.test"));
        if let Ok(channel) = node.call(&call) {
            up.push_back((node.clone(), channel));
        }
        if up.len() > stay
            && let Some((node, channel)) = up.pop_front()
        {
            node.far_end_hangs_up(&channel);
        }
    }
}

/// Asks at the pace for the time; what each lookup took.
fn ask(runtime: &Runtime, server: SocketAddr, run: &'static str) -> Result<Vec<Duration>> {
    runtime.block_on(async {
        let (taken, mut times) = mpsc::unbounded_channel();
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let (send, receive) = mpsc::unbounded_channel();
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream, receive, taken.clone(), format!("{run}-{number}")));
            connections.push(send);
        }
        drop(taken);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut next = connections.iter().cycle();
        for _ in 0..MEASURED.as_millis() / TICK.as_millis() {
            tick.tick().await;
            let now = Instant::now();
            for connection in next.by_ref().take(LOOKUPS_PER_TICK) {
                connection.send(now).map_err(|_| "a connection of the lookup ended")?;
            }
        }
        drop(connections);
        let mut all = Vec::new();
        while let Some(time) = times.recv().await {
            all.push(time?);
        }
        Ok(all)
    })
}

/// One of Kamailio's connections: asks one question after the other, and says how long each took since it was due.
async fn connection(
    mut stream: TcpStream,
    mut due: mpsc::UnboundedReceiver<Instant>,
    taken: mpsc::UnboundedSender<std::io::Result<Duration>>,
    name: String,
) {
    let mut number = 0_u32;
    let (mut request, mut answer) = (String::new(), Vec::with_capacity(2_048));
    while let Some(since) = due.recv().await {
        number += 1;
        request.clear();
        let _ = write!(
            request,
            "GET /v1/route?call_id={name}-{number}%40192.0.2.33&from=sip%3Aalice%40example.test&to=sip%3A600%40example.test&user=600&domain=example.test&src=192.0.2.33 HTTP/1.1\r\nHost: 127.0.0.1:8070\r\nAccept: */*\r\n\r\n"
        );
        let asked = exchange(&mut stream, request.as_bytes(), &mut answer).await;
        if taken.send(asked.map(|()| since.elapsed())).is_err() {
            return;
        }
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<()> {
    stream.write_all(request).await?;
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // A document ends in "}}" and nothing in it but its end does.
        if answer.ends_with(b"}}") {
            let routed = answer.starts_with(b"HTTP/1.1 200") && answer.windows(7).any(|seven| seven == b"dst_uri");
            return if routed {
                Ok(())
            } else {
                Err(std::io::Error::other(String::from_utf8_lossy(answer).into_owned()))
            };
        }
    }
}
