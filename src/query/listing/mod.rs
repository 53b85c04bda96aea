//! Lists of documents: the parameters of the URL, and the queries for them.

mod expand;
mod fields;
mod live;
mod part;
mod row;
mod wish;

use reql::{Term, args, obj, r};

use super::document::is_document;
use super::filter::Filter;
use super::order::Order;
use super::page::{Page, PageLimits, is_after};
use super::parameters::{Parameters, bad};
use super::path::Path;
use super::permit::Readable;
use super::plan::{Index, Plan, Wanted, primary};
use crate::error::Error;
pub(crate) use expand::{Expansion, Relation, Told, USUAL, size};
pub(crate) use fields::Fields;
pub(crate) use live::Live;
pub(crate) use row::{Row, expanded};
pub(crate) use wish::Wish;

/// The most documents found by an index that are sorted in memory, if the list could be read in its order
/// without that index as well. If there are more, the filter matches so many documents that reading in order
/// fills a page soon.
const FEW: usize = 1000;

/// The limits and the permissions that apply to a list, and the table's primary key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: PageLimits,
    pub(crate) primary_key: &'a str,
    pub(crate) readable: &'a Readable,
}

/// A list of documents.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    filter: Filter,
    /// The documents and fields that the caller may read.
    readable: Readable,
    order: Order,
    page: Page,
    /// `true` if the request has a limit of its own.
    bounded: bool,
    fields: Fields,
    expansions: Vec<Expansion>,
    index: Option<String>,
    primary_key: String,
    /// `true` if the list leaves out rows that aren't documents, see [`Listing::guard`].
    guarded: bool,
}

impl Listing {
    pub(crate) fn parse(parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        Listing::parse_with(parameters, bounds, Page::take, |order, _| order)
    }

    /// Parses the parameters of a list that is read in pages. Its order is without what makes no difference.
    pub(crate) fn parse_paged(parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        Listing::parse_with(parameters, bounds, Page::take, Order::unless_fixed)
    }

    /// Parses the parameters of a streamed list, whose `limit` may exceed `limits.page_max`.
    pub(crate) fn parse_streamed(parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        Listing::parse_with(parameters, bounds, Page::take_any, Order::unless_fixed)
    }

    fn parse_with(
        mut parameters: Parameters,
        bounds: Bounds<'_>,
        page: impl FnOnce(&mut Parameters, PageLimits) -> Result<Page, Error>,
        shortened: impl FnOnce(Order, &Filter) -> Order,
    ) -> Result<Self, Error> {
        let bounded = parameters.has("limit");
        let page = page(&mut parameters, bounds.limits)?;
        let order = parameters.take("order")?;
        let fields = Fields::take(&mut parameters)?;
        let index = parameters.take("index")?;
        let filter = Listing::filter(parameters)?;
        let order = match (order, filter.near()) {
            (None, Some((field, near))) => Order::nearest(field, near, bounds.primary_key),
            (order, _) => Order::parse(order.as_deref(), bounds.primary_key)?,
        };
        let order = shortened(order, &filter);
        page.check(&order)?;
        let primary_key = bounds.primary_key.to_owned();
        let readable = bounds.readable.clone();
        readable.check(filter.fields())?;
        readable.check(order.keys().iter().map(|key| &key.field))?;
        let (expansions, guarded) = (Vec::new(), false);
        Ok(Listing {
            filter,
            readable,
            order,
            page,
            bounded,
            fields,
            expansions,
            index,
            primary_key,
            guarded,
        })
    }

    /// Has related documents told of, too.
    pub(crate) fn expanding(mut self, mut expansions: Vec<Expansion>) -> Result<Self, Error> {
        expand::check_size(self.filter.size(), &expansions)?;
        expand::split(&mut self.fields, &mut expansions)?;
        Ok(Listing { expansions, ..self })
    }

    /// Parses the parameters of a change of many documents: a filter only.
    pub(crate) fn filter(parameters: Parameters) -> Result<Filter, Error> {
        let mut filter = Filter::default();
        for (name, text) in parameters.rest() {
            if !filter.add_group(&name, &text)? {
                filter.add(&name, &text)?;
            }
        }
        Ok(filter)
    }

