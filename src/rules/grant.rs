//! Grants: the permissions of a caller for one table, as conditions that are part of its queries.
//!
//! A document that isn't readable for a caller doesn't exist for it: it can't be changed or deleted, and a
//! write to it has the result of a write to a missing document. The conditions on a change are part of the
//! function that makes the new document out of the old one, which the database runs atomically.

use std::borrow::Cow;

use reql::{Term, args, obj, r};
use serde_json::{Map, Value};

use super::caller::Caller;
use crate::error::{Error, REFUSED};
use crate::query::{Expiry, Path, Permit, Readable};

/// The permissions of a caller for the documents of one table.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    anonymous: bool,
    readable: Readable,
    create: Permit,
    change: Permit,
    delete: Permit,
    /// The fields that are set, and their values; `None` for a claim that the caller doesn't have.
    set: Vec<(Path, Option<Value>)>,
}

/// A grant that is being built from rules.
pub(super) struct Draft {
    pub(super) read: Permit,
    pub(super) create: Permit,
    pub(super) change: Permit,
    pub(super) delete: Permit,
    hidden: Vec<Path>,
    set: Vec<(Path, Option<Value>)>,
}

impl Draft {
    /// Starts without any permission.
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

    /// Sets a field in all written documents. If the value is `None`, nothing can be written.
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
    /// Returns the grant that allows everything.
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

    /// Returns whether the grant allows everything, and hides and sets nothing.
    pub(crate) fn is_open(&self) -> bool {
        let all = [&self.create, &self.change, &self.delete];
        self.readable.is_all() && self.set.is_empty() && all.iter().all(|permit| permit.is_all())
    }

    /// Has documents gone once they expire.
    pub(crate) fn expiring(self, expiry: Option<Expiry>) -> Self {
        match expiry {
            Some(expiry) => Grant { readable: self.readable.expiring(expiry), ..self },
            None => self,
        }
    }

    /// Returns the readable documents and fields.
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

    /// Returns the error of an action that isn't allowed.
    pub(crate) fn refusal(&self) -> Error {
        if self.anonymous { Error::no_token() } else { Error::forbidden() }
    }

    /// Checks that a document from a client has no hidden field, and sets the fields that rules set.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) if it has a hidden field, or the claim for a
    /// field's value is missing.
    pub(crate) fn complete(&self, document: &mut Map<String, Value>) -> Result<(), Error> {
        self.check_fields(document)?;
        for (field, value) in self.values()? {
            field.overwrite(document, value.clone());
        }
        Ok(())
    }

    /// Sets the fields that rules set, as the database does when it stores the document.
    fn settle(&self, document: &mut Map<String, Value>) {
        for (field, value) in &self.set {
            if let Some(value) = value {
                field.overwrite(document, value.clone());
            }
        }
    }

    /// Returns whether documents have fields that the caller doesn't see.
    pub(crate) fn hides(&self) -> bool {
        !self.readable.hidden().is_empty()
    }

