//! A client that checks that a running service is ready, for containers that have no curl.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::tls;
use crate::settings::{Place, Settings, Tls};

const LIMIT: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const READY: &[u8] = b"HTTP/1.1 200";

/// Checks that the service with these settings is ready.
///
/// The request goes to `admin.address` if that is set, else to the address for clients. Over TLS, the
/// service must present the certificate in `tls.cert`. A service that requires client certificates can't be
/// checked like that, and needs an `admin.address`.
///
/// # Errors
///
/// If it can't be reached, doesn't answer within three seconds, or isn't ready.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::{health, settings::Settings};
///
/// health::check(&Settings::load(&Default::default())?.settings).await?;
/// # Ok(())
/// # }
/// ```
pub async fn check(settings: &Settings) -> io::Result<()> {
    // The address for operators has no TLS.
    let (place, files) = match &settings.admin.address {
        Some(place) => (place.clone(), Tls::default()),
        None => (settings.place(), settings.tls.clone()),
    };
    let told = |kind, reason: String| io::Error::new(kind, format!("{place} {reason}"));
    match timeout(LIMIT, ask(&place, &files)).await {
        Ok(Ok(status)) if status == READY => Ok(()),
        Ok(Ok(status)) => {
            Err(told(io::ErrorKind::Other, format!("answered {:?}", String::from_utf8_lossy(&status))))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(told(io::ErrorKind::TimedOut, format!("did not answer in {LIMIT:?}"))),
    }
}

/// Returns what to tell if a service with these settings can't be checked by [`check`].
pub(crate) fn warning(settings: &Settings) -> Option<&'static str> {
    let needs_certificate = settings.tls.wants_client_certificates() && settings.admin.address.is_none();
    needs_certificate.then_some(
        "With `tls.client_ca`, `warp-reql health` and probes without a certificate find the service \
         unhealthy: set `admin.address`.",
    )
}

/// Returns the first bytes of the answer.
async fn ask(place: &Place, files: &Tls) -> io::Result<[u8; READY.len()]> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{place} can't be asked: {error}"));
    match place {
        Place::Tcp(addr) => {
            let stream = TcpStream::connect(reachable(*addr)).await.map_err(failed)?;
            if files.is_on() {
                status(tls::connect(files, stream).await?).await.map_err(failed)
            } else {
                status(stream).await.map_err(failed)
            }
        }
        #[cfg(unix)]
        Place::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(failed)?;
            status(stream).await.map_err(failed)
        }
        #[cfg(not(unix))]
        Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Sends the request, and returns the first bytes of the status line.
async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<[u8; READY.len()]> {
    stream.write_all(REQUEST).await?;
    let mut status = [0; READY.len()];
    stream.read_exact(&mut status).await?;
    Ok(status)
}

/// Replaces the unspecified address, which one can listen on but not connect to, by the loopback address.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Admin;

    #[test]
    fn client_certificates_need_an_address_for_operators() {
        let tls = Tls { cert: "a.pem".into(), key: "a.key".into(), ..Tls::default() };
        let settings = Settings { tls, ..Settings::default() };
        assert_eq!(warning(&settings), None);
        let tls = Tls { client_ca: "ca.pem".into(), ..settings.tls.clone() };
        let settings = Settings { tls, ..settings };
        assert!(warning(&settings).is_some_and(|told| told.contains("`admin.address`")));
        let admin = Admin { address: Some("127.0.0.1:8001".parse().unwrap()) };
        assert_eq!(warning(&Settings { admin, ..settings }), None);
    }
}
