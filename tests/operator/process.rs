//! A kamari process, and what a test does with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{Duration, PATIENCE};

const BINARY: &str = env!("CARGO_BIN_EXE_kamari");
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the program to its end. `Err` begins with the exit code.
pub(crate) fn kamari(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let output = std::process::Command::new(BINARY)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        code => Err(format!("exit {}: {}", code.unwrap_or(-1), text(&output.stderr))),
    }
}

/// Waits until `found` finds something.
pub(crate) async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found().await {
            return value;
        }
        assert!(Instant::now() < end, "it never came that {what}");
        sleep(LOOK).await;
    }
}

/// A kamari with a folder and addresses of its own. It dies with this value.
pub(crate) struct Kamari {
    folder: tempfile::TempDir,
    lookup: SocketAddr,
    api: SocketAddr,
    media: SocketAddr,
    http: reqwest::Client,
    child: Option<Child>,
}

/// An address nobody uses: the host part is this process's id, within a part of 127/8 that is only ours, and the ports are
/// given in turn. A port that the kernel calls free is no such address: until kamari takes it, another connection may.
fn unused() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(8070);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    assert!(high < 64, "Linux gives process ids below 2^22");
    SocketAddr::from((Ipv4Addr::new(127, 32 + high, middle, low), PORT.fetch_add(1, Ordering::Relaxed)))
}

impl Kamari {
    /// Everything in place, nothing started.
    pub(crate) fn prepare(settings: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { folder, lookup: unused(), api: unused(), media: unused(), http, child: None };
        this.write_settings(settings);
        this
    }

    /// The same with another address of the API.
    pub(crate) fn with_api(self, api: SocketAddr) -> Self {
        Self { api, ..self }
    }

    /// A kamari that runs and is ready.
    pub(crate) async fn start(settings: &str) -> Self {
        let mut this = Self::prepare(settings);
        this.restart().await;
        this
    }

    /// Starts it again, with the same files; returns when it is ready.
    pub(crate) async fn restart(&mut self) {
        let mut child = self.command().spawn().expect("the program starts");
        until("kamari is ready", async || {
            let ended = child.try_wait().expect("waited");
            assert!(ended.is_none(), "kamari ended ({ended:?}) before it was ready; its log:\n{}", self.log());
            (self.get("/readyz").await.0 == 200).then_some(())
        })
        .await;
        self.child = Some(child);
    }

    /// Starts it although it cannot: its exit code, and what it said.
    pub(crate) async fn fails_to_start(&self) -> (Option<i32>, String) {
        let mut child = self.command().spawn().expect("the program starts");
        let status = timeout(PATIENCE, child.wait()).await.expect("it ends by itself").expect("waited");
        (status.code(), self.log())
    }

    fn command(&self) -> Command {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new(BINARY);
        command
            .args(["serve", "--config"])
            .arg(self.settings_file())
            .env("KAMARI_LOOKUP__LISTEN", self.lookup.to_string())
            .env("KAMARI_API__LISTEN", self.api.to_string())
            .env("KAMARI_MEDIA__LISTEN", self.media.to_string())
            .env("KAMARI_POOL__STATE_FILE", self.state_file())
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.path().join("kamari.toml")
    }

    pub(crate) fn write_settings(&self, text: &str) {
        std::fs::write(self.settings_file(), text).expect("settings written");
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(Path::join(self.folder.path(), "log")).expect("a log")
    }

    pub(crate) async fn log_says(&self, text: &str) {
        until(&format!("the log says: {text}"), async || self.log().contains(text).then_some(())).await;
    }

    /// The command `kamari WHAT ARGUMENTS...` against this one.
    pub(crate) fn cli(&self, arguments: &[&str], what: &str) -> Result<String, String> {
        let (api, lookup) = (format!("http://{}", self.api), format!("http://{}", self.lookup));
        let all: Vec<&str> = [what].into_iter().chain(arguments.iter().copied()).collect();
        tokio::task::block_in_place(|| kamari(&all, &[("KAMARI_API", &api), ("KAMARI_LOOKUP", &lookup)]))
    }

