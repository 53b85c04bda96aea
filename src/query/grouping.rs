//! Aggregates of groups of documents: `group=FIELD` with `agg=count,sum(x),avg(x),min(x),max(x)`.
//!
//! The query is one pass over the documents, by `map` and `reduce`, so that its memory is proportional to the
//! number of groups and not of documents.

use reql::{Args, Term, args, obj, r};

use super::listing::{Bounds, Listing};
use super::parameters::{Parameters, bad};
use super::path::Path;
use super::plan::Index;
use super::syntax::Reader;
use crate::error::Error;

/// The characters that end an unquoted name in an aggregate.
const IN_AGGREGATE: &str = ",()";
/// Parameters of lists that can't be combined with groups.
const OF_DOCUMENTS: [&str; 9] =
    ["order", "distinct", "expand", "select", "omit", "limit", "offset", "cursor", "index"];
/// The most fields and the most aggregates of one request.
const MOST: usize = 20;

/// Documents in groups.
#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    listing: Listing,
    by: Vec<Path>,
    aggregates: Vec<Aggregate>,
}

/// An aggregate of each group. Its name in the answer is its text in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Aggregate {
    name: String,
    figure: Figure,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Figure {
    Count,
    /// The sum of numbers; other values are ignored.
    Sum(Path),
    Avg(Path),
    /// The smallest value of a sortable type.
    Min(Path),
    Max(Path),
}

impl Grouping {
    /// Returns whether the parameters ask for groups.
    pub(crate) fn is_asked_for(parameters: &Parameters) -> bool {
        parameters.has("group") || parameters.has("agg")
    }

    pub(crate) fn parse(mut parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        if let Some(name) = OF_DOCUMENTS.into_iter().find(|name| parameters.has(name)) {
            return Err(bad(name, "groups have neither an order nor pages nor fields of their own"));
        }
        let by = match parameters.take("group")? {
            Some(text) => Path::parse_list(&text, "group", MOST)?,
            None => Vec::new(),
        };
        let text = parameters.take("agg")?.unwrap_or_else(|| "count".to_owned());
        let aggregates = Aggregate::parse_list(&text)?;
        bounds.readable.check(&by)?;
        bounds.readable.check(aggregates.iter().filter_map(|aggregate| aggregate.figure.field()))?;
        let listing = Listing::parse(parameters, bounds)?;
        Ok(Grouping { listing, by, aggregates })
    }

    /// Adds a guard against rows that aren't documents, see [`Listing::guard`].
    pub(crate) fn guard(&mut self) -> bool {
        self.listing.guard()
    }

    /// Returns a query for all groups, in the order of their values. `indexes` are those of the table.
    pub(crate) fn query(&self, indexes: &[Index], table: &Term) -> Term {
        let rows = self.listing.selected(indexes, table);
        let total = |rows: &Term| {
            rows.map(|row: Term| self.of_row(&row))
                .reduce(|one: Term, other: Term| self.combined(&one, &other))
        };
        if self.by.is_empty() {
            let total = total(&rows).default(self.of_nothing());
            return r.expr([total.do_(|total: Term| self.answer(None, &total))]);
        }
        let key = |keys: Args, path: &Path| keys.with(|row: Term| path.or_null(&row));
        let groups = rows.group(self.by.iter().fold(Args::new(), key));
        total(&groups).ungroup().map(|group: Term| self.answer(Some(group.g("group")), &group.g("reduction")))
    }

    /// Returns a query that fails if the filter is invalid for the database, see [`Listing::check`].
    pub(crate) fn check(&self) -> Option<Term> {
        self.listing.check()
    }

    /// Returns the fields of the aggregates.
    fn fields(&self) -> Vec<&Path> {
        let mut fields = Vec::new();
        for path in self.aggregates.iter().filter_map(|aggregate| aggregate.figure.field()) {
            if !fields.contains(&path) {
                fields.push(path);
            }
        }
        fields
    }

    /// Returns the contribution of one document.
    fn of_row(&self, row: &Term) -> Term {
        let parts = self.fields().into_iter().map(|path| {
            let is_number = path.is_in(row) & path.of(row).type_of().eq("NUMBER");
            let value = path.sortable_or_null(row);
            obj! {
                "numbers": r.branch(args![&is_number, 1, 0]),
                "sum": r.branch(args![&is_number, path.of(row), 0]),
                "min": &value,
                "max": &value,
            }
        });
        totals(r.expr(1), parts)
    }

    fn of_nothing(&self) -> Term {
        let nothing = || obj! { "numbers": 0, "sum": 0, "min": (), "max": () };
        totals(r.expr(0), self.fields().into_iter().map(|_| nothing()))
    }

