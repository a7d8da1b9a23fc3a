//! `kamari serve` as a process of its own, so that its CPU and memory are counted apart from the bench's.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Longest that a bench waits for a condition; far above what any takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// Unit of the times in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A running kamari; dropping it kills it.
pub(crate) struct Kamari {
    child: Child,
    pub(crate) lookup: SocketAddr,
    pub(crate) api: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Kamari {
    /// Starts it with this configuration, on free ports of 127.0.0.1, and waits until it answers.
    pub(crate) fn start(config: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("kamari.toml");
        fs::write(&file, config)?;
        let (lookup, api, media) = (free_port()?, free_port()?, free_port()?);
        let child = Command::new(env!("CARGO_BIN_EXE_kamari"))
            .args(["serve", "--config"])
            .arg(&file)
            .env("KAMARI_LOOKUP__LISTEN", lookup.to_string())
            .env("KAMARI_API__LISTEN", api.to_string())
            .env("KAMARI_MEDIA__LISTEN", media.to_string())
            .env("KAMARI_LOG__LEVEL", "error")
            .stdin(Stdio::null())
            .spawn()?;
        let kamari = Self { child, lookup, api, _directory: directory };
        kamari.until("it answers", || Ok(kamari.get("/healthz").is_ok()))?;
        Ok(kamari)
    }

    /// Waits for a condition, of which no event tells.
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !condition()? {
            if began.elapsed() > PATIENCE {
                return Err(format!("waited {PATIENCE:?} in vain until {what}").into());
            }
            if self.stat()?.split_whitespace().next() == Some("Z") {
                return Err(format!("kamari ended before {what}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// CPU time that the process has used, all threads, those that ended too.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.stat()?;
        // utime and stime are the 14th and 15th field.
        let ticks = |at: usize| stat.split_whitespace().nth(at - 3).and_then(|text| text.parse::<u32>().ok());
        let used = ticks(14).zip(ticks(15)).ok_or("/proc/PID/stat without times")?;
        Ok(TICK * (used.0 + used.1))
    }

    /// `/proc/PID/stat` from its third field, the state, on; the second, a name in parentheses, may hold anything.
    fn stat(&self) -> Result<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        Ok(stat.rsplit_once(')').ok_or("/proc/PID/stat without a name")?.1.to_owned())
    }

    /// CPU time of the threads that answer lookups.
    pub(crate) fn lookup_cpu(&self) -> Result<Duration> {
        let mut used = 0;
        for entry in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = entry?.path();
            if fs::read_to_string(path.join("comm"))?.starts_with("lookup-") {
                let times = fs::read_to_string(path.join("schedstat"))?;
                used += times.split(' ').next().ok_or("schedstat")?.parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(used))
    }

    /// Memory that the process holds, in KiB.
    pub(crate) fn memory_kib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The sum of all series of a metric, or of those with the labels that `name` begins to tell.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let series = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{', ',']));
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        let found: Vec<f64> = text.lines().filter(series).filter_map(value).collect();
        if found.is_empty() { Err(format!("no metric {name}").into()) } else { Ok(found.iter().sum()) }
    }

    /// The body of a `GET` of the API.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.api)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.api)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a head")?;
        if head.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(head.to_owned().into()) }
    }
}

impl Drop for Kamari {
    fn drop(&mut self) {
        // It may have ended by itself, which the bench has noticed then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
