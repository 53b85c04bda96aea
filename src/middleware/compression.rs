//! Compressed answers (gzip or brotli), and what their tags say of it.

use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use warp::http::Response;
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue, VARY};

use crate::http::etag::encoded;

/// The shortest body that is worth compressing, in bytes. A body whose length isn't known yet is worth it; an
/// event stream never is.
const WORTH_IT: u64 = 1024;

/// Compresses answers for clients that accept it.
pub(crate) fn compressed() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(WORTH_IT)))
}

/// Says in the tag of what comes compressed that it does, and of all that has a tag that it might.
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
