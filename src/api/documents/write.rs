//! Writes of one document, each a single query that also returns its result.
//!
//! A write may depend on the document's tag, which the database doesn't know. Then the document is read first
//! and its tag compared, and the write, which is atomic, fails if the document has changed since.

use std::collections::HashMap;

use reql::{Query, ReturnChanges, Term, args, r};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::changes::{self, UNDONE};
use super::large::value;
use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::etag::{Conditions, tag};
use crate::json;

/// The text of the error that a query throws if the document is missing.
const MISSING: &str = "warp-reql: no such document";
/// The text of the error that a query throws if its condition doesn't hold. It is returned as `first_error`.
const FAILED: &str = "warp-reql: precondition failed";
/// The most attempts at a conditional write, if others change the document between read and write while its
/// condition still holds.
const ATTEMPTS: usize = 10;

/// The target of a read or a write: a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) table: &'a str,
    pub(crate) id: &'a Value,
    /// The caller's permissions.
    pub(crate) grant: &'a Grant,
}

/// The hidden fields of a document.
pub(super) type Hidden = Option<Map<String, Value>>;

/// A document as it is read before a change: its visible part, the text of that for compare-and-set, the
/// result of a term, and its hidden fields.
#[derive(Debug, Deserialize)]
pub(super) struct Read(
    pub(super) Option<Box<RawValue>>,
    pub(super) String,
    #[serde(deserialize_with = "json::value_or_null")] pub(super) Option<Value>,
    #[serde(deserialize_with = "json::object_or_null")] pub(super) Hidden,
);

impl Target<'_> {
    pub(crate) fn row(self) -> Term {
        r.table(self.table).get(self.id)
    }

    /// Returns the term of the visible document, or null.
    pub(super) fn seen(self) -> Term {
        match self.grant.readable() {
            readable if readable.is_all() => self.row(),
            readable => self.row().do_(|row: Term| readable.seen(&row)),
        }
    }

    /// Replaces the row, which may be missing, by the result of `new`, if the conditions hold and the caller
    /// has the permission. Conditions and `new` get the visible part of the row.
    pub(crate) async fn replace(
        self,
        conn: &mut Conn,
        conditions: &Conditions,
        new: impl Fn(Term) -> Term,
    ) -> Result<Written, Error> {
        if !conditions.name_tags() {
            return Written::of(conn, self.replacement(|row| existence(conditions, row), &new)).await;
        }
        for _ in 0..ATTEMPTS {
            let (stored, text) = self.read(conn).await?;
            let tag = stored.map(|stored| tag(stored.get().as_bytes()));
            if !conditions.match_holds(tag.as_deref()) || !conditions.none_match_holds(tag.as_deref()) {
                break;
            }
            let unchanged = |row: &Term| Some(row.to_json_string().eq(&text));
            match Written::of(conn, self.replacement(unchanged, &new)).await {
                Err(error) if error.code() == Code::PreconditionFailed => {}
                outcome => return outcome,
            }
        }
        Err(Error::from(Code::PreconditionFailed))
    }

    /// Reads the document, if it exists, and its text for compare-and-set. Both are of the visible part only,
    /// so that changes of hidden fields don't make the write fail.
    async fn read(self, conn: &mut Conn) -> Result<(Option<Box<RawValue>>, String), Error> {
        let query = self.seen().do_(|row: Term| {
            let text = row.to_json_string();
            [row, text]
        });
        conn.first(query).await?.ok_or_else(|| Error::internal("a read gave nothing"))
    }

    /// Reads the document together with the result of a term of the database, and with its hidden fields if
    /// these are needed and there may be some.
    pub(super) async fn read_with(
        self,
        conn: &mut Conn,
        needs_hidden: bool,
        made: impl FnOnce(&Term) -> Option<Term>,
    ) -> Result<Read, Error> {
        let readable = self.grant.readable();
        let hidden = |row: &Term| match needs_hidden && self.grant.hides() {
            true => {
                self.row().do_(|stored: Term| r.branch(args![row.eq(()), (), readable.hidden_of(&stored)]))
            }
            false => r.expr(()),
        };
        let query = self.seen().do_(|row: Term| {
            let made = made(&row).unwrap_or_else(|| r.expr(()));
            [row.clone(), row.to_json_string(), made, hidden(&row)]
        });
        conn.first(query).await?.ok_or_else(|| Error::internal("a read gave nothing"))
    }

    /// Replaces the document, if its text is unchanged.
    pub(super) async fn replace_unchanged(
        self,
        conn: &mut Conn,
        text: &str,
        new: &Value,
    ) -> Result<Written, Error> {
        let unchanged = |row: &Term| Some(row.to_json_string().eq(text));
        Written::of(conn, self.replacement(unchanged, |_| value(new))).await
    }

    fn replacement(
        self,
        condition: impl FnOnce(&Term) -> Option<Term>,
        new: impl FnOnce(Term) -> Term,
    ) -> Term {
        let replaced = |seen: Term| match condition(&seen) {
            Some(condition) => r.branch(args![condition, new(seen), r.error(FAILED)]),
            None => new(seen),
        };
        let replaced = |row: Term| self.grant.stored(&row, replaced);
        self.grant.told(self.row().replace(replaced).return_changes(ReturnChanges::Always).into())
    }
}

