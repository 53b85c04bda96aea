//! Compression of answers (gzip or brotli), and the tags of compressed answers.
//!
//! A compressor has up to half a megabyte, and lives as long as its client takes to read. So an answer whose
//! length is known, which is in memory as a whole, is compressed as a whole. Only a stream has a compressor
//! until its end; it has a connection to the database, too, and there are few of those.

use std::convert::Infallible;
use std::future::ready;
use std::pin::{Pin, pin};

use http_body_util::{BodyExt, Either, Full};
use tokio::task::yield_now;
use tower::{Service, ServiceExt, service_fn};
use tower_http::BoxError;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::compression::{Compression, CompressionBody};
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use warp::http::{HeaderMap, Request, Response, StatusCode};
use warp::hyper::body::{Body, Bytes};

use crate::http::etag::encoded;

/// The shortest body that is compressed, in bytes. Bodies of unknown length are compressed, event streams are
/// not.
const WORTH_IT: u64 = 1024;

/// The compressed bytes after which other tasks have their turn.
const TURN: usize = 32 << 10;

/// A body that has passed by the compressor, or one that is compressed.
type Encoded<A> = Either<A, Compressed<A>>;
/// A body that is compressed while it is read, or as a whole. The compressor has kilobytes, which each layer
/// would move.
type Compressed<A> = Either<Pin<Box<CompressionBody<A>>>, Full<Bytes>>;

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
    A: Body<Data: Send, Error: Into<BoxError> + Send> + Send,
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
async fn encode<A>(response: Response<A>, accepted: HeaderMap) -> Result<Response<Encoded<A>>, Infallible>
where
    A: Body<Error: Into<BoxError>>,
{
    let is_whole = response.body().size_hint().exact().is_some();
    let mut request = Request::new(());
    *request.headers_mut() = accepted;
    let mut response = Some(response);
    let answered = service_fn(move |_: Request<()>| {
        ready(Ok::<_, Infallible>(response.take().expect("it is asked once")))
    });
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(WORTH_IT));
    let response = Compression::new(answered).compress_when(worth_it).oneshot(request).await?;
    if !(is_whole && response.headers().contains_key(CONTENT_ENCODING)) {
        return Ok(response.map(|body| Either::Right(Either::Left(Box::pin(body)))));
    }
    let (parts, body) = response.into_parts();
    Ok(match whole(body).await {
        Ok(bytes) => Response::from_parts(parts, Either::Right(Either::Right(Full::new(bytes)))),
        // What is in memory doesn't fail.
        Err(error) => {
            log::error!("An answer can't be compressed: {error}");
            let mut response = Response::new(Either::Right(Either::Right(Full::default())));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    })
}

/// Reads a body to its end.
async fn whole<A: Body<Data = Bytes>>(body: A) -> Result<Bytes, A::Error> {
    let (mut body, mut bytes, mut turn) = (pin!(body), Vec::new(), TURN);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        bytes.extend_from_slice(&data);
        if bytes.len() >= turn {
            turn = bytes.len() + TURN;
            yield_now().await;
        }
    }
    bytes.shrink_to_fit();
    Ok(bytes.into())
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;
    use warp::hyper::body::Frame;

    use super::*;

    async fn answered<A>(body: impl Fn() -> A + Clone + Send + Sync) -> Response<Encoded<A>>
    where
        A: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
    {
        let service = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(body()))));
        let request = Request::get("/").header(ACCEPT_ENCODING, "br").body(()).unwrap();
        let answer = compressed(service).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_ENCODING], "br");
        answer
    }

    #[tokio::test]
    async fn what_is_in_memory_needs_no_compressor_while_it_is_read() {
        let text = Bytes::from("text ".repeat(50_000));
        let answer = answered(|| Full::new(text.clone())).await;
        let length = answer.body().size_hint().exact().expect("it is compressed");
        assert!(length > 0 && length < text.len() as u64 / 10, "{length} bytes");
        let frames = || stream::iter([Ok::<_, Infallible>(Frame::data(text.clone()))]);
        let streamed = answered(|| StreamBody::new(frames())).await;
        assert_eq!(streamed.body().size_hint().exact(), None);
    }
}