    /// Returns the document that is stored if the caller makes `new` out of a row with these hidden fields,
    /// as [`Grant::made`] has the database make it. Without them, it is the part that the caller decides on.
    pub(crate) fn whole<'a>(&self, new: &'a Value, hidden: Option<Map<String, Value>>) -> Cow<'a, Value> {
        let (Value::Object(fields), true) = (new, self.hides() || !self.set.is_empty()) else {
            return Cow::Borrowed(new);
        };
        let (mut whole, mut bare) = (hidden.unwrap_or_default(), fields.clone());
        self.readable.strip(&mut bare);
        merge(&mut whole, bare);
        self.settle(&mut whole);
        Cow::Owned(Value::Object(whole))
    }

    /// Checks that a document or a merge patch from a client has no hidden field.
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

    /// Returns the replacement of a row, if the caller makes `new` out of the visible part of it. The row may
    /// be null, and so may the replacement. It is an error if the change isn't allowed.
    pub(crate) fn stored(&self, row: &Term, new: impl FnOnce(Term) -> Term) -> Term {
        if self.is_open() {
            return new(row.clone());
        }
        self.readable.of_living(row, |living| self.stored_for(row, living, new))
    }

    fn stored_for(&self, kept: &Term, row: Term, new: impl FnOnce(Term) -> Term) -> Term {
        let refused = || r.error(REFUSED);
        self.readable.seen(&row).do_(|seen: Term| {
            new(seen.clone()).do_(|new: Term| {
                let deleted = guarded(self.delete.holds(&row), r.expr(()));
                let created =
                    self.with_set(&new).do_(|new: Term| guarded(self.create.holds(&new), new.clone()));
                r.branch(args![
                    // The row is missing, or hidden and so treated as missing; and the result is no row
                    // either.
                    new.eq(()) & seen.eq(()),
                    kept,
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

    /// Returns the replacement of a visible row, if the caller makes `new` out of it, or an error if it may
    /// not.
    fn changed(&self, row: &Term, new: &Term) -> Term {
        self.made(row, new).do_(|new: Term| guarded(self.may_change(row, &new), new))
    }

    /// Returns the document that is stored if the caller makes `new` out of the visible part of a row. Hidden
    /// fields keep their values, and the fields that rules set are set.
    pub(crate) fn made(&self, row: &Term, new: &Term) -> Term {
        match self.readable.hidden().is_empty() {
            true => self.with_set(new),
            false => self.with_set(&self.readable.hidden_of(row).merge(self.readable.bare(new))),
        }
    }

    /// Returns whether a visible row may become another document; `None` if it may become any.
    pub(crate) fn may_change(&self, row: &Term, new: &Term) -> Option<Term> {
        // A client doesn't see that its value would replace what is hidden as a whole.
        let conditions = [self.change.holds_for_both(row, new), self.readable.keeps_ways(row, new)];
        conditions.into_iter().flatten().reduce(|all, one| all & one)
    }

    /// Returns whether a visible row may be deleted; `None` if every one may.
    pub(crate) fn may_delete(&self, row: &Term) -> Option<Term> {
        self.delete.holds(row)
    }

    /// Returns the result of a conflict in an insert of `new`: `merged` of the existing document `old`, `new`
    /// if that one has expired, or an error if the change isn't allowed.
    pub(crate) fn resolved(&self, old: &Term, new: &Term, merged: impl FnOnce(&Term) -> Term) -> Term {
        self.readable.of_living(old, |old| {
            let resolved = self.readable.seen(&old).do_(|seen: Term| {
                let changed = self.changed(&old, &merged(&seen));
                r.branch(args![seen.eq(()), r.error(REFUSED), changed])
            });
            r.branch(args![old.eq(()), new, resolved])
        })
    }

    /// Returns whether documents expire.
    pub(crate) fn expires(&self) -> bool {
        self.readable.expires()
    }

    fn with_set(&self, document: &Term) -> Term {
        let set = self.set.iter().filter_map(|(field, value)| Some((field, value.as_ref()?)));
        set.fold(document.clone(), |document, (field, value)| document.merge(field.nested(r.literal(value))))
    }

    /// Returns the result of a write, with only the visible part of its changes.
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

    /// Returns a text that is equal for grants that allow, hide and set the same.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// Merges an object into another one, as the database does. It is recursive, as deep as documents are.
fn merge(into: &mut Map<String, Value>, other: Map<String, Value>) {
    for (name, value) in other {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

fn guarded(condition: Option<Term>, allowed: Term) -> Term {
    match condition {
        Some(condition) => r.branch(args![condition, allowed, r.error(REFUSED)]),
        None => allowed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_client_says_of_hidden_fields_is_not_stored() {
        let mut draft = Draft::new();
        draft.hide(&Path::parse_list("private.email,tags.by,at.zone,gone.x,n", "hide", 9).unwrap());
        draft.set(&Path::whole("owner"), Some(json!("ann")));
        let grant = draft.finish(&Caller::anonymous());
        let time = json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"});
        let claimed = json!({"id": 1, "private": {"email": "b", "c": 2}, "tags": ["b"], "at": time,
            "gone": null, "n": 2, "owner": "bob"});
        let hidden = json!({"private": {"email": "a"}, "tags": ["a"], "n": 1});
        let whole = grant.whole(&claimed, hidden.as_object().cloned());
        let stored = json!({"id": 1, "private": {"email": "a", "c": 2}, "tags": ["a"], "gone": null, "n": 1,
            "owner": "ann"});
        assert_eq!(*whole, stored);
        let own = json!({"id": 1, "private": {"c": 2}, "gone": null, "owner": "ann"});
        assert_eq!(*grant.whole(&claimed, None), own);
    }
}
