//! The headers that the service reads and writes beside those that `http` has names for. Each name stands
//! here once, and so do the lists that tell browsers which of them a page may use.

use std::sync::LazyLock;

use warp::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK,
    LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};

/// The name of a request in the log and in problem documents.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The addresses that a request has come through, as proxies other than those of RFC 7239 tell them.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What is left to a client of its rate (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The rate itself (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The trace that a request is a part of ([Trace Context](https://www.w3.org/TR/trace-context/)).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The time that a request has taken, in parts ([Server Timing](https://www.w3.org/TR/server-timing/)).
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// The source of the request's connection. Only a service with `debug` tells it.
pub(crate) const DB_CONNECTION: HeaderName = HeaderName::from_static("db-connection");
/// The preferences of a request (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The preferences that an answer has met (RFC 7240).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The types of patches that a document takes (RFC 5789).
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The key of a request that is to be done once (draft-ietf-httpapi-idempotency-key-header).
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that an earlier request with the same key has had.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The last event that a returning `EventSource` has seen (HTML, 9.2.4).
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The number of documents in a whole result.
pub(crate) const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// Asks nginx and its like to pass events on as they come.
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

/// The headers that libraries and browsers' tools send on their own account, and that mean nothing here.
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

/// The headers of answers that pages of other origins may read, beside those that every page may.
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
        RETRY_AFTER,
        SERVER_TIMING,
        TOTAL_COUNT,
        TRACEPARENT,
        WWW_AUTHENTICATE,
        REQUEST_ID,
    ];
    list(&told, &[])
});

/// Lists names as a header has them.
fn list(names: &[HeaderName], more: &[&str]) -> HeaderValue {
    let names: Vec<_> = names.iter().map(HeaderName::as_str).chain(more.iter().copied()).collect();
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
