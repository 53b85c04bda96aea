//! A live query: what a changefeed can follow of a list, and the query that asks for it.

use reql::commands::Changes;
use reql::{Term, r};

use super::{Bounds, Fields, Listing, is_document};
use crate::error::Error;
use crate::query::order::Order;
use crate::query::parameters::{Parameters, bad};
use crate::query::path::Path;
use crate::query::plan::{Index, Plan, Wanted};

/// Parameters of a list that make no sense for one that never ends.
const OF_PAGES: [&str; 4] = ["offset", "cursor", "group", "agg"];

/// A list that is followed.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    listing: Listing,
    /// Whether it begins with the documents that are there.
    initial: bool,
    /// The order whose first documents are followed; without one, all that the filter lets pass are.
    order: Option<IndexOrder>,
}

/// The order of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexOrder {
    PrimaryKey,
    /// Of an index over these fields.
    Fields(Vec<Path>),
}

impl Live {
    pub(crate) fn parse(mut parameters: Parameters, bounds: Bounds<'_>) -> Result<Self, Error> {
        if let Some(name) = OF_PAGES.into_iter().find(|name| parameters.has(name)) {
            return Err(bad(name, "a live query has neither pages nor groups"));
        }
        let initial = initial(&mut parameters)?;
        let (ordered, limited) = (parameters.has("order"), parameters.has("limit"));
        if ordered && !limited {
            return Err(bad("order", "a live query has an order only together with `limit`"));
        }
        let listing = Listing::parse(parameters, bounds)?;
        if limited && listing.index.is_some() {
            return Err(bad("index", "a live query with `limit` goes through the index of its order"));
        }
        if listing.index.is_some() && listing.named().is_none() {
            return Err(bad(
                "index",
                "it needs a condition on the field of the same name: eq, in, lt, lte, gt or gte",
            ));
        }
        let order = limited.then(|| IndexOrder::of(&listing.order, bounds.primary_key)).transpose()?;
        Ok(Live { listing, initial, order })
    }

    /// A query that fails if the filter can make no sense to the database.
    pub(crate) fn check(&self) -> Option<Term> {
        self.listing.check()
    }

    /// Whether it begins with the documents that are there.
    pub(crate) fn initial(&self) -> bool {
        self.initial
    }

    /// The fields that an index is needed for.
    pub(crate) fn indexed_fields(&self) -> Option<&[Path]> {
        match &self.order {
            Some(IndexOrder::Fields(fields)) => Some(fields),
            _ => None,
        }
    }

    /// The feed. `index` is over [`Live::indexed_fields`], if there are any.
    pub(crate) fn query(&self, table: &Term, index: Option<&str>) -> Changes {
        let listing = &self.listing;
        let rows = match &self.order {
            None => match listing.named() {
                Some(plan) => plan.found(table),
                None => table.clone(),
            },
            Some(_) => table.order_by(r.index(index.unwrap_or(&listing.primary_key))).into(),
        };
        // Whatever is written later is looked into as well: what is no document must not end the feed.
        let rows = match listing.looks_into_rows() {
            true => rows.filter(|row: Term| is_document(&row)).into(),
            false => rows,
        };
        let rows = listing.filtered(rows);
        // A changefeed takes transformations before a limit only.
        let rows = match listing.fields {
            Fields::All => rows,
            _ => rows.map(|row: Term| listing.fields.of(&row)),
        };
        match self.order {
            Some(_) => rows.limit(listing.limit()).changes(),
            None => rows.changes(),
        }
    }
}

impl Listing {
    /// The way through the index that the request names. A live query takes it to be over the field of its
    /// name.
    fn named(&self) -> Option<Plan> {
        let name = self.index.as_ref()?;
        let index = Index { name: name.clone(), fields: vec![Path::parse(name, "index").ok()?] };
        Plan::through(&index, Wanted { order: &Order::unsorted(), ..self.wanted() })
    }
}

/// Takes the parameter `initial`, which is true unless said otherwise.
pub(crate) fn initial(parameters: &mut Parameters) -> Result<bool, Error> {
    match parameters.take("initial")?.as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(bad("initial", "it must be `true` or `false`")),
    }
}

impl IndexOrder {
    /// The index order that an order is. Documents of equal value come in the order of their primary keys, as
    /// in the index.
    fn of(order: &Order, primary_key: &str) -> Result<Self, Error> {
        let mut fields = Vec::new();
        for key in order.keys() {
            if key.field.is(primary_key) {
                break;
            }
            fields.push(key.field.clone());
        }
        // The first key is there even if all others come after the primary key, which leaves them nothing to
        // decide.
        if order.keys().iter().take(fields.len().max(1)).any(|key| key.falling) {
            return Err(bad("order", "a live query's order can't be falling"));
        }
        Ok(if fields.is_empty() { IndexOrder::PrimaryKey } else { IndexOrder::Fields(fields) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::page::PageLimits;

    fn parse(query: &str) -> Result<Live, Error> {
        let limits = PageLimits { page: 100, page_max: 1000, offset_max: 10_000 };
        Live::parse(Parameters::parse(query).unwrap(), Bounds { limits, primary_key: "id" })
    }

    #[test]
    fn an_order_is_that_of_an_index() {
        let fields = |names: &[&str]| {
            let fields = names.iter().map(|name| Path::parse(name, "order").unwrap());
            Some(IndexOrder::Fields(fields.collect()))
        };
        assert_eq!(parse("age=gt.3").unwrap().order, None);
        assert_eq!(parse("limit=3").unwrap().order, Some(IndexOrder::PrimaryKey));
        assert_eq!(parse("limit=3&order=id,age.desc").unwrap().order, Some(IndexOrder::PrimaryKey));
        assert_eq!(parse("limit=3&order=a.b,c").unwrap().order, fields(&["a.b", "c"]));
        assert_eq!(parse("limit=3&order=a,id").unwrap().order, fields(&["a"]));
    }

    #[test]
    fn what_no_feed_can_do_is_refused_by_name() {
        for (query, parameter) in [
            ("offset=1", "offset"),
            ("limit=1&cursor=[1]", "cursor"),
            ("group=a&agg=count", "group"),
            ("order=a", "order"),
            ("limit=3&order=a.desc", "order"),
            ("limit=3&order=id.desc", "order"),
            ("limit=3&index=a&a=eq.1", "index"),
            ("limit=5000", "limit"),
            ("initial=maybe", "initial"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.parameter() == Some(parameter), "{query}: {error}");
        }
    }
}
