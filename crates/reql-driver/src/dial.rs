//! TCP to a host, which may have several addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Connects to the first address of a host that answers.
pub(crate) async fn dial(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    first_of(&addresses, limit.saturating_sub(begun.elapsed()), TcpStream::connect).await
}

/// Tries one address after the other. Each but the last has its share of the time that is left, so that one
/// that is silent leaves time for the others, and for the handshake.
async fn first_of<T>(
    addresses: &[SocketAddr],
    limit: Duration,
    connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    };
    let begun = Instant::now();
    for (at, address) in others.iter().enumerate() {
        let shares = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX).saturating_add(1);
        let share = limit.saturating_sub(begun.elapsed()) / shares;
        if let Ok(Ok(connected)) = timeout(share, connect(*address)).await {
            return Ok(connected);
        }
    }
    connect(*last).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silent_addresses_leave_time_for_the_others() {
        let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let limit = Duration::from_secs(20);
        // Of ports, 1 is silent, 2 refuses, and 3 is there.
        let connect = |last: u16| {
            async move |address: SocketAddr| match address.port() {
                2 => Err(io::ErrorKind::ConnectionRefused.into()),
                port if port == last => Ok(port),
                _ => std::future::pending().await,
            }
        };
        let begun = Instant::now();
        let dialled = first_of(&addresses, limit, connect(3)).await;
        assert_eq!((dialled.unwrap(), begun.elapsed()), (3, limit / 4));
        // The last one may take all the time that there is.
        let dialled = timeout(limit, first_of(&addresses, limit, connect(0))).await;
        assert!(dialled.is_err());
        let error = first_of(&addresses[1..2], limit, connect(0)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first_of(&[], limit, connect(0)).await.is_err());
    }
}
