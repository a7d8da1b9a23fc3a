//! The lookup over real connections, asked by nobody's friend: random bytes in every field, slow and greedy clients, and
//! eight clients at once for the last places.

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kamari::lookup::{Running, Server, Settings};
use kamari::pool::RawNode;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use support::fake_node::FakeNode;
use support::pool::{Choice, TestPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest that one answer may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);
const FIELDS: [&str; 6] = ["call_id", "user", "domain", "from", "to", "src"];

/// Fake nodes, a pool of them, and a lookup that answers from it.
struct Asked {
    pool: TestPool,
    address: SocketAddr,
    _nodes: Vec<FakeNode>,
    _running: Running,
}

impl Asked {
    async fn start(nodes: usize, capacity: u32, choice: Choice, settings: Settings) -> Self {
        let pool = TestPool::with(choice).expect("started");
        let mut fakes = Vec::new();
        for number in 0..nodes {
            let fake = FakeNode::start().await;
            let raw = RawNode {
                name: format!("ast{number}"),
                ari: fake.url(),
                sip: format!("sip:127.0.0.1:{}", 5060 + number),
                capacity: Some(capacity),
                username: None,
                password: None,
            };
            pool.pool.add(raw.validate().expect("valid")).await.expect("added");
            fakes.push(fake);
        }
        for number in 0..nodes {
            pool.until(&format!("ast{number}"), "it takes calls", |status| status.eligible).await;
        }
        let settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..settings };
        let server = Server::bind(&settings).expect("a free port");
        let address = server.address();
        let running = server.start(pool.pool.routing(), &pool.metrics.lookup).expect("threads");
        Self { pool, address, _nodes: fakes, _running: running }
    }

    async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.expect("connected"), read: Vec::new() }
    }
}

/// A connection that says whatever it is told.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// Sends these bytes, and reads one answer: status and body. None when the connection is closed without one.
    async fn ask(&mut self, bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
        // The server may have closed already: what it said before is still to be read.
        let _ = self.stream.write_all(bytes).await;
        tokio::time::timeout(PATIENCE, self.answer()).await.expect("an answer, or the end")
    }

    async fn get(&mut self, target: &str) -> (u16, Vec<u8>) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: kamari\r\n\r\n");
        self.ask(request.as_bytes()).await.expect("an answer")
    }

    async fn post(&mut self, target: &str, body: &str) -> (u16, Vec<u8>) {
        let request = format!("POST {target} HTTP/1.1\r\nHost: kamari\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.ask(request.as_bytes()).await.expect("an answer")
    }

    async fn answer(&mut self) -> Option<(u16, Vec<u8>)> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(self.read[..end].to_vec()).expect("a head in ASCII");
                let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok();
                let length: usize = head.lines().find_map(length).unwrap_or(0);
                if self.read.len() >= end + 4 + length {
                    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
                    let body = self.read[end + 4..end + 4 + length].to_vec();
                    self.read.drain(..end + 4 + length);
                    return Some((status, body));
                }
            }
            let mut chunk = vec![0; 16_384];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.read.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

/// A value for a field: good, nearly good, of the bytes that break out of things, or anything.
fn value(field: &str, rng: &mut StdRng) -> Vec<u8> {
    const BREAKING: &[u8] = b"\"\\<>;:@%&=?#\r\n\0 {}[],'/\x7f\xff";
    let length = *[0, 1, 8, 40, 128, 129, 253, 300, 600].choose(rng).expect("lengths");
    let good: &[&[u8]] = match field {
        "domain" => &[b"example.test", b"[2001:db8::1]", b"10.0.0.1"],
        "src" => &[b"192.0.2.1", b"::1"],
        _ => &[b"alice", b"+4930123", b"a%20b", b"sip:alice@example.test"],
    };
    match rng.random_range(0..5) {
        0..2 => good.choose(rng).expect("a value").to_vec(),
        2 => (0..length).map(|_| *BREAKING.choose(rng).expect("a byte")).collect(),
        3 => (0..length).map(|_| rng.random_range(0x20..0x7f)).collect(),
        _ => (0..length).map(|_| rng.random()).collect(),
    }
}

