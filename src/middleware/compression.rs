//! Compression of answers (gzip or brotli), and the tags of compressed answers.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;

use http_body_util::Either;
use tower::{Service, ServiceExt, service_fn};
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::compression::{Compression, CompressionBody};
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use warp::http::{HeaderMap, Request, Response};
use warp::hyper::body::Body;

use crate::http::etag::encoded;

/// The shortest body that is compressed, in bytes. Bodies of unknown length are compressed, event streams are
/// not.
const WORTH_IT: u64 = 1024;

/// A body that has passed by the compressor, or through it. That of the compressor has kilobytes, which each
/// layer would move.
type Encoded<A> = Either<A, Pin<Box<CompressionBody<A>>>>;

/// Compresses answers for clients that accept it.
pub(crate) fn compressed<S, B, A>(
    within: S,
) -> impl Service<Request<B>, Response = Response<Encoded<A>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
where
    S: Service<Request<B>, Response = Response<A>, Error = Infallible, Future: Send> + Clone + Send + Sync,
    B: Send,
    A: Body<Data: Send, Error: Send> + Send,
{
    service_fn(move |request: Request<B>| {
        let within = within.clone();
        async move {
            let mut accepted = HeaderMap::new();
            for encodings in request.headers().get_all(ACCEPT_ENCODING) {
                accepted.append(ACCEPT_ENCODING, encodings.clone());
            }
            let response = within.oneshot(request).await?;
            if response.body().size_hint().exact().is_some_and(|length| length < WORTH_IT)
                && !accepted.values().any(excludes)
            {
                return Ok(response.map(Either::Left));
            }
            Box::pin(encode(response, accepted)).await
        }
    })
}

/// Returns whether a value of `Accept-Encoding` may exclude an encoding, even that of a body as it is.
fn excludes(encodings: &HeaderValue) -> bool {
    encodings.as_bytes().contains(&b';')
}

/// Compresses an answer as its client accepts it.
async fn encode<A: Body>(
    response: Response<A>,
    accepted: HeaderMap,
) -> Result<Response<Encoded<A>>, Infallible> {
    let mut request = Request::new(());
    *request.headers_mut() = accepted;
    let mut response = Some(response);
    let answered = service_fn(move |_: Request<()>| {
        ready(Ok::<_, Infallible>(response.take().expect("it is asked once")))
    });
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(WORTH_IT));
    let response = Compression::new(answered).compress_when(worth_it).oneshot(request).await?;
    Ok(response.map(|body| Either::Right(Box::pin(body))))
}

/// Adds the encoding to the tag of a compressed answer, and `Vary: Accept-Encoding` to all with a tag.
pub(crate) fn retagged<B>(mut response: Response<B>) -> Response<B> {
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
