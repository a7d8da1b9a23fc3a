//! One recording of a caller.
//!
//! What is recorded is a file on the node until somebody fetches it and removes it there ([`Recorded::name`] is its name).
//! So a recording matters after its call: the result comes also when the caller hangs up meanwhile, which is how
//! most messages end.
//!
//! Names are ids of [`Kind::Recording`] and say nothing of tenant or caller: they are all that a node's disk gets to see.
//! The app may save the name before it records; a kamari that finds the call again asks for the same recording, which then
//! is taken up instead of begun.
//!
//! Tried on 22.10: a recording holds up what is played after it; stopping one that is still queued does nothing, hence the
//! loop in [`RecordingCore::stop`]; the key that ends one is reported as a key as well, before the recording's end; after a
//! hang-up the end is reported before `StasisEnd`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::error::CallError;
use super::handle::Call;
use super::ids::Kind;
use super::site::{Site, Target};
use super::view::Step;
use crate::ari::model::LiveRecording;
use crate::ari::rest::channels::Record;
use crate::ari::{AriClient, AriError};
use crate::invalid::Invalid;

/// For how long the end of a recording that must be over is awaited before the node is asked.
const END_WAIT: Duration = Duration::from_secs(1);
/// How much longer than asked for a recording may run, its tone included, before it is stopped.
const OVERDUE: Duration = Duration::from_secs(5);
/// The longest recording, and the longest silence that ends one.
const LONGEST: Duration = Duration::from_hours(24);

/// Which keys end a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminateOn {
    /// None.
    #[default]
    None,
    /// Every key.
    Any,
    /// `#`.
    Hash,
    /// `*`.
    Star,
}

impl TerminateOn {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Any => "any",
            Self::Hash => "#",
            Self::Star => "*",
        }
    }

    fn ends_on(self, key: char) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Hash => key == '#',
            Self::Star => key == '*',
        }
    }
}

/// A recording to be made of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRequest {
    /// An id of [`Call::new_id`] with [`Kind::Recording`]. A recording of this call that bears it already, running or
    /// finished, is taken up.
    pub name: String,
    /// A file format of Asterisk: `wav` is 8 kHz, 16 bits; `wav16` 16 kHz.
    pub format: String,
    /// Longest recording, 1 s to a day; fractions of a second count as a whole one.
    pub max_duration: Duration,
    /// Silence that ends the recording, 1 s to a day; it stays at the recording's end. Nothing for no such limit.
    pub max_silence: Option<Duration>,
    /// Keys that end the recording.
    pub terminate_on: TerminateOn,
    /// Whether the caller hears a tone first.
    pub beep: bool,
}

impl RecordRequest {
    /// A recording in `wav` of at most `max_duration`, that begins with a tone and ends on `#`.
    pub fn new(name: String, max_duration: Duration) -> Self {
        let format = "wav".to_owned();
        Self { name, format, max_duration, max_silence: None, terminate_on: TerminateOn::Hash, beep: true }
    }

    /// Checks the name and the ranges.
    pub fn validate(&self) -> Result<(), Invalid> {
        if Kind::of(&self.name) != Some(Kind::Recording) || self.name.contains(['/', '.']) {
            return Err(Invalid::new("name", "an id made for a recording", &self.name));
        }
        let in_range = |length: Duration| (Duration::from_secs(1)..=LONGEST).contains(&length);
        for (field, length) in [("max_duration", Some(self.max_duration)), ("max_silence", self.max_silence)] {
            if let Some(length) = length.filter(|length| !in_range(*length)) {
                return Err(Invalid::new(field, "a time from 1 s to a day", format!("{length:?}")));
            }
        }
        Ok(())
    }

    fn to_wire(&self) -> Record {
        let seconds = |length: Duration| (length.as_secs() + u64::from(length.subsec_nanos() > 0)) as u32;
        Record {
            name: self.name.clone(),
            format: self.format.clone(),
            max_duration_seconds: Some(seconds(self.max_duration)),
            max_silence_seconds: Some(self.max_silence.map_or(0, seconds)),
            if_exists: Some("fail".to_owned()),
            beep: Some(self.beep),
            terminate_on: Some(self.terminate_on.as_str().to_owned()),
        }
    }
}

