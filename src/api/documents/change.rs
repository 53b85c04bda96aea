//! Changes of one document.
//!
//! The database applies a change atomically, where it can. It can't apply a JSON Patch or check a schema.
//! Then the service reads the document, applies the change, and writes the result only if the document hasn't
//! changed (compare and set).

use std::time::Duration;

use reql::{Term, args, r};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::changes::{Changes, undone};
use super::json_patch::JsonPatch;
use super::large::value;
use super::patch::Patch;
use super::unique::{Held, Unique};
use super::write::{Hidden, Read, Target, Written, missing, parsed, same};
use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Code, Error, REFUSED};
use crate::http::etag::{Conditions, tag};
use crate::names::PSEUDO_TYPE;
use crate::query::{Filter, is_document};
use crate::settings::Schema;

/// The most attempts at a compare-and-set change, before it fails because of concurrent writes.
const ATTEMPTS: u32 = 60;
/// The longest pause between two attempts. Pauses grow up to it.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// A change of a document. What it writes is a term already: as a tree, a document of very many values would
/// take a hundred times its length, and the database is waited for.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Replaces or creates the document.
    Put(Term),
    Merge(Patch),
    Small(Changes),
    Json(JsonPatch),
    /// Merges fields into the document with ReQL's `merge`, or creates it.
    Add(Term),
}

/// The table's own rules for its documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) key: &'a str,
    pub(crate) schema: Option<&'a Schema>,
    pub(crate) unique: Option<&'a Unique>,
}

impl Change {
    /// Returns a change that replaces or creates a document.
    ///
    /// # Errors
    ///
    /// If the document violates the table's schema. What it will be with hidden fields isn't known yet.
    pub(crate) fn put(document: Value, grant: &Grant, rules: Rules<'_>) -> Result<Change, Error> {
        if !grant.hides() {
            rules.check_stored(grant, &document, None)?;
        }
        Ok(Change::Put(value(&document)))
    }

    /// Returns a change that merges fields into a document, or creates it.
    pub(crate) fn add(fields: Map<String, Value>) -> Change {
        Change::Add(value(&fields))
    }

    /// Returns the term of the changed row; `None` if ReQL can't express the change.
    fn term(&self, row: &Term) -> Option<Term> {
        let present = |new: Term| r.branch(args![row.eq(()), missing(), new]);
        Some(match self {
            Change::Put(document) => document.clone(),
            Change::Merge(patch) => present(patch.apply(row)),
            Change::Small(changes) => present(changes.apply(row)),
            Change::Add(document) => r.branch(args![row.eq(()), document, row.merge(document)]),
            Change::Json(_) => return None,
        })
    }

    /// Returns the term of a changed document that is known to exist.
    pub(super) fn apply(&self, document: &Term) -> Term {
        match self {
            Change::Merge(patch) => patch.apply(document),
            Change::Small(changes) => changes.apply(document),
            other => other.term(document).unwrap_or_else(|| document.clone()),
        }
    }

    fn creates(&self) -> bool {
        matches!(self, Change::Put(_) | Change::Add(_))
    }
}

impl Rules<'_> {
    /// Checks a document that is to be written.
    pub(crate) fn check(self, document: &Value) -> Result<(), Error> {
        match self.schema {
            Some(schema) => schema.check(document).map_err(Error::invalid),
            None => Ok(()),
        }
    }

    /// Checks a document as it will be stored, of which the caller sees `document`.
    fn check_stored(self, grant: &Grant, document: &Value, hidden: Hidden) -> Result<(), Error> {
        match self.schema {
            Some(_) => self.check(&grant.whole(document, hidden)),
            None => Ok(()),
        }
    }

    /// Returns whether there are rules that the database can't check.
    pub(crate) fn has_any(self) -> bool {
        self.schema.is_some() || self.unique.is_some()
    }

    /// Claims the unique values of a document that is to be written in place of the stored one, unless
    /// `permission` fails.
    pub(crate) async fn claim(
        self,
        conn: &mut Conn,
        id: Option<&Value>,
        new: &Value,
        stored: Option<&Value>,
        permission: Option<Term>,
    ) -> Result<Held, Error> {
        match self.unique {
            Some(unique) => unique.claim(conn, id.map(|id| (self.key, id)), new, stored, permission).await,
            None => Ok(Held::default()),
        }
    }

    /// Ends the claims of a write by this connection with this outcome.
    pub(crate) async fn finish<T>(self, held: Held, outcome: &Result<T, Error>, conn: &mut Conn) {
        if let Some(unique) = self.unique {
            unique.finish(held, outcome, conn).await;
        }
    }

    /// Checks a document after a change, of which the caller sees `document`.
    fn check_changed(self, target: Target<'_>, document: &Value, hidden: Hidden) -> Result<(), Error> {
        match document {
            Value::Object(fields) if fields.contains_key(PSEUDO_TYPE) => {
                Err(Error::bad_request("A document can't be made a value of one of ReQL's types."))
            }
            Value::Object(fields) if fields.get(self.key).is_some_and(|own| same(own, target.id)) => {
                self.check_stored(target.grant, document, hidden)
            }
            Value::Object(_) => Err(Error::bad_request("A document's id can't be changed.")),
            _ => Err(Error::bad_request("A document can't be made anything but an object.")),
        }
    }
}