    /// Returns a query that fails if the filter is invalid for the database, see [`Filter::check`].
    pub(crate) fn check(&self) -> Option<Term> {
        expand::check(self.filter.check(), &self.expansions)
    }

    /// Adds a guard: the list leaves out rows that aren't documents, and returns the others as text. Returns
    /// `false` if there is a guard already.
    ///
    /// This service writes only documents that it can read. But another client of the database may have
    /// stored a row that is itself a time or a geometry, which has no fields, or a row that is nested too
    /// deeply to be parsed. Without a guard, either makes the list fail. Checking each row costs time, so a
    /// list is first read without the guard.
    pub(crate) fn guard(&mut self) -> bool {
        !std::mem::replace(&mut self.guarded, true)
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Returns whether the list accesses fields of rows. If not, it returns whole rows in the order of the
    /// primary key.
    pub(crate) fn looks_into_rows(&self) -> bool {
        let as_they_lie = self.filter.is_empty() && self.order.is_index(&self.primary_key);
        !as_they_lie || !self.readable.is_all() || self.page.place().is_some() || !self.tells_all()
    }

    /// Returns the most documents of the page.
    pub(crate) fn limit(&self) -> usize {
        self.page.limit
    }

    /// Returns the offset of the next page; `None` if this one begins at a cursor.
    pub(crate) fn next_offset(&self) -> Option<usize> {
        let is_counted = self.page.place().is_none();
        is_counted.then(|| self.page.offset().saturating_add(self.page.limit))
    }

    /// Returns the index that the request names.
    pub(crate) fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    /// Returns the plans for the list, the best one first. `indexes` are those of the table. If the request
    /// names an index, which the caller has to check, there is only the plan for it.
    pub(crate) fn plans(&self, indexes: &[Index]) -> Result<Vec<Plan>, Error> {
        let wanted = self.wanted();
        let Some(name) = &self.index else { return Ok(Plan::all(wanted, indexes)) };
        let primary = primary(wanted);
        let named = indexes.iter().chain([&primary]).find(|index| index.name == *name);
        let plan = named.and_then(|index| Plan::through(index, wanted)).ok_or_else(|| {
            bad(
                "index",
                "it answers neither the conditions nor the order, or it misses documents that do fulfil them",
            )
        });
        plan.map(|plan| vec![plan])
    }

    /// Returns the plan without an index.
    pub(crate) fn whole(&self) -> Plan {
        Plan::whole(self.wanted())
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            filter: &self.filter,
            rule: self.readable.filter(),
            order: &self.order,
            place: self.page.place(),
            primary_key: &self.primary_key,
        }
    }

    /// Returns a query for the [`Row`]s of the page, and for one more, which shows that there is a next page.
    pub(crate) fn page(&self, plan: &Plan, table: &Term) -> Term {
        let rows = self.part(plan, table, self.page.limit + 1);
        rows.map(|row: Term| {
            let place = self.order.place(&row);
            if self.guarded {
                return obj! { "place": place, "doc": text(self.told(&row)) };
            }
            // The database tells documents as they are stored faster than new ones.
            match expand::beside(&self.expansions, &row) {
                Some(beside) => obj! { "place": place, "doc": self.own(&row), "beside": beside },
                None => obj! { "place": place, "doc": self.own(&row) },
            }
        })
    }

    /// Returns a document as the answer has it: its selected fields, and its distance if the filter is `near`
    /// a point.
    fn told(&self, row: &Term) -> Term {
        expand::expanded(self.own(row), &self.expansions, row)
    }

    fn own(&self, row: &Term) -> Term {
        let fields = self.fields.of(&self.readable.bare(row));
        match self.filter.near() {
            Some((field, near)) => fields.merge(obj! { "distance": near.distance(&field.of(row)) }),
            None => fields,
        }
    }

    /// Returns whether the answer has documents as they are stored.
    fn tells_all(&self) -> bool {
        let are_bare = self.readable.hidden().is_empty();
        self.fields.are_all() && are_bare && self.filter.near().is_none() && self.expansions.is_empty()
    }

