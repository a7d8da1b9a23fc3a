//! What can go wrong with a node, in words that an operator can act on.

use std::time::Duration;

use crate::ari::observer::RequestOutcome;
use crate::invalid::Invalid;

/// Why a node cannot be used as an ARI server. Each completes the sentence "node X: ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// Nothing listens there.
    #[error("connection refused: nothing listens at that address and port")]
    ConnectionRefused,
    /// No route, or the network said no.
    #[error("the address cannot be reached: {0}")]
    Unreachable(String),
    /// The host name means nothing.
    #[error("the host name cannot be resolved: {0}")]
    Unresolvable(String),
    /// Nobody answered in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// No TLS session.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The peer closed the connection instead of answering. Asterisk does so beyond its `sessionlimit`.
    #[error("the connection was closed before an answer came (wrong port, or Asterisk's sessionlimit is reached)")]
    Closed,
    /// An event socket that was open has ended.
    #[error("the event socket was closed by the node")]
    SocketClosed,
    /// Something else than an ARI server answers.
    #[error("something answers at that address, but it is no Asterisk REST Interface: {0}")]
    NotAri(String),
    /// 401.
    #[error("the user name or password is refused (see ari.conf on the node)")]
    PasswordRefused,
    /// 403.
    #[error("the user may not do this (read_only or ACL in ari.conf on the node): {0}")]
    Forbidden(String),
    /// Asterisk is up and still loading.
    #[error("Asterisk is still starting")]
    NotBooted,
    /// It says it is ARI, and its answers make no sense.
    #[error("the answer cannot be understood: {0}")]
    Garbage(String),
}

/// A request that did not succeed. `operation` is the operation's name, like `channels.answer`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AriError {
    /// The node answered with an error.
    #[error("{operation}: {status} {message}")]
    Status {
        /// What was asked.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// Asterisk's reason, shortened; empty when it gave none.
        message: String,
    },
    /// No answer within the deadline. Whether the request was carried out is not known.
    #[error("{operation}: no answer within {} ms", .after.as_millis())]
    Timeout {
        /// What was asked.
        operation: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// There was no connection, or it broke. If it broke, whether the request was carried out is not known.
    #[error("{operation}: {failure}")]
    Connection {
        /// What was asked.
        operation: &'static str,
        /// What happened.
        failure: ConnectFailure,
    },
    /// The answer is longer than allowed; the rest was not read.
    #[error("{operation}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// What was asked.
        operation: &'static str,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The answer is not what the interface promises.
    #[error("{operation}: the answer cannot be understood: {reason}")]
    Garbled {
        /// What was asked.
        operation: &'static str,
        /// The property that is missing or of the wrong kind, or where the text stops being JSON.
        reason: String,
    },
    /// The request cannot be put on the wire; nothing was sent.
    #[error("{operation}: {invalid}")]
    Invalid {
        /// What was asked.
        operation: &'static str,
        /// What is wrong with it.
        invalid: Invalid,
    },
}

impl AriError {
    /// The object is gone: 404, or 400 when a channel is added to or taken from a bridge. An ordinary end, not a failure.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Status { status: 404, .. } => !self.is_no_such_variable(),
            Self::Status { status: 400, operation, message } => {
                matches!(*operation, "bridges.add_channel" | "bridges.remove_channel") && message == "Channel not found"
            }
            _ => false,
        }
    }

    /// The object is there, and has no variable of that name.
    pub fn is_no_such_variable(&self) -> bool {
        // Asterisk answers 404 to this as to a channel that is gone; only its words tell them apart.
        matches!(self, Self::Status { status: 404, message, .. } if message == "Provided variable was not found")
    }

    /// The channel is not in Stasis (any more): 409 or 422. An ordinary end, not a failure.
    pub fn is_not_in_stasis(&self) -> bool {
        matches!(self, Self::Status { status: 409 | 422, .. })
    }

    /// How it is counted.
    pub fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Status { .. } if self.is_gone() => RequestOutcome::Gone,
            Self::Status { status: 409 | 422, .. } => RequestOutcome::NotInStasis,
            Self::Status { status: 401 | 403, .. } => RequestOutcome::Denied,
            Self::Status { status: 500.., .. } => RequestOutcome::ServerError,
            Self::Status { .. } | Self::Invalid { .. } => RequestOutcome::Refused,
            Self::Timeout { .. } => RequestOutcome::Timeout,
            Self::Connection { .. } => RequestOutcome::Unreachable,
            Self::TooLarge { .. } | Self::Garbled { .. } => RequestOutcome::Garbled,
        }
    }

    /// What the error says about the node as a whole, or `None` if it concerns this request alone.
    pub fn connect_failure(&self) -> Option<ConnectFailure> {
        match self {
            Self::Connection { failure, .. } => Some(failure.clone()),
            Self::Timeout { after, .. } => Some(ConnectFailure::Timeout(*after)),
            Self::Status { status, message, .. } => from_status(*status, message),
            Self::Garbled { reason, .. } => Some(ConnectFailure::Garbage(reason.clone())),
            Self::TooLarge { limit, .. } => Some(ConnectFailure::Garbage(format!("longer than {limit} bytes"))),
            Self::Invalid { .. } => None,
        }
    }
}

/// What a status says about the node as a whole, whatever was asked.
pub(super) fn from_status(status: u16, message: &str) -> Option<ConnectFailure> {
    match status {
        401 => Some(ConnectFailure::PasswordRefused),
        403 => Some(ConnectFailure::Forbidden(message.to_owned())),
        503 if message.contains("not booted") => Some(ConnectFailure::NotBooted),
        _ => None,
    }
}

/// What the chain of causes of a failed connection or exchange says. `error`'s own text is the last resort: libraries' words
/// are not an operator's.
pub(super) fn from_causes(error: &(dyn std::error::Error + 'static)) -> ConnectFailure {
    let mut causes = vec![error];
    while let Some(cause) = causes.last().and_then(|last| inner(*last)) {
        causes.push(cause);
    }
    for cause in causes.iter().rev() {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return from_tls(error);
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            if error.is_parse() {
                return ConnectFailure::NotAri("it does not speak HTTP".to_owned());
            }
            // The library has no other name for this: the peer spoke before it was asked.
            if error.to_string().contains("unexpected message") {
                return ConnectFailure::NotAri("it speaks before it is asked, as no HTTP server does".to_owned());
            }
            if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
                return ConnectFailure::Closed;
            }
        }
        if let Some(failure) = cause.downcast_ref::<std::io::Error>().and_then(from_io) {
            return failure;
        }
    }
    let deepest = causes.last().map_or_else(String::new, ToString::to_string);
    // The standard library has no kind for a name that does not resolve, only these words.
    if deepest.contains("failed to lookup address") {
        return ConnectFailure::Unresolvable(deepest);
    }
    ConnectFailure::Unreachable(deepest)
}

/// The next cause. An I/O error hides the error that it wraps from `source`.
fn inner<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source())
}

fn from_tls(error: &rustls::Error) -> ConnectFailure {
    match error {
        rustls::Error::InvalidMessage(_) => ConnectFailure::Tls("the address does not speak TLS".to_owned()),
        other => ConnectFailure::Tls(other.to_string()),
    }
}

fn from_io(error: &std::io::Error) -> Option<ConnectFailure> {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(ConnectFailure::ConnectionRefused),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => Some(ConnectFailure::Closed),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut => {
            Some(ConnectFailure::Unreachable(error.to_string()))
        }
        _ => None,
    }
}
