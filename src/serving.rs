//! An HTTP server that a stranger cannot fill: so many connections and no more, and each must say what it wants in time.
//!
//! For the listeners that are served on the daemon's own runtime (`api`, `media`). Lookups have threads of their own, and
//! share only how one connection is served. A connection beyond the bound is closed at once, so that a flood costs a descriptor each for a moment and no more.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{BoxError, Router};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Browsers behind proxies send some thirty header lines.
const LIMITS: Limits = Limits { head_timeout: Duration::from_secs(30), head: 32_768, headers: 64 };
/// How long accepting rests after the system had no descriptor left for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `stop` completes; requests under way are answered to their end. `name` is the
/// listener's, for the log; beyond `connections` at a time new ones are closed.
pub(crate) async fn serve(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    connections: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (places, open, closing) = (Arc::new(Semaphore::new(connections)), TaskTracker::new(), CancellationToken::new());
    let mut full = false;
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    // Said again only when the flood was over meanwhile.
                    full &= places.available_permits() < connections / 2;
                    open.spawn(converse(stream, router.clone(), closing.clone(), place));
                }
                Err(_) if full => {}
                Err(_) => {
                    full = true;
                    tracing::warn!(listener = name, connections, "too many connections; further ones are closed");
                }
            },
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(listener = name, %error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    closing.cancel();
    open.close();
    open.wait().await;
    Ok(())
}

/// One connection, from its first request to its end. How it ends is the peer's affair: nothing of it is logged.
async fn converse(stream: TcpStream, router: Router, closing: CancellationToken, _place: OwnedSemaphorePermit) {
    if stream.set_nodelay(true).is_err() {
        return; // the peer has gone already
    }
    talk(stream, TowerToHyperService::new(router), LIMITS, &closing).await;
}

/// What a request's head may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a connection may be silent before the head of its next request is there.
    pub(crate) head_timeout: Duration,
    /// Largest head, in bytes.
    pub(crate) head: usize,
    /// Most header lines.
    pub(crate) headers: usize,
}

/// Answers the requests of one connection to its end, or until `closing`: then the one under way is the last. How it ends is
/// the peer's affair.
pub(crate) async fn talk<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: S,
    limits: Limits,
    closing: &CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head)
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Errors of `accept` that concern one connection only, which is gone.
pub(crate) fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;

    use super::{LIMITS, serve};

    async fn start(connections: usize) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve("test", listener, router, connections, stop.clone().cancelled_owned()));
        (address, stop)
    }

    /// What comes back for a request, and whether the connection is kept: empty when it was closed.
    async fn ask(stream: &mut TcpStream) -> String {
        let mut answer = vec![0; 1_024];
        if stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.is_err() {
            return String::new();
        }
        let read = stream.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_are_closed_and_the_others_served() {
        let (address, _stop) = start(2).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first).await.ends_with("here") && ask(&mut second).await.ends_with("here"));
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut third).await, "");
        assert!(ask(&mut first).await.ends_with("here"));
        drop(second);
        // The place is free again once the server has seen the end of the second.
        loop {
            let mut fourth = TcpStream::connect(address).await.unwrap();
            if ask(&mut fourth).await.ends_with("here") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_he_wants_is_cut_off() {
        let (address, _stop) = start(10).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(2 * LIMITS.head_timeout, slow.read_to_end(&mut rest)).await.expect("cut off").unwrap();
    }

    #[tokio::test]
    async fn who_waits_at_the_end_is_let_go() {
        let (address, stop) = start(10).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut idle).await.ends_with("here"));
        stop.cancel();
        let read = tokio::time::timeout(Duration::from_mins(1), idle.read(&mut [0; 16])).await.expect("closed");
        assert_eq!(read.unwrap(), 0);
    }
}
