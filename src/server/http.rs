//! Taking in connections and speaking HTTP/1 and HTTP/2 on them.
//!
//! Warp's own loop would do, but for two things: it waits without end for a client that never finishes the head of a
//! request, and it serves filters only, not what lies around them.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::{Service, ServiceExt};
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use crate::settings::Limits;
use crate::shares::{Client, Shares};

/// How long a client may take for the head of a request, counted from when it connects or got its last answer.
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
    /// The time that the head of a request may take, counted from when the client connects or got its last
    /// answer.
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
        let connections = Shares::new(connections, limits.client_share);
        Patience { head: HEAD_TIMEOUT, send: limits.send_time, connections }
    }
}

/// Serves until `stop` is done, then lets running requests finish. Clients that are too slow with a request's
/// head, or don't read their answers, are disconnected. A client that is one more than allowed is
/// disconnected at once.
pub(super) async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    patience: Patience,
    stop: impl Future<Output = ()>,
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
    let open = GracefulShutdown::new();
    let mut turned_away = TurnedAway::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, client) = match accepted {
            Ok((stream, peer)) => (stream, Client::from(peer.ip())),
            Err(error) if is_clients(&error) => continue,
            Err(error) => {
                log::error!("Could not accept a connection: {error}");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(share) = patience.connections.take(Some(client)) else {
            turned_away.tell();
            continue;
        };
        // Hyper's own timeout starts with the first bytes, once it knows which version of HTTP they are.
        let begun = Arc::new(AtomicBool::new(false));
        let service = service.clone().map_request({
            let begun = Arc::clone(&begun);
            move |mut request: Request<Incoming>| {
                begun.store(true, Ordering::Relaxed);
                request.extensions_mut().insert(client);
                request
            }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience.send));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = http.serve_connection(stream, TowerToHyperService::new(service));
        let connection = open.watch(connection.into_owned());
        let head_time = patience.head;
        tokio::spawn(async move {
            let _share = share;
            let mut connection = pin!(connection);
            let ended = match timeout(head_time, &mut connection).await {
                Ok(ended) => ended,
                Err(_) if !begun.load(Ordering::Relaxed) => return,
                Err(_) => connection.await,
            };
            if let Err(error) = ended {
                log::debug!("A connection ended early: {error}");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
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

    async fn answer(patience: Duration, thinks: Duration, sent: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = warp::any().then(move || async move {
            sleep(thinks).await;
            "here"
        });
        let patience = Patience { head: patience, ..Patience::new(&Limits::default(), None) };
        let serving = serve(listener, warp::service(routes), patience, std::future::pending());
        let client = async {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
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
            assert_eq!(answer(Duration::from_millis(50), Duration::ZERO, sent).await, "", "{sent:?}");
        }
    }

    #[tokio::test]
    async fn answers_may_take_longer() {
        let patience = Duration::from_millis(100);
        let answer = answer(patience, patience * 2, "GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert!(answer.ends_with("here"), "{answer:?}");
    }
}
