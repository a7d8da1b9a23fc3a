//! A node reached over https: requests and events, and the refusal of a certificate that nobody trusted signed.
//!
//! `tests/fixtures/tls` holds a certificate for 127.0.0.1 with its key, and the certificate that signed it, whose own key was
//! thrown away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kamari::ari::{AriClient, AriTarget, ConnectFailure, EventSocket, Settings, SocketItem};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::fake_node::{FakeNode, IncomingCall, PASSWORD, USERNAME};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Puts TLS in front of a fake node, and gives its https address.
async fn with_tls(node: &FakeNode) -> AriTarget {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(file("node.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("node.key")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a server's configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let behind = node.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate leaves during the handshake.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(behind).await.expect("the fake node listens");
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    let base = format!("https://{address}").parse().expect("a URL");
    AriTarget::new(&base, USERNAME, PASSWORD.into(), "EVERYTHING").expect("a target")
}

#[tokio::test]
async fn a_node_is_served_over_https() {
    let node = FakeNode::start().await;
    let settings = Settings { ca_file: Some(file("ca.pem")), ..Settings::default() };
    let client = AriClient::new(with_tls(&node).await, &settings, Arc::new(())).expect("a client");
    client.check().await.expect("trusted");
    let mut items = EventSocket::spawn(&client);
    assert_eq!(items.recv().await, Some(SocketItem::Up));
    let caller = node.call(&IncomingCall::to("600", "call-1@example.test")).expect("taken");
    let Some(SocketItem::Event(start)) = items.recv().await else { panic!("no event") };
    assert_eq!(start.channel_id(), Some(caller.as_str()));
    client.channels().answer(&caller).await.expect("answered");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusted_signed_is_refused() {
    let node = FakeNode::start().await;
    let client = AriClient::new(with_tls(&node).await, &Settings::default(), Arc::new(())).expect("a client");
    let refused = client.check().await.expect_err("not trusted");
    assert!(matches!(&refused, ConnectFailure::Tls(reason) if reason.contains("UnknownIssuer")), "{refused}");
    let mut items = EventSocket::spawn(&client);
    assert_eq!(items.recv().await, Some(SocketItem::Down { reason: refused }));
}

#[test]
fn a_file_that_holds_no_certificate_is_refused_by_name() {
    let target = || {
        let base = "https://127.0.0.1:8089".parse().expect("a URL");
        AriTarget::new(&base, USERNAME, PASSWORD.into(), "EVERYTHING").expect("a target")
    };
    for name in ["node.key", "missing.pem"] {
        let settings = Settings { ca_file: Some(file(name)), ..Settings::default() };
        let refusal = AriClient::new(target(), &settings, Arc::new(())).expect_err("no certificate");
        assert_eq!(refusal.field, "ca_file");
    }
}