/// A request with random bytes in one field or in all; whether its bytes are percent-encoded, as Kamailio sends them.
fn request(number: usize, encoded: bool, rng: &mut StdRng) -> Vec<u8> {
    let hostile_field = rng.random_range(0..=FIELDS.len());
    let mut target = b"GET /v1/route?".to_vec();
    for (index, field) in FIELDS.into_iter().enumerate() {
        let bytes = if index == hostile_field || hostile_field == FIELDS.len() {
            value(field, rng)
        } else {
            match field {
                "call_id" => format!("call-{number}").into_bytes(),
                "domain" => b"example.test".to_vec(),
                "src" => b"192.0.2.1".to_vec(),
                _ => b"600".to_vec(),
            }
        };
        target.extend_from_slice(format!("&{field}=").as_bytes());
        if encoded {
            target.extend_from_slice(percent_encode(&bytes, NON_ALPHANUMERIC).to_string().as_bytes());
        } else {
            target.extend_from_slice(&bytes);
        }
    }
    target.extend_from_slice(b" HTTP/1.1\r\nHost: kamari\r\n\r\n");
    target
}

/// What a connection is good for: questions, other requests, and what is neither, in any order. Some bytes are changed.
fn conversation(rng: &mut StdRng) -> Vec<u8> {
    const REQUESTS: &[&str] = &[
        "GET /v1/route?call_id=a%40b&user=600&domain=example.test HTTP/1.1\r\nHost: k\r\nAccept: */*\r\n\r\n",
        "GET /v1/route?call_id=c HTTP/1.1\r\n\r\n",
        "GET /v1/route?call_id=c%00&user=%zz HTTP/1.1\nHost: k\n\n",
        "GET /v1/route?call_id=d&call_id=d HTTP/1.1\r\nHost: k\r\nHost: l\r\n\r\n",
        "GET /v1/route?call_id=e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /v1/route?call_id=f HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /v1/route?call_id=g HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET /v1/r",
        "GET /v1/route?call_id=h HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "GET /v1/route?call_id=i HTTP/1.1\r\nContent-Length : 4\r\n\r\nGET ",
        "GET /v1/route?call_id=j HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
        "GET /v1/route?call_id=k HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "GET /v1/route?call_id=l HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "GET /v1/route?call_id=m HTTP/1.1\r\nX: a\0b\r\n\r\n",
        "GET /v1/route?call_id=n#fragment HTTP/1.1\r\n\r\n",
        "GET http://k/v1/route?call_id=o HTTP/1.1\r\n\r\n",
        "GET /v1/route HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: k\r\n\r\n",
        "POST /v1/route?call_id=p HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
        "POST /v1/outcome HTTP/1.1\r\nContent-Length: 44\r\n\r\n{\"call_id\":\"nobody\",\"node\":\"ast0\",\"code\":503}",
        "GET  /v1/route?call_id=q HTTP/1.1\r\n\r\n",
        "\r\nGET /v1/route?call_id=r HTTP/1.1\r\n\r\n",
        "GET /v1/route?call_id=s HTTP/1.1\r\n",
    ];
    // A quote, a hash and angle brackets end a target elsewhere; `H` would make `HEAD`, whose answer has no body.
    const CHANGED: &[u8] = b"\0\r\n :/?&=%;,.x0\x7f\xff\t";
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(1..5) {
        // Mostly questions: what comes first decides which way is taken.
        let choices = if rng.random_bool(0.5) { &REQUESTS[..4] } else { REQUESTS };
        bytes.extend_from_slice(choices.choose(rng).expect("requests").as_bytes());
        // Around the largest head that is plain, and below hyper's own limit, which depends on how the bytes come.
        if rng.random_ratio(1, 40) {
            let many = rng.random_range(0..12_000);
            bytes.extend_from_slice(
                format!("GET /v1/route?call_id=t HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(many)).as_bytes(),
            );
        }
    }
    if rng.random_bool(0.3) {
        let at = rng.random_range(0..bytes.len());
        bytes[at] = *CHANGED.choose(rng).expect("bytes");
    }
    bytes
}

/// Says this in a few parts, and gives all that comes back until the connection is closed, without the dates; and whether it
/// was reset: a server that closes with something unread may take back what it said last.
async fn converse(address: SocketAddr, said: &[u8], parts: usize) -> (Vec<u8>, bool) {
    // Whatever came before, a head ends here, and the connection with it. (Only to close one's own side would not do: hyper
    // may give up what it has not answered yet.)
    const LAST: &[u8] = b"\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    let said = [said, LAST, LAST].concat();
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket");
    let mut reset = false;
    for part in said.chunks(said.len().div_ceil(parts)) {
        // Whoever is refused in the middle is not listened to further.
        reset |= stream.write_all(part).await.is_err();
        tokio::task::yield_now().await;
    }
    let mut heard = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    reset |= read.expect("the end of the connection").is_err();
    let date =
        |at: usize| heard[at..].starts_with(b"date: ").then(|| at + b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len());
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < heard.len() {
        if let Some(after) = date(at) {
            at = after;
        } else {
            plain.push(heard[at]);
            at += 1;
        }
    }
    (plain, reset)
}

#[tokio::test]
async fn the_short_way_answers_as_hyper_does_whatever_is_said() {
    const FIRST: &[u8] = b"GET /healthz HTTP/1.1\r\n\r\n";
    // One node: the answer is the same when a promise has expired between the two.
    let settings = Settings { idle_timeout_ms: 1_000, ..Settings::default() };
    let asked = Asked::start(1, 100_000, Choice::default(), settings).await;
    let (_, health) = asked.connect().await.get("/healthz").await;
    let health = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\n{}",
        String::from_utf8_lossy(&health)
    );
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut answers, mut whole) = (0, 0);
    for _ in 0..1_000 {
        let said = conversation(&mut rng);
        let parts = rng.random_range(1..4);
        // After a first request that is no question hyper has the connection for good.
        let through_hyper = [FIRST, &said].concat();
        let ((short, short_reset), (hyper, hyper_reset)) =
            tokio::join!(converse(asked.address, &said, parts), converse(asked.address, &through_hyper, 1));
        let (short, hyper) = (String::from_utf8_lossy(&short), String::from_utf8_lossy(&hyper));
        // A reset may take what was said last, of the first answer too. And whether hyper goes on after an answer to a request
        // whose body was not read depends on how much of that body is there by then.
        let hyper = hyper.strip_prefix(&health).unwrap_or_default();
        let has_body = said.windows(8).any(|name| name == b"Content-" || name == b"Transfer");
        let same = short == hyper
            || (short_reset || has_body) && hyper.starts_with(&*short)
            || (hyper_reset || has_body) && short.starts_with(hyper);
        assert!(
            same,
            "seed {seed}, {parts} parts: {:?}\nshort: {short:?}\nhyper: {hyper:?}",
            String::from_utf8_lossy(&said)
        );
        answers += usize::from(short.starts_with("HTTP/1.1 200 "));
        whole += usize::from(short == hyper);
    }
    // The twin: enough was answered, or the test shows nothing.
    assert!(answers > 300, "{answers}");
    assert!(whole > 900, "{whole}");
}

