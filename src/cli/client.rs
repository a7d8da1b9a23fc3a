//! The command line's side of the HTTP API.

use std::future::Future;
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Failure;
use crate::api::Problem;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// What stands for itself in one step of a path (RFC 3986, unreserved).
const STEP: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which kamari to talk to.
#[derive(Debug, Clone, Args)]
pub(super) struct ApiAddress {
    /// Where the API of the running kamari is
    #[arg(
        long = "api",
        value_name = "URL",
        env = "KAMARI_API",
        default_value = "http://127.0.0.1:8071",
        global = true
    )]
    url: Url,
}

/// Talks to one HTTP server of kamari's.
pub(super) struct Client {
    base: Url,
    http: reqwest::Client,
}

impl ApiAddress {
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url)
    }
}

impl Client {
    /// A client of the server at `base`.
    pub(super) fn new(base: &Url) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .no_proxy()
            .build()
            .map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self { base: base.clone(), http })
    }

    /// The JSON that `GET` answers with.
    pub(super) async fn get<T: DeserializeOwned>(&self, steps: &[&str]) -> Result<T, Failure> {
        self.json(Method::GET, steps, None::<&()>).await
    }

    /// The JSON that a request with a body is answered with.
    pub(super) async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        steps: &[&str],
        body: Option<&B>,
    ) -> Result<T, Failure> {
        self.json(method, steps, body).await
    }

    /// A request whose answer has no body.
    pub(super) async fn call<B: Serialize>(
        &self,
        method: Method,
        steps: &[&str],
        body: Option<&B>,
    ) -> Result<(), Failure> {
        self.request(method, steps, &[], body).await.map(drop)
    }

    /// The status and text of a `GET` with a query, whatever the status.
    pub(super) async fn ask(&self, steps: &[&str], query: &[(&str, &str)]) -> Result<(StatusCode, String), Failure> {
        let response = self.exchange(Method::GET, steps, query, None::<&()>).await?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.no_answer(&error))?;
        Ok((status, text))
    }

    async fn json<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        steps: &[&str],
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let text = self.request(method, steps, &[], body).await?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::Failed(format!("{} answers with something else than this kamari expects: {error}", self.base))
        })
    }

    async fn request<B: Serialize>(
        &self,
        method: Method,
        steps: &[&str],
        query: &[(&str, &str)],
        body: Option<&B>,
    ) -> Result<String, Failure> {
        let response = self.exchange(method, steps, query, body).await?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.no_answer(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(Failure::Failed(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => problem.detail,
            Err(_) => format!("{} answers {status}", self.base),
        }))
    }

    async fn exchange<B: Serialize>(
        &self,
        method: Method,
        steps: &[&str],
        query: &[(&str, &str)],
        body: Option<&B>,
    ) -> Result<reqwest::Response, Failure> {
        let path: Vec<String> = steps.iter().map(|step| utf8_percent_encode(step, &STEP).to_string()).collect();
        let mut url = self.base.clone();
        url.set_path(&path.join("/"));
        let mut request = self.http.request(method, url).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| self.no_answer(&error))
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_connect() {
            "nothing listens there. Is kamari running (kamari serve), and is this its address?".to_owned()
        } else if error.is_timeout() {
            format!("no answer within {} s", DEADLINE.as_secs())
        } else {
            error.to_string()
        };
        Failure::NoAnswer(format!("no kamari at {}: {why}", self.base))
    }
}

/// Runs a command's future on a runtime of its own.
pub(super) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // A second provider can only be refused when one is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(command)
}
