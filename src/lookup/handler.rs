//! From a request to its answer.
//!
//! The way of `/v1/route` has no await, no log line, no lock held across work and no allocation that grows with the
//! pool. Outcome reports and refusals are rarer and may cost more.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;
use tokio::time::Instant;

use super::document;
use super::query::Query;
use crate::invalid::Invalid;
use crate::pool::{Answer, CallId, NodeName, Routing};
use crate::telemetry::LookupMetrics;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
/// Largest outcome report, in bytes.
const REPORT_LIMIT: usize = 2_048;
/// Longest that an outcome report's body may take to come.
const REPORT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Answers requests. Cheap to clone: one a connection.
#[derive(Debug, Clone)]
pub(super) struct Handler(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routing: Arc<Routing>,
    metrics: Arc<LookupMetrics>,
    reserved_ms: u64,
}

/// Kamailio's report that a node failed a call, or that a call ended.
#[derive(Debug, Deserialize)]
struct Report {
    call_id: String,
    #[serde(default)]
    ended: bool,
    #[serde(default)]
    node: String,
    /// The SIP code that the node answered, or 408 when it answered nothing.
    #[serde(default)]
    code: u16,
}

/// The same, checked.
#[derive(Debug)]
enum Told {
    Failed(CallId, NodeName, u16),
    Ended(CallId),
}

impl Handler {
    pub(super) fn new(routing: Arc<Routing>, metrics: Arc<LookupMetrics>) -> Self {
        let reserved_ms = routing.reservation().as_millis() as u64;
        Self(Arc::new(Inner { routing, metrics, reserved_ms }))
    }

