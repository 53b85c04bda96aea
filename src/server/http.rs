//! Accepting connections, and serving HTTP/1 and HTTP/2 on them.
//!
//! Warp's own loop lacks two things: a timeout for the head of a request, and support for layers around
//! filters.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt, service_fn};
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use super::connection::{Requests, converse};
use super::first_head::first_head;
use super::linger::Lingering;
use super::listener::{Arrival, Listener};
use super::sips::{Sipped, Turn};
use super::streams::Streams;
use super::tls::Acceptor;
use super::turns::Turns;
use crate::http::client::Peer;
use crate::settings::Limits;
use crate::shares::{Client, Percent, Shares};

/// The timeout of an idle connection, and of the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest time between two log lines about refused clients.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// The interval of a timer that does nothing but be due before all others. The runtime is woken for each
/// timer that becomes the first one, such as that of a connection to the database which is dialled while
/// little else goes on.
const TICK: Duration = Duration::from_secs(1);
/// The number of file descriptors that are reserved for the database, its files and the log.
const RESERVED: u64 = 768;
/// The interval of HTTP/2 pings.
const PING: Duration = Duration::from_secs(30);
/// The time that a client has to answer a ping.
const PONG: Duration = Duration::from_secs(20);

/// The bytes that are buffered of a connection in each direction. A head has to fit in.
const BUFFERED: usize = 32 << 10;
/// The bytes that are taken in of HTTP/2 bodies before they are read: of each, and of a connection.
const WINDOW: u32 = 256 << 10;
/// The requests that may run at once on an HTTP/2 connection.
pub(super) const STREAMS: u32 = 128;

/// Limits on clients' connections: timeouts, sizes and numbers.
#[derive(Clone)]
pub(super) struct Patience {
    /// The timeout of an idle connection, and of the head of a request. It starts when the client connects,
    /// or has got its last answer.
    pub(super) head: Duration,
    /// The time that a client may leave written data unread.
    pub(super) send: Duration,
    /// The bytes that are buffered of a connection in each direction.
    buffered: usize,
    /// The connections of all clients together and of each client.
    pub(super) connections: Shares,
}

/// A listener with its TLS and its limits: everything that applies to a client before its first request.
pub(super) struct Door {
    pub(super) listener: Listener,
    /// The TLS acceptor; `None` for plain connections.
    pub(super) tls: Option<Acceptor>,
    /// The limits for new connections.
    pub(super) patience: watch::Receiver<Patience>,
}

/// A byte stream of a connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// A connection whose first head is there.
struct Begun {
    /// The bytes that have been read of the stream.
    read: Vec<u8>,
    stream: Pin<Box<dyn Stream>>,
}

impl Patience {
    /// Sets the limits of the settings, as far as the process has file descriptors for them.
    pub(super) fn new(limits: &Limits, descriptors: Option<u64>) -> Self {
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        Patience::of(Shares::new(0, percent), limits, descriptors)
    }

    /// Applies the limits of new settings to existing shares.
    pub(super) fn of(connections: Shares, limits: &Limits, descriptors: Option<u64>) -> Self {
        let rest = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVED).max(all / 4));
        let most = limits.connections.min(usize::try_from(rest).unwrap_or(usize::MAX));
        connections.resize(most, Percent { client: limits.client_share, user: limits.user_share });
        // Larger heads than the limits allow are still read, so that the answer can say so.
        let heads = limits.url.saturating_add(limits.headers).saturating_mul(2);
        let heads = usize::try_from(heads).unwrap_or(BUFFERED);
        Patience { head: HEAD_TIMEOUT, send: limits.send_time, buffered: heads.max(BUFFERED), connections }
    }
}

impl Door {
    /// Makes a door without TLS, whose limits never change.
    pub(super) fn open(listener: Listener, patience: Patience) -> Door {
        Door { listener, tls: None, patience: watch::channel(patience).1 }
    }
}

