//! TLS towards nodes, with the provider named here: no process-wide default is relied on.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::invalid::Invalid;

/// The configuration for nodes whose certificates are signed by those in `ca_file`, or by the system's store. Reads files.
pub(super) fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, Invalid> {
    let roots = match ca_file {
        Some(path) => from_file(path)?,
        None => from_system()?,
    };
    with_roots(roots)
}

/// The configuration of a client that never speaks TLS. Trusts nobody.
pub(super) fn unused() -> Result<ClientConfig, Invalid> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Invalid> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new("ari", "a TLS library with safe protocol versions", error))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn from_file(path: &Path) -> Result<RootCertStore, Invalid> {
    let refuse = |found: String| Invalid::new("ca_file", "a readable file of PEM certificates", found);
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        roots.add(certificate).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    }
    if roots.is_empty() {
        return Err(refuse(format!("{}: no certificate", path.display())));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, Invalid> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Stores hold certificates that no TLS library reads any more; those that it reads are enough.
    let (added, _unreadable) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason = found.errors.first().map_or_else(|| "an empty store".to_owned(), ToString::to_string);
        return Err(Invalid::new("ca_file", "a file, since the system's store holds no certificate", reason));
    }
    Ok(roots)
}
