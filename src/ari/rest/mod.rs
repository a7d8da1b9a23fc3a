//! The REST interface by resource, as in Asterisk's api-docs: `client.channels().answer(id).await`.
//!
//! Each operation is a constant that knows its method, path and name; the conformance test holds their list against
//! the node's own. Parameters of POST and PUT travel in a JSON body, where no value can be mistaken for a list (Asterisk
//! splits query values at commas); those of GET and DELETE in the query.

pub mod applications;
pub mod asterisk;
pub mod bridges;
pub mod channels;
pub mod device_states;
pub mod endpoints;
pub mod events;
pub mod mailboxes;
pub mod playbacks;
pub mod recordings;
mod request;
pub mod sounds;

pub use request::Operation;
pub(super) use request::Request;
use request::operations;

use super::AriClient;

/// Every operation of the interface, by resource.
pub const OPERATIONS: &[&[&Operation]] = &[
    applications::ALL,
    asterisk::ALL,
    bridges::ALL,
    channels::ALL,
    device_states::ALL,
    endpoints::ALL,
    events::ALL,
    mailboxes::ALL,
    playbacks::ALL,
    recordings::ALL,
    sounds::ALL,
];

impl AriClient {
    /// Stasis applications and what they are subscribed to.
    pub fn applications(&self) -> applications::Applications<'_> {
        applications::Applications(self)
    }

    /// The node itself: version, modules, logs, global variables.
    pub fn asterisk(&self) -> asterisk::Asterisk<'_> {
        asterisk::Asterisk(self)
    }

    /// Bridges.
    pub fn bridges(&self) -> bridges::Bridges<'_> {
        bridges::Bridges(self)
    }

    /// Channels.
    pub fn channels(&self) -> channels::Channels<'_> {
        channels::Channels(self)
    }

    /// Device states.
    pub fn device_states(&self) -> device_states::DeviceStates<'_> {
        device_states::DeviceStates(self)
    }

    /// Endpoints, and messages to them.
    pub fn endpoints(&self) -> endpoints::Endpoints<'_> {
        endpoints::Endpoints(self)
    }

    /// User events and call claiming. The events themselves come by [`EventSocket`](super::EventSocket).
    pub fn events(&self) -> events::Events<'_> {
        events::Events(self)
    }

    /// Mailboxes.
    pub fn mailboxes(&self) -> mailboxes::Mailboxes<'_> {
        mailboxes::Mailboxes(self)
    }

    /// Playbacks.
    pub fn playbacks(&self) -> playbacks::Playbacks<'_> {
        playbacks::Playbacks(self)
    }

    /// Recordings, live and stored.
    pub fn recordings(&self) -> recordings::Recordings<'_> {
        recordings::Recordings(self)
    }

    /// Sounds installed on the node.
    pub fn sounds(&self) -> sounds::Sounds<'_> {
        sounds::Sounds(self)
    }
}
