//! What a lookup costs: CPU of the serving thread per request, beside a bare hyper `service_fn` that returns a constant
//! body of the same size. Both in one run, in turns, over 64 kept connections, at 10, 200 and 1,000 nodes, each pool in a process
//! of its own.
//!
//! CPU is read from the kernel's run-time clock of the thread (`schedstat`, in ns), so that the clients, which share the
//! machine, do not count. What matters is the ratio; the microseconds are this machine's.

mod rows;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io, thread};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kamari::balance::{Balancer, Settings as BalanceSettings, Standing};
use kamari::lookup::{Server, Settings};
use kamari::pool::{NodeName, Routing, SipUri, StandaloneNotes, Target};
use kamari::telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use rows::{Goal, Rows};

const CONNECTIONS: usize = 64;
/// Requests of one turn, over all connections.
const TURN: usize = 16_000;
/// Turns of each server; the first warms up and does not count.
const TURNS: usize = 5;
/// Says that one pool alone is to be measured, and of how many nodes.
const ONE_POOL: &str = "--one-pool";
/// How often the registry takes what lookups have noted.
const REGISTRY_TICK: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(nodes) = std::env::args().skip_while(|word| word != ONE_POOL).nth(1) {
        let [bare, lookup] = measure(nodes.parse()?)?;
        println!("{bare} {lookup}");
        return Ok(());
    }
    let mut rows = Rows::new("lookup");
    let mut ratios = Vec::new();
    for nodes in [10, 200, 1_000] {
        let [bare, lookup] = in_a_process_of_its_own(nodes)?;
        let ratio = lookup / bare;
        ratios.push(ratio);
        rows.add(&format!("CPU of a lookup against bare hyper, {nodes} nodes"), ratio, "x", Goal::AtMost(1.2));
        rows.add(&format!("CPU of a lookup, {nodes} nodes"), lookup, "us", Goal::None);
    }
    // Of the ratios, so that what the machine did meanwhile falls out.
    if let [few, .., many] = ratios[..] {
        rows.add("the same, 1,000 nodes against 10", many / few, "x", Goal::AtMost(1.1));
    }
    rows.write()?;
    Ok(())
}

/// The memory that one pool and its calls leave behind is not for the next to stumble over.
fn in_a_process_of_its_own(nodes: usize) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args([ONE_POOL, &nodes.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let costs: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    costs.try_into().map_err(|costs| format!("{nodes} nodes: {costs:?}, {}", output.status).into())
}

/// CPU per request of the bare server and of the lookup, in microseconds.
fn measure(nodes: usize) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let (routing, taken) = pool(nodes)?;
    let registry = Registry::start(taken);
    let settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Settings::default() };
    let server = Server::bind(&settings)?;
    let lookup = server.address();
    let running = server.start(&Arc::new(routing), &Metrics::new()?.lookup)?;
    let size = body_size(lookup)?;
    let bare_name = format!("bare-{nodes}");
    let bare = serve_bare(&bare_name, size)?;
    // Answered once, its thread has its name.
    assert_eq!(body_size(bare)?, size, "both answer in the same size");
    let mut spent = [0; 2];
    for turn in 0..TURNS {
        let bare_turn = cpu_of(&bare_name, || ask(bare, turn))?;
        let lookup_turn = cpu_of("lookup-0", || ask(lookup, turn))?;
        assert!(registry.noted() >= (turn + 1) * TURN, "every call was chosen for anew");
        if turn > 0 {
            spent[0] += bare_turn;
            spent[1] += lookup_turn;
        }
    }
    running.stop();
    Ok(spent.map(|ns: u64| ns as f64 / 1_000.0 / ((TURNS - 1) * TURN) as f64))
}

/// A pool of nodes that are up and fresh for as long as the bench takes, with room for every call of it.
fn pool(nodes: usize) -> Result<(Routing, StandaloneNotes), kamari::invalid::Invalid> {
    let mut balancer = Balancer::new(BalanceSettings { stale_after_ms: 60_000, ..BalanceSettings::default() });
    let now = Duration::ZERO;
    let mut targets = Vec::new();
    for number in 0..nodes {
        let state = balancer.add(100_000).and_then(|slot| balancer.node_mut(slot)).expect("room for 1,000 nodes");
        state.set_standing(Standing::Up, now);
        state.on_resync(0, now);
        let (high, low) = (number / 250, number % 250 + 1);
        let sip = SipUri::new(&format!("sip:10.0.{high}.{low}:5060"))?;
        targets.push(Target::new(NodeName::new(&format!("ast{number:04}"))?, sip));
    }
    // Past the time in which new nodes are eased in.
    let later = Duration::from_mins(10);
    balancer.tick(later);
    for slot in 0..nodes {
        let slot = kamari::balance::Slot::new(slot as u32);
        balancer.node_mut(slot).expect("just added").on_resync(0, later);
    }
    Ok(Routing::standalone(&balancer, targets, later))
}

