//! The service: the API inside its layers, in their order.

use std::convert::Infallible;
use std::error::Error as StdError;

use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder};
use warp::filters::BoxedFilter;
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Bytes};
use warp::{Filter, Rejection, Reply};

use crate::api::{Router, Side};
use crate::app::App;
use crate::app::scale::Weight;
use crate::error::recover;
use crate::http::arriving::Arriving;
use crate::http::context::Context;
use crate::http::negotiate::is_events;
use crate::http::paced::{paced, unpaced};
use crate::middleware::compression::{compressed, retagged};
use crate::middleware::{Asked, in_time, limited, named, observed};

/// Returns the whole API as a service. Answers are compressed with gzip or brotli if the client accepts that.
///
/// A request that takes longer than `limits.request_time`, its body included, is cancelled and answered with
/// a problem document. So is one whose body arrives too slowly (`limits.body_pause`). An answer that its
/// client doesn't read for `limits.send_time` is aborted.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use tokio::net::TcpListener;
/// use warp_reql::settings::Settings;
/// use warp_reql::{App, Database, server, service};
///
/// let settings = Settings::load(&Default::default())?.settings;
/// let app = App::new(settings.clone(), Database::new(settings.rdb)?);
/// let listener = TcpListener::bind("127.0.0.1:8000").await?;
/// server::run(listener, service(app), server::stop_signal()?, Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub fn service<B>(app: App) -> impl Served<B>
where
    B: Body + Send + Sync + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let router = Router::new(&app, Side::Public);
    stack(app, router.clone(), router.filter())
}

/// Returns the part of the API for operators: health, metrics, settings.
pub(crate) fn admin_service<B>(app: App) -> impl Served<B>
where
    B: Body + Send + Sync + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let router = Router::new(&app, Side::Admin);
    stack(app, router.clone(), router.filter())
}

/// Returns the whole API with routes of your own, which are tried first. All layers apply to them, too:
/// limits, request ids, timings, the log, CORS, compression.
///
/// ```
/// # fn main() -> Result<(), warp_reql::Error> {
/// use warp::Filter;
/// use warp_reql::settings::{Rdb, Settings};
/// use warp_reql::{App, Database, service_with};
///
/// let app = App::new(Settings::default(), Database::new(Rdb::default())?);
/// let hello = warp::path!("hello" / String).map(|name| format!("Hello, {name}!"));
/// let service = service_with::<warp::hyper::body::Incoming, _, _>(app, hello);
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
pub fn service_with<B, F, R>(app: App, routes: F) -> impl Served<B>
where
    B: Body + Send + Sync + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    F: Filter<Extract = (R,), Error = Rejection> + Clone + Send + Sync + 'static,
    R: Reply + 'static,
{
    let router = Router::new(&app, Side::Public);
    let own = routes.map(R::into_response);
    stack(app, router.clone(), own.or(router.filter()).unify().boxed())
}

/// A service that can be passed to a server. [`service`] returns one.
///
/// ```
/// use warp::hyper::body::Incoming;
/// use warp_reql::{App, Served, service};
///
/// fn with_headroom(app: App) -> impl Served<Incoming> {
///     service(app)
/// }
/// # let _ = with_headroom;
/// ```
pub trait Served<B>:
    Service<Request<B>, Response = Response<Self::Answer>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of an answer.
    type Answer: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static;
}

impl<S, B, A> Served<B> for S
where
    S: Service<Request<B>, Response = Response<A>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    A: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    type Answer = A;
}

/// Adds the layers to routes, the outermost first.
fn stack<B>(app: App, router: Router, routes: BoxedFilter<(warp::reply::Response,)>) -> impl Served<B>
where
    B: Body + Send + Sync + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (pause, send_time) = (app.limits().body_pause, app.limits().send_time);
    let begun = move |request: Request<B>| {
        let context = Context::new(&app, &request, |path| router.template(path));
        Asked { context, request: request.map(|body| Arriving::new(body, pause)) }
    };
    let sent = move |mut response: Response<_>| {
        let weight = response.extensions_mut().remove::<Weight>();
        match is_events(response.headers()) {
            true => response.map(unpaced),
            false => response.map(|body| paced(body, send_time, weight)),
        }
    };
    ServiceBuilder::new()
        // Outermost, so that a client that stalls doesn't keep the source of an answer or its compressor
        // alive.
        .map_response(sent)
        .map_response(retagged)
        .layer(layer_fn(compressed))
        .map_request(begun)
        .layer(layer_fn(observed))
        .layer(layer_fn(named))
        .layer(layer_fn(in_time))
        .layer(layer_fn(limited))
        .map_request(Asked::into_request)
        .service(warp::service(routes.recover(recover)))
}
