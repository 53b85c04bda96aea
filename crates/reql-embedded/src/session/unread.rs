//! The end of a connection whose bytes aren't read.
//!
//! A session that has no room for further queries reads nothing, and what a client sent before it went would
//! hide its end for as long as that lasts. Linux tells of the end all the same.

use super::stream::Stream;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch {
    use std::io;
    use std::os::fd::AsFd;

    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// Watches a socket for its end, under a descriptor of its own, since the session's is in use meanwhile.
    /// The socket stays open as long as it is watched.
    pub(in super::super) struct Watch(TcpStream);

    impl Watch {
        pub(super) fn of(socket: &TcpStream) -> io::Result<Self> {
            TcpStream::from_std(socket.as_fd().try_clone_to_owned()?.into()).map(Watch)
        }

        /// Waits until the client has sent its last byte, or the connection is broken.
        pub(in super::super) async fn ended(&self) {
            // Of the events that are watched for, this has the end alone: nobody asks for urgent bytes.
            let _ = self.0.ready(Interest::PRIORITY).await;
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod watch {
    /// Watches nothing.
    pub(in super::super) struct Watch(std::convert::Infallible);

    impl Watch {
        pub(super) fn of(_: &tokio::net::TcpStream) -> std::io::Result<Self> {
            Err(std::io::ErrorKind::Unsupported.into())
        }

        pub(in super::super) async fn ended(&self) {
            match self.0 {}
        }
    }
}

pub(super) use self::watch::Watch;

/// Begins to watch a stream that isn't read, if its socket can be watched.
pub(super) fn watch(stream: &impl Stream) -> Option<Watch> {
    Watch::of(stream.socket()?).inspect_err(|error| log::debug!("A socket isn't watched: {error}")).ok()
}

/// Waits until a stream that is watched has ended.
pub(super) async fn ended(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.ended().await,
        None => std::future::pending().await,
    }
}
