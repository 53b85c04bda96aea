//! A network link between the service and its database that can fail in many ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{self, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// The messages that a server sends before the first query, each with a zero byte at its end.
const HANDSHAKE: usize = 3;
/// The interval of late answers with [`Traffic::Straggles`].
const LATE: usize = 7;
/// The sizes of the pieces of [`Traffic::Crumbles`], in turn.
const PIECES: [usize; 6] = [1, 11, 2, 7, 29, 3];

/// The state of the link.
///
/// Answers are those to queries; handshakes pass, unless a variant mentions them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Everything arrives.
    Flows,
    /// Nobody is there: new connections are refused, open ones are cut.
    Away,
    /// Nothing moves until that ends; then all of it arrives.
    Freezes,
    /// Connections are accepted, and nothing is ever answered, not even a handshake.
    Silent,
    /// Connections are closed in the middle of their handshake; those beyond it are left alone.
    CutsHandshakes,
    /// Queries arrive; answers don't.
    Stalls,
    /// The connection is closed as soon as an answer is sent.
    Breaks,
    /// The connection is reset as soon as an answer is sent.
    Resets,
    /// The connection is closed in the middle of an answer.
    Halves,
    /// Answers come this much later.
    Delays(Duration),
    /// Every seventh answer comes this much later.
    Straggles(Duration),
    /// Answers come byte by byte.
    Trickles,
    /// Answers come in pieces of odd sizes.
    Crumbles,
    /// Answers say that they are longer than any that is taken.
    Swells,
}

/// The stretch of network.
#[derive(Clone)]
pub struct Link {
    /// The address that the service connects to.
    pub addr: SocketAddr,
    traffic: watch::Sender<Traffic>,
    server: watch::Sender<SocketAddr>,
    open: watch::Receiver<bool>,
    carried: Arc<AtomicUsize>,
}

/// The state of the link, as each connection sees it.
#[derive(Clone)]
struct Road {
    traffic: watch::Receiver<Traffic>,
    server: watch::Receiver<SocketAddr>,
    answers: Arc<AtomicUsize>,
    carried: Arc<AtomicUsize>,
}

/// A connection that is being carried, among the others.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn among(all: &Arc<AtomicUsize>) -> Counted {
        all.fetch_add(1, Ordering::AcqRel);
        Counted(all.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Link {
    pub async fn to(server: SocketAddr) -> Link {
        // Bound but never listening: it keeps the port while nobody listens on it.
        let keeper = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = keeper.local_addr().expect("a bound socket has an address");
        let (traffic, watched) = watch::channel(Traffic::Flows);
        let (server, target) = watch::channel(server);
        let (opened, open) = watch::channel(false);
        let carried = Arc::<AtomicUsize>::default();
        let answers = Arc::default();
        let road = Road { traffic: watched, server: target, answers, carried: carried.clone() };
        tokio::spawn(async move {
            let _keeper = keeper;
            // Ends with the last clone of the link.
            let _ = serve(addr, road, opened).await;
        });
        let link = Link { addr, traffic, server, open, carried };
        link.set(Traffic::Flows).await;
        link
    }

    /// Lets things go this way from now on; when it returns, they do.
    pub async fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
        let open = traffic != Traffic::Away;
        self.open.clone().wait_for(|now| *now == open).await.expect("the link serves as long as it is there");
    }

    pub fn is(&self, traffic: Traffic) -> bool {
        *self.traffic.borrow() == traffic
    }

    /// The number of connections that are open on the link.
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::Acquire)
    }

    /// Leads to another server from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }
}

fn bind(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("an option of every socket");
    socket.bind(addr).expect("a free port");
    socket
}

async fn serve(
    addr: SocketAddr,
    mut road: Road,
    open: watch::Sender<bool>,
) -> Result<(), watch::error::RecvError> {
    loop {
        road.traffic.wait_for(|traffic| *traffic != Traffic::Away).await?;
        let listener = bind(addr).listen(1024).expect("the port is ours");
        open.send_replace(true);
        let carried = road.clone();
        tokio::select! {
            () = accept(&listener, carried) => {}
            away = road.traffic.wait_for(|traffic| *traffic == Traffic::Away) => { away?; }
        }
        drop(listener);
        open.send_replace(false);
    }
}

async fn accept(listener: &TcpListener, road: Road) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(carry(client, road.clone()));
    }
}

/// Carries bytes both ways until one side closes; then both are closed.
async fn carry(mut client: TcpStream, road: Road) {
    let _counted = Counted::among(&road.carried);
    let target = *road.server.borrow();
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("an option of every socket");
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut traffic = road.traffic.clone();
    let queries = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            road.thaw().await;
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        let mut greetings = HANDSHAKE;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let bytes = &buffer[..read];
            let goes_on = match greetings {
                0 => road.answer(bytes, &mut to_client).await,
                _ => road.greet(bytes, &mut to_client).await,
            };
            greetings = greetings.saturating_sub(bytes.iter().filter(|byte| **byte == 0).count());
            if !goes_on {
                break;
            }
        }
    };
    tokio::select! {
        () = queries => {}
        () = answers => {}
        _ = traffic.wait_for(|traffic| *traffic == Traffic::Away) => {}
    }
}

impl Road {
    async fn thaw(&self) -> Traffic {
        let flows = |traffic: &Traffic| *traffic != Traffic::Freezes;
        self.traffic.clone().wait_for(flows).await.map_or(Traffic::Away, |traffic| *traffic)
    }

    /// Carries a part of a handshake; tells whether the connection goes on.
    async fn greet(&self, bytes: &[u8], client: &mut WriteHalf<'_>) -> bool {
        match self.thaw().await {
            Traffic::Silent => true,
            Traffic::CutsHandshakes => {
                let _ = client.write_all(half(bytes)).await;
                false
            }
            _ => client.write_all(bytes).await.is_ok(),
        }
    }

    /// Carries an answer, or a part of one; tells whether the connection goes on.
    async fn answer(&self, bytes: &[u8], client: &mut WriteHalf<'_>) -> bool {
        let count = self.answers.fetch_add(1, Ordering::Relaxed);
        match self.thaw().await {
            Traffic::Silent | Traffic::Stalls => return true,
            Traffic::Breaks => return false,
            Traffic::Resets => {
                client.as_ref().set_zero_linger().expect("an option of every socket");
                return false;
            }
            Traffic::Halves => {
                let _ = client.write_all(half(bytes)).await;
                return false;
            }
            Traffic::Trickles => return pieces(bytes, &[1], client).await.is_ok(),
            Traffic::Crumbles => return pieces(bytes, &PIECES, client).await.is_ok(),
            Traffic::Swells => {
                // The length comes after the token.
                let mut swollen = bytes.to_vec();
                swollen.iter_mut().skip(8).take(4).for_each(|byte| *byte = 0xff);
                return client.write_all(&swollen).await.is_ok();
            }
            Traffic::Delays(by) => sleep(by).await,
            Traffic::Straggles(by) if count.is_multiple_of(LATE) => sleep(by).await,
            Traffic::Straggles(_)
            | Traffic::Flows
            | Traffic::Away
            | Traffic::Freezes
            | Traffic::CutsHandshakes => {}
        }
        client.write_all(bytes).await.is_ok()
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

/// Writes in pieces of these sizes, in turn.
async fn pieces(mut bytes: &[u8], sizes: &[usize], client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    for size in sizes.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(*size));
        client.write_all(piece).await?;
        // The other side gets the chance to read what there is.
        tokio::task::yield_now().await;
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    Ok(())
}
