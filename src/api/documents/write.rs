//! Writes of one document, each a single query that also tells what it did.
//!
//! A write may depend on the document's tag, which the database knows nothing of. Then the document is read
//! first, its tag compared, and the write, which is atomic, ends without effect if the document isn't any
//! more what was read.

use reql::{Query, ReturnChanges, Term, args, r};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::changes::{self, UNDONE};
use crate::access::Grant;
use crate::app::scale::Scale;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::etag::{Conditions, tag};
use crate::query::Fields;

/// What a write says when the document it changes is missing.
const MISSING: &str = "warp-reql: no such document";
/// What a write says when its condition doesn't hold. It comes back as the `first_error` of that write.
const FAILED: &str = "warp-reql: precondition failed";
/// How often a write is tried whose document others change between the reading and the writing, though what
/// they make of it always fulfils its condition.
const ATTEMPTS: usize = 10;

/// The document that a write is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) table: &'a str,
    pub(crate) id: &'a Value,
    /// What whoever asks may do with it.
    pub(crate) grant: &'a Grant,
}

impl Target<'_> {
    pub(crate) fn row(self) -> Term {
        r.table(self.table).get(self.id)
    }

    /// The document as whoever asks may see it, or null.
    fn seen(self) -> Term {
        match self.grant.readable() {
            readable if readable.is_all() => self.row(),
            readable => self.row().do_(|row: Term| readable.seen(&row)),
        }
    }

    /// The document, if there is one, and what of it is told if that isn't all. Both are weighed.
    pub(crate) async fn read_fields(
        self,
        conn: &mut Conn,
        fields: &Fields,
        scale: &mut Scale,
    ) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>, Error> {
        if fields.are_all() {
            return Ok(self.text(conn, scale).await?.map(|text| (text, None)));
        }
        let told = |row: Term| r.branch(args![row.eq(()), (), [&row, &fields.of(&row)]]);
        let query = self.seen().do_(told);
        let read: Option<(Value, Value)> = conn.first(query).await?;
        let read = read.map(|(stored, told)| {
            scale.add(&stored)?;
            scale.add(&told)?;
            Ok((json(&stored)?, Some(json(&told)?)))
        });
        read.transpose()
    }

    /// Returns the document as answers have it, if there is one. A document that is nested too deeply to be
    /// read comes as the text that the database makes of it.
    async fn text(self, conn: &mut Conn, scale: &mut Scale) -> Result<Option<Vec<u8>>, Error> {
        match conn.first::<Value>(self.seen()).await {
            Err(error) if error.is_about_a_row() => {
                let text = conn.first::<String>(self.seen().to_json_string()).await?;
                let text = text.filter(|text| text != "null").map(String::into_bytes);
                text.map(|text| scale.add_bytes(text.len()).map(|()| text)).transpose()
            }
            stored => {
                let text = |stored: &Value| scale.add(stored).and_then(|()| json(stored));
                stored?.as_ref().map(text).transpose()
            }
        }
    }

    /// Replaces the row, or null if there is none, by what `new` makes of it, if the conditions hold and
    /// whoever asks may do that. Both judge by what is to be seen of the row.
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
            let tag = stored.as_ref().map(json).transpose()?.map(|json| tag(&json));
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

    /// The document, if there is one, and the text by which the database recognizes it. A change of what is
    /// hidden is none to whoever asks, and is no reason to give up.
    async fn read(self, conn: &mut Conn) -> Result<(Option<Value>, String), Error> {
        let query = self.seen().do_(|row: Term| {
            let text = row.to_json_string();
            [row, text]
        });
        conn.first(query).await?.ok_or_else(|| Error::internal("a read gave nothing"))
    }

    /// Reads the document, the text by which the database recognizes it, and what the database makes of it.
    pub(super) async fn read_with(
        self,
        conn: &mut Conn,
        made: impl FnOnce(&Term) -> Option<Term>,
    ) -> Result<(Option<Value>, String, Option<Value>), Error> {
        let query = self.seen().do_(|row: Term| {
            let made = made(&row).unwrap_or_else(|| r.expr(()));
            [row.clone(), row.to_json_string(), made]
        });
        conn.first(query).await?.ok_or_else(|| Error::internal("a read gave nothing"))
    }

    /// Replaces the document, if the database still recognizes it.
    pub(super) async fn replace_unchanged(
        self,
        conn: &mut Conn,
        text: &str,
        new: &Value,
    ) -> Result<Written, Error> {
        let unchanged = |row: &Term| Some(row.to_json_string().eq(text));
        Written::of(conn, self.replacement(unchanged, |_| r.expr(new))).await
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

/// The condition on a row of conditions that name no tags.
fn existence(conditions: &Conditions, row: &Term) -> Option<Term> {
    let exists = row.ne(());
    match (conditions.need_document(), conditions.forbid_document()) {
        (false, false) => None,
        (true, false) => Some(exists),
        (false, true) => Some(!exists),
        (true, true) => Some(r.expr(false)),
    }
}

/// A document as answers have it.
pub(crate) fn json(document: &Value) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(Error::internal)
}

/// Ends a change of a document that isn't there.
pub(crate) fn missing() -> Term {
    r.error(MISSING)
}

/// What a write has done.
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
    old_val: Value,
    new_val: Value,
}

impl Written {
    /// Runs a write of one document.
    pub(crate) async fn of(conn: &mut Conn, query: impl Into<Query>) -> Result<Self, Error> {
        let written: Written = conn.first(query).await?.unwrap_or_default();
        written.unless_failed()
    }

    /// Fails with the error of the write, if it had one.
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
        self.inserted > 0.0
    }

    pub(crate) fn has_replaced(&self) -> bool {
        self.replaced > 0.0
    }

    pub(crate) fn has_deleted(&self) -> bool {
        self.deleted > 0.0
    }

    /// Takes an insert that found its document there already as done, if that is this request's own.
    pub(super) fn or_own(mut self, is_own: impl FnOnce(&Value) -> bool) -> Self {
        if self.errors > 0.0
            && let [change] = &mut self.changes[..]
            && change.old_val.is_object()
            && is_own(&change.old_val)
        {
            change.new_val = change.old_val.take();
            (self.inserted, self.errors) = (1.0, 0.0);
        }
        self
    }

    /// The id of the document, if that may be read or was made up for it.
    pub(crate) fn id(&self, key: &str) -> Option<&Value> {
        self.document().and_then(|document| document.get(key)).or_else(|| self.generated_keys.first())
    }

    /// The document as it is stored now, if it may be read.
    pub(crate) fn document(&self) -> Option<&Value> {
        self.changes.first().map(|change| &change.new_val).filter(|document| document.is_object())
    }
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

/// Returns whether the database would take two values for the same. It knows one kind of number, and no order
/// of fields.
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
