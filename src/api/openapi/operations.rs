//! What can be done: each path and method, what it takes and how it is answered.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, Paths};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, Required};

use super::parameters::{
    all as everything, chosen, filter, groups, header, id, idempotency_key, initial, name, page, tags,
};
use super::schemas::{list_of, named, one_or, text};
use crate::api::documents::MERGE_PATCH;
use crate::api::live::EVENT_STREAM;
use crate::error::Code;
use crate::http::call::{HTML, JSON, NDJSON, TEXT};
use crate::settings::{Auth, Settings};

const PROBLEM: &str = "application/problem+json";
/// What can go wrong with any request.
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
/// What can go wrong when the database is asked.
const DATA: [Code; 10] = [
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
/// What can go wrong with the user.
const USER: [Code; 3] = [Code::Unauthorized, Code::Forbidden, Code::TooManyGuesses];
/// What can go wrong with a body.
const BODY: [Code; 5] =
    [Code::BadJson, Code::BodyTooSlow, Code::BodyTooLarge, Code::UnsupportedMediaType, Code::BodiesExhausted];
/// What can go wrong with a write.
const WRITE: [Code; 3] = [Code::ForeignOrigin, Code::Refused, Code::OutcomeUnknown];
/// What can go wrong with a change of one document.
const CHANGE: [Code; 2] = [Code::PreconditionFailed, Code::PreconditionRequired];

/// One operation, on its way into the document.
pub(crate) struct Op {
    path: &'static str,
    method: HttpMethod,
    operation: Operation,
    codes: Vec<Code>,
}

fn op(method: HttpMethod, path: &'static str, id: &str, about: &str) -> Op {
    let tag = path.rsplit('/').find(|part| ["docs", "indexes", "tables"].contains(part));
    let tag = if path.starts_with("/tables") { tag.unwrap_or("tables") } else { "service" };
    let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(about)).tag(tag).build();
    let op = Op { path, method, operation, codes: ANY.to_vec() };
    if op.is_about_data() { op.problems(&DATA) } else { op }
}

impl Op {
    /// Whether it is about tables, and not about the service itself.
    pub(crate) fn is_about_data(&self) -> bool {
        self.path.starts_with("/tables")
    }

    /// Makes it need credentials.
    pub(crate) fn need(&mut self, requirement: SecurityRequirement) {
        self.operation.security = Some(vec![requirement]);
    }

    fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.operation.parameters.get_or_insert_default().extend(parameters.into_iter().map(RefOr::T));
        self
    }

    fn body(mut self, body: RequestBody) -> Self {
        self.operation.request_body = Some(RefOr::T(body));
        self.problems(&BODY)
    }

    fn answers(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.operation.responses.responses.insert(status.to_string(), RefOr::T(response.build()));
        self
    }

    fn problems(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// With its problems, by status.
    fn finish(mut self) -> (&'static str, HttpMethod, Operation) {
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
        429 | 503 => response.header("Retry-After", said("After how many seconds to try again.")),
        _ => response,
    };
    response.build()
}

fn said(about: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new().schema(Some(Schema::from(text().build()))).description(Some(about)).build()
}

fn answer(about: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(about)
}

fn of(about: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    answer(about).content(JSON, ContentBuilder::new().schema(Some(schema)).build())
}

fn tagged(response: ResponseBuilder) -> ResponseBuilder {
    response.header("ETag", said("The document's tag, for `If-Match` and `If-None-Match`."))
}

fn sent(kinds: &[&str], schema: impl Into<RefOr<Schema>>) -> RequestBodyBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    kinds.iter().fold(body, |body, kind| body.content(*kind, content.clone()))
}

pub(crate) fn paths(operations: Vec<Op>) -> Paths {
    let mut paths = Paths::new();
    for operation in operations {
        let (path, method, operation) = operation.finish();
        paths.add_path_operation(path, vec![method], operation);
    }
    paths
}

/// All operations, as these settings have them.
pub(crate) fn all(settings: &Settings) -> Vec<Op> {
    let mut all = service(settings);
    all.extend(tables());
    all.extend(indexes());
    all.extend(documents(settings));
    all.extend(document());
    all.push(changes(settings));
    let user = if settings.auth == Auth::Database { &USER[..] } else { &USER[1..] };
    all.into_iter().map(|op| if op.is_about_data() { op.problems(user) } else { op }).collect()
}