/// Takes the notes of promises as often as the daemon's registry does, so that they do not pile up.
struct Registry {
    notes: Arc<Mutex<StandaloneNotes>>,
    count: Arc<AtomicUsize>,
}

impl Registry {
    /// On a thread of its own, which ends after this has been dropped.
    fn start(notes: StandaloneNotes) -> Self {
        let (notes, count) = (Arc::new(Mutex::new(notes)), Arc::new(AtomicUsize::new(0)));
        let registry = Self { notes: Arc::clone(&notes), count: Arc::clone(&count) };
        let (notes, count) = (Arc::downgrade(&notes), Arc::downgrade(&count));
        thread::spawn(move || {
            while let Some((notes, count)) = notes.upgrade().zip(count.upgrade()) {
                take(&notes, &count);
                thread::sleep(REGISTRY_TICK);
            }
        });
        registry
    }

    /// How many promises have been noted so far.
    fn noted(&self) -> usize {
        take(&self.notes, &self.count);
        self.count.load(Ordering::Relaxed)
    }
}

fn take(notes: &Mutex<StandaloneNotes>, count: &AtomicUsize) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    count.fetch_add(notes.take(), Ordering::Relaxed);
}

/// A server that does nothing but answer, on a thread of its own.
fn serve_bare(name: &str, size: usize) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let body = Bytes::from(vec![b'x'; size]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let body = body.clone();
                let service = service_fn(move |_| {
                    let body = body.clone();
                    async move { Ok::<_, Infallible>(hyper::Response::new(Full::new(body))) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            #[expect(unreachable_code, reason = "gives the block its error type")]
            Ok::<(), io::Error>(())
        })
    })?;
    Ok(address)
}

/// Asks `TURN` times over `CONNECTIONS` kept connections, each Call-ID once.
fn ask(server: SocketAddr, turn: usize) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let clients: Vec<_> = (0..CONNECTIONS).map(|client| tokio::spawn(client_of(server, turn, client))).collect();
        for client in clients {
            client.await??;
        }
        Ok(())
    })
}

async fn client_of(server: SocketAddr, turn: usize, client: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    for number in 0..TURN / CONNECTIONS {
        exchange(&mut stream, &format!("{turn}-{client}-{number}")).await?;
    }
    Ok(())
}

/// One lookup as Kamailio sends it. The size of the answer's body.
async fn exchange(stream: &mut TcpStream, call_id: &str) -> io::Result<usize> {
    let request = format!(
        "GET /v1/route?call_id={call_id}%40192.0.2.33&from=sip%3Aalice%40example.test&to=sip%3A600%40example.test&user=600&domain=example.test&src=192.0.2.33 HTTP/1.1\r\nHost: 127.0.0.1:8070\r\nAccept: */*\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(2_048);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = length.ok_or(io::ErrorKind::InvalidData)?;
        if answer.len() >= end + 4 + length {
            return Ok(length);
        }
    }
}

fn body_size(server: SocketAddr) -> io::Result<usize> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async move { exchange(&mut TcpStream::connect(server).await?, "0-0-probe").await })
}

/// CPU time, in ns, that the thread of this name used while `work` ran.
fn cpu_of(name: &str, work: impl FnOnce() -> io::Result<()>) -> io::Result<u64> {
    let task = task(name)?;
    let before = on_cpu(task)?;
    work()?;
    Ok(on_cpu(task)? - before)
}

fn task(name: &str) -> io::Result<u32> {
    for entry in fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm"))?.trim_end() == name {
            let id = path.file_name().and_then(|id| id.to_str()?.parse().ok());
            return id.ok_or_else(|| io::Error::other("/proc/self/task"));
        }
    }
    Err(io::Error::other(format!("no thread {name}")))
}

fn on_cpu(task: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/task/{task}/schedstat"))?;
    text.split(' ').next().and_then(|ns| ns.parse().ok()).ok_or_else(|| io::Error::other("schedstat"))
}