/// A recording that is complete and lies on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its name on the node.
    pub name: String,
    /// Its format there.
    pub format: String,
    /// How long it is, as the node says, in whole seconds; nothing if the node's word was missed.
    pub duration: Option<Duration>,
    /// How much of it is talking, as the node says, in whole seconds; only of a recording with `max_silence`.
    pub talking: Option<Duration>,
    /// The key that ended it.
    pub key: Option<char>,
    /// Whether the call was over when it ended. Every further step of the call then fails with `HungUp`.
    pub hung_up: bool,
}

/// How far a recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Asked for, queued or running; counts what the node said of it.
    Running(u32),
    Done {
        duration: Option<Duration>,
        talking: Option<Duration>,
    },
    Failed(String),
}

/// What the dispatcher tells a recording's owner. The latest state replaces an earlier one, so it needs no queue.
#[derive(Debug)]
pub(super) struct RecordingCore {
    pub(super) name: String,
    progress: watch::Sender<Progress>,
}

impl RecordingCore {
    pub(super) fn new(name: String) -> Arc<Self> {
        Arc::new(Self { name, progress: watch::Sender::new(Progress::Running(0)) })
    }

    /// The node began to record.
    pub(super) fn goes_on(&self) {
        self.progress.send_if_modified(|progress| match progress {
            Progress::Running(count) => {
                *count = count.wrapping_add(1);
                true
            }
            _ => false,
        });
    }

    /// The node said that it is complete.
    pub(super) fn finished(&self, recording: &LiveRecording) {
        let seconds = |seconds: Option<i64>| seconds.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
        let (duration, talking) = (seconds(recording.duration), seconds(recording.talking_duration));
        self.ends(Progress::Done { duration, talking });
    }

    /// The node said that it cannot record, or it did not take the request.
    pub(super) fn failed(&self, cause: Option<&str>) {
        self.ends(Progress::Failed(cause.unwrap_or("the node did not say why").to_owned()));
    }

    fn ends(&self, end: Progress) {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Running(_));
            if first {
                *progress = end;
            }
            first
        });
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(*self.progress.borrow(), Progress::Running(_))
    }

    async fn over(&self) -> Progress {
        let mut progress = self.progress.subscribe();
        let over = progress.wait_for(|progress| !matches!(progress, Progress::Running(_))).await;
        // The sender is `self`, so waiting cannot fail.
        over.map_or_else(|_| Progress::Failed(String::new()), |over| over.clone())
    }

    /// Asks the node whether the recording still runs: its end may have been among events that were lost.
    pub(super) async fn verify(&self, site: &Site) {
        let link = site.link();
        let recordings = link.ari.recordings();
        match recordings.live(&self.name).await {
            Err(error) if error.is_gone() => {}
            // It runs, or the node does not answer, which is for others to notice.
            _ => return,
        }
        match recordings.stored(&self.name).await {
            Ok(_) => self.ends(Progress::Done { duration: None, talking: None }),
            Err(error) if error.is_gone() => self.failed(Some("the node has no such recording")),
            Err(_) => {}
        }
    }

    /// Ends it so that it is kept, and waits until it is complete.
    pub(super) async fn stop(&self, site: &Site) -> Result<(), AriError> {
        self.end(site, true).await
    }

    /// Ends it so that nothing of it stays on the node, and waits for that.
    pub(super) async fn cancel(&self, site: &Site) -> Result<(), AriError> {
        self.end(site, false).await
    }

    async fn end(&self, site: &Site, keep: bool) -> Result<(), AriError> {
        let mut progress = self.progress.subscribe();
        while matches!(*progress.borrow_and_update(), Progress::Running(_)) {
            let link = site.link();
            let recordings = link.ari.recordings();
            let asked = if keep { recordings.stop(&self.name).await } else { recordings.cancel(&self.name).await };
            match asked {
                Ok(()) => {}
                Err(error) if error.is_gone() => self.verify(site).await,
                Err(error) => return Err(error),
            }
            if matches!(*progress.borrow(), Progress::Running(_))
                && timeout(END_WAIT, progress.changed()).await.is_err()
            {
                self.verify(site).await;
            }
        }
        Ok(())
    }
}

