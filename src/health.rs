//! Asking a running service whether it is ready: the health check of a container that has no curl.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::settings::Settings;

const LIMIT: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const READY: &[u8] = b"HTTP/1.1 200";

/// Succeeds if the service at the address that the settings name says that it is ready.
///
/// # Errors
///
/// If it can't be reached, doesn't answer in three seconds, or isn't ready.
pub async fn check(settings: &Settings) -> io::Result<()> {
    let addr = SocketAddr::new(reachable(settings.address), settings.port);
    match timeout(LIMIT, ask(addr)).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{addr} did not answer in {LIMIT:?}"))),
    }
}

async fn ask(addr: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(REQUEST).await?;
    let mut status = [0; READY.len()];
    stream.read_exact(&mut status).await?;
    if status == READY {
        Ok(())
    } else {
        Err(io::Error::other(format!("{addr} answered {:?}", String::from_utf8_lossy(&status))))
    }
}

/// One listens on all addresses, but connects to one.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
