//! Live queries: lists that a changefeed can follow, and the query for the changefeed.

use reql::{Args, Term, obj, r};
use serde_json::Value;

use super::{Bounds, Expansion, Fields, Listing, expand, size};
use crate::error::Error;
use crate::query::document::is_document;
use crate::query::order::Order;
use crate::query::parameters::{Parameters, bad};
use crate::query::path::Path;
use crate::query::plan::{Index, Kind, Plan, Wanted, by_index, primary};

/// Parameters of lists that can't be combined with a live query.
const OF_PAGES: [&str; 5] = ["offset", "cursor", "group", "agg", "distinct"];

/// A live query.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    listing: Listing,
    /// `true` if it begins with the existing documents.
    initial: bool,
    /// The order whose first documents are followed; `None` to follow all that match the filter.
    order: Option<IndexOrder>,
    /// The index that it goes through, see [`Live::go_through`]; `None` for the primary key.
    index: Option<Index>,
    /// The part of the index that the request names which has all documents of the list.
    part: Option<Plan>,
}

/// The order of an index, ascending or descending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexOrder {
    /// The fields of the index; empty for the primary key.
    fields: Vec<Path>,
    falling: bool,
}

impl Live {
    pub(crate) fn parse(
        mut parameters: Parameters,
        bounds: Bounds<'_>,
        expansions: Vec<Expansion>,
    ) -> Result<Self, Error> {
        if let Some(name) = OF_PAGES.into_iter().find(|name| parameters.has(name)) {
            return Err(bad(name, "a live query has neither pages nor groups"));
        }
        let initial = initial(&mut parameters)?;
        let (ordered, limited) = (parameters.has("order"), parameters.has("limit"));
        if ordered && !limited {
            return Err(bad("order", "a live query has an order only together with `limit`"));
        }
        let listing = Listing::parse(parameters, bounds)?.expanding(expansions)?;
        if limited && listing.index.is_some() {
            return Err(bad("index", "a live query with `limit` goes through the index of its order"));
        }
        let order = limited.then(|| IndexOrder::of(&listing.order, bounds.primary_key)).transpose()?;
        Ok(Live { listing, initial, order, index: None, part: None })
    }

    /// Parses the live query of a single document.
    pub(crate) fn parse_one(
        mut parameters: Parameters,
        bounds: Bounds<'_>,
        expansions: Vec<Expansion>,
    ) -> Result<Self, Error> {
        let (initial, fields) = (initial(&mut parameters)?, Fields::take(&mut parameters)?);
        parameters.finish()?;
        let all = Listing::parse(Parameters::from(Vec::new()), bounds)?;
        let listing = Listing { fields, ..all }.expanding(expansions)?;
        Ok(Live { listing, initial, order: None, index: None, part: None })
    }

    /// Returns a query that fails if the filter is invalid for the database, see [`Listing::check`].
    pub(crate) fn check(&self) -> Option<Term> {
        self.listing.check()
    }

    /// Returns whether it begins with the existing documents.
    pub(crate) fn initial(&self) -> bool {
        self.initial
    }

    /// Returns whether it goes through an index other than the primary key.
    pub(crate) fn needs_index(&self) -> bool {
        match &self.order {
            Some(order) => !order.fields.is_empty(),
            None => self.listing.index.is_some(),
        }
    }

    /// Returns the name of the index that the request names.
    pub(crate) fn named(&self) -> Option<&str> {
        self.listing.index()
    }

    /// Has it go through the index that it needs, one of these. Returns `false` if it isn't there.
    ///
    /// # Errors
    ///
    /// If the index that the request names can't be used for the list.
    pub(crate) fn go_through(&mut self, indexes: &[Index]) -> Result<bool, Error> {
        if let Some(order) = &self.order {
            // Other kinds have several entries for a document.
            let fits = |index: &&Index| index.kind == Kind::Plain && index.fields == order.fields;
            self.index = indexes.iter().find(fits).cloned();
            return Ok(self.index.is_some());
        }
        let Some(name) = &self.listing.index else { return Ok(true) };
        let unsorted = Order::unsorted();
        let wanted = Wanted { order: &unsorted, ..self.listing.wanted() };
        let primary = primary(wanted);
        let Some(index) = indexes.iter().chain([&primary]).find(|index| index.name == *name) else {
            return Ok(false);
        };
        let part = Plan::through(index, wanted).filter(|_| index.kind == Kind::Plain);
        self.part = Some(part.ok_or_else(|| {
            bad(
                "index",
                "a live query goes through an index with one entry for each document, whose fields it has \
                 conditions on: eq, in, lt, lte, gt or gte",
            )
        })?);
        self.index = (index.name != primary.name).then(|| index.clone());
        Ok(true)
    }