/// Serves until `shutdown` is done, then gives running requests the time `grace` to finish. Clients are
/// disconnected if they are idle for too long, too slow with a request's head, or don't read their answers.
/// A client beyond the limit on connections is disconnected at once.
pub(super) async fn serve<S, B>(door: Door, service: S, shutdown: impl Future<Output = ()>, grace: Duration)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let Door { listener, tls, patience } = door;
    let (open, stop, abort) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let turns = Turns::default();
    let mut turned_away = TurnedAway::default();
    let mut shutdown = pin!(shutdown);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
            _ = ticks.tick() => continue,
        };
        let Some(arrival) = accepted else { continue };
        let (peer, patience) = (arrival.peer(), patience.borrow().clone());
        let client = match peer {
            Peer::Address(address) => Some(Client::from(address)),
            Peer::Local => None,
        };
        let Ok(share) = patience.connections.take(client) else {
            turned_away.tell();
            continue;
        };
        let streams = Streams::new(patience.send, client, turns.clone());
        let (tls, service, stop) = (tls.clone(), service.clone(), stop.clone());
        open.spawn(abort.clone().run_until_cancelled_owned(async move {
            let _share = share;
            let knocks = async {
                tokio::select! {
                    begun = begin(arrival, tls, patience.head) => begun,
                    () = stop.cancelled() => None,
                }
            };
            // Boxed, so that the task doesn't hold the memory for a handshake until its end, nor from the
            // beginning that for its requests.
            if let Some(begun) = Box::pin(knocks).await {
                Box::pin(converse_over(begun, peer, service, &patience, streams, stop)).await;
            }
        }));
    }
    drop(listener);
    stop.cancel();
    open.close();
    if timeout(grace, open.wait()).await.is_err() {
        log::warn!("Requests still running after {grace:?} are aborted.");
        abort.cancel();
        open.wait().await;
    }
}

/// Does the TLS handshake, if TLS is on, and waits for the first head. Returns the stream after what was read
/// of it; `None` if that fails or takes too long.
async fn begin(arrival: Arrival, tls: Option<Acceptor>, head: Duration) -> Option<Begun> {
    let mut stream = match arrival.secured(tls).await {
        Ok(stream) => stream,
        Err(error) => {
            log::debug!("A TLS handshake failed: {error}");
            return None;
        }
    };
    match timeout(head, first_head(&mut stream)).await {
        Ok(Ok(read)) => Some(Begun { read, stream }),
        Ok(Err(error)) => {
            log::debug!("A connection ended before its first request: {error}");
            None
        }
        Err(_) => {
            log::debug!("A client has sent no request for {head:?}; it is disconnected.");
            None
        }
    }
}

/// Serves the requests of one connection.
fn converse_over<S, B>(
    begun: Begun,
    peer: Peer,
    service: S,
    patience: &Patience,
    streams: Streams,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let requests = Requests::none();
    let counted = requests.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let going = counted.begin();
        request.extensions_mut().insert(peer);
        let answer = service.clone().oneshot(request);
        answer.map_ok(|response| response.map(|body| going.answering(body)))
    });
    let mut stream = TimeoutStream::new(begun.stream);
    stream.set_write_timeout(Some(patience.send));
    let mut http = Builder::new(streams);
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience.head).max_buf_size(patience.buffered);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(BUFFERED)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let (turn, stream) = (Turn::default(), Lingering::new(Box::pin(stream), stop.clone()));
    let stream = TokioIo::new(Sipped::after(begun.read, stream, turn.clone()));
    let connection = http.serve_connection(stream, TowerToHyperService::new(service)).into_owned();
    converse(Box::pin(connection), requests, patience.head, stop, turn).map(|ended| {
        if let Err(error) = ended {
            log::debug!("A connection ended early: {error}");
        }
    })
}

impl Arrival {
    /// Returns the address of the client.
    fn peer(&self) -> Peer {
        match self {
            Arrival::Tcp(_, peer) => Peer::Address(*peer),
            #[cfg(unix)]
            Arrival::Unix(_) => Peer::Local,
        }
    }

