//! The call runtime and the apps on fake nodes: what a call does, and above all what it leaves behind (nothing).
//!
//! The pool is the real one, so events, resynchronisation and take-over come as they do in the daemon.

#[path = "calls/apps.rs"]
mod apps;
#[path = "calls/dialling.rs"]
mod dialling;
#[path = "calls/handing_on.rs"]
mod handing_on;
#[path = "calls/hostile.rs"]
mod hostile;
#[path = "calls/leaks.rs"]
mod leaks;
#[path = "calls/media.rs"]
mod media;
#[path = "calls/menus.rs"]
mod menus;
#[path = "calls/misbehaving.rs"]
mod misbehaving;
#[path = "calls/placing.rs"]
mod placing;
#[path = "calls/queues.rs"]
mod queues;
#[path = "calls/recorded_rooms.rs"]
mod recorded_rooms;
#[path = "calls/records.rs"]
mod records;
#[path = "calls/restart.rs"]
mod restart;
#[path = "calls/rooms.rs"]
mod rooms;
mod support;
#[path = "calls/voicemail.rs"]
mod voicemail;
#[path = "calls/world.rs"]
mod world;
