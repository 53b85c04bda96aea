//! The terms, a file for each family.

pub mod admin;
pub mod aggregate;
pub mod array;
pub mod changes;
pub mod control;
pub mod datum;
pub mod elements;
pub mod errors;
pub mod external;
pub mod fields;
pub mod fold;
pub mod geo;
pub mod grant;
pub mod group;
pub mod index;
pub mod info;
pub mod join;
pub mod json;
pub mod logic;
pub mod math;
pub mod object;
pub mod order;
pub mod part;
pub mod position;
pub mod random;
pub mod reconfigure;
pub mod search;
pub mod string;
pub mod table;
pub mod time;
pub mod transform;
pub mod types;
pub mod union;
pub mod write;
pub mod write_hook;

use std::sync::LazyLock;

use super::spec::Spec;
use crate::term::TermType;

/// The families, each with the terms that it evaluates.
const FAMILIES: &[&[Spec]] = &[
    admin::TERMS,
    aggregate::TERMS,
    array::TERMS,
    changes::TERMS,
    control::TERMS,
    datum::TERMS,
    errors::TERMS,
    external::TERMS,
    fields::TERMS,
    fold::TERMS,
    geo::TERMS,
    grant::TERMS,
    group::TERMS,
    index::TERMS,
    info::TERMS,
    join::TERMS,
    json::TERMS,
    logic::TERMS,
    math::TERMS,
    object::TERMS,
    order::TERMS,
    part::TERMS,
    position::TERMS,
    random::TERMS,
    reconfigure::TERMS,
    search::TERMS,
    string::TERMS,
    table::TERMS,
    time::TERMS,
    transform::TERMS,
    types::TERMS,
    union::TERMS,
    write::TERMS,
    write_hook::TERMS,
];

/// Returns the specification of a term; `None` if it isn't supported.
pub fn spec(kind: TermType) -> Option<&'static Spec> {
    static BY_NUMBER: LazyLock<Vec<Option<&'static Spec>>> = LazyLock::new(|| {
        let size = TermType::ALL.iter().map(|kind| usize::from(kind.number())).max().unwrap_or_default() + 1;
        let mut table = vec![None; size];
        for spec in FAMILIES.iter().copied().flatten() {
            table[usize::from(spec.kind.number())] = Some(spec);
        }
        table
    });
    BY_NUMBER.get(usize::from(kind.number())).copied().flatten()
}
