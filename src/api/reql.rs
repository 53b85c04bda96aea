//! `POST /reql`: any query, in JavaScript syntax or in the JSON of the wire protocol.
//!
//! The database checks the permissions of its user. With `auth = "token"`, only administrators may run
//! queries.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use reql::error::Frame;
use reql::{Form, Term};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::sleep;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Required};
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::{Reply, Response};

use super::endpoint::{Endpoint, post};
use super::openapi::operation::{described, said};
use super::openapi::schemas::{named, text};
use super::permission;
use crate::conn::{Conn, Rows};
use crate::error::{Code, Error};
use crate::http::answer::{json_text, with_header};
use crate::http::body::{Body, value};
use crate::http::context::Context;
use crate::http::guards::{Guards, unkeyed};
use crate::http::headers::REQL_ANSWER;
use crate::http::negotiate::{JSON, NDJSON, TEXT};
use crate::language::{self as language, Fault, Node, Place, Step};
use crate::settings::Settings;
use crate::shares::Share;

/// The path. Like those of tables, it is about data, so it needs credentials.
pub(crate) const PATH: &str = "/reql";
/// The media type of ReQL in JavaScript syntax.
const REQL: &str = "application/vnd.rethinkdb.reql";

/// The time between the line that tells why an answer breaks off and its end. Encoders pass the line on
/// meanwhile, and browsers drop what has not been read when a body breaks off.
const READ: Duration = Duration::from_secs(1);

/// Returns the endpoint, if `reql` is set.
pub(crate) fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    if !settings.reql {
        return Vec::new();
    }
    let query = ContentBuilder::new().schema(Some(text().min_length(Some(1)).build())).build();
    let wire = ContentBuilder::new().schema(Some(named("Value"))).build();
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    let body = body.content(REQL, query.clone()).content(TEXT, query).content(JSON, wire.clone());
    let lines = ContentBuilder::new().schema(Some(text().build())).build();
    let answer =
        described("The value, or the rows as an array or NDJSON. NDJSON that fails ends with a problem.");
    let answer = answer.content(JSON, wire).content(NDJSON, lines);
    let form = said("`value`, `rows`, or `feed` for a changefeed, which needs NDJSON.");
    vec![
        post(PATH, "runReql", "Run a ReQL query, in JavaScript syntax or in the JSON of the wire protocol")
            .body(body)
            .answers(200, answer.header("ReQL-Answer", form))
            .problems(&[
                Code::BadQuery,
                Code::QueryFailed,
                Code::ResourceLimit,
                Code::AnswerTooLarge,
                Code::AnswersExhausted,
                Code::StreamsExhausted,
                Code::ForeignOrigin,
                Code::OutcomeUnknown,
                Code::StorageFull,
                Code::Forbidden,
                Code::UnexpectedDocument,
            ])
            .data_and_body(run),
    ]
}

/// A query, with its text and the places of its parts.
struct Asked {
    term: Term,
    source: Option<(String, Node)>,
}

async fn run(context: Context, body: Body, conn: Conn) -> Result<Response, Error> {
    context.app().access().to_query(context.caller())?;
    context.parameters()?.finish()?;
    let lines = context.wants_lines();
    context.accept(if lines { &[NDJSON] } else { &[JSON] })?;
    context.body_is(&[REQL, TEXT, JSON])?;
    Guards::check_none(&context)?;
    unkeyed(&context)?;
    let asked = Asked::read(&context, body?)?;
    let holder = context.holder(&conn);
    let share = lines.then(|| context.app().stream(holder)).transpose()?;
    let (form, rows) = conn.into_answer(asked.term.clone()).await.map_err(|error| asked.placed(error))?;
    let answer = Answer { context, asked, form, rows };
    match (share, form) {
        (Some(share), _) => Ok(answer.into_lines(share)),
        (None, Form::Feed) => Err(Error::about(Code::NotAcceptable, NDJSON)),
        (None, _) => answer.into_document().await,
    }
}

impl Asked {
    fn read(context: &Context, body: Vec<u8>) -> Result<Self, Error> {
        if context.body_is(&[JSON]).is_ok() {
            let wire = value(&body)?;
            return Ok(Asked { term: term(&wire)?, source: None });
        }
        let text = String::from_utf8(body).map_err(|_| Error::bad_query("it is no text in UTF-8", None))?;
        match language::parse(&text) {
            Ok(node) => Ok(Asked { term: term(&node.to_wire())?, source: Some((text, node)) }),
            Err(Fault { message, span }) => Err(Error::bad_query(&message, Some(Place::of(span, &text)))),
        }
    }

    /// Turns an error of the database into one of this query, with its place.
    fn placed(&self, error: Error) -> Error {
        error.of_query(|backtrace| {
            let (text, node) = self.source.as_ref()?;
            let way = backtrace.iter().map(|frame| match frame {
                Frame::Arg(at) => Step::Arg(*at),
                Frame::Opt(name) => Step::Opt(name),
            });
            Some(Place::of(node.place_of(way), text))
        })
    }
}

fn term(wire: &Value) -> Result<Term, Error> {
    Term::from_wire(wire).map_err(|error| Error::bad_query(error.message(), None))
}

