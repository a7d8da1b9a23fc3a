//! Records the home bridge of a room, in pieces that are fetched while the room goes on.
//!
//! On a bridge, unlike on a channel, recordings do not queue: each has a channel of its own in the bridge (seen on 22.10). So
//! the next piece is begun before the one before is stopped, and a few hundredths of a second are there twice; nothing is lost.
//! Each piece has a longest length, so that a node whose kamari died ends it by itself, for the next kamari to fetch.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Shared;
use super::tape::{Order, Tape};
use crate::ari::rest::bridges::Record;
use crate::ari::{AriClient, AriError};
use crate::call::{Piece, RoomTape, Runtime, TapeRequest};
use crate::media::{Pending, Purpose, Recording, RecordingId, Verdict};

/// How much longer than a piece the node may record, if kamari does not come to stop it.
const BEYOND: Duration = Duration::from_secs(2);
/// Time between two attempts with a node.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two attempts with our own disk.
const DISK_PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether a piece that was stopped is complete, and for how long.
const LOOK: (Duration, u32) = (Duration::from_millis(50), 40);

/// Records until the room says that it is over, and brings home what was recorded.
pub(super) async fn tape(shared: Arc<Shared>, calls: Runtime, room: RoomTape) {
    // Before the node hears of it: whatever dies after this, the node is asked for it.
    let pending = loop {
        let pending = pending(&room);
        let entry = pending.clone();
        match shared.store.run(move |store| store.put_pending(&entry)).await {
            Ok(()) => break pending,
            Err(error) => tracing::error!(room = %room.room, %error, "a room is not recorded yet"),
        }
        tokio::select! {
            () = room.over.cancelled() => return,
            () = sleep(DISK_PAUSE) => {}
        }
    };
    let (orders, receiver) = mpsc::unbounded_channel();
    let piece = shared.piece;
    let tape = Tape::new(shared, calls.clone(), pending);
    tokio::join!(tape.follow(receiver), pieces(&calls, &room, piece, orders));
}

fn pending(room: &RoomTape) -> Pending {
    let recording = Recording {
        id: RecordingId::random(),
        tenant: Arc::clone(room.room.tenant()),
        purpose: Purpose::Room { room: Arc::clone(room.room.name()), part: room.part },
        caller: Arc::from(""),
        call_id: None,
        node: room.node.as_str().into(),
        started_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        duration_ms: 0,
        bytes: 0,
        whole: false,
    };
    let tape = room.tape.clone();
    Pending { tape, verdict: Verdict::Open, least_ms: 0, expected: vec![0], gap: false, kept: false, recording }
}

/// Has the node make one piece after the other. Dropping `orders` says that there are no more.
async fn pieces(calls: &Runtime, room: &RoomTape, length: Duration, orders: mpsc::UnboundedSender<Order>) {
    let mut running: Option<u32> = None;
    let mut number = 0;
    while !room.over.is_cancelled() {
        let begun = match calls.ari(room.node.as_str()) {
            None => Err("the node is away".to_owned()),
            Some(ari) => match ari.bridges().record(&room.bridge, &request(&room.tape, number, length)).await {
                // It was begun before, and the answer was lost.
                Ok(_) | Err(AriError::Status { status: 409, .. }) => Ok(ari),
                // The bridge is gone; the room says so, or has another home.
                Err(error) if error.is_gone() => break,
                Err(error) => Err(error.to_string()),
            },
        };
        let pause = match begun {
            Ok(ari) => {
                // While the collector stops nobody listens; what is on the disk is enough for the next one.
                let _ = orders.send(Order::Piece(Piece::Begun(number)));
                if let Some(before) = running.replace(number)
                    && stopped(&ari, &room.tape, before).await
                {
                    let _ = orders.send(Order::Piece(Piece::Ended(before)));
                }
                number += 1;
                length
            }
            Err(error) => {
                tracing::warn!(room = %room.room, node = %room.node, error, "a piece of a room was not begun");
                let _ = orders.send(Order::Gap);
                PAUSE
            }
        };
        tokio::select! {
            () = room.over.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    // A node that is away ends it by itself.
    if let (Some(last), Some(ari)) = (running, calls.ari(room.node.as_str())) {
        stopped(&ari, &room.tape, last).await;
    }
}

fn request(tape: &str, number: u32, length: Duration) -> Record {
    Record {
        name: TapeRequest::name(tape, number),
        format: "wav".to_owned(),
        recorder_format: None,
        max_duration_seconds: Some((length + BEYOND).as_secs() as u32),
        max_silence_seconds: Some(0),
        if_exists: Some("fail".to_owned()),
        beep: Some(false),
        terminate_on: Some("none".to_owned()),
    }
}

/// Stops a piece, and waits until it is complete; says whether it is.
async fn stopped(ari: &AriClient, tape: &str, number: u32) -> bool {
    let name = TapeRequest::name(tape, number);
    if let Err(error) = ari.recordings().stop(&name).await
        && !error.is_gone()
    {
        return false;
    }
    for _ in 0..LOOK.1 {
        match ari.recordings().live(&name).await {
            Err(error) => return error.is_gone(),
            Ok(_) => sleep(LOOK.0).await,
        }
    }
    false
}
