//! Which documents something may be done to, and which of their fields are there for whoever asks.

use reql::{Args, Term, args, r};

use super::document::is_document;
use super::filter::Filter;
use super::path::Path;
use crate::error::Error;

/// To which documents something may be done.
#[derive(Debug, Clone)]
pub(crate) enum Permit {
    All,
    /// Those that fulfil any of these.
    AnyOf(Vec<Filter>),
}

/// What may be read: which documents, and which of their fields not.
#[derive(Debug, Clone)]
pub(crate) struct Readable {
    documents: Permit,
    hidden: Vec<Path>,
}

impl Permit {
    /// Allows it for no document.
    pub(crate) fn none() -> Self {
        Permit::AnyOf(Vec::new())
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Permit::AnyOf(any) if any.is_empty())
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Permit::All)
    }

    /// Allows it for documents that fulfil a filter, too; for no others if there is none.
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

    /// Returns the condition on a change, before and after which the document must fulfil one and the same of
    /// the filters; `None` if there is none.
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

    /// The filter that every such document fulfils, if it is one that an index may be chosen by.
    fn filter(&self) -> Option<&Filter> {
        match self {
            Permit::AnyOf(any) => <&[Filter; 1]>::try_from(&any[..]).ok().map(|[filter]| filter),
            Permit::All => None,
        }
    }
}

impl Readable {
    /// Everything.
    pub(crate) fn all() -> Self {
        Readable::new(Permit::All, Vec::new())
    }

    pub(crate) fn new(documents: Permit, hidden: Vec<Path>) -> Self {
        Readable { documents, hidden }
    }

    /// Returns whether that is everything there is.
    pub(crate) fn is_all(&self) -> bool {
        self.documents.is_all() && self.hidden.is_empty()
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

    /// Returns the document without the fields that are hidden.
    pub(crate) fn bare(&self, document: &Term) -> Term {
        match self.hidden.is_empty() {
            true => document.clone(),
            false => document.without(Path::tree(&self.hidden)),
        }
    }

    /// Returns the row as whoever asks may see it: null if that is not at all.
    pub(crate) fn seen(&self, row: &Term) -> Term {
        if self.is_all() {
            return row.clone();
        }
        // What is no document has no fields that could allow it.
        let may = match self.documents.holds(row) {
            Some(holds) => is_document(row) & holds,
            None => row.type_of().eq("OBJECT"),
        };
        r.branch(args![may, self.bare(row), ()])
    }

    /// Checks that a request may name a field.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) if it or a part of it is hidden, or what it is a
    /// part of.
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
