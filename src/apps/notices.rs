//! Tells a webhook when a mailbox has changed, so that a lamp can be lit.
//!
//! Why a webhook and no SIP NOTIFY: what a phone accepts differs. Some want a dialog by SUBSCRIBE to `message-summary`, which
//! needs presence and its tables in Kamailio; others take a NOTIFY out of the blue, which many networks filter. Who runs
//! the phones knows which; the hook gives the figures of RFC 3842 to whatever sends it.
//!
//! What is told is the state, not the change: a notice that failed is repeated, with the figures of that moment, until it is
//! taken. However many changes there were meanwhile, a mailbox is told once.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::media::{MailboxChange, MessageState, Recordings};
use crate::telemetry::MediaMetrics;

/// How long the hook may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Time until a failed notice is repeated: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The task that tells the hook.
#[derive(Debug)]
pub struct Notices {
    store: Arc<Recordings>,
    changes: Receiver<MailboxChange>,
    url: Url,
    http: reqwest::Client,
    metrics: Arc<MediaMetrics>,
}

impl Notices {
    /// Notices of the mailboxes of `store`, to `url`, from now on.
    pub fn new(store: Arc<Recordings>, url: Url, metrics: Arc<MediaMetrics>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { changes: store.changes(), store, url, http, metrics })
    }

    /// Tells until `stop`.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let (mut untold, mut pause) = (HashSet::new(), PAUSE.0);
        loop {
            // With something still to be told, a change is waited for no longer than the pause.
            let wait = async {
                if untold.is_empty() {
                    Some(self.changes.recv().await)
                } else {
                    timeout(pause, self.changes.recv()).await.ok()
                }
            };
            match stop.run_until_cancelled(wait).await {
                None | Some(Some(Err(RecvError::Closed))) => return Ok(()),
                Some(Some(Ok(change))) => {
                    untold.insert(change);
                }
                Some(Some(Err(RecvError::Lagged(_)))) => untold.extend(self.all()),
                Some(None) => {}
            }
            while let Ok(change) = self.changes.try_recv() {
                untold.insert(change);
            }
            let Some(failed) = stop.run_until_cancelled(self.tell(&untold)).await else { return Ok(()) };
            pause = if failed.is_empty() { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            untold = failed;
        }
    }

    /// Tells of each mailbox; gives those whose notice was not taken.
    async fn tell(&self, untold: &HashSet<MailboxChange>) -> HashSet<MailboxChange> {
        let mut failed = HashSet::new();
        for change in untold {
            let messages = self.store.messages(&change.tenant, &change.mailbox);
            let count = |state| messages.iter().filter(|one| one.state() == Some(state)).count();
            let body = serde_json::json!({
                "tenant": change.tenant,
                "mailbox": change.mailbox,
                "new": count(MessageState::New),
                "saved": count(MessageState::Saved),
            });
            let answer = self.http.post(self.url.clone()).json(&body).send().await;
            match answer.and_then(reqwest::Response::error_for_status) {
                Ok(_) => self.metrics.notices.inc(),
                Err(error) => {
                    self.metrics.notice_failures.inc();
                    tracing::warn!(error = %error.without_url(), "the webhook of mailboxes did not take a notice");
                    failed.insert(change.clone());
                }
            }
        }
        failed
    }

    /// Every mailbox that has messages.
    fn all(&self) -> impl Iterator<Item = MailboxChange> + use<> {
        let messages = self.store.list(|one| one.state().is_some());
        messages.into_iter().filter_map(|one| {
            Some(MailboxChange { tenant: Arc::clone(&one.tenant), mailbox: Arc::clone(one.mailbox()?) })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::extract::State;
    use axum::routing::post;
    use axum::{Json, Router};
    use http::StatusCode;
    use serde_json::{Value, json};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::Notices;
    use crate::media::{RecordingId, Recordings};
    use crate::telemetry::Metrics;

    /// Refuses the first notice, takes the others.
    async fn hook(State(taken): State<mpsc::UnboundedSender<Value>>, Json(body): Json<Value>) -> StatusCode {
        let first = body["new"] == 0 && taken.send(body.clone()).is_ok() && body["saved"] == 1;
        if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }

    #[tokio::test]
    async fn a_change_is_told_until_it_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = RecordingId::random();
        let described = json!({
            "id": id, "tenant": "one", "purpose": { "kind": "message", "mailbox": "200", "state": "saved" },
            "caller": "a", "node": "n", "started_ms": 1, "duration_ms": 1, "bytes": 1, "whole": true,
        });
        std::fs::write(folder.path().join(format!("{id}.json")), described.to_string()).expect("written");
        std::fs::write(folder.path().join(format!("{id}.wav")), "x").expect("written");
        let metrics = Metrics::new().expect("metrics").media;
        let store = Arc::new(Recordings::open(folder.path(), Arc::clone(&metrics)).expect("a good folder"));

        let _ = rustls::crypto::ring::default_provider().install_default();
        let (sender, mut taken) = mpsc::unbounded_channel();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address")).parse().expect("a URL");
        let router = Router::new().route("/hook", post(hook)).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let notices = Notices::new(Arc::clone(&store), url, Arc::clone(&metrics)).expect("a client");
        let stop = CancellationToken::new();
        let running = tokio::spawn(notices.run(stop.clone()));

        store.mark(&id, crate::media::MessageState::New).expect("marked");
        store.mark(&id, crate::media::MessageState::Saved).expect("marked");
        let told = taken.recv().await.expect("told");
        assert_eq!(told, json!({ "tenant": "one", "mailbox": "200", "new": 0, "saved": 1 }));
        assert_eq!(taken.recv().await.expect("told again"), told);
        store.delete(&id).expect("deleted");
        while taken.recv().await.expect("told of the change")["saved"] != 0 {}
        assert!(metrics.notice_failures.get() >= 1);
        stop.cancel();
        running.await.expect("it ends").expect("in order");
    }
}
