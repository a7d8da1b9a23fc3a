//! Playing a recording to a caller.

use super::{Job, Recorder};
use crate::call::{AppError, Call, CallError, Playback};
use crate::media::{Loan, RecordingId};

/// The right of a call's node to fetch recordings, one at a time. When it is dropped, the node is made to forget them.
#[derive(Debug)]
pub(in crate::apps) struct Borrowed {
    recorder: Recorder,
    loan: Loan,
}

impl Recorder {
    /// Lets a call's node fetch recordings for as long as the result lives.
    pub(in crate::apps) async fn lend_to(&self, call: &Call) -> Result<Borrowed, AppError> {
        let loan = self.shared.lender.lend(call.node().as_str()).await.map_err(AppError::other)?;
        Ok(Borrowed { recorder: self.clone(), loan })
    }
}

impl Borrowed {
    /// Begins to play a recording, in place of what is being played.
    pub(in crate::apps) async fn start(&self, call: &Call, id: &RecordingId) -> Result<Playback, CallError> {
        self.recorder.shared.lender.offer(&self.loan, id);
        call.start_playing(&[&self.loan.uri]).await
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.recorder.shared.lender.withdraw(&self.loan);
        // Without a collector kamari is stopping, and the loan is on the disk for the next one.
        let _ = self.recorder.jobs.send(Job::Loan(self.loan.clone()));
    }
}
