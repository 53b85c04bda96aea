//! The values of a field: `distinct=FIELD`, each once, in their order.

use reql::{Term, r};

use super::listing::{Bounds, Listing};
use super::parameters::{Parameters, bad};
use super::path::{Path, SORTABLE};
use super::plan::{Index, Kind};
use crate::error::Error;

/// Parameters of lists of documents that make no sense for values.
const OF_DOCUMENTS: [&str; 9] =
    ["order", "expand", "select", "omit", "offset", "cursor", "index", "group", "agg"];

/// The values of a field.
#[derive(Debug, Clone)]
pub(crate) struct Distinct {
    listing: Listing,
    field: Path,
}

impl Distinct {
    /// Returns whether parameters ask for values.
    pub(crate) fn is_asked_for(parameters: &Parameters) -> bool {
        parameters.has("distinct")
    }

    pub(crate) fn parse(mut parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        if let Some(name) = OF_DOCUMENTS.into_iter().find(|name| parameters.has(name)) {
            return Err(bad(name, "values have a `limit` only"));
        }
        let text = parameters.take("distinct")?.unwrap_or_default();
        let field = Path::parse_list(&text, "distinct", 1)?.into_iter().next();
        let field = field.ok_or_else(|| bad("distinct", "the name of a field is expected"))?;
        bounds.readable.check([&field])?;
        let listing = Listing::parse(parameters, bounds)?;
        Ok(Distinct { listing, field })
    }

    /// Returns a query that fails if the filter is invalid for the database, see [`Listing::check`].
    pub(crate) fn check(&self) -> Option<Term> {
        self.listing.check()
    }

    /// Adds a guard against rows that aren't documents, see [`Listing::guard`].
    pub(crate) fn guard(&mut self) -> bool {
        self.listing.guard()
    }

    /// Returns a query for the first values, if these are the table's indexes. Only an index over the field
    /// alone spares looking at all documents, and only if all of them count.
    pub(crate) fn query(&self, indexes: &[Index], table: &Term) -> Term {
        let is_ordered = |value: Term| r.expr(SORTABLE).contains(value.type_of());
        let limit = self.listing.limit();
        if let Some(index) = self.index(indexes) {
            return table.distinct().index(index).filter(is_ordered).limit(limit);
        }
        let rows = self.listing.selected(indexes, table).filter(|row: Term| self.field.is_in(&row));
        let values: Term = rows.map(|row: Term| self.field.of(&row)).filter(is_ordered).into();
        values.distinct().limit(limit)
    }

    /// Returns the name of an index whose values are those of the field.
    pub(crate) fn index<'a>(&self, indexes: &'a [Index]) -> Option<&'a str> {
        let is_over =
            |index: &&Index| index.kind == Kind::Plain && index.fields == std::slice::from_ref(&self.field);
        let all = self.listing.selects_all();
        indexes.iter().find(is_over).filter(|_| all).map(|index| index.name.as_str())
    }
}
