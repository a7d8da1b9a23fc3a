//! kamari as a process of its own, as operators run it.

use std::net::Ipv4Addr;
use std::path::Path;

use super::Script;

/// A running `kamari serve`.
#[derive(Clone, Debug)]
pub struct Kamari {
    script: Script,
    /// Address of both listeners: lookup 8070, API 8071.
    pub address: Ipv4Addr,
}

impl Kamari {
    pub(super) fn start(script: &Script, address: Ipv4Addr, config: &str) -> Self {
        let directory = script.run_directory().join("kamari");
        std::fs::create_dir_all(&directory).expect("the run directory can be written");
        let file = directory.join("kamari.toml");
        std::fs::write(&file, config).expect("the run directory can be written");
        script.run(&["kamari", env!("CARGO_BIN_EXE_kamari"), &file.to_string_lossy()]);
        Self { script: script.clone(), address }
    }

    /// Base URL of the API, `http://ADDRESS:8071`.
    pub fn api_url(&self) -> String {
        format!("http://{}:8071", self.address)
    }

    /// Base URL of the lookup, `http://ADDRESS:8070`.
    pub fn lookup_url(&self) -> String {
        format!("http://{}:8070", self.address)
    }

    /// `GET` of a path of the API, as JSON.
    #[track_caller]
    pub fn get(&self, path: &str) -> serde_json::Value {
        let body = self.get_text(path);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error} in {body}"))
    }

    /// `GET` of a path of the API, as it came.
    #[track_caller]
    pub fn get_text(&self, path: &str) -> String {
        self.script.run(&["get", &format!("{}{path}", self.api_url())])
    }

    /// `POST` of nothing to a path of the API, which must be taken.
    #[track_caller]
    pub fn post(&self, path: &str) {
        self.script.run(&["get", &format!("{}{path}", self.api_url()), "--request", "POST"]);
    }

    /// `GET` of a path of the API into a file.
    #[track_caller]
    pub fn save(&self, path: &str, file: &Path) {
        self.script.run(&["get", &format!("{}{path}", self.api_url()), "--output", &file.to_string_lossy()]);
    }

    /// Runs `kamari` with `arguments`, as its operator does, against this instance. `Err` is what it said.
    pub fn cli(&self, arguments: &[&str]) -> Result<String, String> {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kamari"))
            .args(arguments)
            .env("KAMARI_API", self.api_url())
            .env("KAMARI_LOOKUP", self.lookup_url())
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}: {}{}", output.status, text(&output.stderr), text(&output.stdout)))
        }
    }

    /// `kill -9`: returns when it is gone.
    pub fn kill9(&self) {
        self.script.run(&["end", "kamari", "KILL"]);
    }

    /// SIGTERM, and waits until it is gone.
    pub fn terminate(&self) {
        self.script.run(&["end", "kamari", "TERM"]);
    }

    /// Starts it again with the same files; returns when it is ready.
    pub fn restart(&self) {
        self.script.run(&["restart-kamari"]);
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.script.run_directory().join("logs/kamari.log")).unwrap_or_default()
    }
}
