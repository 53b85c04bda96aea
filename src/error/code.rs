//! [`Code`]: the stable codes of problems, each with its status and texts.

use std::fmt;

use warp::http::StatusCode;

/// The hint for a write whose outcome is unknown.
pub(super) const REPEAT: &str = "Read before you repeat a write.";

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $status:ident, $detail:literal $(, $hint:expr)?;)+) => {
        /// A stable code of a problem, for programs. Its text is the `code` of a problem document.
        ///
        /// ```
        /// use warp_reql::error::Code;
        ///
        /// assert_eq!(Code::NoSuchTable.as_str(), "no-such-table");
        /// assert_eq!(Code::NoSuchTable.status(), 404);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// Returns the text of the code in a problem document.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)+
                }
            }

            /// Returns the HTTP status.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Code::$name => StatusCode::$status,)+
                }
            }

            /// Returns the explanation for people. `{}` stands for a number or a name.
            pub(super) fn detail(self) -> &'static str {
                match self {
                    $(Code::$name => $detail,)+
                }
            }

            /// Returns the hint.
            pub(super) fn hint(self) -> Option<&'static str> {
                #[allow(unused_mut, unused_assignments, reason = "not every code has a hint")]
                match self {
                    $(Code::$name => {
                        let mut hint = None;
                        $(hint = Some($hint);)?
                        hint
                    })+
                }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

