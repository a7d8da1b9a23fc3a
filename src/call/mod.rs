//! The Stasis runtime: every call on every node, each served by one app in one task.
//!
//! Why it exists: an app is written as one straight-line async function, and knows nothing of events, ids, nodes or crossing
//! messages. What happens on a node becomes the result of the step that the app waits for; a hang-up makes every step
//! fail with `HungUp`, so that leaving is ordinary control flow.
//!
//! How it works:
//! - [`Runtime`] hears every node's events (`runtime`), finds the object that an event names among those of its node
//!   (`site`), and tells it: a call that it is over, a playback that it has finished. States are kept as their latest value;
//!   digits wait in a bounded queue, and are dropped and counted beyond it. Hearing never waits.
//! - A call is registered before its task is started, and what it creates before it is asked for; ids are kamari's own
//!   (`ids`), never used twice.
//! - Requests to the node run to their end whoever waits for them, commands to a channel in turn (`command`).
//! - The task runs the [`Handler`], catches its panic, and then, in async code and not in `Drop`, hangs up and removes what
//!   the call made (`handler`).
//! - What must survive kamari is kept in a channel variable (`saved`); calls that are found on a node without a task get
//!   one (`adopt`), and objects of ours that nobody owns are removed, then and now and then (`janitor`).
//! - A call that kamari places is one whose caller it rings first (`place`).
//! - What is left of a call is one record (`cdr`), whoever sees its end.
//! - Whom a call dials is a leg with a task of its own, which hangs it up whatever happens (`dial`). A leg whose caller has
//!   transferred it becomes a call of its own (`onward`).
//! - Callers who hear each other are a room (`room`), owned by a task of its own.
//!
//! Who owns what: a call's task owns its [`Call`]; `Core` is what others may see and do of it. A room's task owns the room's
//! bridges. The dispatch owns the register of a node's objects.

mod adopt;
mod bridges;
mod cause;
mod cdr;
mod command;
mod core;
mod dial;
mod error;
mod fetch;
mod gather;
mod hand_on;
mod handle;
mod handler;
mod ids;
mod janitor;
mod line;
mod onward;
mod origin;
mod place;
mod playback;
mod recording;
mod room;
mod runtime;
mod saved;
mod settings;
mod site;
mod tape;
mod told;
mod view;

pub use cause::Cause;
pub use dial::{Address, CallerId, DialRequest, Dialled, DialledLeg, Parted, Reaches, Strategy, Talk};
pub use error::{AppError, CallError};
pub use gather::{Gather, GatherEnd, Gathered};
pub use hand_on::HOP_LIMIT;
pub use handle::Call;
pub use handler::Handler;
pub use ids::Kind;
pub use place::PlaceRequest;
pub use playback::Playback;
pub use recording::{RecordRequest, Recorded, TerminateOn};
pub use room::{
    Joined, MemberView, OrderError, Out, Role, RoomKey, RoomOrder, RoomSettings, RoomTape, RoomView, Seat, Who,
};
pub use runtime::Runtime;
pub use settings::CallSettings;
pub use tape::{Piece, TapeEnd, TapeRequest};
pub use view::{CallEvent, CallState, CallView, End, Step, TimedStep};
