//! The listener and its threads: apart from the ones that run calls, so that a busy application never delays a lookup.
//!
//! One socket, accepted from by each thread; a connection stays on the thread that accepted it. Each thread has a
//! single-threaded runtime, so that an answer is written by the thread that read the question, with nobody woken.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handler::Handler;
use super::plain;
use super::settings::Settings;
use crate::pool::Routing;
use crate::serving::{Limits, is_of_the_peer, talk};
use crate::telemetry::LookupMetrics;

/// Largest request head, in bytes: every field at its limit, each byte percent-encoded, is below 6,000.
const HEAD_LIMIT: usize = 16_384;
/// Most header lines of a request.
const HEADERS_LIMIT: usize = 32;
/// Connections that the kernel may hold before they are accepted: Kamailio's workers all connect at once.
const BACKLOG: i32 = 1_024;
/// How long accepting rests after the system had no descriptor left for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// After this much silence the kernel asks a peer whether it is still there: Kamailio's host may have gone without a word.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Why lookups cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The address cannot be listened on.
    #[error("cannot listen for lookups on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        cause: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("cannot start a lookup thread: {0}")]
    Thread(io::Error),
}

/// An address that is taken and not yet listened on. Until [`Server::start`] the kernel refuses connections at once, so
/// that a Kamailio that asks too early goes on by its dispatcher, and does not wait.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    address: SocketAddr,
    settings: Settings,
}

impl Server {
    /// Takes the address.
    pub fn bind(settings: &Settings) -> Result<Self, LookupError> {
        let (socket, address) =
            take(settings.listen).map_err(|cause| LookupError::Listen { address: settings.listen, cause })?;
        Ok(Self { socket, address, settings: settings.clone() })
    }

    /// Where it listens; the port is the one that the system chose where the setting was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and starts the threads.
    pub fn start(self, routing: &Arc<Routing>, metrics: &Arc<LookupMetrics>) -> Result<Running, LookupError> {
        let address = self.address;
        self.socket.listen(BACKLOG).map_err(|cause| LookupError::Listen { address, cause })?;
        let listener = StdListener::from(self.socket);
        let stop = CancellationToken::new();
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let handler = Handler::new(Arc::clone(routing), Arc::clone(metrics));
        let mut threads = Vec::with_capacity(self.settings.threads);
        for number in 0..self.settings.threads {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LookupError::Thread)?;
            let worker = Worker {
                listener: listener.try_clone().map_err(LookupError::Thread)?,
                idle_timeout: self.settings.idle_timeout(),
                handler: handler.clone(),
                places: Arc::clone(&places),
                stop: stop.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("lookup-{number}"))
                .spawn(move || runtime.block_on(worker.run()))
                .map_err(LookupError::Thread)?;
            threads.push(thread);
        }
        Ok(Running { stop, threads })
    }
}

/// The threads that answer. Dropping it leaves them at work until the process ends; [`Running::stop`] ends them.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Takes no more connections, lets requests that are being answered finish, and waits for the threads to end.
    /// Blocks for about a second at most.
    pub fn stop(self) {
        self.stop.cancel();
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a lookup thread had ended early"),
                Err(_) => tracing::error!("a lookup thread had panicked"),
            }
        }
    }
}

fn take(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, bound))
}

/// What one thread needs.
struct Worker {
    listener: StdListener,
    idle_timeout: Duration,
    handler: Handler,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

/// How long requests under way may take to finish when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Worker {
    async fn run(self) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let connections = TaskTracker::new();
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.admit(stream, &connections),
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a lookup connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        connections.close();
        if tokio::time::timeout(LAST_ANSWERS, connections.wait()).await.is_err() {
            tracing::debug!(open = connections.len(), "lookup connections were cut at the end");
        }
        Ok(())
    }

    /// Serves the connection if there is a place for it, and closes it if not: a flood costs a file descriptor each and
    /// no more.
    fn admit(&self, stream: TcpStream, connections: &TaskTracker) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.handler.metrics().connections_refused.inc();
            return;
        };
        connections.spawn(serve(stream, self.handler.clone(), self.idle_timeout, self.stop.clone(), place));
    }
}

/// One connection, from its first request to its end. How it ends is the peer's affair: nothing of it is logged.
async fn serve(
    mut stream: TcpStream,
    handler: Handler,
    idle_timeout: Duration,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let keep_alive = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE);
    if stream.set_nodelay(true).is_err() || socket2::SockRef::from(&stream).set_tcp_keepalive(&keep_alive).is_err() {
        return; // the peer has gone already
    }
    if let plain::End::HandOver(read) = plain::serve(&mut stream, &handler, idle_timeout, &stop).await {
        // Boxed: it is large, and the usual connection never gets here.
        Box::pin(serve_all(stream, read, handler, idle_timeout, stop)).await;
    }
}

/// Any requests, of which `read` has come already.
async fn serve_all(
    stream: TcpStream,
    read: Vec<u8>,
    handler: Handler,
    idle_timeout: Duration,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, std::convert::Infallible>(handler.answer(request).await) }
    });
    let (rest, write) = stream.into_split();
    let stream = tokio::io::join(std::io::Cursor::new(read).chain(rest), write);
    let limits = Limits { head_timeout: idle_timeout, head: HEAD_LIMIT, headers: HEADERS_LIMIT };
    talk(stream, service, limits, &stop).await;
}
