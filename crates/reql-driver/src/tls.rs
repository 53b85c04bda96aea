//! TLS by rustls: the authorities to trust, and the client's own certificate.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind, Result};

/// The longest file of authorities, in bytes. One with all that browsers trust has a quarter of that.
const FILE_MAX: u64 = 1 << 20;

/// The authorities that a client trusts, and its own certificate. The server is always checked, unless a
/// configuration of one's own ([`with_config`](Tls::with_config)) goes without.
///
/// ```no_run
/// use reql::{Connector, tls::Tls};
///
/// # async fn example() -> reql::Result<()> {
/// let tls = Tls::trusting_file("ca.pem")?.server_name("db.internal")?;
/// let session = Connector::new("10.0.0.7:28015").tls(tls).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
    name: Option<ServerName<'static>>,
}

impl Tls {
    /// Trusts the certificates that the system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    /// These are trusted files: they are read whole, however long they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if the system has none, or the program has no cryptography.
    pub fn native() -> Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
            return Err(tls_error(format!("the system has no certificates to trust{why}")));
        }
        Tls::trusting(roots)
    }

    /// Trusts the authorities whose certificates are in a PEM file, and no others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if the file can't be read, is longer than 1 MiB or has no certificate, or the
    /// program has no cryptography.
    pub fn trusting_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let pem = read(path).map_err(|error| {
            tls_error(format!("{} can't be read: {error}", path.display())).because(error)
        })?;
        Tls::trusting_pem(&pem)
            .map_err(|error| tls_error(format!("{}: {}", path.display(), error.message())).because(error))
    }

    /// Trusts the authorities whose certificates are in a PEM text, and no others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if there is no certificate in it, or the program has no cryptography.
    pub fn trusting_pem(pem: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(|error| {
                tls_error(format!("a certificate to trust is of no use: {error}")).because(error)
            })?;
        }
        Tls::trusting(roots)
    }

    /// Uses a configuration of rustls, for settings that have no method here. It decides by itself if it
    /// checks the server.
    pub fn with_config(config: Arc<ClientConfig>) -> Self {
        Tls { config, roots: Arc::new(RootCertStore::empty()), name: None }
    }

    /// Shows the server a certificate: chain and key are PEM texts. A configuration of
    /// [`with_config`](Tls::with_config) is replaced by it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if they can't be read, don't fit together, or the program has no cryptography.
    pub fn client_certificate(self, chain: &[u8], key: &[u8]) -> Result<Self> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| tls_error(format!("the client's key can't be read: {error}")))?;
        let config =
            builder()?.with_root_certificates(self.roots.clone()).with_client_auth_cert(chain, key).map_err(
                |error| tls_error(format!("the client's certificate is of no use: {error}")).because(error),
            )?;
        Ok(Tls { config: Arc::new(config), ..self })
    }

    /// Sets the name that the server's certificate is for; by default, the host that is connected to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if it is neither a name nor an IP address.
    pub fn server_name(self, name: impl Into<String>) -> Result<Self> {
        Ok(Tls { name: Some(parse_name(name.into())?), ..self })
    }

    fn trusting(roots: RootCertStore) -> Result<Self> {
        let roots = Arc::new(roots);
        let config = builder()?.with_root_certificates(roots.clone()).with_no_client_auth();
        Ok(Tls { config: Arc::new(config), roots, name: None })
    }

    pub(crate) async fn connect(&self, tcp: TcpStream, host: &str) -> Result<TlsStream<TcpStream>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => parse_name(host.to_owned())?,
        };
        let shown = name.to_str().into_owned();
        let connected = TlsConnector::from(self.config.clone()).connect(name, tcp).await;
        connected.map_err(|error| handshake_error(error, &shown))
    }
}

/// Uses the cryptography that the program has installed, or that a feature brings.
fn provider() -> Result<Arc<CryptoProvider>> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(installed.clone());
    }
    #[cfg(feature = "tls-ring")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "tls-graviola", not(feature = "tls-ring")))]
    return Ok(Arc::new(rustls_graviola::default_provider()));
    #[cfg(not(any(feature = "tls-ring", feature = "tls-graviola")))]
    return Err(tls_error(
        "the program has no cryptography for TLS: enable `tls-ring` or `tls-graviola` of `reql-driver`, or \
         install a provider of rustls",
    ));
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls_error(format!("the cryptography can't do TLS: {error}")).because(error))
}

/// Reads a file of bounded length, also if it doesn't tell its length, as a pipe or a device.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(pem)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| tls_error(format!("a certificate can't be read: {error}")))?;
    if read.is_empty() {
        return Err(tls_error("there is no certificate in the PEM text"));
    }
    Ok(read)
}

fn parse_name(name: String) -> Result<ServerName<'static>> {
    let shown = name.clone();
    ServerName::try_from(name)
        .map_err(|error| tls_error(format!("`{shown}` is neither a name nor an address: {error}")))
}

fn tls_error(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Tls, message)
}

/// Returns the error of rustls inside of an error of input and output.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn handshake_error(error: io::Error, name: &str) -> Error {
    let message = match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(certificate)) => {
            format!("the server's certificate isn't to be trusted: {}", complaint(certificate, name))
        }
        Some(rustls::Error::InvalidMessage(_)) => "the server doesn't speak TLS on this port".to_owned(),
        Some(rustls::Error::AlertReceived(alert)) => refusal(*alert),
        Some(other) => format!("TLS failed: {other}"),
        None => return Error::io("TLS was agreed on", error),
    };
    tls_error(message).because(error)
}

fn complaint(error: &CertificateError, name: &str) -> String {
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it isn't for `{name}`")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it isn't valid yet".to_owned()
        }
        // The second: another authority of the same name has signed it.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "whoever signed it isn't among those to be trusted".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a certificate of the client, and there is none".to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => {
            format!("the server doesn't take the client's certificate ({alert:?})")
        }
        other => format!("the server ended TLS ({other:?})"),
    }
}

/// Returns the error of an alert that came after the handshake of TLS: in TLS 1.3, a server judges the
/// client's certificate only then.
pub(crate) fn alert(error: &io::Error) -> Option<Error> {
    match rustls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => Some(tls_error(refusal(*alert))),
        Some(other) => Some(tls_error(format!("TLS failed: {other}"))),
        None => None,
    }
}