impl Core {
    /// Notes and registers a recording of the caller's channel; forgets those that are over.
    fn own_recording(&self, recording: &Arc<RecordingCore>) {
        self.site.register(&recording.name, Target::Recording(Arc::clone(recording)));
        let mut owned = self.owned();
        owned.recordings.retain(|one| {
            let over = one.is_over();
            if over {
                self.site.forget(&one.name);
            }
            !over
        });
        owned.recordings.push(Arc::clone(recording));
    }

    /// Begins a recording. One of this name that is there already is taken up.
    pub(super) async fn start_recording(
        self: &Arc<Self>,
        request: &RecordRequest,
    ) -> Result<Arc<RecordingCore>, CallError> {
        let recording = RecordingCore::new(request.name.clone());
        self.command(self.begin_recording(request, &recording)).await?;
        self.step(Step::Recording { name: request.name.clone() });
        Ok(recording)
    }

    /// Asks for a recording that begins when the one that runs has ended: with its next sample.
    pub(super) async fn queue_recording(
        self: &Arc<Self>,
        request: &RecordRequest,
    ) -> Result<Arc<RecordingCore>, CallError> {
        let recording = RecordingCore::new(request.name.clone());
        self.command_while_playing(self.begin_recording(request, &recording)).await?;
        Ok(recording)
    }

    /// The request that begins a recording; it is registered when the request is made.
    fn begin_recording(
        self: &Arc<Self>,
        request: &RecordRequest,
        recording: &Arc<RecordingCore>,
    ) -> impl FnOnce(AriClient) -> BoxFuture<'static, Result<(), AriError>> + use<> {
        let (channel, ours, wire) = (Arc::clone(&self.channel), Arc::clone(recording), request.to_wire());
        let core = Arc::clone(self);
        move |ari| {
            core.own_recording(&ours);
            async move {
                match ari.channels().record(&channel, &wire).await {
                    Ok(_) => Ok(()),
                    Err(AriError::Status { status: 409, .. }) => {
                        ours.verify(&core.site).await;
                        Ok(())
                    }
                    // Said of a format that the node does not know.
                    Err(AriError::Status { status: 422, message, .. }) => {
                        ours.failed(Some(&message));
                        Ok(())
                    }
                    Err(error) => {
                        ours.failed(None);
                        Err(error)
                    }
                }
            }
            .boxed()
        }
    }

    /// Waits for the end of a recording of at most `longest`. It comes although the call is over; it does not come from a
    /// node that is lost.
    pub(super) async fn recorded(&self, recording: &RecordingCore, longest: Duration) -> Result<Progress, CallError> {
        let end = tokio::select! {
            biased;
            progress = recording.over() => return Ok(progress),
            end = self.over() => end,
            () = sleep(longest + OVERDUE) => {
                self.unless_over(recording.stop(&self.site)).await??;
                return Ok(recording.over().await);
            }
        };
        while end.allows_commands() && self.site.link().commands_allowed() {
            tokio::select! {
                progress = recording.over() => return Ok(progress),
                () = self.site.closed() => break,
                () = sleep(END_WAIT) => recording.verify(&self.site).await,
            }
        }
        Err(CallError::HungUp(end))
    }
}

