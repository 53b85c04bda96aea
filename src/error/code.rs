//! [`Code`]: the names that problems have for programs, each with its status.

use warp::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $status:ident;)+) => {
        /// What a problem is, for programs: its text is the `code` of a problem document and stays the same.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// All there are.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// As it stands in a problem document.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)+
                }
            }

            /// The status it comes with.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Code::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

codes! {
    /// The request is not what the API asks for.
    BadRequest = "bad-request", BAD_REQUEST;
    /// The body is not JSON.
    BadJson = "bad-json", BAD_REQUEST;
    /// A parameter of the URL is unknown or wrong.
    BadParameter = "bad-parameter", BAD_REQUEST;
    /// A name has other characters than names have.
    BadName = "bad-name", BAD_REQUEST;
    /// The database can make no sense of the query.
    QueryLogic = "query-logic", BAD_REQUEST;
    /// The request needs the credentials of a database user, or those it has are wrong.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The database user may not do this.
    Forbidden = "forbidden", FORBIDDEN;
    /// The request comes from a page of another origin.
    ForeignOrigin = "foreign-origin", FORBIDDEN;
    /// The request names a host that isn't this service's.
    ForeignHost = "foreign-host", FORBIDDEN;
    /// There is no such path.
    NoSuchPath = "no-such-path", NOT_FOUND;
    /// There is no such database.
    NoSuchDatabase = "no-such-database", NOT_FOUND;
    /// There is no such table.
    NoSuchTable = "no-such-table", NOT_FOUND;
    /// There is no such index.
    NoSuchIndex = "no-such-index", NOT_FOUND;
    /// There is no such document.
    NoSuchDocument = "no-such-document", NOT_FOUND;
    /// The path exists, but not with this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED;
    /// The request accepts no type that the answer could have.
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE;
    /// The body arrives too slowly.
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT;
    /// What the request would create exists already.
    Conflict = "conflict", CONFLICT;
    /// A request with the same `Idempotency-Key` is being answered.
    KeyInUse = "idempotency-key-in-use", CONFLICT;
    /// The body's length is not told. Only routes that ask for it answer so; those of this service don't.
    LengthRequired = "length-required", LENGTH_REQUIRED;
    /// A condition of the request does not hold.
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED;
    /// The body is too long.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE;
    /// The URL is too long.
    UrlTooLong = "url-too-long", URI_TOO_LONG;
    /// The body is of a type that the request can't have.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE;
    /// The database refused the document or its id.
    Refused = "refused", UNPROCESSABLE_ENTITY;
    /// The `Idempotency-Key` was that of another request.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY;
    /// The query takes more than the database allows.
    ResourceLimit = "resource-limit", UNPROCESSABLE_ENTITY;
    /// The answer would be too long.
    AnswerTooLarge = "answer-too-large", UNPROCESSABLE_ENTITY;
    /// The request must be conditional.
    PreconditionRequired = "precondition-required", PRECONDITION_REQUIRED;
    /// Too many requests are being answered.
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS;
    /// This client, or this user, holds as much as one may.
    ShareUsedUp = "share-used-up", TOO_MANY_REQUESTS;
    /// Too many wrong passwords came from this client.
    TooManyGuesses = "too-many-guesses", TOO_MANY_REQUESTS;
    /// The headers are too long.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE;
    /// Something went wrong inside the service.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The service is set up wrong.
    Misconfigured = "misconfigured", INTERNAL_SERVER_ERROR;
    /// A document is not what the request expects it to be.
    UnexpectedDocument = "unexpected-document", INTERNAL_SERVER_ERROR;
    /// The database could not answer.
    DatabaseError = "database-error", INTERNAL_SERVER_ERROR;
    /// No connection to the database could be opened.
    DatabaseUnreachable = "database-unreachable", SERVICE_UNAVAILABLE;
    /// The database is there, but not for this just now.
    DatabaseUnavailable = "database-unavailable", SERVICE_UNAVAILABLE;
    /// All connections to the database stayed in use.
    ConnectionsExhausted = "connections-exhausted", SERVICE_UNAVAILABLE;
    /// As many live queries as there may be are being served.
    FeedsExhausted = "feeds-exhausted", SERVICE_UNAVAILABLE;
    /// The answers that are being made or read take all the memory that they may.
    AnswersExhausted = "answers-exhausted", SERVICE_UNAVAILABLE;
    /// The bodies that are being read take all the memory that they may.
    BodiesExhausted = "bodies-exhausted", SERVICE_UNAVAILABLE;
    /// As many answers as there may be are being streamed.
    StreamsExhausted = "streams-exhausted", SERVICE_UNAVAILABLE;
    /// The write may or may not have happened.
    OutcomeUnknown = "outcome-unknown", SERVICE_UNAVAILABLE;
    /// Connecting to the database took too long.
    ConnectTimeout = "connect-timeout", GATEWAY_TIMEOUT;
    /// The database took too long to answer.
    QueryTimeout = "query-timeout", GATEWAY_TIMEOUT;
    /// The request took too long as a whole.
    RequestTimeout = "request-timeout", GATEWAY_TIMEOUT;
}
