//! Taking in connections and speaking HTTP/1 and HTTP/2 on them.
//!
//! Warp's own loop would do, but for two things: it waits without end for a client that never finishes its head, and it
//! serves filters only, not what lies around them.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower::Service;
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

/// How long a client may take for the head of a request, from its first connection or the last answer on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the process has run out of file descriptors or the like.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How often a connection that is idle is asked whether its client is still there, over HTTP/2.
const PING: Duration = Duration::from_secs(30);

/// Serves until `stop` is done, then lets the requests that run finish.
pub(super) async fn serve<S, B>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(PING);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_clients(&error) => continue,
            Err(error) => {
                log::error!("Could not accept a connection: {error}");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let connection = open.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("A connection ended early: {error}");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}

/// Whether only the connection that would have been accepted has failed.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
