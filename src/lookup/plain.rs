//! The short way of a connection on which Kamailio asks: `GET /v1/route` over HTTP/1.1, many times, with no body.
//!
//! A general HTTP server spends more on such a request than the choice itself takes. This one reads heads with the parser
//! that hyper uses, answers those that are plain, and hands the connection with all that it has read to hyper as soon as
//! a request is anything else: another path or method, a body, `Connection`, a head that is large or wrong. So nothing that
//! is out of the ordinary is decided here.
//!
//! The answer has the two headers that the client needs. `Date` is left out: nobody keeps an answer to be compared with it.
//!
//! Invariants: an answer is written as a whole before the next request is looked at; both buffers are the connection's own
//! and are used again, so that an answer allocates nothing for its text; neither grows beyond one head or one answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::handler::Handler;

/// Most header lines of a plain request. Kamailio's have three.
const HEADERS: usize = 8;
/// Largest head of a plain request, in bytes: what is larger is hyper's to judge.
const HEAD: usize = 8_192;
/// What every plain request begins with.
const BEGIN: &[u8] = b"GET /v1/route?";

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
enum Head<'a> {
    /// A plain question, and the length of its head.
    Question { query: &'a str, length: usize },
    /// The beginning of what may become one.
    Unfinished,
    /// Anything else.
    Other,
}

/// How the short way ended.
pub(super) enum End {
    /// The peer has gone, took longer than it may, or the server stops.
    Over,
    /// What was read and not answered is for the general server, and so is all that follows.
    HandOver(Vec<u8>),
}

/// Answers plain questions until there is something else to do.
pub(super) async fn serve(
    stream: &mut TcpStream,
    handler: &Handler,
    idle_timeout: Duration,
    stop: &CancellationToken,
) -> End {
    let watch = Watch::new();
    let over = async {
        tokio::select! {
            () = watch.silent_for(idle_timeout) => {},
            () = stop.cancelled() => watch.stopped().await,
        }
    };
    tokio::select! {
        biased;
        end = answer(stream, handler, &watch) => end,
        () = Aside::new(over) => End::Over,
    }
}

async fn answer(stream: &mut TcpStream, handler: &Handler, watch: &Watch) -> End {
    let (mut read, mut body, mut written) = (Vec::with_capacity(1_024), Vec::with_capacity(1_024), Vec::new());
    loop {
        match head(&read) {
            Head::Question { query, length } => {
                let asked = Instant::now();
                let status = handler.document(query, asked, &mut body);
                write_answer(&mut written, status, &body);
                watch.answers(true);
                if stream.write_all(&written).await.is_err() || watch.is_stopped() {
                    return End::Over;
                }
                watch.answers(false);
                read.drain(..length);
                watch.answered(asked);
            }
            Head::Other => return End::HandOver(read),
            Head::Unfinished => {
                if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                    return End::Over;
                }
            }
        }
    }
}

fn head(read: &[u8]) -> Head<'_> {
    let begun = read.len().min(BEGIN.len());
    if read[..begun] != BEGIN[..begun] || read.len() > HEAD {
        return Head::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(read) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Unfinished,
        Err(_) => return Head::Other,
    };
    let query = request.path.and_then(|target| target.strip_prefix("/v1/route?")).unwrap_or("#");
    let is_plain = request.version == Some(1)
        && query.is_ascii()
        && !query.contains('#')
        && request.headers.iter().all(|header| !has_a_say(header.name));
    if is_plain { Head::Question { query, length } } else { Head::Other }
}

/// Whether a header changes what is to be done with the request or the connection.
fn has_a_say(name: &str) -> bool {
    ["content-length", "transfer-encoding", "connection", "expect", "upgrade"]
        .iter()
        .any(|special| name.eq_ignore_ascii_case(special))
}

fn write_answer(out: &mut Vec<u8>, status: StatusCode, body: &[u8]) {
    out.clear();
    out.extend_from_slice(if status == StatusCode::OK {
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ".as_slice()
    } else {
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: "
    });
    super::document::write_number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

/// What a connection is at, for the timer and the stop signal beside it. They look when they are woken; a request touches neither.
struct Watch {
    began: Instant,
    /// Milliseconds from `began` to the last question that was answered.
    last_ms: AtomicU64,
    /// An answer is on its way out.
    answers: AtomicBool,
    /// The server stops.
    stopped: AtomicBool,
}

impl Watch {
    fn new() -> Self {
        let (answers, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { began: Instant::now(), last_ms: AtomicU64::new(0), answers, stopped }
    }

    fn answers(&self, on_its_way: bool) {
        self.answers.store(on_its_way, Ordering::Relaxed);
    }

    fn answered(&self, asked: Instant) {
        self.last_ms.store(asked.duration_since(self.began).as_millis() as u64, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The server stops: completes unless an answer is on its way out, after which the connection ends by itself.
    async fn stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if self.answers.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Completes when nothing has been answered for this long.
    async fn silent_for(&self, limit: Duration) {
        loop {
            let until = self.began + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + limit;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Head, head, write_answer};

    #[test]
    fn kamailios_question_is_plain_and_only_whole() {
        let request = b"GET /v1/route?call_id=1&user=a HTTP/1.1\r\nHost: k\r\nAccept: */*\r\n\r\nGET /v1";
        let Head::Question { query, length } = head(request) else { panic!("plain") };
        assert_eq!((query, &request[length..]), ("call_id=1&user=a", b"GET /v1".as_slice()));
        for cut in 0..length {
            assert_eq!(head(&request[..cut]), Head::Unfinished, "{cut} bytes");
        }
    }

    #[test]
    fn whatever_is_out_of_the_ordinary_is_left_to_hyper() {
        let long = format!("GET /v1/route?call_id=1 HTTP/1.1\r\nX: {}", "x".repeat(9_000));
        let many = format!("GET /v1/route?call_id=1 HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(9));
        for other in [
            "POST /v1/outcome HTTP/1.1\r\n\r\n",
            "GET /healthz",
            "GET /v1/route HTTP/1.1\r\n\r\n",
            "GET /v1/route?call_id=1 HTTP/1.0\r\n\r\n",
            "GET /v1/route?call_id=1#x HTTP/1.1\r\n\r\n",
            "GET /v1/route?call_id=\u{e9} HTTP/1.1\r\n\r\n",
            "GET /v1/route?call_id=1 HTTP/1.1\r\nConnection: close\r\n\r\n",
            "GET /v1/route?call_id=1 HTTP/1.1\r\ncontent-LENGTH: 5\r\n\r\n",
            "GET /v1/route?call_id=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /v1/route?call_id=1 HTTP/1.1\r\nbad header\r\n\r\n",
            &long,
            &many,
        ] {
            assert_eq!(head(other.as_bytes()), Head::Other, "{other}");
        }
    }

    #[test]
    fn an_answer_is_one_http_response() {
        let mut out = b"what was there before".to_vec();
        write_answer(&mut out, StatusCode::OK, b"{}");
        let expected = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
