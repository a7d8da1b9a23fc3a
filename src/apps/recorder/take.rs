//! One recording of a caller, as an app asks for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::tape::Order;
use super::{Job, Recorder};
use crate::call::{AppError, Call, CallError, Kind, TapeEnd, TapeRequest, TerminateOn};
use crate::media::{Pending, Purpose, Recording, RecordingId, Verdict};

/// What to record, and when to stop.
#[derive(Debug, Clone)]
pub(in crate::apps) struct Take {
    /// What it becomes.
    pub(in crate::apps) purpose: Purpose,
    /// What is shorter is thrown away.
    pub(in crate::apps) least: Duration,
    /// Longest recording, in whole seconds.
    pub(in crate::apps) max_duration: Duration,
    /// Silence that ends it, in whole seconds.
    pub(in crate::apps) max_silence: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::apps) struct Taken {
    /// Why it ended.
    pub(in crate::apps) end: TapeEnd,
    /// The recording; nothing if it was too short, and nothing after a hang-up: then it is kept by itself.
    pub(in crate::apps) draft: Option<Draft>,
}

/// A recording that its caller may yet throw away. Dropping it keeps a message or note, and throws a greeting away.
#[derive(Debug)]
pub(in crate::apps) struct Draft {
    pub(in crate::apps) recording: Arc<Recording>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Draft {
    /// Keeps it.
    pub(in crate::apps) fn accept(self) {
        // Without a collector kamari is stopping.
        let _ = self.orders.send(Order::Accept);
    }

    /// Throws it away.
    pub(in crate::apps) fn discard(self) {
        // Without a collector kamari is stopping; the next one keeps the recording.
        let _ = self.orders.send(Order::Discard);
    }
}

/// What another kamari must know to go on with the recording.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    tape: String,
}

/// Where an earlier kamari left the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apps) enum Before {
    /// Nothing was recorded.
    Nothing,
    /// He is being recorded: [`Recorder::take`] goes on with it.
    Recording,
    /// He was recorded, and the recording is kept.
    Recorded,
}

impl Recorder {
    /// Where this call of `app` is, if it was found after a restart.
    pub(in crate::apps) fn before(&self, call: &Call, app: &str) -> Before {
        match call.saved::<Plan>(app) {
            None => Before::Nothing,
            Some(plan) if self.shared.unclaimed().contains_key(&plan.tape) => Before::Recording,
            Some(_) => Before::Recorded,
        }
    }

    /// Records the caller until he presses `#`, is silent or at the limit, or hangs up. What he said is kept from the moment
    /// that he hangs up, also when that is in the middle of this.
    pub(in crate::apps) async fn take(&self, call: &mut Call, app: &str, wanted: &Take) -> Result<Taken, AppError> {
        let plan = call.saved::<Plan>(app);
        let (pending, resumed) = match plan.and_then(|plan| self.shared.claim(&plan.tape)) {
            Some(pending) => (pending, true),
            None => (self.begin(call, wanted).await?, false),
        };
        // After the last piece that is known there may be one that runs and one that waits on the node.
        let first = if resumed { pending.expected.iter().max().map_or(0, |last| last + 3) } else { 0 };
        let request = TapeRequest {
            tape: pending.tape.clone(),
            first,
            piece: self.shared.piece,
            max_duration: wanted.max_duration,
            max_silence: wanted.max_silence,
            terminate_on: TerminateOn::Hash,
        };
        let (orders, receiver) = mpsc::unbounded_channel();
        // Without a collector kamari is stopping; what is pending is on the disk. From here on somebody sees to it, also if the
        // next step fails because the caller is gone.
        let _ = self.jobs.send(Job::Tape(pending, receiver));
        if !resumed {
            call.save(&Plan { tape: request.tape.clone() }, &[]).await?;
        } else if !call.is_taped(&request).await {
            // Without a collector kamari is stopping.
            let _ = orders.send(Order::Gap);
        }
        let end = call
            .record_tape(&request, |piece| {
                let _ = orders.send(Order::Piece(piece));
            })
            .await?;
        if end == TapeEnd::HungUp {
            return Ok(Taken { end, draft: None });
        }
        let (done, kept) = oneshot::channel();
        let _ = orders.send(Order::Finish(done));
        let kept = tokio::select! {
            kept = kept => kept.ok().flatten(),
            over = call.hung_up() => return Err(CallError::HungUp(over).into()),
        };
        Ok(Taken { end, draft: kept.map(|recording| Draft { recording, orders }) })
    }

    /// Writes down that there will be a recording, before the node hears of it.
    async fn begin(&self, call: &Call, wanted: &Take) -> Result<Pending, AppError> {
        let tape = call.new_id(Kind::Recording);
        let recording = Recording {
            id: RecordingId::random(),
            tenant: call.tenant().unwrap_or_else(|| Arc::from("")),
            purpose: wanted.purpose.clone(),
            caller: call.caller().into(),
            call_id: call.call_id().map(|id| id.as_str().into()),
            node: call.node().as_str().into(),
            started_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            duration_ms: 0,
            bytes: 0,
            whole: false,
        };
        let least_ms = wanted.least.as_millis() as u64;
        let pending =
            Pending { tape, verdict: Verdict::Open, least_ms, expected: vec![0], gap: false, kept: false, recording };
        let entry = pending.clone();
        self.shared.store.run(move |store| store.put_pending(&entry)).await.map_err(AppError::other)?;
        Ok(pending)
    }
}
