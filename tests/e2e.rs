//! Whole calls on real servers: SIPp and baresip call through Kamailio, kamari chooses the node and runs the call,
//! Asterisk carries the media. Each file under `e2e/` is one promise of the product.
//!
//! The servers are the lab's (`tests/lab/README.md`). Tests wait for conditions and never assert an absolute time;
//! where a rule has a time in it ("after 3 s"), it is read from the calls' own time stamps.

mod lab;

#[path = "e2e/audio.rs"]
mod audio;
#[path = "e2e/cancel.rs"]
mod cancel;
#[path = "e2e/deaf.rs"]
mod deaf;
#[path = "e2e/dial.rs"]
mod dial;
#[path = "e2e/kamari_away.rs"]
mod kamari_away;
#[path = "e2e/menus.rs"]
mod menus;
#[path = "e2e/mixed.rs"]
mod mixed;
#[path = "e2e/node_lost.rs"]
mod node_lost;
#[path = "e2e/placing.rs"]
mod placing;
#[path = "e2e/pool_changes.rs"]
mod pool_changes;
#[path = "e2e/prompts.rs"]
mod prompts;
#[path = "e2e/queue.rs"]
mod queue;
#[path = "e2e/queue_limits.rs"]
mod queue_limits;
#[path = "e2e/recorded_rooms.rs"]
mod recorded_rooms;
#[path = "e2e/rooms.rs"]
mod rooms;
#[path = "e2e/spread.rs"]
mod spread;
#[path = "e2e/stage.rs"]
mod stage;
#[path = "e2e/vanished.rs"]
mod vanished;
#[path = "e2e/voicemail.rs"]
mod voicemail;
