//! Related documents beside those of a list: `expand=author,comments(limit=3;order=at.desc)`.
//!
//! They are looked up in the query of the list itself, for those of its documents alone that are told. What
//! is asked of them is a list of its own: it has conditions, an order, fields, and expansions.

use std::cmp::max;

use reql::{Bound, Term, args, r};
use serde_json::Value;

use super::{Bounds, Fields, Listing};
use crate::error::Error;
use crate::query::document::is_document;
use crate::query::filter::Size;
use crate::query::parameters::{Parameters, bad};
use crate::query::path::{Path, SORTABLE};
use crate::query::plan::{Index, Kind, by_index, once_each};

/// The number of related documents for each document, unless the request has a limit.
pub(crate) const USUAL: usize = 10;
/// The most bytes of text that is taken for an id. Longer ones are errors to the database.
const KEY_MAX: usize = 100;
/// Parameters without a meaning among related documents.
const OF_LISTS: [&str; 5] = ["offset", "cursor", "index", "group", "agg"];
/// Parameters without a meaning for a single related document.
const OF_MANY: [&str; 2] = ["limit", "order"];

/// A way from the documents of one table to those of another.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The other table.
    pub(crate) to: String,
    /// The field that refers; the primary key if there is none.
    pub(crate) field: Option<Path>,
    /// The index of the other table that it refers by; its primary key if there is none.
    pub(crate) index: Option<String>,
    /// `true` if a document may have several of the others.
    pub(crate) many: bool,
}

/// Documents that are told beside another one.
#[derive(Debug, Clone)]
pub(crate) struct Expansion {
    relation: Relation,
    /// The field that refers.
    field: Path,
    /// The relation's index, if that is over nothing but fields.
    index: Option<Index>,
    pub(super) listing: Listing,
}

/// The fields and expansions of a single document in its answer.
#[derive(Debug)]
pub(crate) struct Told {
    fields: Fields,
    expansions: Vec<Expansion>,
}

