//! The terms, a file for each family.

pub mod admin;
pub mod aggregate;
pub mod control;
pub mod datum;
pub mod fold;
pub mod group;
pub mod index;
pub mod join;
pub mod object;
pub mod order;
pub mod part;
pub mod random;
pub mod search;
pub mod string;
pub mod table;
pub mod time;
pub mod transform;
pub mod union;
pub mod write;

use std::sync::LazyLock;

use super::spec::Spec;
use crate::term::TermType;

/// The families, each with the terms that it evaluates.
const FAMILIES: &[&[Spec]] = &[
    control::TERMS,
    datum::TERMS,
    object::TERMS,
    transform::TERMS,
    fold::TERMS,
    aggregate::TERMS,
    part::TERMS,
    search::TERMS,
    order::TERMS,
    union::TERMS,
    group::TERMS,
    join::TERMS,
    time::TERMS,
    string::TERMS,
    random::TERMS,
    table::TERMS,
    write::TERMS,
    index::TERMS,
    admin::TERMS,
];

/// How a term is compiled and evaluated; `None` when it isn't supported.
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
