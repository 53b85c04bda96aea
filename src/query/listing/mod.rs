//! A list of documents: all that a URL says about it, and the queries that answer it.

mod live;

use ql2::term::TermType;
use reql::Command;
use serde::Deserialize;
use serde_json::Value;

use super::filter::Filter;
use super::order::Order;
use super::page::{Page, is_after};
use super::parameters::{Parameters, bad};
use super::path::{IN_LIST, Path};
use super::plan::{Index, Plan, Wanted, primary};
use super::syntax::Reader;
use super::term::{
    Node, Options, Term, between, bind, branch, collected, datum, eq, func, limit, null, object,
    order_by_index, term,
};
use crate::error::Error;
use crate::settings::Limits;
pub(crate) use live::{Live, initial};

/// How many documents an index may find for them to be sorted in memory, where the list could also be read in
/// its order without that index. More of them say that the filter lets so many pass that a page is soon full.
const FEW: usize = 1000;

/// The most fields that a request may choose.
const CHOSEN: usize = 100;

/// What bounds a list, and the table's primary key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) primary_key: &'a str,
}

/// A list of documents.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    filter: Filter,
    order: Order,
    page: Page,
    /// Whether the request itself bounds the list.
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
        page: impl FnOnce(&mut Parameters, &Limits) -> Result<Page, Error>,
    ) -> Result<Self, Error> {
        let bounded = parameters.has("limit") || parameters.has("offset") || parameters.has("cursor");
        let page = page(&mut parameters, bounds.limits)?;
        let order = Order::parse(parameters.take("order")?.as_deref(), bounds.primary_key)?;
        page.check(&order)?;
        let fields = Fields::take(&mut parameters)?;
        let index = parameters.take("index")?;
        let filter = Listing::filter(parameters)?;
        let primary_key = bounds.primary_key.to_owned();
        Ok(Listing { filter, order, page, bounded, fields, index, primary_key, guarded: false })
    }

    /// What a change of many documents is about: a filter alone.
    pub(crate) fn filter(mut parameters: Parameters) -> Result<Filter, Error> {
        let mut filter = Filter::default();
        for alternatives in parameters.take_all("or") {
            filter.add_or(&alternatives)?;
        }
        for (name, text) in parameters.rest() {
            filter.add(&name, &text)?;
        }
        Ok(filter)
    }

    /// A query that fails if the filter can make no sense to the database.
    pub(crate) fn check(&self) -> Option<Command> {
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
        !as_they_lie || self.page.place().is_some() || !self.fields.are_all()
    }

    /// How many documents the page holds at most.
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
            order: &self.order,
            place: self.page.place(),
            primary_key: &self.primary_key,
        }
    }

    /// A query for [`Row`]s: those of the page, and one more if there is one.
    pub(crate) fn page(&self, plan: &Plan, table: &Term) -> Term {
        let rows = self.part(plan, table, self.page.limit + 1);
        let document = |row| if self.guarded { text(self.fields.of(row)) } else { self.fields.of(row) };
        let row = |row: Term| object([("place", self.order.place(&row)), ("doc", document(row))]);
        term(TermType::Map, [rows, func(row)])
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
        let texts = |rows| term(TermType::Map, [rows, func(|row| text(self.fields.of(row)))]);
        parts.into_iter().map(texts).collect()
    }

    /// A query for the number of documents in the whole result, if these are the table's indexes.
    pub(crate) fn count(&self, indexes: &[Index], table: Term) -> Term {
        term(TermType::Count, [self.selected(indexes, table)])
    }

    /// All documents that the filter selects, in no order, by the index that finds them best.
    pub(super) fn selected(&self, indexes: &[Index], table: Term) -> Term {
        let plans = Plan::all(Wanted { place: None, ..self.wanted() }, indexes);
        let found = match plans.iter().find(|plan| !plan.has_rest()) {
            Some(plan) => plan.found(table),
            None => table,
        };
        self.filtered(self.documents(found))
    }

    /// So many rows from where the page begins.
    fn part(&self, plan: &Plan, table: &Term, count: usize) -> Term {
        let offset = self.page.offset();
        let skipped = |rows| match offset {
            0 => rows,
            offset => term(TermType::Skip, [rows, datum(offset)]),
        };
        if !plan.has_rest() {
            return limit(skipped(self.rows(plan, table)), count);
        }
        // The rest is looked for only if the index has too few: finding it means to read the whole table.
        let needed = offset.saturating_add(count);
        let rest = || self.rest(table);
        if self.page.place().and_then(<[Value]>::first).is_some_and(Value::is_null) {
            return limit(rest(), count);
        }
        let first = collected(limit(self.rows(plan, table), needed));
        skipped(bind(first, |first| {
            let found = || term(TermType::Count, [first.clone()]);
            let missing = term(TermType::Sub, [datum(needed), found()]);
            let more = collected(term(TermType::Limit, [rest(), missing]));
            let enough = eq(found(), datum(needed));
            branch(enough, first.clone(), term(TermType::Add, [first, more]))
        }))
    }

    /// All rows that follow the place of the cursor, in their order; without the rest that the index doesn't
    /// hold.
    fn rows(&self, plan: &Plan, table: &Term) -> Term {
        let rows = self
            .after(plan.reached(), self.filtered(self.documents(plan.ordered(table.clone(), &self.order))));
        if plan.is_sorted() {
            return rows;
        }
        let whole = self.whole();
        if !whole.is_sorted() || plan.finds_few() || self.index.is_some() {
            return self.order.sort(rows);
        }
        bind(collected(limit(rows, FEW + 1)), |few| {
            let enough = term(TermType::Le, [term(TermType::Count, [few.clone()]), datum(FEW)]);
            branch(enough, self.order.sort(few), self.rows(&whole, table))
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
                let end = Term::call(TermType::Maxval, Vec::new(), Options::default());
                let options = Options { left_open: true, ..Options::default() };
                rows = between(rows, datum(last), end, options);
            }
            rows = order_by_index(rows, &self.primary_key);
        }
        let absent = func(|row| match keys.first() {
            Some(key) => eq(key.value(&row), null()),
            None => datum(false),
        });
        let rows = self.filtered(term(TermType::Filter, [self.documents(rows), absent]));
        let rows = if place.is_some() { self.after(0, rows) } else { rows };
        if by_primary_key { rows } else { tail.sort(rows) }
    }

    /// Those of the rows that follow the place of the cursor; in so many keys none lies before it.
    fn after<T: Node>(&self, reached: usize, rows: T) -> T {
        match self.page.place() {
            None => rows,
            Some(place) => {
                term(TermType::Filter, [rows, func(|row| is_after(place, &self.order, reached, &row))])
            }
        }
    }

    /// The rows that are documents if the list is guarded, else all rows.
    fn documents<T: Node>(&self, rows: T) -> T {
        if !self.guarded {
            return rows;
        }
        term(TermType::Filter, [rows, func(|row| is_document(&row))])
    }

    fn filtered<T: Node>(&self, rows: T) -> T {
        if self.filter.is_empty() {
            return rows;
        }
        term(TermType::Filter, [rows, func(|row| self.filter.holds(&row))])
    }
}

/// Returns a term for whether a row is a document. A value of one of ReQL's own types is none: it has no
/// fields.
pub(crate) fn is_document<T: Node>(row: &T) -> T {
    eq(term(TermType::TypeOf, [row.clone()]), datum("OBJECT"))
}

/// A document as text. An answer that holds text can be read however deeply the documents are nested.
fn text<T: Node>(document: T) -> T {
    term(TermType::ToJsonString, [document])
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

    pub(crate) fn of<T: Node>(&self, row: T) -> T {
        match self {
            Fields::All => row,
            Fields::Only(paths) => term(TermType::Pluck, [row, datum(Path::tree(paths))]),
            Fields::Without(paths) => term(TermType::Without, [row, datum(Path::tree(paths))]),
        }
    }
}
