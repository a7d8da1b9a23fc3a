//! What the client tells whoever measures it. `ari` depends on no metrics library: the pool implements this trait.

use std::time::Duration;

/// How a request ended. Its own name is a fit label for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// 2xx, and a body that could be read.
    Ok,
    /// The object is gone: 404, or 400 where that means the same. An ordinary end.
    Gone,
    /// The channel is not in Stasis (any more): 409 or 422. An ordinary end.
    NotInStasis,
    /// 401 or 403.
    Denied,
    /// Any other status below 500.
    Refused,
    /// 500 and above.
    ServerError,
    /// No answer within the deadline.
    Timeout,
    /// No connection, or it broke before the answer.
    Unreachable,
    /// The answer was not what the interface promises.
    Garbled,
}

/// Hears of everything that a client and its event socket do. Called on the paths it measures: it must not block.
/// Every method does nothing unless implemented; `()` is the observer that ignores all.
pub trait Observer: std::fmt::Debug + Send + Sync + 'static {
    /// A request ended. `operation` is one of the names in [`rest`](super::rest): never text from the network.
    fn request(&self, operation: &'static str, outcome: RequestOutcome, took: Duration) {
        let _ = (operation, outcome, took);
    }

    /// The event socket came up (`true`) or went down, was replaced or ended (`false`).
    fn socket(&self, up: bool) {
        let _ = up;
    }

    /// An event was read. `stamped_unix_ms` is when it happened by the node's clock, in milliseconds since the Unix epoch,
    /// and `known` whether its type is known here.
    fn event(&self, stamped_unix_ms: Option<i64>, known: bool) {
        let _ = (stamped_unix_ms, known);
    }

    /// A frame was read that is no event.
    fn undecodable(&self) {}

    /// `count` items were lost because the queue was full.
    fn lost(&self, count: u64) {
        let _ = count;
    }

    /// The queue holds `depth` items that nobody has taken yet. Told after each item put in.
    fn queue_depth(&self, depth: usize) {
        let _ = depth;
    }
}

impl Observer for () {}