/// An answer that Kamailio can use without looking twice.
fn assert_is_rtjson(body: &[u8]) {
    let shown = String::from_utf8_lossy(body).into_owned();
    assert!(body.len() < 8_192, "{} bytes", body.len());
    assert!(body.iter().all(|byte| (0x20..0x7f).contains(byte)), "an unescaped byte in {shown}");
    let document: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error} in {shown}"));
    assert_eq!((&document["version"], &document["routing"]), (&"1.0".into(), &"serial".into()), "{shown}");
    let routes = document["routes"].as_array().expect("routes");
    assert_eq!(routes.is_empty(), document["reject"].is_object(), "{shown}");
    for route in routes {
        assert!(route["node"].as_str().is_some_and(|node| node.starts_with("ast")), "{shown}");
        assert!(route["dst_uri"].as_str().is_some_and(|uri| uri.starts_with("sip:127.0.0.1:50")), "{shown}");
        if let Some(uri) = route.get("uri") {
            assert_is_sip_uri(uri.as_str().expect("text"));
        }
    }
}

/// RFC 3261: `sip:` [ user `@` ] host, each of its own letters, escapes whole.
fn assert_is_sip_uri(uri: &str) {
    let rest = uri.strip_prefix("sip:").expect("a scheme");
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let user_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/%".contains(&byte);
    assert!(user.bytes().all(user_byte), "{uri}");
    for escape in user.split('%').skip(1) {
        let two = escape.as_bytes().get(..2).unwrap_or_else(|| panic!("half an escape in {uri}"));
        assert!(two.iter().all(u8::is_ascii_hexdigit), "{uri}");
        assert!(two[0] >= b'2' && !two.eq_ignore_ascii_case(b"7f"), "a control character in {uri}");
    }
    let host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]:".contains(&byte);
    assert!(!host.is_empty() && host.bytes().all(host_byte), "{uri}");
}

