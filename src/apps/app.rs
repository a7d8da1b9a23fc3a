//! What an app is, and which ones there are.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::parameters::Reader;
use super::recorder::Recorder;
use super::{
    Conference, Dial, Echo, Ivr, Mailbox, Music, Playback, Queue, QueueAgent, Queues, Record, Reject, Voicemail,
};
use crate::call::{AppError, Call};
use crate::directory::{ExtensionSettings, Owner};
use crate::invalid::Invalid;
use crate::media::Prompts;

/// What becomes of a call when its app is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the call is hung up, if it is not over.
    Done,
    /// It goes on with this number of the same tenant. What the app made on the node is removed, what is played stops; the
    /// call stays answered if it was, and keys that nobody read are there for the next app.
    Extension(String),
}

/// What a call does. One value per extension, made when the settings are loaded and shared by all its calls.
pub trait App: Send + Sync + Sized + 'static {
    /// The name in the settings, and the label in the metrics.
    const NAME: &'static str;

    /// Makes the app from an extension's parameters, or names the parameter that is wrong.
    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid>;

    /// The directory that this belongs to takes effect; until then it may only be being checked. Does nothing unless said.
    fn installed(&self) {}

    /// Serves a call from top to bottom. Every step fails with `HungUp` once the caller is gone: pass that on with `?`.
    /// When this returns, what the app made on the call's node is removed, and the call is hung up or goes on as [`Next`]
    /// says.
    ///
    /// On a call that kamari found after a restart it is run again from the start; [`Call::saved`] gives what it saved.
    fn run(&self, call: &mut Call) -> impl Future<Output = Result<Next, AppError>> + Send;
}

/// An app of any type.
pub(super) trait AnyApp: Send + Sync {
    fn name(&self) -> &'static str;
    fn installed(&self);
    fn run<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<Next, AppError>>;
}

impl<A: App> AnyApp for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn installed(&self) {
        App::installed(self);
    }

    fn run<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<Next, AppError>> {
        App::run(self, call).boxed()
    }
}

impl std::fmt::Debug for dyn AnyApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

type Build = fn(&mut Reader<'_>) -> Result<Arc<dyn AnyApp>, Invalid>;

/// Whether and how callers are recorded.
#[derive(Debug, Clone)]
pub(super) enum Records {
    /// Apps that record are refused.
    Nowhere,
    /// Settings are checked only: there is nothing to record with.
    Checked,
    /// With this.
    By(Recorder),
}

/// The apps that settings may name, and what they work with.
#[derive(Debug, Clone)]
pub struct Catalogue {
    apps: BTreeMap<&'static str, Build>,
    records: Records,
    queues: Queues,
}

impl Default for Catalogue {
    /// kamari's own apps.
    fn default() -> Self {
        Self { apps: BTreeMap::new(), records: Records::Nowhere, queues: Queues::default() }
            .with::<Conference>()
            .with::<Dial>()
            .with::<Echo>()
            .with::<Ivr>()
            .with::<Mailbox>()
            .with::<Music>()
            .with::<Playback>()
            .with::<Queue>()
            .with::<QueueAgent>()
            .with::<Record>()
            .with::<Reject>()
            .with::<Voicemail>()
    }
}

impl Catalogue {
    /// Adds an app, or replaces the one of its name.
    #[must_use]
    pub fn with<A: App>(mut self) -> Self {
        self.apps.insert(A::NAME, |reader| A::build(reader).map(|app| Arc::new(app) as Arc<dyn AnyApp>));
        self
    }

    /// The same, for apps that record to work with `recorder`.
    #[must_use]
    pub fn recording_by(self, recorder: Recorder) -> Self {
        Self { records: Records::By(recorder), ..self }
    }

    /// The same, to check settings of apps that record; no call may come to what is built.
    #[must_use]
    pub fn recording_unless_called(self) -> Self {
        Self { records: Records::Checked, ..self }
    }

    /// The same, with these queues for the apps that have to do with queues.
    #[must_use]
    pub fn with_queues(self, queues: Queues) -> Self {
        Self { queues, ..self }
    }

    /// The names of all apps.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.apps.keys().copied()
    }

    /// Makes the app of one extension; what is refused is named by its field.
    pub(super) fn build(
        &self,
        owner: &Owner,
        extension: &ExtensionSettings,
        prompts: &Prompts,
    ) -> Result<Arc<dyn AnyApp>, Invalid> {
        let Some(build) = self.apps.get(extension.app.as_str()) else {
            let names: Vec<_> = self.names().collect();
            return Err(Invalid::new("app", format!("one of {}", names.join(", ")), &extension.app));
        };
        let mut reader = Reader::new(owner, &extension.parameters, prompts, &self.queues).with_records(&self.records);
        reader.choose_language()?;
        let app = build(&mut reader)?;
        reader.finish()?;
        Ok(app)
    }
}
