//! Taking in connections and speaking HTTP/1 and HTTP/2 on them.
//!
//! Warp's own loop would do, but for two things: it waits without end for a client that never finishes the
//! head of a request, and it serves filters only, not what lies around them.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryFutureExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt, service_fn};
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use super::connection::{Requests, converse};
use crate::settings::Limits;
use crate::shares::{Client, Percent, Shares};

/// The time that a connection may go without a request, and that the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the process has run out of file descriptors or the like.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The least time between two log lines about clients that are turned away.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// The number of file descriptors that are kept for the database, its files and the log.
const RESERVED: u64 = 768;
/// How often a connection that is idle is asked whether its client is still there, over HTTP/2.
const PING: Duration = Duration::from_secs(30);

/// The bounds on clients' connections, in time and in number.
pub(super) struct Patience {
    /// The time that a connection may go without a request, and that the head of a request may take, counted
    /// from when the client connects or got its last answer.
    pub(super) head: Duration,
    /// The time that a client may leave unread what is written to it.
    pub(super) send: Duration,
    /// The connections that there may be, of all clients and of one.
    pub(super) connections: Shares,
}

impl Patience {
    /// Bounds clients as the settings say, and to what the process can have open beside them.
    pub(super) fn new(limits: &Limits, descriptors: Option<u64>) -> Self {
        let rest = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVED).max(all / 4));
        let connections = limits.connections.min(usize::try_from(rest).unwrap_or(usize::MAX));
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        let connections = Shares::new(connections, percent);
        Patience { head: HEAD_TIMEOUT, send: limits.send_time, connections }
    }
}

/// Serves until `shutdown` is done, then gives running requests the time `grace` to finish. Clients that make
/// no request for too long, are too slow with a request's head, or don't read their answers, are
/// disconnected. A client that is one more than allowed is disconnected at once.
pub(super) async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    patience: Patience,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience.head);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(PING);
    let (open, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut turned_away = TurnedAway::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut shutdown => break,
        };
        let Some((stream, client)) = accepted else { continue };
        let Ok(share) = patience.connections.take(Some(client)) else {
            turned_away.tell();
            continue;
        };
        let requests = Requests::none();
        let (service, counted) = (service.clone(), requests.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let going = counted.begin();
            request.extensions_mut().insert(client);
            let answer = service.clone().oneshot(request);
            answer.map_ok(|response| response.map(|body| going.answering(body)))
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience.send));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = http.serve_connection(stream, TowerToHyperService::new(service)).into_owned();
        let connection = converse(connection, requests, patience.head, stop.clone());
        open.spawn(async move {
            let _share = share;
            if let Err(error) = connection.await {
                log::debug!("A connection ended early: {error}");
            }
        });
    }
    log::info!("Stopping: no new connections; running requests have {grace:?}.");
    drop(listener);
    stop.cancel();
    open.close();
    if timeout(grace, open.wait()).await.is_err() {
        log::warn!("Requests were still running after {grace:?}; they are cut off.");
    }
}

/// Waits for the next client. `None` is one that didn't come after all.
async fn accept(listener: &TcpListener) -> Option<(TcpStream, Client)> {
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, Client::from(peer.ip()))),
        Err(error) if is_clients(&error) => None,
        Err(error) => {
            log::error!("Could not accept a connection: {error}");
            sleep(ACCEPT_RETRY).await;
            None
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

/// Whether only the connection that would have been accepted has failed.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
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
        let serving =
            serve(listener, warp::service(routes), patience, std::future::pending(), Duration::ZERO);
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
