//! Fetching a JWK set from a URL: a small response, over verified TLS, with a timeout.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use warp::http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use warp::http::uri::{Authority, PathAndQuery, Scheme};
use warp::http::{Request, StatusCode, Uri};
use warp::hyper::body::Bytes;

use super::set::SET_MAX;
use crate::settings::bounded;

/// The timeout of a fetch, from the DNS lookup to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// The value of `Accept`: the type of RFC 7517, and the one that most servers use.
const TYPES: &str = "application/jwk-set+json, application/json";

/// The URL of a JWK set.
#[derive(Clone)]
pub(super) struct Remote {
    authority: Authority,
    path: PathAndQuery,
    /// `None` for a URL of this machine, which needs no TLS.
    tls: Option<Arc<ClientConfig>>,
}

impl Remote {
    /// Prepares fetching from a URL. `ca`, if it isn't empty, is a file with the authorities to trust.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL or the file.
    pub(super) fn new(url: &str, ca: &str) -> Result<Self, String> {
        let parts = url.parse::<Uri>().map_err(|error| error.to_string())?.into_parts();
        let authority = parts.authority.filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or("it names no host")?;
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let tls = match parts.scheme == Some(Scheme::HTTPS) {
            true => Some(Arc::new(trusting(ca)?)),
            false => None,
        };
        Ok(Remote { authority, path, tls })
    }

    /// Fetches the JWK set.
    ///
    /// # Errors
    ///
    /// Says what went wrong: no answer in time, no trust, another status than 200, or too long a body.
    pub(super) async fn get(&self) -> Result<Vec<u8>, String> {
        let late = || format!("there was no answer within {} s", DEADLINE.as_secs());
        timeout(DEADLINE, self.fetch()).await.map_err(|_| late())?
    }

    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(|error| format!("no connection to {host}:{port}: {error}"))?;
        let Some(tls) = &self.tls else { return self.exchange(tcp).await };
        let name = match host.parse::<Ipv6Addr>() {
            Ok(address) => ServerName::IpAddress(address.into()),
            Err(_) => ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?,
        };
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
        self.exchange(stream.map_err(|error| format!("TLS with {host}:{port} failed: {error}"))?).await
    }

    async fn exchange<S>(&self, stream: S) -> Result<Vec<u8>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: hyper::Error| format!("no answer by HTTP: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // Dropping the set, with this future, closes the connection.
        let mut driven = JoinSet::new();
        driven.spawn(connection);
        let request = Request::get(self.path.as_str())
            .header(HOST, self.authority.as_str())
            .header(ACCEPT, TYPES)
            .header(USER_AGENT, concat!("warp-reql/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(format!("the answer is {status}: set the URL that it leads to"));
            }
            status => return Err(format!("the answer is {status}")),
        }
        let body = Limited::new(answer.into_body(), SET_MAX).collect().await;
        let body = body.map_err(|error| format!("its body, of {} KiB at most: {error}", SET_MAX >> 10))?;
        Ok(body.to_bytes().into())
    }
}

/// Returns a configuration that trusts the authorities of a file, or else those of the system.
fn trusting(ca: &str) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if ca.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        let pem = bounded::read(Path::new(ca)).map_err(|error| format!("`{ca}` can't be read: {error}"))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| format!("`{ca}` is no PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("`{ca}`: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("`{ca}` has no certificate in it"));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
