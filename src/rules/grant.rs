//! What a caller may do with one table, as conditions that are part of the queries for it.
//!
//! To whom a document isn't readable it isn't there: so nobody changes or deletes what they can't read, and
//! what a write does to it is what it would do to one that is missing. The conditions on a change stand
//! inside the function that makes the new document of the old one, which the database runs atomically.

use reql::{Term, args, obj, r};
use serde_json::{Map, Value};

use super::caller::Caller;
use crate::error::{Error, REFUSED};
use crate::query::{Path, Permit, Readable};

/// What a caller may do with the documents of one table.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    anonymous: bool,
    readable: Readable,
    create: Permit,
    change: Permit,
    delete: Permit,
    /// What fields are set to; `None` if that is a claim that the caller hasn't got.
    set: Vec<(Path, Option<Value>)>,
}

/// A grant that is being put together.
pub(super) struct Draft {
    pub(super) read: Permit,
    pub(super) create: Permit,
    pub(super) change: Permit,
    pub(super) delete: Permit,
    hidden: Vec<Path>,
    set: Vec<(Path, Option<Value>)>,
}

impl Draft {
    /// Begins with nothing.
    pub(super) fn new() -> Self {
        let none = Permit::none;
        let (hidden, set) = (Vec::new(), Vec::new());
        Draft { read: none(), create: none(), change: none(), delete: none(), hidden, set }
    }

    /// Hides fields.
    pub(super) fn hide(&mut self, fields: &[Path]) {
        for field in fields {
            if !self.hidden.contains(field) {
                self.hidden.push(field.clone());
            }
        }
    }

    /// Has a field set whatever the client says. Without a value nothing can be written.
    pub(super) fn set(&mut self, field: &Path, value: Option<Value>) {
        self.set.retain(|(own, _)| own != field);
        self.set.push((field.clone(), value));
    }

    pub(super) fn finish(self, caller: &Caller) -> Grant {
        let Draft { read, create, change, delete, hidden, set } = self;
        let readable = Readable::new(read, hidden);
        Grant { anonymous: caller.is_anonymous(), readable, create, change, delete, set }
    }
}

impl Grant {
    /// Returns the grant of whoever may do everything.
    pub(crate) fn everything() -> Self {
        let all = || Permit::All;
        let set = Vec::new();
        Grant {
            anonymous: false,
            readable: Readable::all(),
            create: all(),
            change: all(),
            delete: all(),
            set,
        }
    }

    /// Returns whether nothing is checked, hidden or set.
    pub(crate) fn is_open(&self) -> bool {
        let all = [&self.create, &self.change, &self.delete];
        self.readable.is_all() && self.set.is_empty() && all.iter().all(|permit| permit.is_all())
    }

    /// Returns what may be read.
    pub(crate) fn readable(&self) -> &Readable {
        &self.readable
    }

    /// Checks that some documents may be read.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden);
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if somebody with a token might be allowed to.
    pub(crate) fn to_read(&self) -> Result<(), Error> {
        self.unless_none(self.readable.documents())
    }

    /// Checks that some documents may be created. The errors are those of [`Grant::to_read`].
    pub(crate) fn to_create(&self) -> Result<(), Error> {
        self.unless_none(&self.create)?;
        self.values().map(drop)
    }

    /// Checks that some documents may be changed. The errors are those of [`Grant::to_read`].
    pub(crate) fn to_change(&self) -> Result<(), Error> {
        self.to_read()?;
        self.unless_none(&self.change)?;
        self.values().map(drop)
    }

    /// Checks that some documents may be created or changed. The errors are those of [`Grant::to_read`].
    pub(crate) fn to_put(&self) -> Result<(), Error> {
        self.to_create().or_else(|_| self.to_change())
    }

    /// Checks that some documents may be deleted. The errors are those of [`Grant::to_read`].
    pub(crate) fn to_delete(&self) -> Result<(), Error> {
        self.to_read()?;
        self.unless_none(&self.delete)
    }

    fn unless_none(&self, permit: &Permit) -> Result<(), Error> {
        if permit.is_none() { Err(self.refusal()) } else { Ok(()) }
    }

    /// Returns what a client is told that may not do something.
    pub(crate) fn refusal(&self) -> Error {
        if self.anonymous { Error::no_token() } else { Error::forbidden() }
    }

