//! The terms, a file for each family.

pub mod admin;
pub mod control;
pub mod datum;
pub mod geo;
pub mod index;
pub mod object;
pub mod table;
pub mod write;

use std::sync::LazyLock;

use super::spec::Spec;
use crate::term::TermType;

/// The families, each with the terms that it evaluates.
const FAMILIES: &[&[Spec]] = &[
    control::TERMS,
    datum::TERMS,
    object::TERMS,
    table::TERMS,
    write::TERMS,
    index::TERMS,
    admin::TERMS,
    geo::TERMS,
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
