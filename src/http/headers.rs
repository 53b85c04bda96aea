//! The names of headers that the crate `http` has no constant for, and the lists of headers that pages of
//! other origins may use.

use std::sync::LazyLock;

use warp::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK,
    LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};

/// The id of a request in the log and in problem documents.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The addresses that a request has come through, from proxies that don't use `Forwarded` (RFC 7239).
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The remaining quota of a client (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The quota and window of a rate (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The trace that a request belongs to ([Trace Context](https://www.w3.org/TR/trace-context/)).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The duration of a request, in parts ([Server Timing](https://www.w3.org/TR/server-timing/)).
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// The source of the request's connection. Only sent by a service with `debug`.
pub(crate) const DB_CONNECTION: HeaderName = HeaderName::from_static("db-connection");
/// The preferences of a request (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The preferences that were applied (RFC 7240).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The media types of patches that a document accepts (RFC 5789).
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The key of a request that must be done only once (draft-ietf-httpapi-idempotency-key-header).
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The mark of an answer that was stored for an earlier request with the same key.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The id of the last event that a reconnecting `EventSource` has seen (HTML, 9.2.4).
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The form of the answer to a query: `value`, `rows` or `feed`.
pub(crate) const REQL_ANSWER: HeaderName = HeaderName::from_static("reql-answer");
/// The number of documents in all pages of a result.
pub(crate) const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// The request to nginx and other proxies not to buffer events.
pub(crate) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The headers that pages of other origins may send.
pub(crate) static SENT_BY_PAGES: LazyLock<HeaderValue> = LazyLock::new(|| {
    let meant = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        IDEMPOTENCY_KEY,
        IF_MATCH,
        IF_NONE_MATCH,
        LAST_EVENT_ID,
        PREFER,
        REQUEST_ID,
        TRACEPARENT,
    ];
    list(&meant, &MEANINGLESS)
});

/// Headers that client libraries send by themselves, and that this service ignores.
const MEANINGLESS: [&str; 14] = [
    "accept-language",
    "baggage",
    "cache-control",
    "content-language",
    "dnt",
    "expires",
    "if-modified-since",
    "pragma",
    "priority",
    "range",
    "sentry-trace",
    "tracestate",
    "user-agent",
    "x-requested-with",
];

/// The response headers that pages of other origins may read, beside the CORS-safelisted ones.
pub(crate) static READ_BY_PAGES: LazyLock<HeaderValue> = LazyLock::new(|| {
    let told = [
        ACCEPT_PATCH,
        ALLOW,
        DB_CONNECTION,
        ETAG,
        IDEMPOTENCY_REPLAYED,
        LINK,
        LOCATION,
        PREFERENCE_APPLIED,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        REQL_ANSWER,
        RETRY_AFTER,
        SERVER_TIMING,
        TOTAL_COUNT,
        TRACEPARENT,
        WWW_AUTHENTICATE,
        REQUEST_ID,
    ];
    list(&told, &[])
});

/// Joins names with commas.
fn list(names: &[HeaderName], more: &[&str]) -> HeaderValue {
    let names: Vec<_> = names.iter().map(HeaderName::as_str).chain(more.iter().copied()).collect();
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