/// Returns the condition on a row, for conditions without tags.
fn existence(conditions: &Conditions, row: &Term) -> Option<Term> {
    let exists = row.ne(());
    match (conditions.need_document(), conditions.forbid_document()) {
        (false, false) => None,
        (true, false) => Some(exists),
        (false, true) => Some(!exists),
        (true, true) => Some(r.expr(false)),
    }
}

/// Returns the term that throws the error of a missing document.
pub(crate) fn missing() -> Term {
    r.error(MISSING)
}

/// The result of a write.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    inserted: f64,
    replaced: f64,
    deleted: f64,
    errors: f64,
    first_error: Option<String>,
    generated_keys: Vec<Value>,
    changes: Vec<Change>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    old_val: Option<Box<RawValue>>,
    new_val: Option<Box<RawValue>>,
}

impl Written {
    /// Runs a write of one document.
    pub(crate) async fn of(conn: &mut Conn, query: impl Into<Query>) -> Result<Self, Error> {
        let written: Option<Written> = conn.first(query).await.map_err(Error::of_sent_write)?;
        written.unwrap_or_default().unless_failed()
    }

    /// Returns the error of the write, if there was one.
    pub(super) fn unless_failed(self) -> Result<Self, Error> {
        if self.errors == 0.0 {
            return Ok(self);
        }
        Err(match self.first_error.unwrap_or_default() {
            error if error == FAILED => Error::from(Code::PreconditionFailed),
            error if error == MISSING => Error::from(Code::NoSuchDocument),
            error if error.contains(UNDONE) => {
                Error::about(Code::PatchFailed, changes::reason(&error).unwrap_or_default())
            }
            error => Error::of_write(error),
        })
    }

    pub(crate) fn has_inserted(&self) -> bool {
        let is_new = |change: &Change| change.old_val.is_none() && change.new_val.is_some();
        // What has expired is replaced by what is new.
        self.inserted > 0.0 || (self.replaced > 0.0 && self.changes.iter().any(is_new))
    }

    pub(crate) fn has_replaced(&self) -> bool {
        self.replaced > 0.0
    }

    pub(crate) fn has_deleted(&self) -> bool {
        self.deleted > 0.0
    }

    /// Turns the conflict of an insert into success, if the existing document is this request's own.
    pub(super) fn or_own(mut self, is_own: impl FnOnce(&Value) -> bool) -> Self {
        if self.errors > 0.0
            && let [change] = &mut self.changes[..]
            && let Some(Ok(old @ Value::Object(_))) = change.old_val.as_deref().map(parsed)
            && is_own(&old)
        {
            change.new_val = change.old_val.take();
            (self.inserted, self.errors) = (1.0, 0.0);
        }
        self
    }

    /// Returns the id of the document, if the document may be read or the id was generated.
    pub(crate) fn id(&self, key: &str) -> Option<Value> {
        let own = || field(self.document()?, key);
        own().or_else(|| self.generated_keys.first().cloned())
    }

    /// Returns the document after the write, or before it if it may not be read any more.
    pub(super) fn told(&self) -> Option<&RawValue> {
        let change = self.changes.first()?;
        change.new_val.as_deref().or(change.old_val.as_deref())
    }

    /// Returns the document as it is stored now, if it may be read.
    pub(crate) fn document(&self) -> Option<&RawValue> {
        let document = self.changes.first()?.new_val.as_deref();
        document.filter(|document| document.get().starts_with('{'))
    }
}

/// Returns a field of a document, without reading the others.
pub(super) fn field(document: &RawValue, name: &str) -> Option<Value> {
    let mut fields: HashMap<String, &RawValue> = serde_json::from_str(document.get()).ok()?;
    parsed(fields.remove(name)?).ok()
}

/// Reads a document that the database has written.
pub(super) fn parsed(document: &RawValue) -> Result<Value, Error> {
    json::read(document.get()).map_err(|error| Error::from(Code::UnexpectedDocument).caused_by(error))
}

/// Checks that a body's id, if it has one, is that of the path.
pub(crate) fn check_id(document: &Map<String, Value>, key: &str, id: &Value) -> Result<(), Error> {
    match document.get(key) {
        Some(own) if !same(own, id) => {
            Err(Error::bad_request(format!("`{key}` in the body is not the id in the path.")))
        }
        _ => Ok(()),
    }
}

/// Returns whether two values are equal for the database, which has one type of number and no order of
/// fields.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(name, value)| other.get(name).is_some_and(|own| same(own, value));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_the_same_as_the_database_sees_them() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(same(&json!([1, "a"]), &json!([1.0, "a"])));
        assert!(!same(&json!(1), &json!("1")));
    }
}