    pub(super) fn metrics(&self) -> &LookupMetrics {
        &self.0.metrics
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.uri().path(), request.method()) {
            ("/v1/route", &Method::GET) => self.route(request.uri().query().unwrap_or("")),
            ("/v1/outcome", &Method::POST) => self.outcome(request).await,
            ("/healthz", &Method::GET | &Method::HEAD) => body(StatusCode::OK, TEXT, Bytes::from_static(b"ok\n")),
            ("/v1/route" | "/healthz", _) => not_allowed(HeaderValue::from_static("GET")),
            ("/v1/outcome", _) => not_allowed(HeaderValue::from_static("POST")),
            _ => body(StatusCode::NOT_FOUND, JSON, Bytes::from_static(br#"{"error":"there is nothing here"}"#)),
        }
    }

    fn route(&self, query: &str) -> Response<Full<Bytes>> {
        let mut document = Vec::new();
        let status = self.document(query, Instant::now(), &mut document);
        body(status, JSON, Bytes::from(document))
    }

    /// Answers the query of a `GET /v1/route` that was `asked` just now with a document in `out`, in place of what was there,
    /// and its status: 200 or 400.
    pub(super) fn document(&self, query: &str, asked: Instant, out: &mut Vec<u8>) -> StatusCode {
        let metrics = &self.0.metrics;
        out.clear();
        let query = match Query::parse(query) {
            Ok(query) => query,
            Err(refusal) => {
                metrics.invalid.inc();
                out.extend_from_slice(refusal_text(&refusal).as_bytes());
                return StatusCode::BAD_REQUEST;
            }
        };
        match self.0.routing.route(&query.call_id, asked, &mut rand::rng()) {
            Answer::Routed(routed) => {
                if routed.repeated { &metrics.repeated } else { &metrics.routed }.inc();
                document::routes(out, &query, &routed, self.0.reserved_ms);
            }
            Answer::Refused { why, retry_after_s } => {
                metrics.rejected.inc();
                out.extend_from_slice(&document::reject(why, retry_after_s));
            }
        }
        metrics.duration.observe(asked.elapsed().as_secs_f64());
        StatusCode::OK
    }

    async fn outcome(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let collected = tokio::time::timeout(REPORT_TIMEOUT, Limited::new(request.into_body(), REPORT_LIMIT).collect());
        let report = match collected.await {
            Ok(Ok(collected)) => parse_report(&collected.to_bytes()),
            Ok(Err(error)) => Err(Invalid::new("body", "a JSON object of at most 2048 bytes", error)),
            Err(_) => Err(Invalid::new("body", "a JSON object within 5 seconds", "a body that did not end")),
        };
        let metrics = &self.0.metrics;
        match report {
            Ok(told) => {
                let known = match told {
                    Told::Failed(call_id, node, code) => self.0.routing.failed(call_id.as_str(), &node, code),
                    Told::Ended(call_id) => self.0.routing.ended(call_id.as_str()),
                };
                if known { &metrics.outcomes_known } else { &metrics.outcomes_unknown }.inc();
                let text: &[u8] = if known { br#"{"known":true}"# } else { br#"{"known":false}"# };
                body(StatusCode::OK, JSON, Bytes::from_static(text))
            }
            Err(refusal) => {
                metrics.outcomes_invalid.inc();
                invalid(&refusal)
            }
        }
    }
}

fn parse_report(text: &[u8]) -> Result<Told, Invalid> {
    let expected = r#"{"call_id":"...","node":"...","code":503} or {"call_id":"...","ended":true}"#;
    let report: Report = serde_json::from_slice(text).map_err(|error| Invalid::new("body", expected, error))?;
    if report.ended {
        return Ok(Told::Ended(CallId::new(&report.call_id)?));
    }
    if !(100..=699).contains(&report.code) {
        return Err(Invalid::new("code", "a SIP status code from 100 to 699", report.code));
    }
    let node = NodeName::new(&report.node).map_err(|refusal| Invalid { field: "node".to_owned(), ..refusal })?;
    Ok(Told::Failed(CallId::new(&report.call_id)?, node, report.code))
}

fn invalid(refusal: &Invalid) -> Response<Full<Bytes>> {
    body(StatusCode::BAD_REQUEST, JSON, Bytes::from(refusal_text(refusal)))
}

fn refusal_text(refusal: &Invalid) -> String {
    let text = serde_json::json!({
        "error": "invalid",
        "field": refusal.field,
        "expected": refusal.expected,
        "found": refusal.found,
    });
    text.to_string()
}

fn not_allowed(allow: HeaderValue) -> Response<Full<Bytes>> {
    let text = Bytes::from_static(br#"{"error":"this method is not allowed here"}"#);
    let mut response = body(StatusCode::METHOD_NOT_ALLOWED, JSON, text);
    response.headers_mut().insert(ALLOW, allow);
    response
}

fn body(status: StatusCode, kind: HeaderValue, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::StatusCode;
    use tokio::time::Instant;

    use super::Handler;
    use crate::balance::{Balancer, Settings, Standing};
    use crate::pool::{NodeName, Routing, SipUri, StandaloneNotes, Target};
    use crate::telemetry::Metrics;

    const NOW: Duration = Duration::from_secs(5);
    const LOOKUPS: usize = 2_000;

    fn over(count: usize) -> (Handler, StandaloneNotes) {
        let mut balancer = Balancer::new(Settings { stale_after_ms: 60_000, ..Settings::default() });
        let mut targets = Vec::new();
        for number in 0..count {
            let slot = balancer.add(100_000).unwrap();
            let node = balancer.node_mut(slot).unwrap();
            node.set_standing(Standing::Up, NOW);
            node.on_resync(0, NOW);
            // Of one length, so that the documents are.
            let name = NodeName::new(&format!("ast{number:04}")).unwrap();
            targets.push(Target::new(name, SipUri::new(&format!("sip:ast{number:04}.example.test")).unwrap()));
        }
        let (routing, taken) = Routing::standalone(&balancer, targets, NOW);
        (Handler::new(Arc::new(routing), Metrics::new().unwrap().lookup), taken)
    }

    /// How often a lookup of a new call asks the allocator, and for how many bytes: the median of many, since now and then
    /// the table of promises grows.
    fn allocated(count: usize) -> (u64, u64) {
        let (handler, mut taken) = over(count);
        let mut out = Vec::with_capacity(1_024);
        let mut ask = |number: usize| {
            let query = format!("call_id={number:08}%40192.0.2.33&user=600&domain=example.test&from=sip%3Aa%40b");
            let one = allocation_counter::measure(|| {
                assert_eq!(handler.document(&query, Instant::now(), &mut out), StatusCode::OK);
            });
            (one.count_total, one.bytes_total)
        };
        let mut all: Vec<(u64, u64)> = (0..LOOKUPS).map(&mut ask).collect();
        assert_eq!(taken.take(), LOOKUPS, "each was chosen for anew");
        all.sort_unstable();
        all[LOOKUPS / 2]
    }

    #[test]
    fn no_allocation_of_a_lookup_grows_with_the_pool() {
        let few = allocated(10);
        assert_eq!(allocated(1_000), few, "allocations and bytes of a lookup among 1,000 nodes, and among 10");
        assert!((1..=4).contains(&few.0), "{few:?}: the Call-ID, decoded and kept, and little else");
    }
}
