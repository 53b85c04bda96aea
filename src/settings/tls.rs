//! Settings of TLS to clients.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// TLS to clients. Both `cert` and `key` make the service speak HTTPS (HTTP/2 and HTTP/1.1) and nothing else
/// on its address.
///
/// Files that change are taken up by the next client that connects. Connections that are open go on.
///
/// ```
/// use warp_reql::settings::Tls;
///
/// let tls = Tls { cert: "service.pem".into(), key: "service.key".into(), ..Tls::default() };
/// assert!(tls.is_on() && !tls.wants_client_certificates());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the service's certificate and those that lead to a known authority, in this order.
    /// Default: none.
    pub cert: PathBuf,
    /// A PEM file with the certificate's private key (PKCS #8, PKCS #1 or SEC 1), without a password.
    /// Default: none.
    pub key: PathBuf,
    /// A PEM file with the authorities of clients' certificates. If it is set, only a client with a
    /// certificate of one of these gets in. Default: none.
    pub client_ca: PathBuf,
}

impl Tls {
    /// Returns whether the service is to speak TLS.
    pub fn is_on(&self) -> bool {
        is_set(&self.cert)
    }

    /// Returns whether a key is named.
    pub(crate) fn has_key(&self) -> bool {
        is_set(&self.key)
    }

    /// Returns whether clients have to show a certificate.
    pub fn wants_client_certificates(&self) -> bool {
        is_set(&self.client_ca)
    }

    /// Returns the files that are named.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.cert, &self.key, &self.client_ca].into_iter().filter(|path| is_set(path)).map(PathBuf::as_path)
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}
