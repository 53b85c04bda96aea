//! The routes as a service, with what no filter can do: a limit on the time that a request takes, compressed
//! answers, and the host that a request names.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, ready};

use futures_util::FutureExt;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HOST, HeaderValue, VARY};
use warp::http::uri::Authority;
use warp::http::{Request, Response, Version};
use warp::hyper::body::{Body, Bytes};
use warp::{Filter, Reply};

use crate::api;
use crate::app::App;
use crate::app::scale::Weight;
use crate::error::{Error, recover};
use crate::http::etag::encoded;
use crate::http::head::Head;
use crate::http::paced::{Arriving, paced};
use crate::middleware::observe::Witness;
use crate::middleware::{gate, observe};

/// The shortest body that is worth compressing, in bytes. A body whose length isn't known yet is worth it; an
/// event stream never is.
const COMPRESSED: u64 = 1024;

/// The whole API, for a server to serve. Answers come compressed (gzip or brotli) to who accepts that.
///
/// A request that takes longer than `limits.request_time`, its body included, is given up where it stands and
/// answered by a problem document. So is one whose body arrives too slowly (`limits.body_pause`). An answer
/// whose reader leaves it lying for `limits.send_time` is broken off.
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
    let limits = app.limits();
    let (limit, pause, send_time) = (limits.request_time, limits.body_pause, limits.send_time);
    let routes = warp::service(routes(app.clone()));
    let in_time = service_fn(move |mut request: Request<B>| {
        let head = Head::of(&request);
        request.extensions_mut().insert(head.clone());
        let witness = Witness::new(&app, head);
        if !names_its_host(&request) {
            let reason = "A request of HTTP/1.1 has the header `Host`, once, and no request has a wrong one.";
            let refused = witness.answer(Error::BadRequest(reason.to_owned()));
            return ready(Ok::<_, Infallible>(refused)).boxed();
        }
        let request = request.map(|body| Arriving::new(body, pause));
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
    let answers = CompressionLayer::new().compress_when(worth_it).layer(in_time).map_response(compressed);
    // Outermost, so that a reader that stalls holds neither what an answer is made of nor what compresses it.
    answers.map_response(move |mut response: Response<_>| {
        let weight = response.extensions_mut().remove::<Weight>();
        response.map(|body| paced(body, send_time, weight))
    })
}

/// Returns the whole API as a filter. Every request is answered: what no route takes becomes a problem
/// document.
pub fn routes(app: App) -> impl Filter<Extract = (impl Reply + use<>,), Error = Infallible> + Clone + use<> {
    let endpoints = api::endpoints(&app);
    // The pass ends with the answer.
    let answered = gate::gate(&app).and(endpoints).map(|_pass, response| response).recover(recover).unify();
    observe::observed(&app, answered)
}

/// Says in the tag of what comes compressed that it does, and of all that has a tag that it might.
fn compressed<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    let Some(tag) = headers.get(ETAG) else { return response };
    let encoding = headers.get(CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok());
    if let Some(tag) = encoding.and_then(|encoding| encoded(tag, encoding)) {
        headers.insert(ETAG, tag);
    }
    let varies =
        |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(ACCEPT_ENCODING.as_str().as_bytes());
    if !headers.get_all(VARY).iter().any(varies) {
        headers.append(VARY, ACCEPT_ENCODING.into());
    }
    response
}

/// Returns whether a request says which host it is for, as its version of HTTP has it (RFC 9112, section
/// 3.2).
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        // Empty is right for a URI without a host.
        (Some(host), None) => {
            let is_host = !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok();
            host.is_empty() || is_host
        }
        (Some(_), Some(_)) => false,
    }
}
