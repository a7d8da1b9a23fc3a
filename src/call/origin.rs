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
            domain: told_domain(channel),
            made_ms: channel.creationtime.unix_ms().and_then(|ms| u64::try_from(ms).ok()),
        }
    }
}

fn told_domain(channel: &Channel) -> Option<Arc<str>> {
    told::request_uri(channel).map(host_of).filter(|host| !host.is_empty()).map(Arc::from)
}

impl Core {
    /// The domain that was called; empty if there was none. The node is asked at most once.
    pub(super) async fn domain(&self) -> Result<Arc<str>, CallError> {
        if let Some(domain) = self.domain.get() {
            return Ok(Arc::clone(domain));
        }
        let uri = self.variable("CHANNEL(pjsip,request_uri)").await?.unwrap_or_default();
        Ok(Arc::clone(self.domain.get_or_init(|| host_of(&uri).into())))
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

/// The host part of a SIP URI: without scheme, user, port, parameters and headers; an IPv6 address without its brackets.
fn host_of(uri: &str) -> &str {
    let uri = uri.trim().trim_start_matches('<');
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:")).unwrap_or(uri);
    // The user part first: the caller chose it, and what ends a host may stand in it as it is. Only `@` may not.
    let rest = rest.split_once('@').map_or(rest, |(_, after)| after);
    let host_port = rest.split(['>', '?', ';']).next().unwrap_or_default();
    match host_port.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => host_port.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_a_request_uri() {
        for (uri, host) in [
            ("sip:600@example.test", "example.test"),
            ("sip:600@example.test:5060;transport=tcp", "example.test"),
            ("<sip:600@example.test?subject=x>", "example.test"),
            ("sips:example.test", "example.test"),
            ("sip:a:secret@[2001:db8::1]:5060", "2001:db8::1"),
            // `;`, `?` and `/` may stand in a user part as they are (RFC 3261, user-unreserved).
            ("sip:other.test;x=y@example.test", "example.test"),
            ("sip:other.test?x@example.test:5060;user=phone", "example.test"),
            ("sip:other.test/x@example.test?subject=x", "example.test"),
            ("", ""),
            ("sip:", ""),
            ("sip:@", ""),
            ("sip:[", ""),
        ] {
            assert_eq!(host_of(uri), host, "{uri}");
        }
    }
}