fn service(settings: &Settings) -> Vec<Op> {
    let get = |path, id, about| op(HttpMethod::Get, path, id, about);
    let content =
        |kind, about| answer(about).content(kind, ContentBuilder::new().schema(Some(text())).build());
    let free = || ContentBuilder::new().schema(Some(utoipa::openapi::schema::empty())).build();
    let mut all = vec![
        get("/health/live", "live", "Whether the process answers")
            .answers(200, of("It does.", named("Health"))),
        get("/health/ready", "ready", "Whether the database behind it answers too")
            .answers(200, of("It does.", named("Health")))
            .problems(&[Code::DatabaseUnreachable, Code::ConnectionsExhausted]),
        get("/metrics", "metrics", "Figures in Prometheus' text form")
            .answers(200, content(TEXT, "The figures.")),
        get("/openapi.json", "openapi", "This document").answers(200, answer("It.").content(JSON, free())),
        get("/docs", "docs", "A page that shows this document").answers(200, content(HTML, "The page.")),
    ];
    if settings.debug {
        let config =
            get("/config", "config", "The effective settings, with secrets masked; only with `debug`");
        all.push(config.answers(200, answer("They.").content(JSON, free())));
    }
    all
}

fn tables() -> Vec<Op> {
    let (many, one) = ("/tables", "/tables/{table}");
    vec![
        op(HttpMethod::Get, many, "listTables", "The tables")
            .answers(200, of("The tables, by name.", list_of("Table"))),
        op(HttpMethod::Post, many, "createTable", "Create a table")
            .body(sent(&[JSON], named("NewTable")).build())
            .answers(201, of("The table.", named("Table")).header("Location", said("Where it is.")))
            .problems(&[Code::Conflict, Code::OutcomeUnknown]),
        op(HttpMethod::Get, one, "describeTable", "A table, with the number of its documents")
            .takes([name("table")])
            .answers(200, of("The table.", named("Table"))),
        op(HttpMethod::Delete, one, "dropTable", "Drop a table")
            .takes([name("table")])
            .answers(204, answer("It is gone."))
            .problems(&[Code::OutcomeUnknown]),
    ]
}

fn indexes() -> Vec<Op> {
    let (many, one) = ("/tables/{table}/indexes", "/tables/{table}/indexes/{index}");
    vec![
        op(HttpMethod::Get, many, "listIndexes", "The secondary indexes of a table, and their state")
            .takes([name("table")])
            .answers(200, of("The indexes.", list_of("Index"))),
        op(HttpMethod::Get, one, "describeIndex", "A secondary index, and its state")
            .takes([name("table"), name("index")])
            .answers(200, of("The index.", named("Index")))
            .problems(&[Code::NoSuchIndex]),
        op(HttpMethod::Put, one, "createIndex", "Create a secondary index, and wait until it can be used")
            .takes([name("table"), name("index")])
            .body(sent(&[JSON], named("NewIndex")).build())
            .answers(201, of("It was created.", named("Index")).header("Location", said("Where it is.")))
            .answers(200, of("It was there already, just so.", named("Index")))
            .problems(&[Code::Conflict, Code::OutcomeUnknown, Code::QueryLogic]),
        op(HttpMethod::Delete, one, "dropIndex", "Drop a secondary index")
            .takes([name("table"), name("index")])
            .answers(204, answer("It is gone."))
            .problems(&[Code::NoSuchIndex, Code::OutcomeUnknown]),
    ]
}

