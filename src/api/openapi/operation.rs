//! Operations of the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, Required};

use super::schemas::{named, text};
use crate::error::Code;
use crate::http::negotiate::JSON;

const PROBLEM: &str = "application/problem+json";
/// The problems of all requests.
const ANY: [Code; 9] = [
    Code::BadRequest,
    Code::BadParameter,
    Code::ForeignHost,
    Code::NotAcceptable,
    Code::UrlTooLong,
    Code::HeadersTooLarge,
    Code::Internal,
    Code::DatabaseUnavailable,
    Code::RequestTimeout,
];
/// The problems of requests that query the database.
const DATA: [Code; 11] = [
    Code::RateLimited,
    Code::BadName,
    Code::NoSuchTable,
    Code::NoSuchDatabase,
    Code::TooManyRequests,
    Code::ShareUsedUp,
    Code::DatabaseError,
    Code::DatabaseUnreachable,
    Code::ConnectionsExhausted,
    Code::ConnectTimeout,
    Code::QueryTimeout,
];
/// The problems of credentials.
pub(crate) const USER: [Code; 3] = [Code::Unauthorized, Code::Forbidden, Code::TooManyGuesses];
/// The problems of tokens.
pub(crate) const TOKEN: [Code; 3] = [Code::Unauthorized, Code::Forbidden, Code::NoKeys];
/// The problems of bodies.
const BODY: [Code; 5] =
    [Code::BadJson, Code::BodyTooSlow, Code::BodyTooLarge, Code::UnsupportedMediaType, Code::BodiesExhausted];
/// The problems of writes.
pub(crate) const WRITE: [Code; 4] =
    [Code::ForeignOrigin, Code::Refused, Code::OutcomeUnknown, Code::StorageFull];
/// The problems of changes of one document.
pub(crate) const CHANGE: [Code; 2] = [Code::PreconditionFailed, Code::PreconditionRequired];

/// An operation that is being built.
#[derive(Clone)]
pub(crate) struct Op {
    path: &'static str,
    method: HttpMethod,
    operation: Operation,
    codes: Vec<Code>,
}

impl Op {
    /// Starts an operation, with the problems of all requests.
    pub(crate) fn new(
        method: HttpMethod,
        path: &'static str,
        id: &str,
        about: &str,
        is_about_data: bool,
    ) -> Self {
        let tag =
            path.rsplit('/').find(|part| ["docs", "indexes", "tables", "tickets", "reql"].contains(part));
        let tag = if is_about_data { tag.unwrap_or("tables") } else { "service" };
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(about)).tag(tag).build();
        let op = Op { path, method, operation, codes: ANY.to_vec() };
        if is_about_data { op.problems(&DATA) } else { op }
    }

    /// Adds the scheme of its credentials.
    pub(crate) fn needs(mut self, scheme: &str) -> Self {
        self.operation.security = Some(vec![SecurityRequirement::new(scheme, Vec::<String>::new())]);
        self
    }

    pub(crate) fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.operation.parameters.get_or_insert_default().extend(parameters.into_iter().map(RefOr::T));
        self
    }

    pub(crate) fn body(mut self, body: RequestBody) -> Self {
        self.operation.request_body = Some(RefOr::T(body));
        self.problems(&BODY)
    }

    pub(crate) fn answers(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.operation.responses.responses.insert(status.to_string(), RefOr::T(response.build()));
        self
    }

    pub(crate) fn problems(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Returns the operation with its problems, by status.
    pub(crate) fn finish(mut self) -> (&'static str, HttpMethod, Operation) {
        let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for code in &self.codes {
            by_status.entry(code.status().as_u16()).or_default().push(code.as_str());
        }
        for (status, mut codes) in by_status {
            codes.sort_unstable();
            codes.dedup();
            self.operation.responses.responses.insert(status.to_string(), RefOr::T(problems(status, &codes)));
        }
        (self.path, self.method, self.operation)
    }
}

fn problems(status: u16, codes: &[&str]) -> Response {
    let about = format!("A problem: `{}`.", codes.join("`, `"));
    let content = ContentBuilder::new().schema(Some(named("Problem"))).build();
    let response = ResponseBuilder::new().description(about).content(PROBLEM, content);
    let response = match status {
        401 => response.header("WWW-Authenticate", said("How to authenticate.")),
        429 | 503 => response.header("Retry-After", said("The number of seconds after which to retry.")),
        _ => response,
    };
    response.build()
}

/// Describes a header of an answer.
pub(crate) fn said(about: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new().schema(Some(Schema::from(text().build()))).description(Some(about)).build()
}

/// Describes an answer.
pub(crate) fn described(about: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(about)
}

/// Describes an answer in JSON.
pub(crate) fn json_of(about: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    described(about).content(JSON, ContentBuilder::new().schema(Some(schema)).build())
}

/// Describes an answer with text of this media type.
pub(crate) fn text_of(about: &str, kind: &str) -> ResponseBuilder {
    described(about).content(kind, ContentBuilder::new().schema(Some(text())).build())
}

/// Adds the header `ETag`.
pub(crate) fn tagged(response: ResponseBuilder) -> ResponseBuilder {
    response.header("ETag", said("The document's tag, for `If-Match` and `If-None-Match`."))
}

/// Describes a body of one of these media types.
pub(crate) fn sent(kinds: &[&str], schema: impl Into<RefOr<Schema>>) -> RequestBodyBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    kinds.iter().fold(body, |body, kind| body.content(*kind, content.clone()))
}
