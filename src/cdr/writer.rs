//! From the end of a call to the line in the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::record::Cdr;
use super::settings::{Destination, Settings};
use crate::invalid::Invalid;
use crate::telemetry::CdrMetrics;

/// Records that a slow reader of the events may be behind; after that it misses the oldest.
const STREAM_LENGTH: usize = 4_096;
/// Records that are written at once.
const BATCH: usize = 256;
/// Bytes that may wait for a file that cannot be written; after that records are dropped. About ten thousand records.
const PENDING_LIMIT: usize = 8 * 1024 * 1024;
/// How long after a failure writing is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long one write may take while kamari stops.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Where the ends of calls are told. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Cdrs {
    queue: Option<mpsc::Sender<Arc<Cdr>>>,
    events: broadcast::Sender<Arc<Cdr>>,
    reopen: Arc<Notify>,
    lost_wait: Duration,
    metrics: Arc<CdrMetrics>,
}

/// Writes records. To be run as a task.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Receiver<Arc<Cdr>>,
    out: Arc<Mutex<Out>>,
    reopen: Arc<Notify>,
    metrics: Arc<CdrMetrics>,
}

impl Cdrs {
    /// Opens what the settings name, so that a file that cannot be opened is refused at once. The writer, if there is
    /// something to write to, has to be run.
    pub fn open(settings: &Settings, metrics: &Arc<CdrMetrics>) -> Result<(Self, Option<Writer>), Invalid> {
        settings.validate()?;
        let target = match settings.destination()? {
            Destination::None => None,
            Destination::Stdout => Some(Target::Stdout),
            Destination::File(path) => {
                let file = append_to(&path).map_err(|error| {
                    Invalid::new("to", format!("a file that can be appended to ({error})"), path.display())
                })?;
                Some(Target::File { path, file })
            }
        };
        let reopen = Arc::new(Notify::new());
        let (queue, received) = mpsc::channel(settings.queue);
        let writer = target.map(|target| Writer {
            queue: received,
            out: Arc::new(Mutex::new(Out { target, pending: Vec::new() })),
            reopen: Arc::clone(&reopen),
            metrics: Arc::clone(metrics),
        });
        let cdrs = Self {
            queue: writer.is_some().then_some(queue),
            events: broadcast::Sender::new(STREAM_LENGTH),
            reopen,
            lost_wait: Duration::from_secs(settings.lost_wait_s),
            metrics: Arc::clone(metrics),
        };
        Ok((cdrs, writer))
    }

    /// Takes the record of a call that is over. Never waits.
    pub fn record(&self, cdr: Cdr) {
        self.metrics.records.inc();
        let cdr = Arc::new(cdr);
        // That nobody listens is fine.
        let _ = self.events.send(Arc::clone(&cdr));
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(cdr) | TrySendError::Closed(cdr)) = queue.try_send(cdr) {
            self.metrics.dropped.inc();
            tracing::error!(call = %cdr.id, node = cdr.node, "a call's record is lost: the queue to the file is full");
        }
    }

    /// Every record from now on. A reader that is too slow misses the oldest and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Cdr>> {
        self.events.subscribe()
    }

    /// Opens the file anew, since it was moved away.
    pub fn reopen(&self) {
        self.reopen.notify_one();
    }

    /// How long a call of a lost node may be found again before it counts as over.
    pub fn lost_wait(&self) -> Duration {
        self.lost_wait
    }
}

/// Where lines go, and what is still to be written.
#[derive(Debug)]
struct Out {
    target: Target,
    /// Lines that were not written yet; the first may be the rest of one.
    pending: Vec<u8>,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Writer {
    /// Writes until `stop`, and then what is still in the queue.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let waits = !self.out().pending.is_empty();
            tokio::select! {
                biased;
                () = self.reopen.notified() => {
                    self.apart(Out::reopen).await;
                    continue;
                }
                read = self.queue.recv_many(&mut batch, BATCH) => if read == 0 { break },
                () = sleep(RETRY), if waits => {}
                () = stop.cancelled() => break,
            }
            self.write(&mut batch).await;
        }
        self.queue.close();
        while self.queue.recv_many(&mut batch, BATCH).await > 0 {
            if timeout(LAST_WRITE, self.write(&mut batch)).await.is_err() {
                break;
            }
        }
        let bytes = self.out().pending.len();
        if bytes > 0 {
            tracing::error!(bytes, "kamari stops with call records that cannot be written");
        }
    }

    /// Writes what waits and these; what cannot be written waits on.
    async fn write(&mut self, batch: &mut Vec<Arc<Cdr>>) {
        for cdr in batch.drain(..) {
            if let Err(reason) = self.out().add(&cdr) {
                self.metrics.dropped.inc();
                tracing::error!(call = %cdr.id, node = cdr.node, reason, "a call's record is lost");
            }
        }
        self.apart(Out::write_pending).await;
    }

    /// Does something that the disk may hold up where that holds nobody up.
    async fn apart(&self, work: fn(&mut Out) -> io::Result<()>) {
        let out = Arc::clone(&self.out);
        let failure = match tokio::task::spawn_blocking(move || work(&mut lock(&out))).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.metrics.failures.inc();
        let bytes = self.out().pending.len();
        tracing::error!(
            error = failure,
            bytes,
            "the file of call records cannot be written or opened anew; records wait"
        );
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        lock(&self.out)
    }
}