impl Call {
    /// Records the caller until he presses a key of `terminate_on`, is silent for `max_silence`, `max_duration` is reached,
    /// or the call is over; all of these are `Ok`.
    ///
    /// Keys that were pressed before are forgotten, and so are those that are pressed meanwhile, the one that ends the
    /// recording included. What is being played is stopped first. Dropping the wait leaves the recording running; it ends
    /// with the next step that the recording would hold up, with [`Call::stop_recording`], or with the call.
    ///
    /// The file stays on the node until it is fetched and removed there, whatever comes of the call.
    pub async fn record(&mut self, request: &RecordRequest) -> Result<Recorded, CallError> {
        request.validate().map_err(|_| CallError::Misuse("a recording's name, duration or silence is out of range"))?;
        self.forget_digits();
        let core = Arc::clone(&self.core);
        // The call's end does not cut this short: what the node was asked to record must be known.
        let recording = tokio::select! {
            begun = core.start_recording(request) => begun?,
            error = node_lost(&core) => return Err(error),
        };
        let progress = core.recorded(&recording, request.max_duration).await;
        core.site.forget(&recording.name);
        match progress? {
            Progress::Done { duration, talking } => {
                core.step(Step::Recorded);
                Ok(Recorded {
                    name: request.name.clone(),
                    format: request.format.clone(),
                    duration,
                    talking,
                    key: self.ended_by(request.terminate_on),
                    hung_up: core.end().is_some(),
                })
            }
            Progress::Failed(cause) => {
                // A hang-up fails the recording too, and its own event may come later.
                core.still_there().await?;
                Err(CallError::Recording(cause))
            }
            Progress::Running(_) => Err(CallError::Silent("the end of a recording")),
        }
    }

    /// Ends every recording that a dropped [`Call::record`] left running, so that each is kept, and waits for that.
    pub async fn stop_recording(&self) -> Result<(), CallError> {
        self.core.unless_over(self.core.stop_recordings()).await?
    }

    /// Reads the keys up to the one that ended the recording; those after it were pressed for what comes next.
    pub(super) fn ended_by(&mut self, terminate_on: TerminateOn) -> Option<char> {
        std::iter::from_fn(|| self.waiting_digit()).find(|key| terminate_on.ends_on(*key))
    }
}

/// Completes when the node may no longer be asked.
pub(super) async fn node_lost(core: &Core) -> CallError {
    let end = core.over().await;
    if end.allows_commands() {
        core.site.closed().await;
    }
    CallError::HungUp(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RecordRequest, TerminateOn};
    use crate::call::ids::{Ids, Kind};

    #[test]
    fn only_names_that_say_nothing_and_lengths_that_asterisk_takes() {
        let ids = Ids::new();
        let good = RecordRequest::new(ids.next(Kind::Recording), Duration::from_mins(1));
        good.validate().expect("good");
        let refused = |change: &dyn Fn(&mut RecordRequest)| {
            let mut request = good.clone();
            change(&mut request);
            request.validate().expect_err("refused").field
        };
        assert_eq!(refused(&|request| request.name = "alice".to_owned()), "name");
        assert_eq!(refused(&|request| request.name = ids.next(Kind::Bridge)), "name");
        assert_eq!(refused(&|request| request.name.push_str("/../x")), "name");
        assert_eq!(refused(&|request| request.max_duration = Duration::ZERO), "max_duration");
        assert_eq!(refused(&|request| request.max_silence = Some(Duration::from_millis(999))), "max_silence");
        assert_eq!(refused(&|request| request.max_silence = Some(Duration::from_secs(86_401))), "max_silence");
    }

    #[test]
    fn the_wire_has_whole_seconds() {
        let mut request = RecordRequest::new("x".to_owned(), Duration::from_millis(1_001));
        assert_eq!(request.to_wire().max_duration_seconds, Some(2));
        assert_eq!(request.to_wire().max_silence_seconds, Some(0));
        request.max_silence = Some(Duration::from_secs(3));
        assert_eq!(request.to_wire().max_silence_seconds, Some(3));
        assert_eq!(request.to_wire().terminate_on.as_deref(), Some("#"));
    }

    #[test]
    fn a_terminator_ends_on_its_keys() {
        let keys =
            |terminate_on: TerminateOn| "0*#D".chars().filter(|key| terminate_on.ends_on(*key)).collect::<String>();
        assert_eq!(
            [TerminateOn::None, TerminateOn::Any, TerminateOn::Hash, TerminateOn::Star].map(keys),
            ["", "0*#D", "#", "*"]
        );
    }
}