impl Target<'_> {
    /// Changes the document, if the conditions hold and the result keeps to the rules.
    pub(crate) async fn change(
        self,
        conn: &mut Conn,
        conditions: &Conditions,
        change: &Change,
        rules: Rules<'_>,
    ) -> Result<Written, Error> {
        // A document to put has been checked already, unless it keeps hidden fields.
        let is_checked = matches!(change, Change::Put(_)) && !self.grant.hides();
        let by_database = rules.schema.is_none() || is_checked;
        if by_database && rules.unique.is_none() && !matches!(change, Change::Json(_)) {
            let new = |row: Term| change.term(&row).unwrap_or(row);
            return self.replace(conn, conditions, new).await;
        }
        for attempt in 0..ATTEMPTS {
            match self.attempt(conn, conditions, change, rules).await {
                Err(error) if error.code() == Code::Contended => pause(attempt).await,
                outcome => return outcome,
            }
        }
        Err(Error::from(Code::Contended))
    }

    /// Changes the document if it matches a filter; returns `None` if it doesn't, or is gone.
    pub(super) async fn change_if(
        self,
        conn: &mut Conn,
        filter: &Filter,
        change: &Change,
        rules: Rules<'_>,
    ) -> Result<Option<Written>, Error> {
        for attempt in 0..ATTEMPTS {
            let made = |row: &Term| {
                let matches = is_document(row) & filter.holds(row);
                Some(r.branch(args![matches, change.apply(row), ()]))
            };
            let read = self.read_with(conn, rules.schema.is_some(), made).await;
            let Read(stored, text, new, hidden) = read.map_err(undone)?;
            let Some(new) = new else { return Ok(None) };
            self.check_changed(conn, &new, hidden, rules).await?;
            match self.replace_claimed(conn, (stored.as_deref(), &text), &new, rules).await {
                Err(error) if error.code() == Code::PreconditionFailed => pause(attempt).await,
                outcome => return outcome.map(Some),
            }
        }
        Err(Error::from(Code::Contended))
    }

    /// Checks the document after a change, of which the caller sees `new`.
    async fn check_changed(
        self,
        conn: &mut Conn,
        new: &Value,
        hidden: Hidden,
        rules: Rules<'_>,
    ) -> Result<(), Error> {
        let checked = rules.check_changed(self, new, hidden);
        if checked.as_ref().is_err_and(|error| error.is(&[Code::InvalidDocument])) {
            // The schema sees hidden fields, of which a caller that may not make the change learns nothing.
            conn.check(self.permission(new)).await.map_err(Error::or_of_write)?;
        }
        checked
    }

    /// Replaces the document, if its text is unchanged and no other one has its unique values.
    async fn replace_claimed(
        self,
        conn: &mut Conn,
        (stored, text): (Option<&RawValue>, &str),
        new: &Value,
        rules: Rules<'_>,
    ) -> Result<Written, Error> {
        let whole = self.grant.whole(new, None);
        let stored = stored.filter(|_| rules.unique.is_some()).map(parsed).transpose()?;
        let permission = self.permission(new);
        let held = rules.claim(conn, Some(self.id), &whole, stored.as_ref(), permission).await?;
        let outcome = self.replace_unchanged(conn, text, new).await;
        rules.finish(held, &outcome, conn).await;
        outcome
    }

    /// Returns a query that fails if the caller may not replace the document; `None` if it may do all.
    fn permission(self, new: &Value) -> Option<Term> {
        let stored = |row: Term| self.grant.stored(&row, |_| value(new)).ne(());
        (!self.grant.is_open()).then(|| self.row().do_(stored))
    }

    /// Returns the new document of a change, or an error if it merges a document into another one that the
    /// caller may not create.
    fn with_creation(self, change: &Change, new: Term) -> Term {
        let may = match change {
            Change::Add(document) => self.grant.creatable(document),
            _ => None,
        };
        may.map_or(new.clone(), |may| r.branch(args![may, new, r.error(REFUSED)]))
    }

    /// Tries to change the document, unless it was written concurrently.
    async fn attempt(
        self,
        conn: &mut Conn,
        conditions: &Conditions,
        change: &Change,
        rules: Rules<'_>,
    ) -> Result<Written, Error> {
        // A missing document is reported only after the conditions have been checked.
        let made = |row: &Term| match change {
            Change::Json(_) => None,
            change if change.creates() => change.term(row).map(|new| self.with_creation(change, new)),
            change => Some(r.branch(args![row.eq(()), (), change.apply(row)])),
        };
        let read = self.read_with(conn, rules.schema.is_some(), made).await;
        let Read(stored, text, made, hidden) = read.map_err(|error| undone(error).or_of_write())?;
        let tag = stored.as_ref().map(|stored| tag(stored.get().as_bytes()));
        if !conditions.match_holds(tag.as_deref()) || !conditions.none_match_holds(tag.as_deref()) {
            return Err(Error::from(Code::PreconditionFailed));
        }
        let before = rules.unique.is_some().then(|| stored.clone()).flatten();
        let new = match (change, stored) {
            (change, None) if !change.creates() => return Err(Error::from(Code::NoSuchDocument)),
            (Change::Json(patch), Some(stored)) => patch.apply(parsed(&stored)?)?,
            _ => made.ok_or_else(|| Error::internal("a change made nothing"))?,
        };
        self.check_changed(conn, &new, hidden, rules).await?;
        match self.replace_claimed(conn, (before.as_deref(), &text), &new, rules).await {
            Err(error) if error.code() == Code::PreconditionFailed => Err(Error::from(Code::Contended)),
            outcome => outcome,
        }
    }
}

/// Waits for a random time before the next attempt, so that competing writers don't meet again.
async fn pause(attempt: u32) {
    let most = Duration::from_millis(1 << attempt.min(6)).min(PAUSE_MAX);
    sleep(most.mul_f64(fastrand::f64())).await;
}
