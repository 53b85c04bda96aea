//! Taking in connections and speaking HTTP/1 and HTTP/2 on them.
//!
//! Warp's own loop would do, but for two things: it waits without end for a client that never finishes the
//! head of a request, and it serves filters only, not what lies around them.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt, service_fn};
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use super::connection::{Requests, converse};
use super::listener::{Arrival, Listener};
use super::tls::Acceptor;
use crate::http::client::Peer;
use crate::settings::Limits;
use crate::shares::{Client, Percent, Shares};

/// The time that a connection may go without a request, and that the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The least time between two log lines about clients that are turned away.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// The number of file descriptors that are kept for the database, its files and the log.
const RESERVED: u64 = 768;
/// The time between two questions, over HTTP/2, if a client is still there.
const PING: Duration = Duration::from_secs(30);
/// The time that a client has to answer one.
const PONG: Duration = Duration::from_secs(20);

/// The bounds on clients' connections, in time and in number.
#[derive(Clone)]
pub(super) struct Patience {
    /// The time that a connection may go without a request, and that the head of a request may take, counted
    /// from when the client connects or got its last answer.
    pub(super) head: Duration,
    /// The time that a client may leave unread what is written to it.
    pub(super) send: Duration,
    /// The connections that there may be, of all clients and of one.
    pub(super) connections: Shares,
}

/// Where clients come in, and how they are dealt with until they ask.
pub(super) struct Door {
    pub(super) listener: Listener,
    /// What makes connections secure, if they are to be.
    pub(super) tls: Option<Acceptor>,
    /// The bounds for connections that are still to come.
    pub(super) patience: watch::Receiver<Patience>,
}

/// A connection, secure or not.
trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

impl Patience {
    /// Bounds clients as the settings say, and to what the process can have open beside them.
    pub(super) fn new(limits: &Limits, descriptors: Option<u64>) -> Self {
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        Patience::of(Shares::new(0, percent), limits, descriptors)
    }

    /// Has the same connections bounded as these settings say.
    pub(super) fn of(connections: Shares, limits: &Limits, descriptors: Option<u64>) -> Self {
        let rest = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVED).max(all / 4));
        let most = limits.connections.min(usize::try_from(rest).unwrap_or(usize::MAX));
        connections.resize(most, Percent { client: limits.client_share, user: limits.user_share });
        Patience { head: HEAD_TIMEOUT, send: limits.send_time, connections }
    }
}

impl Door {
    /// A door without TLS, whose bounds stay as they are.
    pub(super) fn open(listener: Listener, patience: Patience) -> Door {
        Door { listener, tls: None, patience: watch::channel(patience).1 }
    }
}

/// Serves until `shutdown` is done, then gives running requests the time `grace` to finish. Clients that make
/// no request for too long, are too slow with a request's head, or don't read their answers, are
/// disconnected. A client that is one more than allowed is disconnected at once.
pub(super) async fn serve<S, B>(door: Door, service: S, shutdown: impl Future<Output = ()>, grace: Duration)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let Door { listener, tls, patience } = door;
    let (open, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut turned_away = TurnedAway::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
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
        let (tls, service, stop) = (tls.clone(), service.clone(), stop.clone());
        open.spawn(async move {
            let _share = share;
            let secure = async {
                tokio::select! {
                    secured = arrival.secured(tls) => secured.map(Some),
                    () = stop.cancelled() => Ok(None),
                }
            };
            match secure.await {
                Ok(Some(stream)) => converse_over(stream, peer, service, &patience, stop).await,
                Ok(None) => {}
                Err(error) => log::debug!("A client couldn't be spoken to by TLS: {error}"),
            }
        });
    }
    drop(listener);
    stop.cancel();
    open.close();
    if timeout(grace, open.wait()).await.is_err() {
        log::warn!("Requests were still running after {grace:?}; they are cut off.");
    }
}

/// Serves the requests of one connection.
fn converse_over<S, B>(
    stream: Pin<Box<dyn Stream>>,
    peer: Peer,
    service: S,
    patience: &Patience,
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
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.send));
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience.head);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
    let stream = TokioIo::new(Box::pin(stream));
    let connection = http.serve_connection(stream, TowerToHyperService::new(service)).into_owned();
    converse(connection, requests, patience.head, stop).map(|ended| {
        if let Err(error) = ended {
            log::debug!("A connection ended early: {error}");
        }
    })
}

impl Arrival {
    /// Whoever has connected.
    fn peer(&self) -> Peer {
        match self {
            Arrival::Tcp(_, peer) => Peer::Address(*peer),
            #[cfg(unix)]
            Arrival::Unix(_) => Peer::Local,
        }
    }

    /// Makes the connection secure, if there is something to make it so. What goes through a file of this
    /// machine is.
    async fn secured(self, tls: Option<Acceptor>) -> io::Result<Pin<Box<dyn Stream>>> {
        match (self, tls) {
            (Arrival::Tcp(stream, _), Some(tls)) => Ok(Box::pin(tls.accept(stream).await?)),
            (Arrival::Tcp(stream, _), None) => Ok(Box::pin(stream)),
            #[cfg(unix)]
            (Arrival::Unix(stream), _) => Ok(Box::pin(stream)),
        }
    }
}

/// The clients that were turned away, which are logged now and then rather than one by one.
#[derive(Default)]
struct TurnedAway {
    count: u64,
    told: Option<Instant>,
}

impl TurnedAway {
    fn tell(&mut self) {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            log::warn!("{} clients were disconnected: more are connected than may be.", self.count);
            *self = TurnedAway { count: 0, told: Some(Instant::now()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
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
        let patience = Patience { head: patience, ..Patience::new(&Limits::default(), None) };
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
        // `GET / HTTP/2` of `t`, out of the static table (RFC 7541, appendix A).
        const REQUEST: &[u8] = &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b't'];
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SETTINGS].concat();
        for sent in [preface.clone(), [&preface[..], REQUEST].concat()] {
            let answered = answer(Duration::from_millis(50), Duration::from_millis(200), &sent).await;
            let is_here = answered.windows(4).any(|bytes| bytes == b"here");
            assert_eq!(is_here, sent.len() > preface.len(), "a request is answered first");
        }
    }

    #[tokio::test]
    async fn answers_may_take_longer() {
        let patience = Duration::from_millis(100);
        let answer = answer(patience, patience * 2, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert!(answer.ends_with(b"here"), "{}", String::from_utf8_lossy(&answer));
    }
}
