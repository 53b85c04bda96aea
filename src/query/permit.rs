//! Permits: the documents that an action is allowed on, and the fields that are visible.

use reql::{Args, Term, args, r};
use serde_json::{Map, Value};

use super::document::is_document;
use super::expiry::Expiry;
use super::filter::Filter;
use super::path::Path;
use crate::error::Error;

/// The documents that an action is allowed on.
#[derive(Debug, Clone)]
pub(crate) enum Permit {
    All,
    /// The documents that match any of these filters.
    AnyOf(Vec<Filter>),
}

/// The documents that may be read, and their hidden fields.
#[derive(Debug, Clone)]
pub(crate) struct Readable {
    documents: Permit,
    hidden: Vec<Path>,
    /// The expiry of documents; expired ones can't be read.
    expiry: Option<Expiry>,
}

impl Permit {
    /// Allows the action on no document.
    pub(crate) fn none() -> Self {
        Permit::AnyOf(Vec::new())
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Permit::AnyOf(any) if any.is_empty())
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Permit::All)
    }

    /// Allows the action on documents that match a filter, too. `None` adds nothing.
    pub(crate) fn add(&mut self, filter: Option<Filter>) {
        if let (Permit::AnyOf(any), Some(filter)) = (self, filter) {
            any.push(filter);
        }
    }

    /// Returns the condition on a document; `None` if there is none.
    pub(crate) fn holds(&self, document: &Term) -> Option<Term> {
        match self {
            Permit::All => None,
            Permit::AnyOf(any) => Some(match &any[..] {
                [filter] => filter.holds(document),
                any => r.or(Args::from_iter(any.iter().map(|filter| filter.holds(document)))),
            }),
        }
    }

    /// Returns the condition on a change; `None` if there is none. One filter must match the document both
    /// before and after the change.
    pub(crate) fn holds_for_both(&self, before: &Term, after: &Term) -> Option<Term> {
        let both = |filter: &Filter| filter.holds(before) & filter.holds(after);
        match self {
            Permit::All => None,
            Permit::AnyOf(any) => Some(match &any[..] {
                [filter] => both(filter),
                any => r.or(Args::from_iter(any.iter().map(both))),
            }),
        }
    }

    /// Returns the filter that all these documents match, if there is a single one, for the choice of an
    /// index.
    fn filter(&self) -> Option<&Filter> {
        match self {
            Permit::AnyOf(any) => <&[Filter; 1]>::try_from(&any[..]).ok().map(|[filter]| filter),
            Permit::All => None,
        }
    }
}

impl Readable {
    /// Returns the permit to read everything.
    pub(crate) fn all() -> Self {
        Readable::new(Permit::All, Vec::new())
    }

    pub(crate) fn new(documents: Permit, hidden: Vec<Path>) -> Self {
        Readable { documents, hidden, expiry: None }
    }

    /// Has documents gone once they expire.
    pub(crate) fn expiring(self, expiry: Expiry) -> Self {
        Readable { expiry: Some(expiry), ..self }
    }

    /// Returns whether everything may be read.
    pub(crate) fn is_all(&self) -> bool {
        self.are_all() && self.hidden.is_empty()
    }

    /// Returns whether all documents are there, if not with all their fields.
    pub(crate) fn are_all(&self) -> bool {
        self.documents.is_all() && self.expiry.is_none()
    }

    /// Returns the condition on a document that it be there for whoever asks; `None` if there is none.
    pub(crate) fn holds(&self, document: &Term) -> Option<Term> {
        let is_alive = self.expiry.as_ref().map(|expiry| !expiry.has_come(document));
        match (is_alive, self.documents.holds(document)) {
            (Some(is_alive), Some(may)) => Some(is_alive & may),
            (condition, None) | (None, condition) => condition,
        }
    }

    pub(crate) fn expires(&self) -> bool {
        self.expiry.is_some()
    }

    /// Returns what becomes of a row that may have expired, and then is null to whatever makes that of it.
    pub(crate) fn of_living(&self, row: &Term, made: impl FnOnce(Term) -> Term) -> Term {
        match &self.expiry {
            None => made(row.clone()),
            Some(expiry) => {
                let is_gone = is_document(row) & expiry.has_come(row);
                r.branch(args![is_gone, (), row]).do_(made)
            }
        }
    }

    pub(crate) fn documents(&self) -> &Permit {
        &self.documents
    }

    pub(crate) fn hidden(&self) -> &[Path] {
        &self.hidden
    }

    pub(super) fn filter(&self) -> Option<&Filter> {
        self.documents.filter()
    }

    /// Returns the document without hidden fields. An array on the way to one is hidden as a whole, and so is
    /// any other value there that has no fields.
    pub(crate) fn bare(&self, document: &Term) -> Term {
        match &self.hidden[..] {
            [] => document.clone(),
            hidden if hidden.iter().any(Path::is_nested) => {
                document.do_(|document: Term| document.without(Path::tree_in(hidden, &document)))
            }
            hidden => document.without(Path::tree(hidden)),
        }
    }

    /// Takes the hidden fields out of a document, as [`Readable::bare`] has the database do it.
    pub(crate) fn strip(&self, document: &mut Map<String, Value>) {
        self.hidden.iter().for_each(|field| field.remove(document));
    }

    /// Returns the part of a document that [`Readable::bare`] leaves out.
    pub(crate) fn hidden_of(&self, document: &Term) -> Term {
        document.pluck(Path::tree_in(&self.hidden, document))
    }

    /// Returns whether no value that is hidden as a whole, on the way to a hidden field, has another one in a
    /// changed document; `None` if there can't be any.
    pub(crate) fn keeps_ways(&self, before: &Term, after: &Term) -> Option<Term> {
        let mut ways: Vec<Path> = Vec::new();
        for way in self.hidden.iter().flat_map(Path::ways) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        let kept = |way: &Path| !way.is_dead_end(before) | way.or_null(after).eq(way.of(before));
        (!ways.is_empty()).then(|| r.and(Args::from_iter(ways.iter().map(kept))))
    }

    /// Returns the visible part of a row; null if it may not be read.
    pub(crate) fn seen(&self, row: &Term) -> Term {
        if self.is_all() {
            return row.clone();
        }
        // A row that isn't a document has no fields, so no filter can allow it.
        let may = match self.holds(row) {
            Some(holds) => is_document(row) & holds,
            None => row.type_of().eq("OBJECT"),
        };
        r.branch(args![may, self.bare(row), ()])
    }

    /// Returns the visible part of a row that is read by its key, or null, by a term as short as the rule
    /// lets it be, since such reads are many. It may fail for a row that is no document.
    pub(crate) fn seen_briefly(&self, row: &Term) -> Term {
        let brief = match &self.documents {
            Permit::AnyOf(any) if !any.is_empty() && self.expiry.is_none() => {
                any.iter().map(|filter| filter.holds_briefly(row)).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        match brief.as_deref() {
            Some([holds]) => r.branch(args![holds, self.bare(row), ()]),
            Some(any) => r.branch(args![r.or(Args::from_iter(any)), self.bare(row), ()]),
            None => self.seen(row),
        }
    }

    /// Checks that a request may name a field.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) if it, a part of it, or an object that contains it
    /// is hidden.
    pub(crate) fn check<'a>(&self, fields: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
        match fields.into_iter().find(|field| self.hides(field)) {
            Some(field) => Err(Error::hidden_field(field)),
            None => Ok(()),
        }
    }

    fn hides(&self, field: &Path) -> bool {
        self.hidden.iter().any(|hidden| hidden.begins(field) || field.begins(hidden))
    }
}
