//! Opening the event socket, and saying in an operator's words why it could not be opened.
//!
//! The network and the node have a deadline each. A connection that finds no network is given up early: TCP asks again after 1, 3
//! and 7 s only, and would oversleep the network's return. A node that took the connection gets the time of a request.

use std::time::Duration;

use http::StatusCode;
use http::header::AUTHORIZATION;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, handshake::client::Response};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::ari::client::{AriClient, message};
use crate::ari::error::{ConnectFailure, from_causes, from_status};

pub(super) type Connection = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the event socket: a connection within `connect_timeout_ms`, then the handshakes within `request_timeout_ms`.
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
    let (host, port) = client.target().address();
    let stream = within(settings.connect_timeout(), async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    let stream = stream.await?;
    // On the heap: the handshakes take 20 kB that the socket does not need once it is open.
    let opening =
        Box::pin(client_async_tls_with_config(request, stream, Some(limits), Some(Connector::Rustls(client.tls()))));
    within(settings.request_timeout(), opening).await.map(|(connection, _)| connection)
}

/// Waits for one step of opening until its deadline.
async fn within<T>(
    deadline: Duration,
    step: impl Future<Output = Result<T, tungstenite::Error>>,
) -> Result<T, ConnectFailure> {
    match tokio::time::timeout(deadline, step).await {
        Ok(done) => done.map_err(|error| explain(&error)),
        Err(_) => Err(ConnectFailure::Timeout(deadline)),
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