    fn combined(&self, one: &Term, other: &Term) -> Term {
        let parts = (0..self.fields().len()).map(|at| {
            let of = |name: &str| (nth(one, at).g(name), nth(other, at).g(name));
            let sum = |name: &str| of(name).0 + of(name).1;
            let ((min, other_min), (max, other_max)) = (of("min"), of("max"));
            obj! {
                "numbers": sum("numbers"),
                "sum": sum("sum"),
                "min": extreme(&min, &other_min, min.le(&other_min)),
                "max": extreme(&max, &other_max, max.ge(&other_max)),
            }
        });
        totals(one.g("count") + other.g("count"), parts)
    }

    fn answer(&self, group: Option<Term>, total: &Term) -> Term {
        let fields = self.fields();
        let of = |path: &Path, name: &str| {
            let at = fields.iter().position(|own| *own == path).unwrap_or_default();
            nth(total, at).g(name)
        };
        let some = |path: &Path, value: Term| r.branch(args![of(path, "numbers").eq(0), (), value]);
        let figures = self.aggregates.iter().map(|aggregate| {
            let value = match &aggregate.figure {
                Figure::Count => total.g("count"),
                Figure::Sum(path) => some(path, of(path, "sum")),
                Figure::Avg(path) => some(path, of(path, "sum") / of(path, "numbers")),
                Figure::Min(path) => of(path, "min"),
                Figure::Max(path) => of(path, "max"),
            };
            (aggregate.name.clone(), value)
        });
        Term::object(group.map(|group| ("group".to_owned(), group)).into_iter().chain(figures))
    }
}

impl Aggregate {
    /// Parses a list of aggregates. Duplicates are dropped.
    fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let mut reader = Reader::new(text, "agg");
        let aggregates = reader.separated(MOST, Aggregate::read)?;
        reader.finish()?;
        let mut named: Vec<Aggregate> = Vec::new();
        for aggregate in aggregates {
            if !named.contains(&aggregate) {
                named.push(aggregate);
            }
        }
        Ok(named)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.blanks();
        let start = reader.at();
        let figure = match reader.word() {
            "count" => Figure::Count,
            function @ ("sum" | "avg" | "min" | "max") => {
                reader.expect('(')?;
                let path = Path::read(reader, IN_AGGREGATE)?;
                reader.expect(')')?;
                match function {
                    "sum" => Figure::Sum(path),
                    "avg" => Figure::Avg(path),
                    "min" => Figure::Min(path),
                    _ => Figure::Max(path),
                }
            }
            _ => {
                let reason = "one of count, sum(FIELD), avg(FIELD), min(FIELD), max(FIELD) is expected";
                return Err(reader.wrong(start, reason));
            }
        };
        Ok(Aggregate { name: reader.since(start).to_owned(), figure })
    }
}

impl Figure {
    fn field(&self) -> Option<&Path> {
        match self {
            Figure::Count => None,
            Figure::Sum(path) | Figure::Avg(path) | Figure::Min(path) | Figure::Max(path) => Some(path),
        }
    }
}

fn totals(count: Term, parts: impl Iterator<Item = Term>) -> Term {
    obj! { "count": count, "fields": parts.collect::<Vec<_>>() }
}

fn nth(totals: &Term, at: usize) -> Term {
    totals.g("fields").nth(at)
}

/// Returns `one` if it goes before `other`, else `other`; null goes before nothing.
fn extreme(one: &Term, other: &Term, goes_before: Term) -> Term {
    let first = other.eq(()) | goes_before;
    r.branch(args![one.eq(()), other, r.branch(args![first, one, other])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_are_read() {
        let of = |text: &str| Aggregate::parse_list(text);
        let path = |text: &str| Path::parse(text, "agg").unwrap();
        let read = of(" sum(a.b) ,count, max( \"a,(b\" ),count").unwrap();
        let figures: Vec<_> = read.iter().map(|aggregate| aggregate.figure.clone()).collect();
        assert_eq!(figures, [Figure::Sum(path("a.b")), Figure::Count, Figure::Max(path("\"a,(b\""))]);
        let names: Vec<_> = read.iter().map(|aggregate| aggregate.name.as_str()).collect();
        assert_eq!(names, ["sum(a.b)", "count", "max( \"a,(b\" )"]);
        let many = vec!["count"; MOST + 1].join(",");
        for wrong in [
            "",
            "sum",
            "sum(",
            "sum()",
            "sum(a",
            "median(a)",
            "count(a)",
            "sum(a..b)",
            "sum(a))",
            "sum(a,b)",
            &many,
        ] {
            assert!(of(wrong).is_err_and(|error| error.parameter() == Some("agg")), "{wrong}");
        }
    }
}