impl Expansion {
    /// Reads what a request asks of related documents. `own_key` is the primary key of the table whose
    /// documents are expanded, `index` the one of the other table that the relation goes by.
    pub(crate) fn new(
        parameters: Parameters,
        (relation, own_key): (Relation, &str),
        (bounds, index): (Bounds<'_>, Option<&Index>),
        nested: Vec<Expansion>,
    ) -> Result<Self, Error> {
        let of_many = if relation.many { &[][..] } else { &OF_MANY };
        if let Some(name) = OF_LISTS.iter().chain(of_many).find(|name| parameters.has(name)) {
            return Err(bad("expand", format!("`{}` takes no `{name}`", relation.name)));
        }
        let listing = Listing::parse(parameters, bounds)?.expanding(nested)?;
        let field = relation.field.clone().unwrap_or_else(|| Path::whole(own_key));
        // Whoever may not see the field that refers here isn't told of it by way of the relation.
        listing.readable.check(index.map(|index| &index.fields[..]).unwrap_or_default())?;
        Ok(Expansion { relation, field, index: index.cloned(), listing })
    }

    pub(super) fn name(&self) -> &str {
        &self.relation.name
    }

    /// Returns how many documents it tells of at most, for one that is expanded.
    fn size(&self) -> usize {
        let own = if self.relation.many { max(self.listing.limit(), 1) } else { 1 };
        own.saturating_mul(size(&self.listing.expansions).saturating_add(1))
    }

    /// Returns the size of its conditions, and of those within it.
    fn conditions(&self) -> Size {
        let within = self.listing.expansions.iter().map(Expansion::conditions);
        [self.listing.filter.size()].into_iter().chain(within).sum()
    }

    /// Returns the fields that CSV has of it.
    pub(super) fn columns(&self) -> Vec<Path> {
        match self.listing.chosen() {
            Some(chosen) if !self.relation.many => {
                chosen.iter().map(|path| path.within(self.name())).collect()
            }
            _ => vec![Path::whole(self.name())],
        }
    }

    /// Returns the related documents of a row, or the one related document or null.
    fn of(&self, row: &Term) -> Term {
        let table = r.table(&self.relation.to);
        let reference = self.field.of(row);
        let (found, none) = match (&self.relation.index, self.relation.many) {
            (None, _) => (self.by_id(&table, &reference), r.expr(())),
            (Some(index), false) => {
                let found =
                    self.told(self.listing.filtered(self.by_index(&table, &reference, index)).limit(1));
                (found.nth(0).default(()), r.expr(()))
            }
            (Some(index), true) => {
                let found = self.first(&table, &reference, index);
                (self.told(found).coerce_to("array"), r.expr(Vec::<Value>::new()))
            }
        };
        match self.refers(row, &reference) {
            Some(refers) => r.branch(args![refers, found, none]),
            None => found,
        }
    }

    fn by_id(&self, table: &Term, id: &Term) -> Term {
        table.get(id).do_(|found: Term| {
            let is_it = match self.listing.condition(&found) {
                Some(condition) => is_document(&found) & condition,
                None => is_document(&found),
            };
            r.branch(args![is_it, self.listing.told(&found), ()])
        })
    }

    fn by_index(&self, table: &Term, reference: &Term, index: &str) -> Term {
        if self.index.as_ref().is_some_and(|index| index.kind == Kind::Multi) {
            let entries = self.range(table, reference, index).order_by(r.index(index));
            return once_each(&entries.into(), &self.listing.primary_key);
        }
        match self.is_compound() {
            false => table.get_all(reference).index(index).into(),
            true => self.range(table, reference, index),
        }
    }

    /// Returns the part of an index over fields that begins with a value.
    fn range(&self, table: &Term, reference: &Term, index: &str) -> Term {
        let (low, high) = match self.is_compound() {
            true => (r.expr([reference]), r.expr([reference, &r.maxval()])),
            false => (reference.clone(), reference.clone()),
        };
        table.between(low, high).index(index).right_bound(Bound::Closed).into()
    }

    fn is_compound(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.fields.len() > 1)
    }

    /// Returns the first documents in the requested order: as they lie in the index, if that is over the
    /// fields of the order behind the one that refers.
    fn first(&self, table: &Term, reference: &Term, index: &str) -> Term {
        let limit = self.listing.limit();
        if self.is_ordered() {
            let order = by_index(index, self.listing.order.falls());
            let found: Term = self.range(table, reference, index).order_by(order).into();
            return self.listing.filtered(found).limit(limit);
        }
        let found = self.listing.filtered(self.by_index(table, reference, index));
        self.listing.order.sort(&found).limit(limit)
    }

    /// Returns whether the index has the documents with one value in the order that the request wants. Those
    /// with equal values in all its fields lie in the order of their primary keys.
    fn is_ordered(&self) -> bool {
        let Some(index) = self.index.as_ref().filter(|index| index.kind == Kind::Plain) else { return false };
        let order = &self.listing.order;
        let wanted = order.keys().iter().take_while(|key| !key.primary);
        let wanted = wanted.map(|key| key.near.is_none().then_some(&key.field));
        order.is_uniform() && wanted.eq(index.fields.iter().skip(1).map(Some))
    }

    fn told(&self, rows: Term) -> Term {
        if self.listing.tells_all() { rows } else { rows.map(|row: Term| self.listing.told(&row)) }
    }

    /// Returns whether a row refers to something; `None` for its primary key, which each row has.
    fn refers(&self, row: &Term, reference: &Term) -> Option<Term> {
        let field = self.relation.field.as_ref()?;
        let is_key = self.is_key(reference);
        // The bracket goes through arrays on the way, so that a nested field has to be looked for.
        Some(if field.is_nested() { field.is_in(row) & is_key } else { is_key.default(false) })
    }

