//! A way to a database that counts the queries which pass.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The bytes before the text of a query: its token, and its length.
const HEAD: usize = 12;
/// The beginning of a new query's text.
const START: &[u8] = b"[1,";

pub struct Counted {
    pub addr: SocketAddr,
    queries: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl Counted {
    /// Leads to this server for as long as the test lasts.
    pub async fn to(server: SocketAddr) -> Counted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let queries = Arc::<AtomicUsize>::default();
        let last = Arc::<Mutex<String>>::default();
        let seen = (Arc::clone(&queries), Arc::clone(&last));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, seen.clone()));
            }
        });
        Counted { addr, queries, last }
    }

    /// Returns the text of the query that has begun last.
    pub fn last(&self) -> String {
        self.last.lock().unwrap().clone()
    }

    /// Returns the number of queries that have begun.
    pub fn queries(&self) -> usize {
        self.queries.load(Ordering::Acquire)
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    (queries, last): (Arc<AtomicUsize>, Arc<Mutex<String>>),
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { io::copy(&mut from_server, &mut to_client).await });
    // The handshake: a number, then texts that end with a zero byte.
    let mut number = [0; 4];
    from_client.read_exact(&mut number).await?;
    to_server.write_all(&number).await?;
    for _ in 0..2 {
        loop {
            let byte = from_client.read_u8().await?;
            to_server.write_all(&[byte]).await?;
            if byte == 0 {
                break;
            }
        }
    }
    let mut frame = vec![0; HEAD];
    while from_client.read_exact(&mut frame[..HEAD]).await.is_ok() {
        let length = u32::from_le_bytes([frame[8], frame[9], frame[10], frame[11]]) as usize;
        frame.resize(HEAD + length, 0);
        from_client.read_exact(&mut frame[HEAD..]).await?;
        if frame[HEAD..].starts_with(START) {
            *last.lock().unwrap() = String::from_utf8_lossy(&frame[HEAD..]).into_owned();
            queries.fetch_add(1, Ordering::AcqRel);
        }
        to_server.write_all(&frame).await?;
    }
    answers.abort();
    Ok(())
}
