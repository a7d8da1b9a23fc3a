//! From a request to its answer.
//!
//! The way of `/v1/route` has no await, no log line, no lock held across work and no allocation that grows with the
//! pool. Outcome reports and refusals are rarer and may cost more.

use std::sync::Arc;
use std::time::Instant;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;

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
    reserved_ms: u128,
}

/// Kamailio's report that a node failed a call.
#[derive(Debug, Deserialize)]
struct Report {
    call_id: String,
    node: String,
    /// The SIP code that the node answered, or 408 when it answered nothing.
    code: u16,
}

impl Handler {
    pub(super) fn new(routing: Arc<Routing>, metrics: Arc<LookupMetrics>) -> Self {
        let reserved_ms = routing.reservation().as_millis();
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
        let began = Instant::now();
        let metrics = &self.0.metrics;
        let query = match Query::parse(query) {
            Ok(query) => query,
            Err(refusal) => {
                metrics.invalid.inc();
                return invalid(&refusal);
            }
        };
        let document = match self.0.routing.route(&query.call_id, &mut rand::rng()) {
            Answer::Routed(routed) => {
                if routed.repeated { &metrics.repeated } else { &metrics.routed }.inc();
                document::routes(&query, &routed, self.0.reserved_ms)
            }
            Answer::Refused { why, retry_after_s } => {
                metrics.rejected.inc();
                document::reject(why, retry_after_s)
            }
        };
        let response = body(StatusCode::OK, JSON, Bytes::from(document));
        metrics.duration.observe(began.elapsed().as_secs_f64());
        response
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
            Ok((call_id, node, code)) => {
                let known = self.0.routing.failed(call_id.as_str(), &node, code);
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

fn parse_report(text: &[u8]) -> Result<(CallId, NodeName, u16), Invalid> {
    let report: Report = serde_json::from_slice(text)
        .map_err(|error| Invalid::new("body", r#"{"call_id":"...","node":"...","code":503}"#, error))?;
    if !(100..=699).contains(&report.code) {
        return Err(Invalid::new("code", "a SIP status code from 100 to 699", report.code));
    }
    let node = NodeName::new(&report.node).map_err(|refusal| Invalid { field: "node".to_owned(), ..refusal })?;
    Ok((CallId::new(&report.call_id)?, node, report.code))
}

fn invalid(refusal: &Invalid) -> Response<Full<Bytes>> {
    let text = serde_json::json!({
        "error": "invalid",
        "field": refusal.field,
        "expected": refusal.expected,
        "found": refusal.found,
    });
    body(StatusCode::BAD_REQUEST, JSON, Bytes::from(text.to_string()))
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
