//! The connections of a fake node, and the faults that happen to them whatever is asked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::reply::refuse;
use super::{Lie, Shared};

/// The faults that are on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mode {
    pub frozen: bool,
    pub delay: Duration,
    pub hanging: Option<String>,
    pub failing: Option<String>,
    pub losing: Option<String>,
    pub lie: Option<Lie>,
    refusing: bool,
    /// Cancelled to end every connection that was accepted under it.
    connections: CancellationToken,
}

impl Mode {
    pub fn cut(&mut self) {
        self.refusing = true;
        self.drop_connections();
    }

    pub fn drop_connections(&mut self) {
        std::mem::take(&mut self.connections).cancel();
    }

    pub fn mended(&self) -> Self {
        Self { connections: self.connections.clone(), ..Self::default() }
    }
}

/// Waits until the node is not frozen.
pub(crate) async fn thawed(shared: &Shared) {
    // The sender lives in `shared`, so the wait cannot fail.
    let _ = shared.mode.subscribe().wait_for(|mode| !mode.frozen).await;
}

/// Serves `routes` until `stop`.
pub(crate) async fn serve(listener: TcpListener, routes: Router, mode: watch::Receiver<Mode>, stop: CancellationToken) {
    let connections = Connections { listener, mode, stop: stop.clone() };
    tokio::select! {
        served = axum::serve(connections, routes) => served.expect("serving does not fail"),
        () = stop.cancelled() => {}
    }
}

struct Connections {
    listener: TcpListener,
    mode: watch::Receiver<Mode>,
    stop: CancellationToken,
}

impl axum::serve::Listener for Connections {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.expect("accepting does not fail in a test");
            let mode = self.mode.borrow().clone();
            if mode.refusing {
                continue;
            }
            stream.set_nodelay(true).expect("a socket option");
            let ends = [mode.connections, self.stop.clone()].map(|token| Box::pin(token.cancelled_owned()));
            return (Connection { stream, ends }, peer);
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that can be cut from outside.
pub(crate) struct Connection {
    stream: TcpStream,
    ends: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
}

impl Connection {
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.ends.iter_mut().any(|end| end.as_mut().poll(context).is_ready())
    }
}

fn reset<T>() -> Poll<std::io::Result<T>> {
    Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()))
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.is_cut(cx) { reset() } else { Pin::new(&mut self.stream).poll_read(cx, buf) }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.is_cut(cx) { reset() } else { Pin::new(&mut self.stream).poll_write(cx, buf) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Stands before every route: counts the request, then lets the faults happen to it.
pub(crate) async fn faults(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    count(&shared, request.method().as_str(), &path);
    thawed(&shared).await;
    let mode = shared.mode.borrow().clone();
    if !mode.delay.is_zero() {
        tokio::time::sleep(mode.delay).await;
    }
    let below = path.strip_prefix("/ari").unwrap_or(&path);
    if mode.hanging.as_deref().is_some_and(|prefix| below.starts_with(prefix)) {
        let hangs = |mode: &Mode| mode.hanging.is_some();
        let _ = shared.mode.subscribe().wait_for(|mode| !hangs(mode)).await;
    }
    if mode.failing.as_deref().is_some_and(|prefix| below.starts_with(prefix)) {
        return refuse(500, "Internal Server Error").into_response();
    }
    let loses = mode.losing.as_deref().is_some_and(|prefix| below.starts_with(prefix));
    match mode.lie {
        None if loses => broken_off(next.run(request).await),
        None => next.run(request).await,
        Some(Lie::PasswordRefused) => refuse(401, "Authentication required").into_response(),
        Some(Lie::NotBooted) => refuse(503, "Asterisk not booted").into_response(),
        Some(Lie::Garbage) => typed("application/json", Body::from("{\"channels\": [oops")),
        Some(Lie::EmptyObjects) => typed("application/json", Body::from("{}")),
        Some(Lie::WebPage) => typed("text/html", Body::from("<!DOCTYPE html><title>A printer</title>")),
        Some(Lie::Endless) => {
            let chunk = std::iter::repeat_n(b' ', 65_536).collect::<Vec<u8>>();
            let chunks = std::iter::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            typed("application/json", Body::from_stream(futures_util::stream::iter(chunks)))
        }
    }
}

/// The answer to a request that was carried out, as its client has it when the connection breaks within it.
fn broken_off(answer: Response) -> Response {
    let end = Err::<&str, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    answer.map(|_| Body::from_stream(futures_util::stream::iter([end])))
}

fn typed(content_type: &'static str, body: Body) -> Response {
    ([("content-type", content_type)], body).into_response()
}

/// Resources whose next path segment is an id.
const WITH_ID: [&str; 8] = ["applications", "bridges", "channels", "live", "play", "playbacks", "stored", "snoop"];

fn count(shared: &Shared, method: &str, path: &str) {
    let mut previous = "";
    let mut general = String::new();
    for segment in path.trim_start_matches("/ari").split('/').skip(1) {
        let is_id = WITH_ID.contains(&previous) && !matches!(segment, "create" | "externalMedia");
        general.push('/');
        general.push_str(if is_id { "*" } else { segment });
        previous = segment;
    }
    *shared.lock().requests.entry(format!("{method} {general}")).or_default() += 1;
}
