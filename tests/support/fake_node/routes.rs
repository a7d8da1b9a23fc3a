//! Which handler answers what.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};

use super::reply::refuse;
use super::{Shared, bridges, channels, playbacks, recordings, socket, system, wire};

/// `kamari:kamari-secret`.
const AUTHORIZATION: &str = "Basic a2FtYXJpOmthbWFyaS1zZWNyZXQ=";

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .nest("/ari", resources())
        .fallback(|| async { refuse(404, "Resource not found") })
        .layer(from_fn(authorise))
        .layer(from_fn_with_state(Arc::clone(&shared), wire::faults))
        .with_state(shared)
}

fn resources() -> Router<Arc<Shared>> {
    Router::new()
        .route("/events", get(socket::events))
        .route("/events/user/{name}", post(system::user_event))
        .route("/asterisk/info", get(system::info))
        .route("/asterisk/ping", get(system::ping))
        .route("/asterisk/variable", get(system::variable).post(system::set_variable))
        .route("/applications", get(system::applications))
        .route("/applications/{app}", get(system::application))
        .route("/applications/{app}/subscription", post(system::subscribe).delete(system::unsubscribe))
        .route("/applications/{app}/eventFilter", put(system::filter))
        .route("/endpoints", get(system::endpoints))
        .route("/channels", get(channels::list).post(channels::originate))
        .route("/channels/create", post(channels::create))
        .route("/channels/{id}", get(channels::get).post(channels::originate_with_id).delete(channels::hangup))
        .route("/channels/{id}/answer", post(channels::answer))
        .route("/channels/{id}/continue", post(channels::continue_in_dialplan))
        .route("/channels/{id}/move", post(channels::move_to))
        .route("/channels/{id}/dial", post(channels::dial))
        .route("/channels/{id}/dtmf", post(channels::accept))
        .route("/channels/{id}/hold", post(channels::accept).delete(channels::accept))
        .route("/channels/{id}/moh", post(channels::accept).delete(channels::accept))
        .route("/channels/{id}/mute", post(channels::mute).delete(channels::mute))
        .route("/channels/{id}/progress", post(channels::accept))
        .route("/channels/{id}/transfer_progress", post(channels::accept))
        .route("/channels/{id}/ring", post(channels::accept).delete(channels::accept))
        .route("/channels/{id}/silence", post(channels::accept).delete(channels::accept))
        .route("/channels/{id}/variable", get(channels::variable).post(channels::set_variable))
        .route("/channels/{id}/variables", get(channels::variables).post(channels::set_variables))
        .route("/channels/{id}/rtp_statistics", get(channels::rtp_statistics))
        .route("/channels/{id}/snoop/{snoop}", post(channels::snoop))
        .route("/channels/{id}/play", post(playbacks::on_channel))
        .route("/channels/{id}/play/{playback}", post(playbacks::on_channel_with_id))
        .route("/channels/{id}/record", post(recordings::of_channel))
        .route("/bridges", get(bridges::list).post(bridges::create))
        .route("/bridges/{id}", get(bridges::get).post(bridges::create_with_id).delete(bridges::destroy))
        .route("/bridges/{id}/addChannel", post(bridges::add_channel))
        .route("/bridges/{id}/removeChannel", post(bridges::remove_channel))
        .route("/bridges/{id}/moh", post(bridges::start_moh).delete(bridges::stop_moh))
        .route("/bridges/{id}/variable", get(bridges::variable).post(bridges::set_variable))
        .route("/bridges/{id}/variables", post(bridges::set_variables))
        .route("/bridges/{id}/play", post(playbacks::on_bridge))
        .route("/bridges/{id}/play/{playback}", post(playbacks::on_bridge_with_id))
        .route("/bridges/{id}/record", post(recordings::of_bridge))
        .route("/playbacks/{id}", get(playbacks::get).delete(playbacks::stop))
        .route("/playbacks/{id}/control", post(playbacks::control))
        .route("/recordings/live/{name}", get(recordings::live).delete(recordings::cancel))
        .route("/recordings/live/{name}/stop", post(recordings::stop))
        .route("/recordings/live/{name}/pause", post(recordings::accept).delete(recordings::accept))
        .route("/recordings/live/{name}/mute", post(recordings::accept).delete(recordings::accept))
        .route("/recordings/stored", get(recordings::list_stored))
        .route("/recordings/stored/{name}", get(recordings::stored).delete(recordings::delete_stored))
        .route("/recordings/stored/{name}/file", get(recordings::file))
        .route("/deviceStates/{name}", delete(system::accept).put(system::accept))
}

async fn authorise(request: Request, next: Next) -> Response {
    let authorised = request.headers().get("authorization").is_some_and(|header| header == AUTHORIZATION);
    if authorised { next.run(request).await } else { refuse(401, "Authentication required").into_response() }
}

/// The state, as handlers take it.
pub(crate) type Node = State<Arc<Shared>>;
