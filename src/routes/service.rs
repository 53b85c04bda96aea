//! The routes as a service, with what no filter can do: a limit on the time that a request takes, and compressed answers.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;

use futures_util::FutureExt;
use tokio::time::timeout;
use tower::{Layer, Service, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Bytes};

use super::head::Head;
use super::layer::Witness;
use super::{App, routes};
use crate::error::Error;

/// The shortest body that is worth compressing, in bytes. A body whose length isn't known yet is worth it; an event stream
/// never is.
const COMPRESSED: u64 = 1024;

/// The whole API, for a server to serve. Answers come compressed (gzip or brotli) to who accepts that.
///
/// A request that takes longer than `limits.request_time`, its body included, is given up where it stands and answered by a
/// problem document.
pub fn service<B>(
    app: App,
) -> impl Service<
    Request<B>,
    Response = Response<impl Body<Data = Bytes, Error = impl Into<Box<dyn StdError + Send + Sync>>> + Send>,
    Error = Infallible,
    Future = impl Future + Send,
> + Clone
+ Send
+ use<B>
where
    B: Body + Send + Sync + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let limit = app.limits().request_time;
    let routes = warp::service(routes(app.clone()));
    let in_time = service_fn(move |mut request: Request<B>| {
        let head = Head::of(&request);
        request.extensions_mut().insert(head.clone());
        let witness = Witness::new(&app, head);
        let answer = timeout(limit, routes.clone().call(request)).map(move |outcome| {
            Ok::<_, Infallible>(match outcome {
                Ok(Ok(response)) => response,
                Err(_) => witness.answer(Error::RequestTimeout(limit)),
            })
        });
        // It goes from hand to hand, through the layers and into the server's own future.
        answer.boxed()
    });
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(COMPRESSED));
    CompressionLayer::new().compress_when(worth_it).layer(in_time)
}
