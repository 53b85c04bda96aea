//! The files of TLS: certificate, private key, certificate authorities of clients.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::settings::Tls;

/// The longest file that is read, in bytes. All public authorities together need a quarter of that.
const LENGTH_MAX: u64 = 1 << 20;
/// The ALPN protocols, the preferred one first (RFC 7301, RFC 9113 section 3.2).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Metadata of the files, to find out if they have changed. Reading it costs one system call per file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamp {
    pub(super) fn of(files: &Tls) -> Stamp {
        Stamp(files.files().map(|path| std::fs::metadata(path).ok().map(|file| look(&file))).collect())
    }
}

/// Returns the metadata that changes when a file is written or replaced.
fn look(file: &Metadata) -> (SystemTime, u64, u64) {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(file);
    #[cfg(not(unix))]
    let inode = 0;
    (file.modified().unwrap_or(SystemTime::UNIX_EPOCH), file.len(), inode)
}

/// Reads the files and checks that they fit together.
///
/// # Errors
///
/// If one can't be read or holds no certificate or key, or if the key isn't the certificate's. The error
/// names the setting and the file.
pub(super) fn read(files: &Tls) -> io::Result<ServerConfig> {
    let chain = certificates("tls.cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents("tls.key", &files.key)?)
        .map_err(|_| wrong("tls.key", &files.key, "there is no private key in it"))?;
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = if files.wants_client_certificates() {
        let authorities = Arc::new(authorities(&files.client_ca)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider).build();
        let wrong = |error: VerifierBuilderError| wrong("tls.client_ca", &files.client_ca, error);
        builder.with_client_cert_verifier(verifier.map_err(wrong)?)
    } else {
        builder.with_no_client_auth()
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| mismatch(&files.cert, &files.key, &error))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(config)
}

/// Returns the crypto provider that the program has installed, or else `ring`, as the driver does.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().map_or_else(|| Arc::new(ring::default_provider()), Arc::clone)
}

fn authorities(path: &Path) -> io::Result<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates("tls.client_ca", path)? {
        authorities.add(certificate).map_err(|error| wrong("tls.client_ca", path, error))?;
    }
    Ok(authorities)
}

/// Returns the certificates of a PEM file, at least one.
pub(super) fn certificates(key: &str, path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents(key, path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(wrong(key, path, "there is no certificate in it")),
        Err(error) => Err(wrong(key, path, error)),
    }
}

fn contents(key: &str, path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LENGTH_MAX + 1).read_to_end(&mut contents));
    match read {
        Ok(length) if length as u64 <= LENGTH_MAX => Ok(contents),
        Ok(_) => Err(wrong(key, path, "it is longer than a megabyte")),
        Err(error) => Err(wrong(key, path, error)),
    }
}

fn mismatch(cert: &Path, key: &Path, error: &rustls::Error) -> io::Error {
    let reason = match error {
        rustls::Error::InconsistentKeys(_) => "the key isn't the certificate's".to_owned(),
        error => error.to_string(),
    };
    let (cert, key) = (cert.display(), key.display());
    io::Error::new(io::ErrorKind::InvalidData, format!("`tls.cert` ({cert}), `tls.key` ({key}): {reason}"))
}

fn wrong(key: &str, path: &Path, reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{key}` ({}): {reason}", path.display()))
}
