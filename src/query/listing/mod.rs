//! A list of documents: all that a URL says about it, and the queries that answer it.

mod live;

use reql::{Bound, Term, args, obj, r};
use serde::Deserialize;
use serde_json::Value;

use super::document::is_document;
use super::filter::Filter;
use super::order::Order;
use super::page::{Page, PageLimits, is_after};
use super::parameters::{Parameters, bad};
use super::path::{IN_LIST, Path};
use super::permit::Readable;
use super::plan::{Index, Plan, Wanted, by_index, primary};
use super::syntax::Reader;
use crate::error::Error;
pub(crate) use live::{Live, initial};

/// The number of documents that an index may find for them to be sorted in memory, where the list could also
/// be read in its order without that index. More of them say that the filter lets so many pass that a page is
/// soon full.
const FEW: usize = 1000;

/// The most fields that a request may choose.
const CHOSEN: usize = 100;

/// What bounds a list: in number, and by what whoever asks may read. And the table's primary key.
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
    /// What there is for whoever asks.
    readable: Readable,
    order: Order,
    page: Page,
    /// `true` if the request itself bounds the list.
    bounded: bool,
    fields: Fields,
    index: Option<String>,
    primary_key: String,
    /// `true` if the list leaves out rows that are no documents, see [`Listing::guard`].
    guarded: bool,
}

/// The fields of each document that an answer holds.
#[derive(Debug, Clone)]
pub(crate) enum Fields {
    All,
    Only(Vec<Path>),
    Without(Vec<Path>),
}

/// A row of a page: the document, and its place in the order for the next page's cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// The document; as text from a list that is guarded.
    pub(crate) doc: Value,
    pub(crate) place: Value,
}

impl Listing {
    pub(crate) fn parse(parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        Listing::parse_with(parameters, bounds, Page::take)
    }

    /// The same for a list that is streamed, of which a request may ask for any part.
    pub(crate) fn parse_streamed(parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        Listing::parse_with(parameters, bounds, Page::take_any)
    }

    fn parse_with(
        mut parameters: Parameters,
        bounds: Bounds<'_>,
        page: impl FnOnce(&mut Parameters, PageLimits) -> Result<Page, Error>,
    ) -> Result<Self, Error> {
        let bounded = parameters.has("limit") || parameters.has("offset") || parameters.has("cursor");
        let page = page(&mut parameters, bounds.limits)?;
        let order = parameters.take("order")?;
        let fields = Fields::take(&mut parameters)?;
        let index = parameters.take("index")?;
        let filter = Listing::filter(parameters)?;
        let order = match (order, filter.near()) {
            (None, Some((field, near))) => Order::nearest(field, near, bounds.primary_key),
            (order, _) => Order::parse(order.as_deref(), bounds.primary_key)?,
        };
        page.check(&order)?;
        let primary_key = bounds.primary_key.to_owned();
        let readable = bounds.readable.clone();
        readable.check(filter.fields())?;
        readable.check(order.keys().iter().map(|key| &key.field))?;
        Ok(Listing { filter, readable, order, page, bounded, fields, index, primary_key, guarded: false })
    }

    /// Returns what a change of many documents is about: a filter alone.
    pub(crate) fn filter(parameters: Parameters) -> Result<Filter, Error> {
        let mut filter = Filter::default();
        for (name, text) in parameters.rest() {
            if !filter.add_group(&name, &text)? {
                filter.add(&name, &text)?;
            }
        }
        Ok(filter)
    }

    /// A query that fails if the filter can make no sense to the database.
    pub(crate) fn check(&self) -> Option<Term> {
        self.filter.check()
    }

