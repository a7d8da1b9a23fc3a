//! Where a call comes from: what is known of it when it begins.

use std::sync::Arc;

use super::core::Core;
use super::error::CallError;
use super::told;
use crate::ari::model::Channel;

/// A call that begins.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) channel: Arc<str>,
    /// SIP Call-ID.
    pub(super) call_id: Option<String>,
    pub(super) caller: Arc<str>,
    pub(super) caller_name: Arc<str>,
    /// What was dialled.
    pub(super) extension: Arc<str>,
    /// The domain at which it was dialled; nothing where the node has to be asked for it.
    pub(super) domain: Option<Arc<str>>,
    /// When the channel was made, in milliseconds of Unix time, where the node says it.
    pub(super) made_ms: Option<u64>,
}

impl From<&Channel> for Origin {
    fn from(channel: &Channel) -> Self {
        Self {
            channel: channel.id.as_str().into(),
            call_id: channel.protocol_id.clone(),
            caller: channel.caller.number.as_str().into(),
            caller_name: channel.caller.name.as_str().into(),
            extension: channel.dialplan.exten.as_str().into(),
            domain: told::domain(channel).map(Arc::from),
            made_ms: channel.creationtime.unix_ms().and_then(|ms| u64::try_from(ms).ok()),
        }
    }
}

impl Core {
    /// The domain that was called; empty if there was none. The node is asked at most once.
    pub(super) async fn domain(&self) -> Result<Arc<str>, CallError> {
        if let Some(domain) = self.domain.get() {
            return Ok(Arc::clone(domain));
        }
        let domain = self.variable(told::DOMAIN).await?.unwrap_or_default();
        Ok(Arc::clone(self.domain.get_or_init(|| domain.into())))
    }

    /// The value of a channel variable or of a dialplan function; nothing if it has none.
    pub(super) async fn variable(&self, name: &str) -> Result<Option<String>, CallError> {
        let (channel, variable) = (Arc::clone(&self.channel), name.to_owned());
        match self.request(|ari| async move { ari.channels().variable(&channel, &variable).await }).await {
            Ok(variable) => Ok(Some(variable.value)),
            Err(CallError::Ari(error)) if error.is_no_such_variable() => Ok(None),
            Err(error) => Err(self.understand(error)),
        }
    }
}
