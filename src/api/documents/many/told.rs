//! The answers to changes of many documents: counts, or the documents themselves.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use crate::app::scale::Scale;
use crate::error::Error;
use crate::http::answer::json_text;

/// The database's counts of a write.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) replaced: f64,
    pub(super) unchanged: f64,
    pub(super) deleted: f64,
    pub(super) skipped: f64,
    pub(super) errors: f64,
    pub(super) first_error: Option<String>,
    /// The error of the first document that could not be changed.
    #[serde(skip)]
    pub(super) fault: Option<Error>,
    /// The changed documents; `None` if they aren't wanted, or too long for an answer.
    pub(super) changes: Option<Vec<Box<RawValue>>>,
}

impl Counts {
    pub(super) fn answer(&self) -> Value {
        let mut answer = json!({
            "replaced": self.replaced as u64,
            "unchanged": self.unchanged as u64,
            "deleted": self.deleted as u64,
            "skipped": self.skipped as u64,
            "errors": self.errors as u64,
        });
        if let Some(fault) = &self.fault {
            answer["first_error"] = json!({ "code": fault.code().as_str(), "detail": fault.detail() });
        }
        answer
    }
}

/// The documents of an answer, as text.
pub(super) struct Representation {
    text: Vec<u8>,
    scale: Scale,
}

impl Representation {
    pub(super) fn new(scale: Scale) -> Self {
        Representation { text: vec![b'['], scale }
    }

    /// Returns the representation with these documents; `None` if they exceed the limits of answers.
    pub(super) fn of(documents: Vec<Box<RawValue>>, scale: Scale) -> Option<Self> {
        let mut told = Representation::new(scale);
        documents.into_iter().try_for_each(|document| told.add(&document)).ok()?;
        Some(told)
    }

    /// Adds a document.
    ///
    /// # Errors
    ///
    /// As for [`Scale::add`].
    pub(super) fn add(&mut self, document: &RawValue) -> Result<(), Error> {
        self.scale.add_bytes(document.get().len())?;
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(document.get().as_bytes());
        Ok(())
    }

    /// Waits for the turn of a large answer, see [`Scale::in_turn`].
    pub(super) async fn in_turn(&mut self) {
        self.scale.in_turn().await;
    }

    pub(super) fn into_response(mut self) -> Response {
        self.text.push(b']');
        self.scale.leave_with(json_text(StatusCode::OK, self.text))
    }
}