    /// Returns the index that it goes through, if that isn't the primary key.
    pub(crate) fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Returns whether it follows the first documents of an order, so that each has a place.
    pub(crate) fn is_placed(&self) -> bool {
        self.order.is_some()
    }

    /// Returns whether the rows of the feed are whole documents. If not, they are objects of the primary key,
    /// `k`, of the visible part of the document, `d`, and maybe of what related documents are found by, `r`.
    pub(crate) fn is_whole(&self) -> bool {
        self.listing.tells_all()
    }

    /// Returns the term to follow.
    pub(crate) fn rows(&self, table: &Term) -> Term {
        let listing = &self.listing;
        let rows = match (&self.order, &self.part) {
            (Some(order), _) => match &self.index {
                Some(index) => order.through(index, table),
                None => table.order_by(by_index(&listing.primary_key, order.falling)).into(),
            },
            (None, Some(part)) => part.found(table),
            (None, None) => table.clone(),
        };
        // Rows written later are filtered as well: one that isn't a document must not end the feed.
        let rows = match listing.looks_into_rows() {
            true => rows.filter(|row: Term| is_document(&row)).into(),
            false => rows,
        };
        let rows = listing.filtered(rows);
        // A changefeed supports transformations only before a limit.
        let rows = match listing.tells_all() {
            true => rows,
            false => rows.map(|row: Term| {
                let (key, own) = (row.g(listing.primary_key.as_str()), listing.own(&row));
                match listing.expansions.is_empty() || listing.fields.are_all() {
                    true => obj! { "k": key, "d": own },
                    // Another value that isn't told brings other related documents.
                    false => {
                        obj! { "k": key, "d": own, "r": expand::references(&listing.expansions, &row) }
                    }
                }
            }),
        };
        match self.order {
            Some(_) => rows.limit(listing.limit()),
            None => rows,
        }
    }

    /// Returns the term to follow for the document with this id alone.
    pub(crate) fn row(&self, table: &Term, id: Value) -> Term {
        match self.listing.looks_into_rows() {
            true => self.rows(&table.get_all(id).into()),
            // The database has less work with the feed of one document.
            false => table.get(id),
        }
    }

    /// Returns how many related documents each document brings at most.
    pub(crate) fn related_each(&self) -> usize {
        size(&self.listing.expansions)
    }

    /// Returns a query for what is told beside the documents with these keys, `b`, each with its key, `k`. A
    /// document that isn't on the list any more has nothing.
    pub(crate) fn related(&self, table: &Term, keys: Vec<Term>) -> Term {
        let listing = &self.listing;
        let rows = table.get_all(Args::from_iter(keys)).filter(|row: Term| is_document(&row));
        listing.filtered(rows.into()).map(|row: Term| {
            let beside = expand::beside(&listing.expansions, &row);
            obj! { "k": row.g(listing.primary_key.as_str()), "b": beside }
        })
    }
}

/// Takes the parameter `initial`. Default: true.
fn initial(parameters: &mut Parameters) -> Result<bool, Error> {
    Ok(parameters.take_flag_if_any("initial")?.unwrap_or(true))
}

impl IndexOrder {
    /// Converts an order into that of an index. Documents with equal values are in the order of their primary
    /// keys, as in the index.
    fn of(order: &Order, primary_key: &str) -> Result<Self, Error> {
        if order.keys().iter().any(|key| key.near.is_some()) {
            return Err(bad("order", "a live query with `limit` can't be in the order of distances"));
        }
        if !order.is_uniform() {
            return Err(bad(
                "order",
                "a live query's order rises in all of its fields, or falls in all of them",
            ));
        }
        let fields = order.keys().iter().map(|key| key.field.clone());
        let fields = fields.take_while(|field| !field.is(primary_key)).collect();
        Ok(IndexOrder { fields, falling: order.falls() })
    }

