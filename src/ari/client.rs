//! One node's REST interface: how a request becomes an answer.
//!
//! Invariants: every request has a deadline that covers the wait for a free slot, the connection and the whole body; no more
//! than `max_body_bytes` of an answer are held; a GET whose connection breaks is sent once more, and nothing else is
//! ever sent twice; whatever happens is told to the observer once.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::{AriError, ConnectFailure, from_causes};
use super::model::AsteriskInfo;
use super::observer::{Observer, RequestOutcome};
use super::rest::Request;
use super::settings::Settings;
use super::target::AriTarget;
use super::tls;
use crate::invalid::Invalid;

/// The longest message of a refusal, or of what is wrong with an answer, that is kept, in characters.
const MESSAGE_LIMIT: usize = 200;

/// A client of one node's ARI. A clone is cheap and shares the connections.
#[derive(Debug, Clone)]
pub struct AriClient {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    target: AriTarget,
    settings: Settings,
    authorization: HeaderValue,
    tls: Arc<ClientConfig>,
    slots: Semaphore,
    observer: Arc<dyn Observer>,
}

impl AriClient {
    /// A client of `target`. Connects to nothing yet; for `https` the trusted certificates are read from disk.
    pub fn new(target: AriTarget, settings: &Settings, observer: Arc<dyn Observer>) -> Result<Self, Invalid> {
        settings.validate()?;
        let tls = if target.is_https() { tls::trusting(settings.ca_file.as_deref())? } else { tls::unused()? };
        let unbuildable =
            |error: reqwest::Error| Invalid::new("ari", "a node that an HTTP client can be made for", error);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .connect_timeout(settings.connect_timeout())
            .pool_idle_timeout(Duration::from_millis(settings.idle_timeout_ms))
            .pool_max_idle_per_host(settings.max_in_flight)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .http1_only()
            .build()
            .map_err(unbuildable)?;
        let (username, password) = target.credentials();
        let signed =
            http.get(target.base().clone()).basic_auth(username, Some(password)).build().map_err(unbuildable)?;
        let authorization = signed.headers().get(AUTHORIZATION).cloned().ok_or_else(|| {
            Invalid::new("username", "a name and password that fit an Authorization header", username)
        })?;
        let slots = Semaphore::new(settings.max_in_flight);
        let deadline = settings.request_timeout();
        let settings = settings.clone();
        let shared = Shared { http, target, settings, authorization, tls: Arc::new(tls), slots, observer };
        Ok(Self { shared: Arc::new(shared), deadline })
    }

