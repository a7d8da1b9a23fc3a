//! Against a Kamailio that is only its dispatcher RPC, over real HTTP. The real one is in `tests/kamailio.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Fallback, Status, TargetStatus, backoff};
use crate::fallback::{Destination, DestinationUri, Settings, Use};
use crate::telemetry::Metrics;

/// URI and FLAGS of each destination, every command in order, and what goes wrong.
#[derive(Default)]
struct Kamailio {
    list: Vec<(String, &'static str)>,
    commands: Vec<String>,
    garbage: bool,
    forgets: bool,
}

type Shared = Arc<Mutex<Kamailio>>;

async fn answer(State(kamailio): State<Shared>, Json(request): Json<Value>) -> (StatusCode, String) {
    let mut kamailio = kamailio.lock().unwrap_or_else(PoisonError::into_inner);
    if kamailio.garbage {
        return (StatusCode::OK, "<html>".to_owned());
    }
    let (method, params) = (request["method"].as_str().unwrap(), request["params"].as_array().unwrap());
    if method != "dispatcher.list" {
        kamailio.commands.push(format!("{method} {}", request["params"]));
    }
    match method {
        "dispatcher.list" if kamailio.list.is_empty() => {
            let fault = json!({"jsonrpc": "2.0", "error": {"code": 500, "message": "No Destination Sets"}, "id": 1});
            return (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string());
        }
        "dispatcher.list" => {}
        _ if kamailio.forgets => {}
        "dispatcher.add" => {
            let flags = if params[2] == 4 { "DX" } else { "AX" };
            kamailio.list.push((params[1].as_str().unwrap().to_owned(), flags));
        }
        "dispatcher.set_state" => {
            let entry = kamailio.list.iter_mut().find(|(uri, _)| params[2] == uri.as_str()).expect("listed");
            entry.1 = if params[0] == "d" { "DX" } else { "AX" };
        }
        "dispatcher.remove" => kamailio.list.retain(|(uri, _)| params[1] != uri.as_str()),
        other => panic!("{other}"),
    }
    let targets: Vec<Value> =
        kamailio.list.iter().map(|(uri, flags)| json!({"DEST": {"URI": uri, "FLAGS": flags, "PRIORITY": 0}})).collect();
    let other = json!({"SET": {"ID": 2, "TARGETS": [{"DEST": {"URI": "sip:gw", "FLAGS": "AX"}}]}});
    let result = json!({"NRSETS": 2, "RECORDS": [other, {"SET": {"ID": 1, "TARGETS": targets}}]});
    (StatusCode::OK, json!({"jsonrpc": "2.0", "result": result, "id": 1}).to_string())
}

struct Bench {
    kamailio: Shared,
    wanted: watch::Sender<Vec<Destination>>,
    status: Status,
    metrics: Metrics,
    stop: CancellationToken,
    running: AbortOnDropHandle<()>,
    _server: AbortOnDropHandle<()>,
}

impl Bench {
    async fn new(list: &[(&str, &'static str)]) -> Self {
        let kamailio = Shared::default();
        kamailio.lock().unwrap().list = list.iter().map(|(uri, flags)| ((*uri).to_owned(), *flags)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/RPC", listener.local_addr().unwrap());
        let router = Router::new().route("/RPC", post(answer)).with_state(Arc::clone(&kamailio));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let settings = Settings { rpc: vec![url], interval_s: 1, spacing_ms: 0, ..Settings::default() };
        let (wanted, receiver) = watch::channel(Vec::new());
        let metrics = Metrics::new().unwrap();
        let fallback = Fallback::new(&settings, &receiver, &metrics.fallback).unwrap();
        let (status, stop) = (fallback.status(), CancellationToken::new());
        let running = tokio::spawn(fallback.run(stop.clone()));
        let (running, server) = (AbortOnDropHandle::new(running), AbortOnDropHandle::new(server));
        Self { kamailio, wanted, status, metrics, stop, running, _server: server }
    }

    fn want(&self, wanted: &[(&str, Use)]) {
        let all = wanted.iter().map(|(uri, used)| Destination { uri: DestinationUri::new(uri).unwrap(), used: *used });
        self.wanted.send(all.collect()).unwrap();
    }

    async fn until(&self, what: impl Fn(&TargetStatus, &Kamailio) -> bool) {
        let met = async {
            let mut target = self.status.0[0].clone();
            loop {
                if what(&target.borrow_and_update(), &self.kamailio.lock().unwrap()) {
                    return;
                }
                // Kamailio's side changes without a word, the status with one.
                let _ = timeout(Duration::from_millis(20), target.changed()).await;
            }
        };
        let met = timeout(Duration::from_secs(20), met).await;
        assert!(met.is_ok(), "{:?} {:?}", self.status.targets(), self.kamailio.lock().unwrap().list);
    }

    async fn until_listed(&self, expected: &[(&str, &str)]) {
        let same = |kamailio: &Kamailio| {
            let mut list = kamailio.list.clone();
            list.sort_unstable();
            list.iter().map(|(uri, flags)| (uri.as_str(), *flags)).eq(expected.iter().copied())
        };
        self.until(|status, kamailio| status.in_step && same(kamailio)).await;
    }
}

#[tokio::test]
async fn a_dispatcher_follows_the_pool() {
    let bench = Bench::new(&[("sip:old", "AP")]).await;
    bench.want(&[("sip:a", Use::Active), ("sip:b", Use::Active)]);
    bench.until_listed(&[("sip:a", "AX"), ("sip:b", "AX")]).await;
    bench.want(&[("sip:a", Use::Disabled), ("sip:b", Use::Active), ("sip:c", Use::Disabled)]);
    bench.until_listed(&[("sip:a", "DX"), ("sip:b", "AX"), ("sip:c", "DX")]).await;
    bench.want(&[("sip:b", Use::Active)]);
    bench.until_listed(&[("sip:b", "AX")]).await;
    let commands = bench.kamailio.lock().unwrap().commands.clone();
    assert!(commands.contains(&r#"dispatcher.add [1,"sip:c",4,0]"#.to_owned()), "{commands:?}");
    assert_eq!(bench.metrics.fallback.pushed.get(), commands.len() as u64);
    assert_eq!((bench.metrics.fallback.targets.get(), bench.metrics.fallback.in_step.get()), (1, 1));
}

#[tokio::test]
async fn a_restarted_kamailio_is_filled_again() {
    let bench = Bench::new(&[]).await;
    bench.want(&[("sip:a", Use::Active)]);
    bench.until_listed(&[("sip:a", "AX")]).await;
    bench.kamailio.lock().unwrap().list.clear();
    bench.until_listed(&[("sip:a", "AX")]).await;
    // An empty pool is no reason to empty the list.
    bench.want(&[]);
    bench.kamailio.lock().unwrap().list.push(("sip:file".to_owned(), "AP"));
    bench.until_listed(&[("sip:a", "AX"), ("sip:file", "AP")]).await;
}

#[tokio::test]
async fn failures_are_said_and_survived() {
    let bench = Bench::new(&[]).await;
    bench.kamailio.lock().unwrap().garbage = true;
    bench.want(&[("sip:a", Use::Active)]);
    bench.until(|status, _| status.error.as_ref().is_some_and(|error| error.contains("not JSON-RPC"))).await;
    assert_eq!(bench.metrics.fallback.in_step.get(), 0);
    bench.kamailio.lock().unwrap().garbage = false;
    bench.until_listed(&[("sip:a", "AX")]).await;
    assert!(bench.status.targets()[0].error.is_none() && bench.status.targets()[0].agreed_at_ms.is_some());

    bench.kamailio.lock().unwrap().forgets = true;
    bench.want(&[("sip:b", Use::Active)]);
    bench.until(|status, _| status.error.as_ref().is_some_and(|error| error.contains("another kamari"))).await;
    assert!(bench.metrics.fallback.failed.get() >= 2);
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = Settings { rpc: vec![format!("http://{closed}/RPC")], ..Settings::default() };
    let (_wanted, receiver) = watch::channel(Vec::new());
    let fallback = Fallback::new(&settings, &receiver, &Metrics::new().unwrap().fallback).unwrap();
    let mut status = fallback.status().0[0].clone();
    let _running = AbortOnDropHandle::new(tokio::spawn(fallback.run(CancellationToken::new())));
    let failed = status.wait_for(|status| status.error.is_some());
    let error = timeout(Duration::from_secs(20), failed).await.unwrap().unwrap().error.clone().unwrap();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn it_ends_when_asked() {
    let bench = Bench::new(&[]).await;
    bench.stop.cancel();
    timeout(Duration::from_secs(20), bench.running).await.unwrap().unwrap();
}

#[test]
fn the_backoff_grows_and_is_bounded() {
    for failures in 1..70 {
        let pause = backoff(failures);
        assert!(pause >= Duration::from_millis(250) && pause <= Duration::from_secs(30));
    }
    assert!(backoff(70) >= Duration::from_secs(15));
}