codes! {
    /// The request is not what the API asks for.
    BadRequest = "bad-request", BAD_REQUEST, "The request is not what the API asks for.";
    /// The body is not JSON.
    BadJson = "bad-json", BAD_REQUEST, "The body is not JSON: {}.";
    /// A query in ReQL can't be read.
    BadQuery = "bad-query", BAD_REQUEST, "The query can't be read: {}";
    /// A parameter of the URL is unknown or wrong.
    BadParameter = "bad-parameter", BAD_REQUEST, "The parameter {}.";
    /// A name has other characters than names have.
    BadName = "bad-name", BAD_REQUEST,
        "{} is not a name: use 1 to 128 of the characters A-Z a-z 0-9 _ -.";
    /// More documents would be changed than the request allows.
    TooManyAffected = "too-many-affected", BAD_REQUEST,
        "More than {} documents match, and nothing was changed.",
        "Narrow the filter, or raise `Prefer: max-affected`.";
    /// The query is invalid for the database.
    QueryLogic = "query-logic", BAD_REQUEST, "The query is invalid for the database.";
    /// The request needs credentials, or those it has are wrong.
    Unauthorized = "unauthorized", UNAUTHORIZED,
        "This needs the name and password of a database user, by HTTP Basic.";
    /// Whoever asks may not do this.
    Forbidden = "forbidden", FORBIDDEN, "The database user may not do this.";
    /// The request comes from a page of another origin.
    ForeignOrigin = "foreign-origin", FORBIDDEN,
        "Pages of this origin may not use the service.",
        "List the origin in the setting `cors`.";
    /// The request names a host that isn't this service's.
    ForeignHost = "foreign-host", FORBIDDEN,
        "The request is for another host.",
        "List the host in the setting `hosts`.";
    /// A ticket is spent, expired, or for another URL.
    InvalidTicket = "invalid-ticket", FORBIDDEN,
        "The ticket is spent, expired, or for another URL.",
        "Get a new one with `POST /tickets`.";
    /// There is no such path.
    NoSuchPath = "no-such-path", NOT_FOUND, "There is no such path.";
    /// There is no such database.
    NoSuchDatabase = "no-such-database", NOT_FOUND, "There is no such database.";
    /// There is no such table.
    NoSuchTable = "no-such-table", NOT_FOUND, "There is no such table.";
    /// There is no such index.
    NoSuchIndex = "no-such-index", NOT_FOUND, "There is no such index.";
    /// There is no such document.
    NoSuchDocument = "no-such-document", NOT_FOUND, "There is no such document.";
    /// The path exists, but not with this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "This path exists with {} only.";
    /// The request accepts no type that the answer could have.
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "The answer could have these types: {}.";
    /// The body arrives too slowly.
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT,
        "The body paused for {}, or arrived too slowly on average.";
    /// The thing that the request would create exists already.
    Conflict = "conflict", CONFLICT, "It exists already.";
    /// A patch or a change can't be done to the document as it is.
    PatchFailed = "patch-failed", CONFLICT,
        "The document is not as the patch expects: {}.",
        "Read the document again, and make a new patch.";
    /// Another document has the value that a unique field would get.
    NotUnique = "not-unique", CONFLICT,
        "Another document has this value in the field `{}`, which is unique.",
        "Choose another value.";
    /// A request with the same `Idempotency-Key` is being answered.
    KeyInUse = "idempotency-key-in-use", CONFLICT,
        "A request with this `Idempotency-Key` is being answered.",
        "Wait for its answer, then repeat the request.";
    /// The body's length is not told. Only routes that ask for it answer so; those of this service don't.
    LengthRequired = "length-required", LENGTH_REQUIRED, "The header `Content-Length` is missing.";
    /// A condition of the request does not hold.
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED,
        "The document is not in the state that the request asks for.",
        "Read the document again and repeat the change with its new ETag.";
    /// The body is too long.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is longer than {}.";
    /// The URL is too long.
    UrlTooLong = "url-too-long", URI_TOO_LONG, "The URL is longer than {}.";
    /// The body is of a type that the request can't have.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE,
        "The body must be of a type among {}.",
        "Set the Content-Type header.";
    /// The database refused the document or its id.
    Refused = "refused", UNPROCESSABLE_ENTITY, "The database refused the document.";
    /// The document would not be what its table's schema asks for.
    InvalidDocument = "invalid-document", UNPROCESSABLE_ENTITY,
        "The document violates the table's schema.",
        "Correct the document at the places in `errors`.";
    /// The `Idempotency-Key` was that of another request.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY,
        "Another request had this `Idempotency-Key`.",
        "Take a new key for each new request.";
    /// A query in ReQL can't be done with the values and tables that there are.
    QueryFailed = "query-failed", UNPROCESSABLE_ENTITY,
        "The database can't do what the query asks for.";
    /// The query takes more than the database allows.
    ResourceLimit = "resource-limit", UNPROCESSABLE_ENTITY,
        "The query takes more than the database allows.",
        "Ask for fewer documents, or filter and sort by an index.";
    /// The answer would be too long.
    AnswerTooLarge = "answer-too-large", UNPROCESSABLE_ENTITY,
        "The answer would be longer than {}.",
        "Ask for fewer documents or fields, or for application/x-ndjson, which is streamed.";
    /// The request must be conditional.
    PreconditionRequired = "precondition-required", PRECONDITION_REQUIRED,
        "This needs a condition: `If-Match` or `If-None-Match`.",
        "Read the document, and send its ETag in If-Match.";
    /// Too many requests are being answered.
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS, "{} requests are being answered already.";
    /// The client or user has used up its share.
    ShareUsedUp = "share-used-up", TOO_MANY_REQUESTS,
        "One client may have {} at once, and this one has.";
    /// Too many wrong passwords came from this client.
    TooManyGuesses = "too-many-guesses", TOO_MANY_REQUESTS,
        "Too many wrong passwords came from this client; wait {}.";
    /// The client makes more requests in a time than it may.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS,
        "This client makes more requests than it may; wait {}.";
    /// The headers are too long.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The headers are longer than {}.";
    /// Something went wrong inside the service.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong inside the service.";
    /// The service is set up wrong.
    Misconfigured = "misconfigured", INTERNAL_SERVER_ERROR, "The service is set up wrong.";
    /// A document is not what the request expects it to be.
    UnexpectedDocument = "unexpected-document", INTERNAL_SERVER_ERROR,
        "A document is not what this request expects it to be.";
    /// The database could not answer.
    DatabaseError = "database-error", INTERNAL_SERVER_ERROR, "The database could not answer.";
    /// No connection to the database could be opened.
    DatabaseUnreachable = "database-unreachable", SERVICE_UNAVAILABLE, "The database cannot be reached.";
    /// The database is there, but not for this just now.
    DatabaseUnavailable = "database-unavailable", SERVICE_UNAVAILABLE,
        "The database can't do this at the moment.";
    /// All connections to the database stayed in use.
    ConnectionsExhausted = "connections-exhausted", SERVICE_UNAVAILABLE,
        "All database connections stayed in use for {}.";
    /// All live queries that are allowed are being served.
    FeedsExhausted = "feeds-exhausted", SERVICE_UNAVAILABLE,
        "All {} live queries that are allowed are in use.";
    /// The answers that are being made or read take all the memory that they may.
    AnswersExhausted = "answers-exhausted", SERVICE_UNAVAILABLE,
        "Answers to other requests use all of the {} that are allowed.";
    /// The bodies that are being read take all the memory that they may.
    BodiesExhausted = "bodies-exhausted", SERVICE_UNAVAILABLE,
        "Bodies of other requests use all of the {} that are allowed.";
    /// All answers that may be streamed at once are being streamed.
    StreamsExhausted = "streams-exhausted", SERVICE_UNAVAILABLE,
        "All {} streamed answers that are allowed are in use.";
    /// There are as many unspent tickets as there may be.
    TicketsExhausted = "tickets-exhausted", SERVICE_UNAVAILABLE,
        "There are {} unspent tickets, which is the most there may be.";
    /// There are no keys yet that tokens could be checked with.
    NoKeys = "no-keys", SERVICE_UNAVAILABLE,
        "The keys to verify tokens can't be fetched at the moment.";
    /// Others kept changing the document.
    Contended = "contended", SERVICE_UNAVAILABLE,
        "Other writers changed the document at each attempt.";
    /// The write may or may not have happened.
    OutcomeUnknown = "outcome-unknown", SERVICE_UNAVAILABLE,
        "The connection to the database broke: a write may or may not have happened.",
        REPEAT;
    /// The disk of the database is full.
    StorageFull = "storage-full", INSUFFICIENT_STORAGE,
        "The disk of the database is full, or its file may not grow: nothing can be written until there is \
         room again.",
        REPEAT;
    /// Connecting to the database took too long.
    ConnectTimeout = "connect-timeout", GATEWAY_TIMEOUT,
        "Connecting to the database took longer than {}.";
    /// The database took too long to answer.
    QueryTimeout = "query-timeout", GATEWAY_TIMEOUT,
        "The database did not answer within {}.",
        REPEAT;
    /// The request took too long as a whole.
    RequestTimeout = "request-timeout", GATEWAY_TIMEOUT,
        "The request took longer than {}.",
        REPEAT;
}
