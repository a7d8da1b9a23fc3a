//! What Kamailio sees of kamari: an HTTP server that answers lookups as a test says, rightly or wrongly.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::agent::Agent;

/// How a lookup is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With these nodes (name, SIP address), best first.
    Nodes(Vec<(String, String)>),
    /// With this status and body.
    Raw(u16, String),
}

#[derive(Debug)]
struct Said {
    answer: Answer,
    delay: Duration,
    asked: Vec<String>,
    outcomes: Vec<Value>,
}

/// The server. Its port closes when it ends.
#[derive(Debug)]
pub(crate) struct StandIn {
    said: Arc<Mutex<Said>>,
    /// Dropped in the background: it must not wait for a slow answer.
    runtime: Option<Runtime>,
}

impl StandIn {
    /// A server at `address`, port 8070, that answers with `nodes` in this order.
    pub(crate) fn new(address: Ipv4Addr, nodes: &[(&str, &Agent)]) -> Self {
        let answer = routes(nodes);
        let said = Said { answer, delay: Duration::ZERO, asked: Vec::new(), outcomes: Vec::new() };
        let said = Arc::new(Mutex::new(said));
        let router = Router::new()
            .route("/v1/route", get(route))
            .route("/v1/outcome", post(outcome))
            .with_state(Arc::clone(&said));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(SocketAddrV4::new(address, 8070))).expect("the port is free");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { said, runtime: Some(runtime) }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it answers with these nodes, at once.
    pub(crate) fn routes_to(&self, nodes: &[(&str, &Agent)]) {
        self.answers(routes(nodes));
    }

    /// From now on it answers so, at once.
    pub(crate) fn answers(&self, answer: Answer) {
        let mut said = self.said();
        said.answer = answer;
        said.delay = Duration::ZERO;
    }

    /// From now on it answers rightly, and so late.
    pub(crate) fn answers_late(&self, delay: Duration) {
        self.said().delay = delay;
    }

    /// The queries of all lookups so far, as they came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.said().asked.clone()
    }

    /// All outcomes reported so far.
    pub(crate) fn outcomes(&self) -> Vec<Value> {
        self.said().outcomes.clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn routes(nodes: &[(&str, &Agent)]) -> Answer {
    Answer::Nodes(nodes.iter().map(|(name, agent)| ((*name).to_owned(), format!("sip:{}", agent.address()))).collect())
}

async fn route(State(said): State<Arc<Mutex<Said>>>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let (answer, delay) = {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.asked.push(query.unwrap_or_default());
        (said.answer.clone(), said.delay)
    };
    tokio::time::sleep(delay).await;
    match answer {
        Answer::Raw(status, body) => (StatusCode::from_u16(status).expect("an HTTP status"), body),
        Answer::Nodes(nodes) => {
            let routes: Vec<Value> = nodes.iter().map(|(name, uri)| json!({"dst_uri": uri, "node": name})).collect();
            let first = nodes.first().map(|(name, _)| name);
            let call = json!({"node": first, "reserved_ms": 10_000});
            (StatusCode::OK, json!({"version": "1.0", "routing": "serial", "routes": routes, "call": call}).to_string())
        }
    }
}

async fn outcome(State(said): State<Arc<Mutex<Said>>>, body: String) -> StatusCode {
    let Ok(report) = serde_json::from_str(&body) else { return StatusCode::BAD_REQUEST };
    said.lock().unwrap_or_else(PoisonError::into_inner).outcomes.push(report);
    StatusCode::NO_CONTENT
}
