//! Compression of answers (gzip or brotli), and the tags of compressed answers.

use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use warp::http::Response;
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue, VARY};

use crate::http::etag::encoded;

/// The shortest body that is compressed, in bytes. Bodies of unknown length are compressed, event streams are
/// not.
const WORTH_IT: u64 = 1024;

/// Compresses answers for clients that accept it.
pub(crate) fn compressed() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(WORTH_IT)))
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