#[tokio::test]
async fn ten_thousand_lookups_with_random_bytes_get_200_or_400_and_clean_rtjson() {
    let asked = Asked::start(3, 100_000, Choice::default(), Settings::default()).await;
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut client = asked.connect().await;
    let mut statuses: HashMap<u16, u32> = HashMap::new();
    for number in 0..10_000 {
        // One in five as raw bytes on a connection of its own, which such a request may well cost.
        let encoded = number % 5 != 0;
        let request = request(number, encoded, &mut rng);
        let answer = if encoded { client.ask(&request).await } else { asked.connect().await.ask(&request).await };
        let shown = || format!("seed {seed}, {}", String::from_utf8_lossy(&request));
        let (status, body) = answer.unwrap_or_else(|| panic!("no answer; {}", shown()));
        *statuses.entry(status).or_default() += 1;
        match status {
            200 => assert_is_rtjson(&body),
            // A request that HTTP itself refuses has no body.
            400 if body.is_empty() => assert!(!encoded, "{}", shown()),
            400 => {
                let refusal: Value = serde_json::from_slice(&body).expect("JSON");
                assert!(FIELDS.contains(&refusal["field"].as_str().expect("a field")), "{}", shown());
            }
            other => panic!("status {other}; {}", shown()),
        }
    }
    // The twin: enough of both, or the test shows nothing.
    assert!(statuses[&200] > 1_000 && statuses[&400] > 1_000, "{statuses:?}");
}

#[tokio::test]
async fn the_worst_permitted_request_fits_everywhere() {
    let asked = Asked::start(5, 100, Choice::default(), Settings::default()).await;
    let label = "a".repeat(63);
    let target = format!(
        "/v1/route?call_id={}&user={}&domain={label}.{label}.{label}.{}&from={}&to={}&src=::1",
        "%21".repeat(256),
        "%ff".repeat(128),
        "a".repeat(61),
        "%3c".repeat(512),
        "%3e".repeat(512),
    );
    let (status, body) = asked.connect().await.get(&target).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    assert_is_rtjson(&body);
}

#[tokio::test]
async fn eight_clients_never_overfill_a_node_and_all_counts_return_to_zero() {
    let choice = Choice { reservation_ms: 2_000, ..Choice::default() };
    let settings = Settings { threads: 2, ..Settings::default() };
    let asked = Arc::new(Asked::start(3, 40, choice, settings).await);
    let mut clients = Vec::new();
    for client in 0..8 {
        let asked = Arc::clone(&asked);
        clients.push(tokio::spawn(async move {
            let mut connection = asked.connect().await;
            let mut firsts = Vec::new();
            for number in 0..200 {
                // Every other Call-ID is asked by two clients at about the same time.
                let owner = if number % 2 == 0 { client } else { client / 2 };
                let call_id = format!("call-{number}-{owner}-{}", number % 2);
                let (status, body) = connection.get(&format!("/v1/route?call_id={call_id}")).await;
                assert_eq!(status, 200);
                let document: Value = serde_json::from_slice(&body).expect("JSON");
                if let Some(node) = document["call"]["node"].as_str() {
                    firsts.push((call_id, node.to_owned()));
                }
            }
            firsts
        }));
    }
    let mut promised: HashMap<String, String> = HashMap::new();
    for client in clients {
        for (call_id, node) in client.await.expect("no panic") {
            let before = promised.insert(call_id.clone(), node.clone());
            assert!(before.is_none_or(|before| before == node), "{call_id} got two answers");
        }
    }
    // Only promises that were given back by a lost race may have been asked for twice; none is promised beyond the 40.
    let mut per_node: HashMap<&str, u32> = HashMap::new();
    for node in promised.values() {
        *per_node.entry(node).or_default() += 1;
    }
    assert!(per_node.values().all(|count| *count <= 40), "{per_node:?}");
    assert!(promised.len() >= 100, "most places are taken: {per_node:?}");
    for number in 0..3 {
        asked.pool.until(&format!("ast{number}"), "nothing is promised", |status| status.calls.reserved == 0).await;
    }
    let metrics = &asked.pool.metrics;
    assert_eq!(metrics.pool.reservations_expired.get(), promised.len() as u64);
    assert_eq!(metrics.lookup.routed.get(), promised.len() as u64);
    assert!(metrics.lookup.rejected.get() > 0, "the twin: more was asked than there is room for");
}

