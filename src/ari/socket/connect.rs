//! Opening the event socket, and saying in an operator's words why it could not be opened.

use http::StatusCode;
use http::header::AUTHORIZATION;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, handshake::client::Response};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::ari::client::{AriClient, message};
use crate::ari::error::{ConnectFailure, from_causes, from_status};

pub(super) type Connection = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the event socket within the deadline of a request.
pub(super) async fn connect(client: &AriClient) -> Result<Connection, ConnectFailure> {
    let settings = client.settings();
    let mut request = client.target().events_url().into_client_request().map_err(|error| explain(&error))?;
    request.headers_mut().insert(AUTHORIZATION, client.authorization());
    // Both buffers are held for as long as the socket: small ones, since there is a socket for each node.
    let limits = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(1 << 10)
        .max_message_size(Some(settings.max_event_bytes))
        .max_frame_size(Some(settings.max_event_bytes));
    let connector = Connector::Rustls(client.tls());
    let opening = connect_async_tls_with_config(request, Some(limits), true, Some(connector));
    match tokio::time::timeout(settings.request_timeout(), opening).await {
        Ok(Ok((connection, _))) => Ok(connection),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err(ConnectFailure::Timeout(settings.request_timeout())),
    }
}

fn explain(error: &tungstenite::Error) -> ConnectFailure {
    match error {
        tungstenite::Error::Http(response) => refused(response),
        tungstenite::Error::Io(_) | tungstenite::Error::Tls(_) => from_causes(error),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::HandshakeIncomplete) => ConnectFailure::Closed,
        other => ConnectFailure::NotAri(other.to_string()),
    }
}

fn refused(response: &Response) -> ConnectFailure {
    let status = response.status();
    let message = response.body().as_deref().map(message).unwrap_or_default();
    from_status(status.as_u16(), &message).unwrap_or_else(|| match status {
        StatusCode::NOT_FOUND => {
            ConnectFailure::NotAri("there is no event socket (is res_ari_events loaded?)".to_owned())
        }
        other => ConnectFailure::NotAri(format!("the event socket answers {other} {message}")),
    })
}
