//! A list of documents: all that a URL says about it, and the queries that answer it.

mod live;

use ql2::term::TermType;
use reql::Command;
use reql::cmd::between::{Options, Status};
use serde::Deserialize;
use serde_json::Value;

use super::filter::{Condition, Filter, Test};
use super::order::Order;
use super::page::{Page, Start, is_after};
use super::parameters::{Parameters, bad};
use super::path::Path;
use super::term::{between, datum, func, get_all, object, order_by_index, term};
use crate::error::Error;
use crate::settings::Limits;
pub(crate) use live::{Live, initial};

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
}

#[derive(Debug, Clone)]
enum Fields {
    All,
    Only(Vec<Path>),
    Without(Vec<Path>),
}

/// A row of a page: the document, and its place in the order for the next page's cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) doc: Value,
    pub(crate) place: Value,
}

impl Listing {
    pub(crate) fn parse(mut parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        let bounded = parameters.has("limit") || parameters.has("offset") || parameters.has("cursor");
        let page = Page::take(&mut parameters, bounds.limits)?;
        let order = Order::parse(parameters.take("order")?.as_deref(), bounds.primary_key)?;
        let fields = match (parameters.take("select")?, parameters.take("omit")?) {
            (Some(_), Some(_)) => return Err(bad("omit", "it can't be combined with `select`")),
            (Some(select), None) => Fields::Only(Path::parse_list(&select, "select")?),
            (None, Some(omit)) => Fields::Without(Path::parse_list(&omit, "omit")?),
            (None, None) => Fields::All,
        };
        let index = parameters.take("index")?;
        let filter = Listing::filter(parameters)?;
        if let Some(index) = &index
            && !filter.conditions().any(|condition| narrows(condition, index))
        {
            return Err(bad(
                "index",
                "it needs a condition on the field of the same name: eq, in, lt, lte, gt or gte",
            ));
        }
        let primary_key = bounds.primary_key.to_owned();
        Ok(Listing { filter, order, page, bounded, fields, index, primary_key })
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

    /// How many documents the page holds at most.
    pub(crate) fn limit(&self) -> usize {
        self.page.limit
    }

    /// A query for [`Row`]s: those of the page, and one more if there is one.
    pub(crate) fn page(&self, table: Command) -> Result<Command, Error> {
        let rows = self.started(self.sorted(table)?)?;
        let rows = term(TermType::Limit, [rows, datum(self.page.limit + 1)]);
        let row = |row: Command| object([("place", self.order.place(&row)), ("doc", self.fields.of(row))]);
        Ok(term(TermType::Map, [rows, func(row)]))
    }

    /// A query for the documents of the whole result, or of the part that the request asks for.
    pub(crate) fn stream(&self, table: Command) -> Result<Command, Error> {
        let mut rows = self.started(self.sorted(table)?)?;
        if self.bounded {
            rows = term(TermType::Limit, [rows, datum(self.page.limit)]);
        }
        Ok(match self.fields {
            Fields::All => rows,
            _ => term(TermType::Map, [rows, func(|row| self.fields.of(row))]),
        })
    }

    /// A query for the number of documents in the whole result.
    pub(crate) fn count(&self, table: Command) -> Command {
        term(TermType::Count, [self.filtered(self.narrowed(table))])
    }

    fn sorted(&self, table: Command) -> Result<Command, Error> {
        let by_primary_key = self.order.is_index(&self.primary_key);
        if self.index.is_some() || !by_primary_key {
            let rows = self.filtered(self.narrowed(table));
            return Ok(self.order.sort(rows));
        }
        let rows = match &self.page.start {
            Start::After(place) => {
                let [place] = &place[..] else { return Err(bad("cursor", "it belongs to another order")) };
                let options = Options::new().left_bound(Status::Open);
                between(table, datum(place), Command::new(TermType::Maxval), options)
            }
            Start::Offset(_) => table,
        };
        Ok(self.filtered(order_by_index(rows, &self.primary_key)))
    }

    /// Leaves out what comes before the page.
    fn started(&self, rows: Command) -> Result<Command, Error> {
        match &self.page.start {
            Start::Offset(0) => Ok(rows),
            Start::Offset(offset) => Ok(term(TermType::Skip, [rows, datum(offset)])),
            Start::After(_) if self.index.is_none() && self.order.is_index(&self.primary_key) => Ok(rows),
            Start::After(place) => {
                let mut refused = None;
                let after = func(|row| {
                    is_after(place, &self.order, &row).unwrap_or_else(|error| {
                        refused = Some(error);
                        datum(false)
                    })
                });
                match refused {
                    Some(error) => Err(error),
                    None => Ok(term(TermType::Filter, [rows, after])),
                }
            }
        }
    }

    fn filtered(&self, rows: Command) -> Command {
        if self.filter.is_empty() {
            return rows;
        }
        term(TermType::Filter, [rows, func(|row| self.filter.holds(&row))])
    }

    /// Goes through the index that the request names. The filter still applies to what it finds.
    fn narrowed(&self, table: Command) -> Command {
        let Some(index) = &self.index else { return table };
        let conditions = || self.filter.conditions().filter(|condition| narrows(condition, index));
        for condition in conditions() {
            match &condition.test {
                Test::Compare(TermType::Eq, value) => return get_all(table, [datum(value)], index),
                Test::In(values) => return get_all(table, values.iter().map(datum), index),
                _ => {}
            }
        }
        let bound = |ops: [TermType; 2]| {
            conditions().find_map(|condition| match &condition.test {
                Test::Compare(op, value) if ops.contains(op) => Some((*op, datum(value))),
                _ => None,
            })
        };
        let low = bound([TermType::Gt, TermType::Ge]);
        let high = bound([TermType::Lt, TermType::Le]);
        let open = |bound: &Option<(TermType, Command)>| match bound {
            Some((TermType::Gt | TermType::Lt, _)) => Status::Open,
            _ => Status::Closed,
        };
        let options = Options::new().index(index).left_bound(open(&low)).right_bound(open(&high));
        let low = low.map_or_else(|| Command::new(TermType::Minval), |(_, value)| value);
        let high = high.map_or_else(|| Command::new(TermType::Maxval), |(_, value)| value);
        between(table, low, high, options)
    }
}

/// Whether an index can answer a condition: the index of a field has the field's name, and no entry for null.
fn narrows(condition: &Condition, index: &str) -> bool {
    condition.field.is(index)
        && match &condition.test {
            Test::Compare(op, value) => *op != TermType::Ne && !value.is_null(),
            Test::In(values) => !values.contains(&Value::Null),
            _ => false,
        }
}

impl Fields {
    fn of(&self, row: Command) -> Command {
        match self {
            Fields::All => row,
            Fields::Only(paths) => term(TermType::Pluck, [row, datum(Path::tree(paths))]),
            Fields::Without(paths) => term(TermType::Without, [row, datum(Path::tree(paths))]),
        }
    }
}
