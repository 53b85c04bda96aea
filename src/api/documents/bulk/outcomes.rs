//! The results of a bulk insert, one for each document.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::{Reply, Response};

use crate::api::documents::insertion::Change;
use crate::api::documents::write::{Written, field};
use crate::error::{Error, Violation};
use crate::http::answer::with_header;
use crate::http::negotiate::JSON;

/// The most bytes of explanations that the results of one request have together. All are kept in memory.
const TOLD_MAX: usize = 1 << 20;

/// The result for one document of a bulk insert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// The status that a request for this document alone would have.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    #[schema(schema_with = id)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// The code of the problem, if there was one.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The explanation of the problem, unless the code says it all. That of the last result may be about the
    /// rest of the body rather than about the document. Results beyond a MiB of explanations have none.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The places at which the document violates the table's schema; none beyond a MiB of explanations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Violation>,
}

fn id() -> RefOr<Schema> {
    Ref::from_schema_name("Id").into()
}

/// The results so far, as JSON text: a million of them take tens of megabytes instead of hundreds.
#[derive(Default)]
pub(super) struct Outcomes {
    text: Vec<u8>,
    pub(super) count: usize,
    failed: bool,
    /// The bytes of explanations in it.
    told: usize,
}

impl Change {
    /// Returns the result for a document, which was sent like this.
    pub(super) fn outcome(self, key: &str, sent: &Map<String, Value>) -> Outcome {
        match self.error {
            _ if self.refused => Outcome::fault(&Error::forbidden(), false),
            Some(error) => {
                let error = Error::of_write(error);
                let id = self.old_val.and_then(|old| field(&old, key));
                // The code of a conflict needs no explanation.
                let told =
                    |error: &Error| ![StatusCode::CONFLICT, StatusCode::FORBIDDEN].contains(&error.status());
                Outcome { id, ..Outcome::fault(&error, told(&error)) }
            }
            None => {
                let status = if self.old_val.is_none() { StatusCode::CREATED } else { StatusCode::OK };
                let told = self.new_val.and_then(|new| field(&new, key));
                let id = told.or_else(|| sent.get(key).cloned());
                Outcome { status: status.as_u16(), id, code: None, detail: None, errors: Vec::new() }
            }
        }
    }
}

impl Outcome {
    pub(super) fn created(id: Option<Value>) -> Self {
        Outcome { status: StatusCode::CREATED.as_u16(), id, code: None, detail: None, errors: Vec::new() }
    }

    /// Makes the result of a document that was written by itself.
    pub(super) fn of_one(written: Result<Written, Error>, id: &Value) -> Self {
        match written {
            Ok(written) if written.has_inserted() => Outcome::created(Some(id.clone())),
            Ok(_) => Outcome { status: StatusCode::OK.as_u16(), ..Outcome::created(Some(id.clone())) },
            Err(error) => Outcome { id: Some(id.clone()), ..Outcome::fault(&error, true) },
        }
    }

    pub(super) fn fault(error: &Error, told: bool) -> Self {
        let detail = told.then(|| error.detail().to_owned());
        let (code, errors) = (Some(error.code().as_str()), error.violations().to_vec());
        Outcome { status: error.status().as_u16(), id: None, code, detail, errors }
    }

    pub(super) fn with_id(self, id: Option<Value>) -> Self {
        Outcome { id, ..self }
    }

    /// Returns the number of bytes that explain it.
    fn told(&self) -> usize {
        let places = self.errors.iter().map(|told| told.pointer.len() + told.message.len());
        self.detail.as_ref().map_or(0, String::len) + places.sum::<usize>()
    }
}

impl Outcomes {
    /// Adds the results of a batch. Once there are enough explanations, it leaves theirs out.
    pub(super) fn extend(&mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Result<(), Error> {
        for mut outcome in outcomes {
            self.told += outcome.told();
            if self.told > TOLD_MAX {
                (outcome.detail, outcome.errors) = (None, Vec::new());
            }
            self.push(&outcome)?;
        }
        Ok(())
    }

    pub(super) fn push(&mut self, outcome: &Outcome) -> Result<(), Error> {
        self.text.push(if self.count == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut self.text, outcome).map_err(Error::internal)?;
        self.count += 1;
        self.failed |= outcome.code.is_some();
        Ok(())
    }

    pub(super) fn into_response(mut self) -> Response {
        self.text.extend_from_slice(if self.count == 0 { b"[]" } else { b"]" });
        let mut response = self.text.into_response();
        *response.status_mut() = if self.failed { StatusCode::MULTI_STATUS } else { StatusCode::CREATED };
        with_header(response, CONTENT_TYPE, JSON)
    }
}
