//! The event socket.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::Shared;
use super::reply::{Params, refuse};
use super::wire::thawed;

pub(crate) async fn events(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade, params: Params) -> Response {
    let apps = params.list("app");
    if apps.is_empty() {
        return refuse(400, "Missing param 'app'").into_response();
    }
    upgrade.on_upgrade(move |socket| serve(shared, socket, apps))
}

async fn serve(shared: Arc<Shared>, mut socket: WebSocket, apps: Vec<String>) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    {
        let mut state = shared.lock();
        for app in &apps {
            if state.has_listener(app) {
                state.replace(app);
            }
            state.sessions.insert(app.clone(), sender.clone());
        }
    }
    // From here on only the node's state holds the socket open.
    let own = sender.downgrade();
    drop(sender);
    shared.changed.notify_waiters();
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                thawed(&shared).await;
                if socket.send(Message::Text(frame.into())).await.is_err() {
                    break;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(_)) => thawed(&shared).await,
                Some(Err(_)) | None => break,
            },
        }
    }
    drop(frames);
    // The application is gone with its socket, unless another one has taken it over.
    if let Some(own) = own.upgrade() {
        shared.lock().sessions.retain(|_, session| !session.same_channel(&own));
    }
    shared.changed.notify_waiters();
}