    /// Makes the list leave out rows that are no documents, and return the others as text.
    ///
    /// This service writes only documents that can be read. But another client of the database may have
    /// stored a row that is itself a time or a geometry, which has no fields that could be asked for, or a
    /// row that is nested too deeply to be read in an answer. With either, the list would fail for everybody.
    /// Looking at each row costs time, so a list is first read without the guard. Returns `false` if there is
    /// one already.
    pub(crate) fn guard(&mut self) -> bool {
        !std::mem::replace(&mut self.guarded, true)
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Returns whether the list looks into rows. If not, it returns them as they are, in the order of the
    /// primary key.
    pub(crate) fn looks_into_rows(&self) -> bool {
        let as_they_lie = self.filter.is_empty() && self.order.is_index(&self.primary_key);
        !as_they_lie || !self.readable.is_all() || self.page.place().is_some() || !self.fields.are_all()
    }

    /// Returns how many documents the page holds at most.
    pub(crate) fn limit(&self) -> usize {
        self.page.limit
    }

    /// The offset of the next page; `None` if this one isn't counted to but begins at a place.
    pub(crate) fn next_offset(&self) -> Option<usize> {
        let is_counted = self.page.place().is_none();
        is_counted.then(|| self.page.offset().saturating_add(self.page.limit))
    }

    /// The index that the request names.
    pub(crate) fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    /// The ways to answer it, the best one first, if these are the table's indexes. If the request names one,
    /// it is the only way; whether there is one of that name is for the caller to know.
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

    /// The way that needs no index.
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

    /// A query for [`Row`]s: those of the page, and one more if there is one.
    pub(crate) fn page(&self, plan: &Plan, table: &Term) -> Term {
        let rows = self.part(plan, table, self.page.limit + 1);
        let document = |row: &Term| if self.guarded { text(self.told(row)) } else { self.told(row) };
        rows.map(|row: Term| obj! { "place": self.order.place(&row), "doc": document(&row) })
    }

    /// Queries for the documents of the whole result, or of the part that the request asks for, one after
    /// another.
    pub(crate) fn stream(&self, plan: &Plan, table: &Term) -> Vec<Term> {
        let parts = match self.bounded {
            true => vec![self.part(plan, table, self.page.limit)],
            false => {
                let rest = plan.has_rest().then(|| self.rest(table));
                [self.rows(plan, table)].into_iter().chain(rest).collect()
            }
        };
        let texts = |rows: Term| rows.map(|row: Term| text(self.told(&row)));
        parts.into_iter().map(texts).collect()
    }

    /// Returns what is told of a document: its fields that were chosen, and how far away it is if it had to
    /// be near a point.
    fn told(&self, row: &Term) -> Term {
        let fields = self.fields.of(&self.readable.bare(row));
        match self.filter.near() {
            Some((field, near)) => fields.merge(obj! { "distance": near.distance(&field.of(row)) }),
            None => fields,
        }
    }

    /// Returns whether documents are told as they are stored.
    fn tells_all(&self) -> bool {
        let are_bare = self.readable.hidden().is_empty();
        self.fields.are_all() && are_bare && self.filter.near().is_none()
    }

    /// The fields of the documents that are told, if the request names them.
    pub(crate) fn chosen(&self) -> Option<&[Path]> {
        match &self.fields {
            Fields::Only(paths) => Some(paths),
            _ => None,
        }
    }

    /// A query for the names of all fields that documents of the whole result have, and that are told, if
    /// these are the table's indexes; so many at most.
    pub(crate) fn names(&self, indexes: &[Index], table: &Term, most: usize) -> Term {
        let names = self.selected(indexes, table).concat_map(|row: Term| self.told(&row).keys());
        names.distinct().limit(most)
    }

    /// A query for the number of documents in the whole result, if these are the table's indexes.
    pub(crate) fn count(&self, indexes: &[Index], table: &Term) -> Term {
        self.selected(indexes, table).count()
    }

    /// All documents that the filter selects, in no order, by the index that finds them best.
    pub(super) fn selected(&self, indexes: &[Index], table: &Term) -> Term {
        let plans = Plan::all(Wanted { place: None, ..self.wanted() }, indexes);
        let found = match plans.iter().find(|plan| !plan.has_rest()) {
            Some(plan) => plan.found(table),
            None => table.clone(),
        };
        self.filtered(self.documents(found))
    }

    /// So many rows from where the page begins.
    fn part(&self, plan: &Plan, table: &Term, count: usize) -> Term {
        let offset = self.page.offset();
        let skipped = |rows: Term| if offset == 0 { rows } else { rows.skip(offset) };
        if !plan.has_rest() {
            return skipped(self.rows(plan, table)).limit(count);
        }
        // The rest is looked for only if the index has too few: finding it means to read the whole table.
        let needed = offset.saturating_add(count);
        if self.page.place().and_then(<[Value]>::first).is_some_and(Value::is_null) {
            return self.rest(table).limit(count);
        }
        let first = collected(self.rows(plan, table).limit(needed));
        skipped(first.do_(|first: Term| {
            let more = collected(self.rest(table).limit(r.expr(needed) - first.count()));
            r.branch(args![first.count().eq(needed), &first, first.add(more)])
        }))
    }

    /// All rows that follow the place of the cursor, in their order; without the rest that the index doesn't
    /// hold.
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

    /// The rows without a value in the first field of the order.
    fn rest(&self, table: &Term) -> Term {
        let keys = self.order.keys();
        let tail = self.order.tail();
        let by_primary_key = tail.is_index(&self.primary_key);
        let place = self.page.place().filter(|place| place.first().is_some_and(Value::is_null));
        let mut rows = table.clone();
        if by_primary_key {
            if let Some(last) = place.and_then(<[Value]>::last) {
                rows = match tail.falls() {
                    false => rows.between(last, r.maxval()).left_bound(Bound::Open).into(),
                    true => rows.between(r.minval(), last).into(),
                };
            }
            rows = rows.order_by(by_index(&self.primary_key, tail.falls())).into();
        }
        let absent = |row: Term| match keys.first() {
            Some(key) => key.value(&row).eq(()),
            None => r.expr(false),
        };
        let rows = self.filtered(self.documents(rows).filter(absent).into());
        let rows = if place.is_some() { self.after(0, rows) } else { rows };
        if by_primary_key { rows } else { tail.sort(&rows) }
    }

    /// Those of the rows that follow the place of the cursor; in so many keys none lies before it.
    fn after(&self, reached: usize, rows: Term) -> Term {
        match self.page.place() {
            None => rows,
            Some(place) => rows.filter(|row: Term| is_after(place, &self.order, reached, &row)).into(),
        }
    }

    /// The rows that are documents if the list is guarded, else all rows.
    fn documents(&self, rows: Term) -> Term {
        if self.guarded { rows.filter(|row: Term| is_document(&row)).into() } else { rows }
    }

    /// The rows that may be read and that the filter selects. What may not be read isn't looked into further.
    fn filtered(&self, rows: Term) -> Term {
        let holds = |row: Term| {
            let may = self.readable.documents().holds(&row);
            let is_wanted = (!self.filter.is_empty()).then(|| self.filter.holds(&row));
            match (may, is_wanted) {
                (Some(may), Some(is_wanted)) => may & is_wanted,
                (condition, None) | (None, condition) => condition.unwrap_or_else(|| r.expr(true)),
            }
        };
        let all = self.filter.is_empty() && self.readable.documents().is_all();
        if all { rows } else { rows.filter(holds).into() }
    }
}

/// A document as text. An answer that holds text can be read however deeply the documents are nested.
fn text(document: Term) -> Term {
    document.to_json_string()
}

/// The rows of a sequence as an array.
fn collected(rows: Term) -> Term {
    rows.coerce_to("array")
}

impl Fields {
    /// Takes `select` or `omit`.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Self, Error> {
        match (parameters.take("select")?, parameters.take("omit")?) {
            (Some(_), Some(_)) => Err(bad("omit", "it can't be combined with `select`")),
            (Some(select), None) => Fields::selected(&select),
            (None, Some(omit)) => Path::parse_list(&omit, "omit", CHOSEN).map(Fields::Without),
            (None, None) => Ok(Fields::All),
        }
    }

    /// The fields of `select`, where `*` means all.
    fn selected(text: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(text, "select");
        let fields = reader.separated(CHOSEN, |reader| {
            let start = reader.at();
            let names = reader.names(IN_LIST)?;
            Path::check_listed(&names, reader, start)?;
            let all = matches!(&names[..], [name] if name.is_word("*"));
            Ok((!all).then(|| Path::from(names)))
        })?;
        reader.finish()?;
        Ok(fields.into_iter().collect::<Option<_>>().map_or(Fields::All, Fields::Only))
    }

    /// Returns whether documents are returned with all their fields.
    pub(crate) fn are_all(&self) -> bool {
        matches!(self, Fields::All)
    }

    pub(crate) fn of(&self, row: &Term) -> Term {
        match self {
            Fields::All => row.clone(),
            Fields::Only(paths) => row.pluck(Path::tree(paths)),
            Fields::Without(paths) => row.without(Path::tree(paths)),
        }
    }
}
