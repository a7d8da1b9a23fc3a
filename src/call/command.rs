//! How a call asks its node.
//!
//! Requests run to their end in tasks of their own, also when whoever waits for them is dropped, and none is sent when the call
//! is over. Commands to the caller's channel are sent one after the other, and what plays or records on it is stopped before
//! a command that it would hold up.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinHandle;
use tracing::Instrument;

use super::cause::Cause;
use super::core::Core;
use super::error::CallError;
use super::playback::PlaybackCore;
use super::view::End;
use crate::ari::{AriClient, AriError};

impl Core {
    /// Sends a request that runs to its end whatever becomes of the one who waits for it.
    pub(super) async fn request<T, F>(&self, request: impl FnOnce(AriClient) -> F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AriError>> + Send + 'static,
    {
        if let Some(end) = self.end() {
            return Err(CallError::HungUp(end));
        }
        if !self.site.link().commands_allowed() {
            self.end_with(End::NodeLost { reason: "another controller took the node's calls over".into() });
            return Err(CallError::HungUp(self.end().unwrap_or(End::Gone)));
        }
        let task = self.requests.spawn(request(self.site.link().ari.clone()).in_current_span());
        match task.await {
            Ok(result) => result.map_err(CallError::Ari),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(CallError::HungUp(End::Released)),
        }
    }

    /// Runs something of this call that its clean-up waits for.
    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.requests.spawn(task)
    }

    /// Answers the call; nothing happens if it is answered.
    pub(super) async fn answer(&self) -> Result<(), CallError> {
        if self.is_answered() {
            return self.end().map_or(Ok(()), |end| Err(CallError::HungUp(end)));
        }
        let channel = Arc::clone(&self.channel);
        self.command(|ari| async move { ari.channels().answer(&channel).await }).await?;
        self.answered();
        Ok(())
    }

    /// A command to the caller's channel, which a playback or a recording on it would hold up: those are stopped first.
    pub(super) async fn command<T, F>(&self, command: impl FnOnce(AriClient) -> F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AriError>> + Send + 'static,
    {
        let _turn = self.order.lock().await;
        self.stop_playbacks().await?;
        self.stop_recordings().await?;
        self.request(command).await.map_err(|error| self.understand(error))
    }

    /// A command to the caller's channel that a playback does not hold up.
    pub(super) async fn command_while_playing<T, F>(&self, command: impl FnOnce(AriClient) -> F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AriError>> + Send + 'static,
    {
        let _turn = self.order.lock().await;
        self.request(command).await.map_err(|error| self.understand(error))
    }

    /// "No such channel" and "not in Stasis" are how a hang-up looks to a command that crosses it.
    pub(super) fn understand(&self, error: CallError) -> CallError {
        match error {
            CallError::Ari(error) if error.is_gone() || error.is_not_in_stasis() => {
                self.end_with(End::Gone);
                CallError::HungUp(self.end().unwrap_or(End::Gone))
            }
            other => other,
        }
    }

    /// Asks the node whether the channel is still there; an error if it is not.
    pub(super) async fn still_there(&self) -> Result<(), CallError> {
        let channel = Arc::clone(&self.channel);
        self.request(|ari| async move { ari.channels().get(&channel).await })
            .await
            .map(|_| ())
            .map_err(|error| self.understand(error))
    }

    /// Whether the node has this channel.
    pub(super) async fn has_channel(&self, id: &str) -> Result<bool, CallError> {
        let id = id.to_owned();
        match self.request(|ari| async move { ari.channels().get(&id).await }).await {
            Ok(_) => Ok(true),
            Err(CallError::Ari(error)) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn stop_playbacks(&self) -> Result<(), CallError> {
        let playing: Vec<_> = self.owned().playbacks.iter().filter(|one| !one.is_over()).cloned().collect();
        for playback in playing {
            self.stop_playback(&playback).await?;
        }
        Ok(())
    }

    pub(super) async fn stop_recordings(&self) -> Result<(), CallError> {
        let running: Vec<_> = self.owned().recordings.iter().filter(|one| !one.is_over()).cloned().collect();
        for recording in running {
            let site = Arc::clone(&self.site);
            self.request(|_| async move { recording.stop(&site).await }).await?;
        }
        Ok(())
    }

    pub(super) async fn stop_playback(&self, playback: &Arc<PlaybackCore>) -> Result<(), CallError> {
        let (playback, site) = (Arc::clone(playback), Arc::clone(&self.site));
        self.request(|_| async move { playback.stop(&site).await }).await
    }

    /// Hangs the channel up with the cause of the call's end, which must be set. Nothing to do is no error.
    pub(super) async fn delete_channel(&self, cause: Cause) -> Result<(), AriError> {
        if self.channel_is_gone() || !self.site.link().commands_allowed() {
            return Ok(());
        }
        let link = self.site.link();
        match link.ari.channels().hangup(&self.channel, Some(cause.number().into())).await {
            Err(error) if !error.is_gone() && !error.is_not_in_stasis() => Err(error),
            _ => {
                self.channel_gone.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Waits until no request of this call is under way.
    pub(super) async fn requests_done(&self) {
        self.requests.close();
        self.requests.wait().await;
    }
}