fn documents(settings: &Settings) -> Vec<Op> {
    let path = "/tables/{table}/docs";
    let lines = || ContentBuilder::new().schema(Some(text())).build();
    let prefer = "`count=exact` counts the whole result in `X-Total-Count`; `explain` tells the query and its index \
                  instead of running it.";
    let bulk = "`resolution=merge-duplicates` or `resolution=replace-duplicates` says what becomes of documents that are there \
                already; with one document, `return=minimal` leaves it out of the answer.";
    let outcomes = || of("What became of each.", named("Outcomes"));
    vec![
        op(HttpMethod::Get, path, "listDocuments", "A page of documents; as NDJSON, all of them")
            .takes([name("table")])
            .takes(filter())
            .takes(page(&settings.limits))
            .takes(chosen())
            .takes(groups())
            .takes([header("Prefer", prefer)])
            .answers(
                200,
                of("The page.", list_of("Document"))
                    .content(NDJSON, lines())
                    .header("Link", said("The next page, if there is one."))
                    .header("X-Total-Count", said("The number of documents in the whole result.")),
            )
            .problems(&[Code::QueryLogic, Code::NoSuchIndex, Code::ResourceLimit, Code::Refused])
            .problems(&[Code::AnswerTooLarge, Code::AnswersExhausted, Code::StreamsExhausted]),
        op(HttpMethod::Post, path, "createDocuments", "Create a document, or many")
            .takes([name("table"), header("Prefer", bulk), idempotency_key()])
            .body(sent(&[JSON], one_or_many()).content(NDJSON, lines()).build())
            .answers(
                201,
                tagged(of("The document, or what became of each.", one_or("Document", "Outcomes")))
                    .header("Location", said("Where the document is.")),
            )
            .answers(200, tagged(of("The document, which was there already.", named("Document"))))
            .answers(207, outcomes())
            .problems(&WRITE)
            .problems(&[Code::Conflict, Code::ResourceLimit, Code::KeyInUse, Code::KeyReused]),
        op(HttpMethod::Patch, path, "changeDocuments", "Change all documents that match")
            .takes([name("table"), everything()])
            .takes(filter())
            .body(sent(&[MERGE_PATCH, JSON], named("Document")).build())
            .answers(200, of("What was done.", named("Counts")))
            .problems(&WRITE)
            .problems(&[Code::QueryLogic, Code::ResourceLimit]),
        op(HttpMethod::Delete, path, "deleteDocuments", "Delete all documents that match")
            .takes([name("table"), everything()])
            .takes(filter())
            .answers(200, of("What was done.", named("Counts")))
            .problems(&WRITE)
            .problems(&[Code::QueryLogic, Code::ResourceLimit]),
    ]
}

fn changes(settings: &Settings) -> Op {
    let about = "Follow the documents: a stream of server-sent events. Lists and documents are followed at their own paths \
                 too, with `Accept: text/event-stream`.";
    let events = || ContentBuilder::new().schema(Some(text())).build();
    op(HttpMethod::Get, "/tables/{table}/changes", "followDocuments", about)
        .takes([
            name("table"),
            initial(),
            header("Last-Event-ID", "That the client returns, and has missed changes."),
        ])
        .takes(filter())
        .takes(
            page(&settings.limits).into_iter().filter(|it| !["offset", "cursor"].contains(&it.name.as_str())),
        )
        .takes(chosen())
        .answers(200, answer("The events, until the client leaves.").content(EVENT_STREAM, events()))
        .problems(&[Code::QueryLogic, Code::NoSuchIndex, Code::Refused, Code::FeedsExhausted])
}

fn one_or_many() -> Schema {
    let many = list_of("Document");
    utoipa::openapi::schema::OneOfBuilder::new().item(named("Document")).item(many).build().into()
}

fn document() -> Vec<Op> {
    let at = |method, operation_id, about| {
        op(method, "/tables/{table}/docs/{id}", operation_id, about)
            .takes([name("table"), id()])
            .problems(&[Code::NoSuchDocument, Code::Refused])
    };
    let matching = || tags("If-Match", "Only if the document has one of these tags.");
    let other =
        || tags("If-None-Match", "Only if the document has none of these tags; `*`: only if there is none.");
    let prefer = || header("Prefer", "`return=minimal` leaves the document out of the answer.");
    let written = || tagged(of("The document as it is now.", named("Document")));
    let minimal = || tagged(answer("Done; the document is left out."));
    vec![
        at(HttpMethod::Get, "readDocument", "A document")
            .takes(chosen())
            .takes([matching(), other()])
            .answers(200, tagged(of("The document.", named("Document"))))
            .problems(&[Code::AnswerTooLarge, Code::AnswersExhausted])
            .answers(304, tagged(answer("It is still as one of the tags says.")))
            .problems(&[Code::PreconditionFailed]),
        at(HttpMethod::Put, "putDocument", "Create or replace a document")
            .takes([matching(), other(), prefer()])
            .body(sent(&[JSON], named("Document")).build())
            .answers(200, written())
            .answers(201, tagged(of("The document, which is new.", named("Document"))))
            .answers(204, minimal())
            .problems(&CHANGE)
            .problems(&WRITE)
            .problems(&[Code::ResourceLimit]),
        at(HttpMethod::Patch, "patchDocument", "Change a document by a JSON merge patch (RFC 7396)")
            .takes([matching(), other(), prefer()])
            .body(sent(&[MERGE_PATCH, JSON], named("Document")).build())
            .answers(200, written())
            .answers(204, minimal())
            .problems(&CHANGE)
            .problems(&WRITE)
            .problems(&[Code::ResourceLimit]),
        at(HttpMethod::Delete, "deleteDocument", "Delete a document")
            .takes([matching(), other()])
            .answers(204, answer("It is gone."))
            .problems(&CHANGE)
            .problems(&WRITE),
    ]
}
