//! A stretch of network between the service and its database, on which traffic can stall or break.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// It arrives.
    Flows,
    /// Queries arrive; answers don't.
    Stalls,
    /// The connection breaks as soon as an answer is sent.
    Breaks,
}

/// The stretch of network.
#[derive(Clone)]
pub struct Link {
    /// Where the service connects to.
    pub addr: SocketAddr,
    traffic: watch::Sender<Traffic>,
}

impl Link {
    pub async fn to(server: SocketAddr) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let (traffic, watched) = watch::channel(Traffic::Flows);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("the server listens");
                tokio::spawn(carry(client, server, watched.clone()));
            }
        });
        Link { addr, traffic }
    }

    pub fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }

    pub fn is(&self, traffic: Traffic) -> bool {
        *self.traffic.borrow() == traffic
    }
}

/// Carries bytes both ways until one side closes; then both are closed.
async fn carry(client: TcpStream, server: TcpStream, traffic: watch::Receiver<Traffic>) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let queries = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let answers = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let traffic = *traffic.borrow();
            match traffic {
                Traffic::Flows if to_client.write_all(&buffer[..read]).await.is_ok() => {}
                Traffic::Stalls => {}
                Traffic::Flows | Traffic::Breaks => break,
            }
        }
    };
    tokio::select! {
        () = queries => {}
        () = answers => {}
    }
}