    /// Status and text of a path of the API; status 0 when nobody answers.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.fetch(self.api, path).await
    }

    /// Status and text of a path of the lookup.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        self.fetch(self.lookup, path).await
    }

    async fn fetch(&self, address: SocketAddr, path: &str) -> (u16, String) {
        match self.http.get(format!("http://{address}{path}")).send().await {
            Ok(response) => (response.status().as_u16(), response.text().await.expect("a body")),
            Err(_) => (0, String::new()),
        }
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.1).unwrap_or(Value::Null)
    }

    /// Status, content type and JSON of a `POST`.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String, Value) {
        let request = self.http.post(format!("http://{}{path}", self.api)).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.expect("an answer");
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
        let status = response.status().as_u16();
        (status, kind, serde_json::from_str(&response.text().await.expect("a body")).unwrap_or(Value::Null))
    }

    /// Status and JSON of a `PATCH`.
    pub(crate) async fn patch(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.http.patch(format!("http://{}{path}", self.api)).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.expect("a body")).unwrap_or(Value::Null))
    }

    /// Status and beginning of the text of a request without a body.
    pub(crate) async fn send(&self, method: &str, path: &str) -> (u16, String) {
        let method = method.to_uppercase().parse().expect("a method");
        let request = self.http.request(method, format!("http://{}{path}", self.api));
        let mut response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        // A stream has no end to wait for, and may have no beginning yet.
        let begins = if status == 200 { None } else { response.chunk().await.expect("a body") };
        (status, String::from_utf8_lossy(&begins.unwrap_or_default()).into_owned())
    }

    /// Waits until the series has this value.
    pub(crate) async fn metric(&self, series: &str, value: f64) {
        until(&format!("{series} is {value}"), async || {
            let (_, text) = self.get("/metrics").await;
            let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
            (line == Some(value)).then_some(())
        })
        .await;
    }

    /// Whether connections to the lookup are refused.
    pub(crate) async fn lookup_refuses(&self) -> bool {
        tokio::net::TcpStream::connect(self.lookup).await.is_err()
    }

    /// The stream of changes.
    pub(crate) async fn events(&self) -> Events {
        // Each piece is waited for with patience; the whole may last.
        let request = self.http.get(format!("http://{}/v1/events", self.api)).timeout(PATIENCE * 10);
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        Events { response, read: String::new() }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill runs");
        assert!(sent.success(), "{name} reaches kamari");
    }

    pub(crate) fn hang_up_signal(&self) {
        self.signal("HUP");
    }

    pub(crate) fn terminate_signal(&self) {
        self.signal("TERM");
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let ended = timeout(PATIENCE, child.wait()).await;
        ended.unwrap_or_else(|_| panic!("kamari does not end; its log:\n{}", self.log())).expect("waited")
    }

    /// SIGTERM, unless it has ended, and the end of the process.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it was started");
        if child.try_wait().expect("waited").is_none() {
            self.terminate_signal();
        }
        self.ended().await
    }

    pub(crate) async fn kill9(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }
}

/// An open stream of changes.
pub(crate) struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    /// Reads until `text` came; what was before it is forgotten.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.read.contains(text) {
            let chunk = timeout(PATIENCE, self.response.chunk()).await.unwrap_or_else(|_| panic!("{text} never came"));
            let chunk = chunk.expect("the stream holds").unwrap_or_else(|| panic!("the stream ended before {text}"));
            self.read.push_str(&String::from_utf8_lossy(&chunk));
        }
        let end = self.read.find(text).expect("found above") + text.len();
        self.read.drain(..end);
    }

    /// Reads until the stream ends.
    pub(crate) async fn end(mut self) {
        while timeout(PATIENCE, self.response.chunk()).await.expect("the stream ends").expect("it holds").is_some() {}
    }
}