#[tokio::test]
async fn what_is_not_a_question_is_refused_in_words() {
    let asked = Asked::start(1, 10, Choice::default(), Settings::default()).await;
    let mut client = asked.connect().await;
    for (request, expected) in [("/healthz", 200), ("/", 404), ("/v1/route", 400), ("/v1/outcome", 405)] {
        assert_eq!(client.get(request).await.0, expected, "{request}");
    }
    assert_eq!(client.post("/v1/route?call_id=1", "").await.0, 405);
    for (body, field) in [
        ("", "body"),
        ("{}", "body"),
        (r#"{"call_id":"1","node":"ast0","code":7}"#, "code"),
        (r#"{"call_id":"1","ended":false}"#, "code"),
        (r#"{"call_id":"a b","ended":true}"#, "call_id"),
        (r#"{"call_id":"a b","node":"ast0","code":503}"#, "call_id"),
        (r#"{"call_id":"1","node":"\"","code":503}"#, "node"),
        (&format!("{{\"call_id\":\"{}\"}}", "x".repeat(3_000)), "body"),
    ] {
        let (status, answer) = asked.connect().await.post("/v1/outcome", body).await;
        let refusal: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!((status, refusal["field"].as_str()), (400, Some(field)), "{body}");
    }
    client.get("/v1/route?call_id=known").await;
    for body in [r#"{"call_id":"known","ended":true}"#, r#"{"call_id":"known","node":"ast0","code":503}"#] {
        let (status, answer) = client.post("/v1/outcome", body).await;
        assert_eq!(
            (status, &answer[..]),
            (200, &br#"{"known":true}"#[..]),
            "{body}: of a node that is heard it is no news"
        );
    }
    let (status, answer) = client.post("/v1/outcome", r#"{"call_id":"other","ended":true}"#).await;
    assert_eq!((status, &answer[..]), (200, &br#"{"known":false}"#[..]));
    let (status, answer) = client.post("/v1/outcome", r#"{"call_id":"other","node":"ast0","code":503}"#).await;
    assert_eq!((status, &answer[..]), (200, &br#"{"known":false}"#[..]));
}

#[tokio::test]
async fn slow_and_greedy_clients_are_shown_out_and_others_are_served() {
    let settings = Settings { idle_timeout_ms: 1_000, max_connections: 8, ..Settings::default() };
    let asked = Asked::start(1, 10, Choice::default(), settings).await;
    // Half a request, and then silence: closed without a word, or with one.
    let mut slow = asked.connect().await;
    let answer = slow.ask(b"GET /v1/route?call_id=1 HTTP/1.1\r\nHost:").await;
    assert!(answer.is_none_or(|(status, _)| status == 408), "a slow client was served");
    // A head that never ends.
    let mut greedy = asked.connect().await;
    let endless = [b"GET /healthz HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 100_000]].concat();
    assert!(greedy.ask(&endless).await.is_none_or(|(status, _)| status == 431), "an endless head was read");
    drop((slow, greedy));
    // More connections than there are places: the last are closed, the first still served.
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut client = asked.connect().await;
        assert_eq!(client.get("/healthz").await.0, 200);
        held.push(client);
    }
    assert!(asked.connect().await.ask(b"GET /healthz HTTP/1.1\r\nHost: kamari\r\n\r\n").await.is_none());
    assert_eq!(asked.pool.metrics.lookup.connections_refused.get(), 1);
    assert_eq!(held[0].get("/healthz").await.0, 200);
}