    /// Does the TLS handshake if TLS is on. Unix sockets need none.
    async fn secured(self, tls: Option<Acceptor>) -> io::Result<Pin<Box<dyn Stream>>> {
        match (self, tls) {
            (Arrival::Tcp(stream, _), Some(tls)) => Ok(Box::pin(tls.accept(stream).await?)),
            (Arrival::Tcp(stream, _), None) => Ok(Box::pin(stream)),
            #[cfg(unix)]
            (Arrival::Unix(stream), _) => Ok(Box::pin(stream)),
        }
    }
}

/// The number of refused clients. It is logged now and then, since a line for each would fill the log.
#[derive(Default)]
struct TurnedAway {
    count: u64,
    told: Option<Instant>,
}

impl TurnedAway {
    fn tell(&mut self) {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            log::warn!(
                "{} clients were disconnected: the limit on connections, in total or for one, is reached.",
                self.count
            );
            *self = TurnedAway { count: 0, told: Some(Instant::now()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;
    use tokio::time::sleep;
    use warp::Filter;

    use super::*;

    async fn answer(patience: Duration, thinks: Duration, sent: &[u8]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = warp::any().then(move || async move {
            sleep(thinks).await;
            "here"
        });
        let patience = Patience { head: patience, send: patience, ..Patience::new(&Limits::default(), None) };
        let door = Door::open(Listener::Tcp(listener), patience);
        let serving = serve(door, warp::service(routes), std::future::pending(), Duration::ZERO);
        let client = async {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(sent).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            () = serving => panic!("it ended"),
            answer = client => answer,
        }
    }

    #[tokio::test]
    async fn clients_that_send_no_request_are_disconnected() {
        for sent in ["", "PRI * HT", "GET / HTTP/1.1\r\nHost: t\r\nX-"] {
            let answer = answer(Duration::from_millis(50), Duration::ZERO, sent.as_bytes()).await;
            assert!(answer.is_empty(), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn clients_that_have_had_their_answers_are_disconnected() {
        const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        // `GET / HTTP/2` for the host `t`, with indexes of the static table (RFC 7541, appendix A).
        const REQUEST: &[u8] = &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b't'];
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SETTINGS].concat();
        for sent in [preface.clone(), [&preface[..], REQUEST].concat()] {
            let answered = answer(Duration::from_millis(50), Duration::from_millis(200), &sent).await;
            let is_here = answered.windows(4).any(|bytes| bytes == b"here");
            assert_eq!(is_here, sent.len() > preface.len(), "a request is answered first");
            // The head of `GOAWAY`, whose length is that of its two numbers.
            let is_told = answered.windows(5).any(|bytes| bytes == [0, 0, 8, 7, 0]);
            assert!(is_told, "a client learns that the connection ends: {answered:?}");
        }
    }

    #[tokio::test]
    async fn streams_whose_answers_are_not_taken_are_reset() {
        // `SETTINGS_INITIAL_WINDOW_SIZE` of nothing, then the request, as above.
        const ASKED: &[u8] = &[
            0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, // the settings
            0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b't',
        ];
        const CANCELLED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
        let sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ASKED].concat();
        let answered = answer(Duration::from_millis(50), Duration::ZERO, &sent).await;
        assert!(!answered.windows(4).any(|bytes| bytes == b"here"), "there is no room for it");
        assert!(answered.windows(CANCELLED.len()).any(|bytes| bytes == CANCELLED), "{answered:?}");
    }

    #[tokio::test]
    async fn what_still_runs_after_its_time_is_aborted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let routes = warp::any().then(move || {
            begins.notify_one();
            std::future::pending::<&str>()
        });
        let door = Door::open(Listener::Tcp(listener), Patience::new(&Limits::default(), None));
        let client = async {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
            client.read_to_end(&mut Vec::new()).await
        };
        let serving = serve(door, warp::service(routes), begun.notified(), Duration::ZERO);
        let ended = timeout(Duration::from_secs(10), async { tokio::join!(serving, client) }).await;
        assert!(ended.is_ok(), "its client still waits");
    }

    #[tokio::test]
    async fn answers_may_take_longer() {
        let patience = Duration::from_millis(100);
        let answer = answer(patience, patience * 2, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert!(answer.ends_with(b"here"), "{}", String::from_utf8_lossy(&answer));
    }
}