    /// Returns the documents in this order, through an index over its fields. Those without a sortable value
    /// in each of them are left out: most have no entry, and arrays would come before all others.
    fn through(&self, index: &Index, table: &Term) -> Term {
        let (low, high) = match &self.fields[..] {
            [_] => (r.expr(false), r.maxval()),
            _ => (r.expr([false]), r.expr([r.maxval()])),
        };
        // Booleans are the lowest of sortable values.
        let rows: Term = table.between(low, high).index(&index.name).into();
        let rows: Term = rows.order_by(by_index(&index.name, self.falling)).into();
        let further = self.fields.get(1..).unwrap_or_default();
        let are_sortable = |row: Term| {
            let each = further.iter().map(|field| field.sortable_or_null(&row).ne(()));
            each.reduce(|all, one| all & one).unwrap_or_else(|| r.expr(true))
        };
        if further.is_empty() { rows } else { rows.filter(are_sortable).into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Readable;
    use crate::query::page::PageLimits;

    fn parse(query: &str) -> Result<Live, Error> {
        let limits = PageLimits { page: 100, page_max: 1000, offset_max: 10_000 };
        let bounds = Bounds { limits, primary_key: "id", readable: &Readable::all() };
        Live::parse(Parameters::parse(query).unwrap(), bounds, Vec::new())
    }

    #[test]
    fn an_order_is_that_of_an_index() {
        let order = |names: &[&str], falling| {
            let fields = names.iter().map(|name| Path::parse(name, "order").unwrap()).collect();
            Some(IndexOrder { fields, falling })
        };
        assert_eq!(parse("age=gt.3").unwrap().order, None);
        assert_eq!(parse("limit=3").unwrap().order, order(&[], false));
        assert_eq!(parse("limit=3&order=id,age.desc").unwrap().order, order(&[], false));
        assert_eq!(parse("limit=3&order=id.desc").unwrap().order, order(&[], true));
        assert_eq!(parse("limit=3&order=a.b,c").unwrap().order, order(&["a.b", "c"], false));
        assert_eq!(parse("limit=3&order=a,id").unwrap().order, order(&["a"], false));
        assert_eq!(parse("limit=3&order=a.desc,b.desc").unwrap().order, order(&["a", "b"], true));
    }

    fn index(name: &str, fields: &[&str], kind: Kind) -> Index {
        let fields = fields.iter().map(|field| Path::parse(field, "index").unwrap()).collect();
        Index { name: name.to_owned(), fields, kind }
    }

    #[test]
    fn it_goes_through_plain_indexes_as_they_are_defined() {
        let indexes = [
            index("age", &["age", "id"], Kind::Plain),
            index("n", &["m"], Kind::Plain),
            index("a", &["tags"], Kind::Multi),
            index("b", &["tags"], Kind::Plain),
            index("c", &["x"], Kind::Multi),
            index("d", &["a", "b"], Kind::Plain),
        ];
        let query = |query: &str| {
            let mut live = parse(query)?;
            let is_there = live.go_through(&indexes)?;
            let rows = live.rows(&r.table("t")).to_string();
            let rows = rows.split(".filter").next().unwrap_or_default();
            Ok::<_, Error>(is_there.then(|| rows.strip_prefix("r.table(\"t\")").unwrap().to_owned()))
        };
        for (asked, expected) in [
            (
                "index=age&age=gte.18",
                Some(".between([18], [r.maxval], {index: \"age\", rightBound: \"closed\"})"),
            ),
            ("index=id&id=eq.1", Some(".getAll(1, {index: \"id\"})")),
            (
                "order=tags.desc&limit=1",
                Some(".between(false, r.maxval, {index: \"b\"}).orderBy({index: r.desc(\"b\")})"),
            ),
            (
                "order=a,b&limit=1",
                Some(".between([false], [r.maxval], {index: \"d\"}).orderBy({index: \"d\"})"),
            ),
            ("order=id&limit=1", None),
            ("order=x&limit=1", None),
            ("index=e&e=eq.1", None),
        ] {
            assert_eq!(query(asked).unwrap().as_deref(), expected, "{asked}");
        }
        assert!(!parse("order=id&limit=1").unwrap().needs_index());
        for wrong in ["index=n&n=gte.18", "index=c&x=contains.1", "index=age", "index=d&b=eq.1"] {
            assert_eq!(query(wrong).unwrap_err().parameter(), Some("index"), "{wrong}");
        }
    }

    #[test]
    fn what_no_feed_can_do_is_refused_by_name() {
        for (query, parameter) in [
            ("offset=1", "offset"),
            ("limit=1&cursor=[1]", "cursor"),
            ("group=a&agg=count", "group"),
            ("order=a", "order"),
            ("limit=3&order=a.desc,b", "order"),
            ("limit=3&order=a.desc,id", "order"),
            ("limit=3&order=a,id.desc", "order"),
            ("limit=3&a=near.(1,2,3m)", "order"),
            ("limit=3&index=a&a=eq.1", "index"),
            ("limit=5000", "limit"),
            ("initial=maybe", "initial"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.parameter() == Some(parameter), "{query}: {error}");
        }
    }
}