    /// Returns whether there may be something under a value. The database refuses to look for anything else.
    fn is_key(&self, value: &Term) -> Term {
        let is_sortable = r.expr(SORTABLE).contains(value.type_of());
        if self.relation.index.is_some() {
            return is_sortable;
        }
        // A pattern would have to be compiled for each query.
        let is_whole = value.split("\0").count().eq(1);
        let is_short = value.coerce_to("binary").count().le(KEY_MAX) & is_whole;
        r.branch(args![value.type_of().eq("STRING"), is_short, is_sortable])
    }
}

impl Told {
    /// Tells these fields of a document, and related documents.
    pub(crate) fn new(mut fields: Fields, mut expansions: Vec<Expansion>) -> Result<Self, Error> {
        check_size(Size::default(), &expansions)?;
        split(&mut fields, &mut expansions)?;
        Ok(Told { fields, expansions })
    }

    /// Returns whether that is the document as it is.
    pub(crate) fn is_all(&self) -> bool {
        self.fields.are_all() && self.expansions.is_empty()
    }

    /// Returns whether it is more than the document.
    pub(crate) fn is_expanded(&self) -> bool {
        !self.expansions.is_empty()
    }

    /// Returns a query that fails if a filter is invalid for the database.
    pub(crate) fn check(&self) -> Option<Term> {
        check(None, &self.expansions)
    }

    pub(crate) fn of(&self, row: &Term) -> Term {
        expanded(self.fields.of(row), &self.expansions, row)
    }
}

/// Returns how many documents expansions tell of at most, for one that is expanded.
pub(crate) fn size(expansions: &[Expansion]) -> usize {
    expansions.iter().map(Expansion::size).fold(0, usize::saturating_add)
}

/// Returns what is told of a row together with what it is expanded by.
pub(super) fn expanded(told: Term, expansions: &[Expansion], row: &Term) -> Term {
    if expansions.is_empty() {
        return told;
    }
    let related = expansions.iter().map(|it| (it.name().to_owned(), r.literal(it.of(row))));
    told.merge(Term::object(related))
}

/// Checks that a request may have as many conditions as a list has itself and in its expansions.
pub(super) fn check_size(own: Size, expansions: &[Expansion]) -> Result<(), Error> {
    let size: Size = [own].into_iter().chain(expansions.iter().map(Expansion::conditions)).sum();
    size.check("expand")
}

/// Returns an object with what a row is expanded by; `None` if that is nothing.
pub(super) fn beside(expansions: &[Expansion], row: &Term) -> Option<Term> {
    let related = expansions.iter().map(|it| (it.name().to_owned(), it.of(row)));
    (!expansions.is_empty()).then(|| Term::object(related))
}

/// Returns the values of a row that related documents are found by.
pub(super) fn references(expansions: &[Expansion], row: &Term) -> Term {
    r.expr(expansions.iter().map(|it| it.field.or_null(row)).collect::<Vec<_>>())
}

/// Gives expansions what is said of the fields in theirs.
pub(super) fn split(fields: &mut Fields, expansions: &mut [Expansion]) -> Result<(), Error> {
    for expansion in expansions {
        let inner = fields.split_off(&expansion.relation.name)?;
        let inner_expansions = &mut expansion.listing.expansions;
        match (inner, expansion.listing.fields.are_all()) {
            (Fields::All, _) => {}
            (mut inner, true) => {
                split(&mut inner, inner_expansions)?;
                expansion.listing.fields = inner;
            }
            (_, false) => {
                let name = &expansion.relation.name;
                return Err(bad("expand", format!("the fields of `{name}` are chosen twice")));
            }
        }
    }
    Ok(())
}

/// Returns a query that runs the checks of a list's filter and of those of its expansions.
pub(super) fn check(own: Option<Term>, expansions: &[Expansion]) -> Option<Term> {
    let checks: Vec<_> =
        own.into_iter().chain(expansions.iter().filter_map(|it| it.listing.check())).collect();
    (!checks.is_empty()).then(|| r.expr(checks))
}