    /// Completes a document that a client has sent: checks that it has no field that is hidden, and sets what
    /// is set.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) if it has one, or a claim is missing that a field
    /// is set to.
    pub(crate) fn complete(&self, document: &mut Map<String, Value>) -> Result<(), Error> {
        self.check_fields(document)?;
        for (field, value) in self.values()? {
            field.overwrite(document, value.clone());
        }
        Ok(())
    }

    /// Checks that what a client has sent, a document or a merge patch, touches no hidden field.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) if it does.
    pub(crate) fn check_fields(&self, sent: &Map<String, Value>) -> Result<(), Error> {
        match self.readable.hidden().iter().find(|field| field.is_touched_by(sent)) {
            Some(field) => Err(Error::hidden_field(field)),
            None => Ok(()),
        }
    }

    fn values(&self) -> Result<Vec<(&Path, &Value)>, Error> {
        let known = self.set.iter().map(|(field, value)| Some((field, value.as_ref()?)));
        known.collect::<Option<_>>().ok_or_else(|| self.refusal())
    }

    /// Returns whether every document may be created.
    pub(crate) fn creates_all(&self) -> bool {
        self.create.is_all()
    }

    /// Returns the condition on a new document; `None` if there is none.
    pub(crate) fn creatable(&self, document: &Term) -> Option<Term> {
        self.create.holds(document)
    }

    /// Returns what takes the place of a row, which may be null, if the caller makes `new` of what it sees of
    /// it: the row itself, another one, null; or an error if that isn't allowed.
    pub(crate) fn stored(&self, row: &Term, new: impl FnOnce(Term) -> Term) -> Term {
        if self.is_open() {
            return new(row.clone());
        }
        let refused = || r.error(REFUSED);
        let row = row.clone();
        self.readable.seen(&row).do_(|seen: Term| {
            new(seen.clone()).do_(|new: Term| {
                let deleted = guarded(self.delete.holds(&row), r.expr(()));
                let created =
                    self.with_set(&new).do_(|new: Term| guarded(self.create.holds(&new), new.clone()));
                r.branch(args![
                    // Not there, and not to be; or hidden, and as good as not there.
                    new.eq(()) & seen.eq(()),
                    row.clone(),
                    new.eq(()),
                    deleted,
                    row.eq(()),
                    created,
                    seen.eq(()),
                    refused(),
                    self.changed(&row, &new)
                ])
            })
        })
    }

    /// Returns what takes the place of a row that may be seen, if the caller makes `new` of it. What is
    /// hidden stays.
    fn changed(&self, row: &Term, new: &Term) -> Term {
        let hidden = self.readable.hidden();
        let kept = match hidden.is_empty() {
            true => new.clone(),
            false => self.readable.bare(new).merge(row.pluck(Path::tree(hidden))),
        };
        self.with_set(&kept).do_(|new: Term| {
            let may = self.change.holds_for_both(row, &new);
            guarded(may, new)
        })
    }

    /// Returns a document of the insert `new` if it may be created, and otherwise an error; `old` is what it
    /// finds under its id, and `merged` what becomes of that.
    pub(crate) fn resolved(&self, old: &Term, merged: impl FnOnce(&Term) -> Term) -> Term {
        self.readable.seen(old).do_(|seen: Term| {
            let changed = self.changed(old, &merged(&seen));
            r.branch(args![seen.eq(()), r.error(REFUSED), changed])
        })
    }

    fn with_set(&self, document: &Term) -> Term {
        let set = self.set.iter().filter_map(|(field, value)| Some((field, value.as_ref()?)));
        set.fold(document.clone(), |document, (field, value)| document.merge(field.nested(r.literal(value))))
    }

    /// Returns what a write tells, with the changes as the caller may see them.
    pub(crate) fn told(&self, written: Term) -> Term {
        if self.readable.is_all() {
            return written;
        }
        let seen = |change: Term| {
            obj! {
                "old_val": self.readable.seen(&change.g("old_val")),
                "new_val": self.readable.seen(&change.g("new_val")),
                "error": change.g("error").default(()),
            }
        };
        written.do_(|written: Term| {
            let changes = written.g("changes").default(Vec::<Value>::new()).map(seen);
            written.without("changes").merge(obj! { "changes": changes })
        })
    }

    /// Returns a text that is the same for grants that allow, hide and set the same.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

fn guarded(condition: Option<Term>, allowed: Term) -> Term {
    match condition {
        Some(condition) => r.branch(args![condition, allowed, r.error(REFUSED)]),
        None => allowed,
    }
}