    /// The same client with another deadline for each request.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline }
    }

    /// The node's interface.
    pub fn target(&self) -> &AriTarget {
        &self.shared.target
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.shared.tls)
    }

    pub(super) fn authorization(&self) -> HeaderValue {
        self.shared.authorization.clone()
    }

    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.shared.observer)
    }

    /// Whether this is an Asterisk that lets us in: its own description, or the reason in an operator's words.
    pub async fn check(&self) -> Result<AsteriskInfo, ConnectFailure> {
        let info = match self.asterisk().info(&[]).await {
            Ok(info) => info,
            Err(AriError::Garbled { reason, .. }) => return Err(ConnectFailure::NotAri(reason)),
            Err(error) => {
                return Err(error.connect_failure().unwrap_or_else(|| ConnectFailure::NotAri(error.to_string())));
            }
        };
        if info.system.is_none() {
            return Err(ConnectFailure::Garbage("asterisk/info does not tell the version".to_owned()));
        }
        Ok(info)
    }

    /// Sends `request` and decodes the answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, request: Request) -> Result<T, AriError> {
        self.decode(request, |body| serde_json::from_slice(&body)).await
    }

    /// Sends `request` and has the answer decoded by `decode`.
    pub(super) async fn decode<T>(
        &self,
        request: Request,
        decode: impl FnOnce(Vec<u8>) -> Result<T, serde_json::Error>,
    ) -> Result<T, AriError> {
        let operation = request.operation.name;
        let garbled = |error: serde_json::Error| AriError::Garbled {
            operation,
            reason: error.to_string().chars().take(MESSAGE_LIMIT).collect(),
        };
        self.send(request, |body| decode(body).map_err(garbled)).await
    }

    /// Sends `request`, whose answer has no body worth reading.
    pub(super) async fn run(&self, request: Request) -> Result<(), AriError> {
        self.send(request, |_| Ok(())).await
    }

    /// Sends `request` and hands out the answer's bytes.
    pub(super) async fn bytes(&self, request: Request) -> Result<Vec<u8>, AriError> {
        self.send(request, Ok).await
    }

    async fn send<T>(
        &self,
        request: Request,
        read: impl FnOnce(Vec<u8>) -> Result<T, AriError>,
    ) -> Result<T, AriError> {
        let started = Instant::now();
        let operation = request.operation.name;
        let answer = tokio::time::timeout(self.deadline, self.attempts(request))
            .await
            .unwrap_or(Err(AriError::Timeout { operation, after: self.deadline }))
            .and_then(read);
        let outcome = answer.as_ref().map_or_else(AriError::outcome, |_| RequestOutcome::Ok);
        self.shared.observer.request(operation, outcome, started.elapsed());
        answer
    }

    async fn attempts(&self, request: Request) -> Result<Vec<u8>, AriError> {
        let operation = request.operation.name;
        let request = self.build(request)?;
        // The semaphore is never closed, so a permit always comes; without one the request goes out all the same.
        let _slot = self.shared.slots.acquire().await.ok();
        // Only a request without a stream can be copied, which all are; only a GET may be sent twice.
        let again = if request.method() == http::Method::GET { request.try_clone() } else { None };
        match (self.attempt(operation, request).await, again) {
            (Err(AriError::Connection { failure: ConnectFailure::Closed, .. }), Some(again)) => {
                self.attempt(operation, again).await
            }
            (answer, _) => answer,
        }
    }

    fn build(&self, request: Request) -> Result<reqwest::Request, AriError> {
        let operation = request.operation.name;
        let method = request.operation.method.clone();
        let (path, body) = request.encode().map_err(|invalid| AriError::Invalid { operation, invalid })?;
        let mut built = reqwest::Request::new(method, self.shared.target.url(&path));
        built.headers_mut().insert(AUTHORIZATION, self.authorization());
        if let Some(body) = body {
            built.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *built.body_mut() = Some(body.into());
        }
        Ok(built)
    }

    async fn attempt(&self, operation: &'static str, request: reqwest::Request) -> Result<Vec<u8>, AriError> {
        let answer = self.shared.http.execute(request).await.map_err(|error| self.failed(operation, &error))?;
        let status = answer.status();
        let is_json = is_json(answer.headers());
        let body = self.read(operation, answer).await?;
        if status.is_success() {
            return Ok(body);
        }
        if !is_json {
            // Asterisk's ARI answers every error in JSON: this is another server, or Asterisk with ARI switched off.
            let failure = ConnectFailure::NotAri(format!("it answers {status} without JSON"));
            return Err(AriError::Connection { operation, failure });
        }
        Err(AriError::Status { operation, status: status.as_u16(), message: message(&body) })
    }

    async fn read(&self, operation: &'static str, mut answer: reqwest::Response) -> Result<Vec<u8>, AriError> {
        let limit = self.shared.settings.max_body_bytes;
        let announced = answer.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(AriError::TooLarge { operation, limit });
        }
        let mut body = Vec::with_capacity(announced as usize);
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(operation, &error))? {
            if body.len() + chunk.len() > limit {
                return Err(AriError::TooLarge { operation, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, operation: &'static str, error: &reqwest::Error) -> AriError {
        let failure = if error.is_timeout() {
            ConnectFailure::Timeout(self.shared.settings.connect_timeout())
        } else {
            from_causes(error)
        };
        AriError::Connection { operation, failure }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The reason that an error answer gives: `{"message": "..."}`, or `error` for a few of them. Empty when there is none.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(alias = "error")]
        message: String,
    }
    let refusal = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.message).unwrap_or_default();
    refusal.chars().filter(|char| !char.is_control()).take(MESSAGE_LIMIT).collect()
}