/// An answer that has begun.
struct Answer {
    context: Context,
    asked: Asked,
    form: Form,
    rows: Rows<Conn, Box<RawValue>>,
}

impl Answer {
    /// Answers with one document.
    async fn into_document(self) -> Result<Response, Error> {
        let Answer { context, asked, form, mut rows } = self;
        let mut scale = context.app().scale(context.holder(rows.conn()));
        let is_value = form == Form::Value;
        let mut text = Vec::from(if is_value { "" } else { "[" });
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| asked.placed(error))?;
            scale.add_bytes(row.get().len() + 1)?;
            scale.in_turn().await;
            if text.len() > 1 {
                text.push(b',');
            }
            text.extend_from_slice(row.get().as_bytes());
        }
        if !is_value {
            text.push(b']');
        }
        Ok(told(form, scale.leave_with(json_text(StatusCode::OK, text))))
    }

    /// Answers row by row. An error in the middle, or the end of the caller's right, is told by a last line,
    /// a problem document, and then the body is aborted, so that nobody takes an incomplete answer for the
    /// whole.
    fn into_lines(self, share: Share) -> Response {
        let Answer { context, asked, form, rows } = self;
        let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = match form {
            Form::Feed => Box::pin(context.app().stopped()),
            _ => Box::pin(pending()),
        };
        let refused = refused(&context, rows.conn(), &asked.term);
        let rows = until(rows.map_err(move |error| asked.placed(error)), refused);
        let lines = rows.flat_map(move |row| match row {
            Ok(row) => stream::once(ready(Ok(format!("{}\n", line(row.get()))))).left_stream(),
            Err(error) => broken(&context, error).right_stream(),
        });
        // The head of a feed's answer is sent at once, however long its first row takes.
        let lines = stream::once(ready(Ok(String::new()))).chain(lines).take_until(stopped);
        let held = Held { lines: Mutex::new(Box::pin(lines)), _share: share };
        told(form, with_header(warp::reply::stream(held).into_response(), CONTENT_TYPE, NDJSON))
    }
}

/// Returns the end of an answer that fails in the middle: the problem as a line, and then the error, which
/// aborts the body.
fn broken(context: &Context, error: Error) -> impl Stream<Item = Result<String, Error>> + use<> {
    log::warn!(request_id = context.id(); "{} a query ends: {error}", context.id());
    let problem = json!(error.document(context.answered()));
    let abort = sleep(READ).map(|()| Err(error)).into_stream();
    stream::once(ready(Ok(format!("{problem}\n")))).chain(abort)
}

/// Returns the items of a stream until a future is done, and then its error.
fn until<T>(
    items: impl Stream<Item = Result<T, Error>>,
    end: impl Future<Output = Error>,
) -> impl Stream<Item = Result<T, Error>> {
    stream::unfold(Some((Box::pin(items), Box::pin(end))), async |going| {
        let (mut items, mut end) = going?;
        tokio::select! {
            biased;
            error = &mut end => Some((Err(error), None)),
            item = items.next() => Some((item?, Some((items, end)))),
        }
    })
}

/// Returns a future that is done when the query would be refused if it were sent now: the token has expired,
/// new settings don't admit the caller, or the database doesn't.
fn refused(context: &Context, conn: &Conn, query: &Term) -> impl Future<Output = Error> + Send + use<> {
    let (expired, lost, context) = (context.expired(), permission::lost(conn, query), context.clone());
    async move {
        tokio::select! {
            error = expired => error,
            error = lost => error,
            error = dismissed(&context) => error,
        }
    }
}

/// Waits for settings by which the caller may not query.
async fn dismissed(context: &Context) -> Error {
    let mut settings = context.app().access_in_force();
    loop {
        let access = Arc::clone(&settings.borrow_and_update());
        let checked = async {
            match access.counts_tokens() {
                true => access.to_query(Some(&access.caller(context.token()?.as_deref()).await?)),
                false if access.admits_anonymous_as(context.app().access()) => Ok(()),
                // Those with credentials are the database's to judge.
                false => context.has_credentials(),
            }
        };
        match checked.await {
            Err(error) if error.is(&[Code::Unauthorized, Code::Forbidden]) => return error,
            _ => {}
        }
        if settings.changed().await.is_err() {
            return pending().await;
        }
    }
}

/// Returns a row as one line, in case the server's JSON has line breaks.
fn line(row: &str) -> std::borrow::Cow<'_, str> {
    match row.contains(['\n', '\r']) {
        // JSON has line breaks only between tokens.
        true => row.replace(['\n', '\r'], " ").into(),
        false => row.into(),
    }
}

fn told(form: Form, response: Response) -> Response {
    let form = match form {
        Form::Value => "value",
        Form::Rows => "rows",
        Form::Feed => "feed",
    };
    with_header(response, REQL_ANSWER, form)
}

type Lines = Pin<Box<dyn Stream<Item = Result<String, Error>> + Send>>;

/// Lines, with the shares that they hold. The mutex is never locked; it makes the stream `Sync`, which warp
/// requires of bodies.
struct Held {
    lines: Mutex<Lines>,
    _share: Share,
}

impl Stream for Held {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.lines.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(cx)
    }
}