/// Locks; a panic elsewhere leaves these plain bytes usable.
fn lock(out: &Mutex<Out>) -> MutexGuard<'_, Out> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Out {
    /// Puts a record behind what waits, or says why not.
    fn add(&mut self, cdr: &Cdr) -> Result<(), String> {
        if self.pending.len() > PENDING_LIMIT {
            return Err("as many as may wait to be written do".to_owned());
        }
        let line = serde_json::to_vec(cdr).map_err(|error| error.to_string())?;
        self.pending.extend_from_slice(&line);
        self.pending.push(b'\n');
        Ok(())
    }

    /// Writes as much as goes; what was written waits no longer, to the byte.
    fn write_pending(&mut self) -> io::Result<()> {
        let mut written = 0;
        let done = loop {
            let rest = &self.pending[written..];
            if rest.is_empty() {
                break Ok(());
            }
            let wrote = match &mut self.target {
                Target::File { file, .. } => file.write(rest),
                Target::Stdout => io::stdout().write(rest),
            };
            match wrote {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        match &self.target {
            Target::Stdout => done.and_then(|()| io::stdout().flush()),
            Target::File { .. } => done,
        }
    }

    /// Opens the file anew; if that fails, the one that is open stays.
    fn reopen(&mut self) -> io::Result<()> {
        // Half of a line belongs to the file in which the other half is. If it cannot go there it goes to the new one.
        let written = self.write_pending();
        if let Target::File { path, file } = &mut self.target {
            *file = append_to(path)?;
        }
        written
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::{Cdrs, Out, Target, append_to};
    use crate::cdr::Settings;
    use crate::cdr::record::example;
    use crate::telemetry::Metrics;

    fn ids(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let record = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a whole line");
        text.lines().map(|line| record(line)["id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "it never came that {what}");
    }

    #[tokio::test]
    async fn records_are_lines_and_the_file_is_opened_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("cdr.jsonl"), folder.path().join("cdr.jsonl.1"));
        let settings = Settings { to: format!("file:{}", path.display()), ..Settings::default() };
        let metrics = Metrics::new().expect("metrics");
        let (cdrs, writer) = Cdrs::open(&settings, &metrics.cdr).expect("opened");
        let stop = CancellationToken::new();
        let task = tokio::spawn(writer.expect("a file has a writer").run(stop.clone()));
        let mut events = cdrs.subscribe();
        cdrs.record(example("a"));
        until("the first is written", || ids(&path) == ["a"]).await;
        assert_eq!(&*events.recv().await.expect("an event").id, "a");
        std::fs::rename(&path, &moved).expect("moved");
        cdrs.record(example("b"));
        until("without being told it goes on in the same file", || ids(&moved) == ["a", "b"]).await;
        cdrs.reopen();
        until("there is a new file", || path.exists()).await;
        for id in ["c", "d"] {
            cdrs.record(example(id));
        }
        stop.cancel();
        task.await.expect("the writer ends");
        assert_eq!(
            (ids(&moved), ids(&path)),
            (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned(), "d".to_owned()])
        );
        assert_eq!((metrics.cdr.records.get(), metrics.cdr.dropped.get(), metrics.cdr.failures.get()), (4, 0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_never_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cdr.jsonl");
        let settings = Settings { to: format!("file:{}", path.display()), queue: 16, ..Settings::default() };
        let metrics = Metrics::new().expect("metrics");
        let (cdrs, writer) = Cdrs::open(&settings, &metrics.cdr).expect("opened");
        for number in 0..20 {
            cdrs.record(example(&number.to_string()));
        }
        assert_eq!((metrics.cdr.records.get(), metrics.cdr.dropped.get()), (20, 4));
        let stop = CancellationToken::new();
        stop.cancel();
        writer.expect("a writer").run(stop).await;
        assert_eq!(ids(&path).len(), 16, "what was in the queue is written before the end");
    }

    #[tokio::test]
    async fn a_write_error_is_counted_and_the_records_wait() {
        let metrics = Metrics::new().expect("metrics");
        let settings = Settings { to: "file:/dev/full".to_owned(), ..Settings::default() };
        let (cdrs, writer) = Cdrs::open(&settings, &metrics.cdr).expect("opened");
        let writer = writer.expect("a writer");
        let out = Arc::clone(&writer.out);
        let stop = CancellationToken::new();
        let task = tokio::spawn(writer.run(stop.clone()));
        cdrs.record(example("a"));
        until("the failure is counted", || metrics.cdr.failures.get() > 0).await;
        // The disk has room again.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cdr.jsonl");
        super::lock(&out).target = Target::File { file: append_to(&path).expect("opened"), path: path.clone() };
        until("it is written after all", || ids(&path) == ["a"]).await;
        stop.cancel();
        task.await.expect("the writer ends");
        assert_eq!(metrics.cdr.dropped.get(), 0);
    }

    #[test]
    fn what_may_wait_is_bounded() {
        let mut out = Out { target: Target::Stdout, pending: Vec::new() };
        let record = example(&"x".repeat(100_000));
        let taken = (0..1_000).take_while(|_| out.add(&record).is_ok()).count();
        assert!((80..90).contains(&taken), "{taken}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_refused_at_once() {
        let metrics = Metrics::new().expect("metrics");
        let settings = Settings { to: "file:/nowhere/at/all".to_owned(), ..Settings::default() };
        assert_eq!(Cdrs::open(&settings, &metrics.cdr).expect_err("refused").field, "to");
    }
}