    /// Returns whether it is of all documents of the table.
    pub(crate) fn selects_all(&self) -> bool {
        self.filter.is_empty() && self.readable.are_all()
    }

    /// The field whose geometry is asked for by a condition.
    pub(crate) fn place(&self) -> Option<&Path> {
        self.filter.place()
    }

    /// Returns the fields in `select`, if there are any, and those of related documents.
    pub(crate) fn chosen(&self) -> Option<Vec<Path>> {
        let Fields::Only(paths) = &self.fields else { return None };
        Some(paths.iter().cloned().chain(self.expanded()).collect())
    }

    /// Returns the fields that related documents are told in.
    pub(crate) fn expanded(&self) -> impl Iterator<Item = Path> {
        self.expansions.iter().flat_map(Expansion::columns)
    }

    /// Returns a query for the names of at most `most` fields that documents of the whole result have and
    /// that the answer shows. `indexes` are those of the table.
    pub(crate) fn names(&self, indexes: &[Index], table: &Term, most: usize) -> Term {
        let names = self.selected(indexes, table).concat_map(|row: Term| self.own(&row).keys());
        names.distinct().limit(most)
    }

    /// Returns a query for the number of documents in the whole result. `indexes` are those of the table.
    pub(crate) fn count(&self, indexes: &[Index], table: &Term) -> Term {
        self.selected(indexes, table).count()
    }

    /// Returns a query for all documents that match the filter, unordered, with the best index.
    pub(super) fn selected(&self, indexes: &[Index], table: &Term) -> Term {
        let plans = Plan::all(Wanted { place: None, ..self.wanted() }, indexes);
        let found = match plans.iter().find(|plan| !plan.has_rest()) {
            Some(plan) => plan.found(table),
            None => table.clone(),
        };
        self.filtered(self.documents(found))
    }

    /// Returns a query for all rows after the cursor, in order, without the rest that isn't in the index.
    fn rows(&self, plan: &Plan, table: &Term) -> Term {
        let found = plan.ordered(table, &self.order);
        let rows = self.after(plan.reached(), self.filtered(self.documents(found)));
        if plan.is_sorted() {
            return rows;
        }
        let whole = self.whole();
        if !whole.is_sorted() || plan.finds_few() || self.index.is_some() {
            return self.order.sort(&rows);
        }
        collected(rows.limit(FEW + 1)).do_(|few: Term| {
            r.branch(args![few.count().le(FEW), self.order.sort(&few), self.rows(&whole, table)])
        })
    }

    /// Filters the rows after the cursor. No row lies before it in the first `reached` sort keys.
    fn after(&self, reached: usize, rows: Term) -> Term {
        match self.page.place() {
            None => rows,
            Some(place) => rows.filter(|row: Term| is_after(place, &self.order, reached, &row)).into(),
        }
    }

    /// Filters the rows that are documents if the list is guarded; else returns all rows.
    fn documents(&self, rows: Term) -> Term {
        if self.guarded { rows.filter(|row: Term| is_document(&row)).into() } else { rows }
    }

    /// Filters the rows that may be read and match the filter. The permission is checked first, so that the
    /// filter is never evaluated for a row that may not be read.
    fn filtered(&self, rows: Term) -> Term {
        let all = self.selects_all();
        let holds = |row: Term| self.condition(&row).unwrap_or_else(|| r.expr(true));
        if all { rows } else { rows.filter(holds).into() }
    }

    /// Returns whether a row may be read and is selected; `None` if all are.
    fn condition(&self, row: &Term) -> Option<Term> {
        let may = self.readable.holds(row);
        let is_wanted = (!self.filter.is_empty()).then(|| self.filter.holds(row));
        match (may, is_wanted) {
            (Some(may), Some(is_wanted)) => Some(may & is_wanted),
            (condition, None) | (None, condition) => condition,
        }
    }
}

/// Converts a document into text, which can be read however deeply the document is nested.
fn text(document: Term) -> Term {
    document.to_json_string()
}

/// Collects the rows of a sequence in an array.
fn collected(rows: Term) -> Term {
    rows.coerce_to("array")
}
