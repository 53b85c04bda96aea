//! The cost of a query, estimated from its text.

use super::{RawTerm, TermType};
use crate::datum::Datum;

/// The rows that a light query reads at most.
const FEW_ROWS: f64 = 50.0;

/// Returns true if evaluating a term probably takes microseconds, whatever the data, and needs no waiting.
/// Such a term computes with single values, reads single documents or the first few of a range, or begins the
/// write of one document.
pub fn is_light(term: &RawTerm) -> bool {
    match term.kind {
        TermType::Insert => is_write(term, |table| table.kind == TermType::Table),
        TermType::Update | TermType::Replace | TermType::Delete => {
            is_write(term, |document| document.kind == TermType::Get)
        }
        TermType::Limit => is_few_rows(term),
        // The number of a table's rows is known.
        TermType::Count => matches!(&term.args[..], [rows] if rows.kind == TermType::Table && is_range(rows)),
        // One call only: each further one could double the result of the one within it.
        TermType::Funcall => are_parts_small(term),
        _ => is_small(term),
    }
}

/// Returns true if the term writes one document to a target that `is_target` accepts.
fn is_write(term: &RawTerm, is_target: impl Fn(&RawTerm) -> bool) -> bool {
    let Some((target, rest)) = term.args.split_first() else { return false };
    // The number of a table's rows, and the cost of reading them, are unknown.
    let is_many = |arg: &RawTerm| {
        matches!(arg.kind, TermType::MakeArray | TermType::Table)
            || matches!(arg.datum, Some(Datum::Array(_)))
    };
    is_target(target)
        && are_small(&target.args)
        && !rest.iter().any(is_many)
        && are_small(rest)
        && term.optargs.iter().all(|(_, value)| is_small(value))
}

/// Returns true if the term is the start of a range of a table, in the order of an index.
fn is_few_rows(term: &RawTerm) -> bool {
    let [rows, count] = &term.args[..] else { return false };
    matches!(count.datum, Some(Datum::Num(count)) if count <= FEW_ROWS) && is_range(rows)
}

fn is_range(term: &RawTerm) -> bool {
    let Some((rows, bounds)) = term.args.split_first() else { return term.kind == TermType::Table };
    let is_of_range = match term.kind {
        TermType::Table => is_small(rows),
        TermType::Between | TermType::GetAll => rows.kind == TermType::Table && is_range(rows),
        // Without an index, or with a function besides, all rows are read and sorted.
        TermType::OrderBy => bounds.is_empty() && !term.optargs.is_empty() && is_range(rows),
        _ => false,
    };
    is_of_range && are_small(bounds) && term.optargs.iter().all(|(_, value)| is_small_or_order(value))
}

fn is_small_or_order(term: &RawTerm) -> bool {
    matches!(term.kind, TermType::Asc | TermType::Desc) && are_small(&term.args) || is_small(term)
}

fn are_small(terms: &[RawTerm]) -> bool {
    terms.iter().all(is_small)
}

fn is_small(term: &RawTerm) -> bool {
    use TermType::*;
    let kind_is_small = matches!(
        term.kind,
        Datum
            | MakeArray
            | MakeObj
            | Object
            | Func
            | Var
            | ImplicitVar
            | Db
            | Table
            | Get
            | GetField
            | Bracket
            | Add
            | Sub
            | Mul
            | Div
            | Mod
            | Eq
            | Ne
            | Lt
            | Le
            | Gt
            | Ge
            | Not
            | And
            | Or
            | Default
            | Error
            | TypeOf
            | Now
            | Pluck
            | Without
            | HasFields
            | Merge
            | Branch
            | Keys
            | ToJsonString
            | Uuid
            | Binary
            | Minval
            | Maxval
    );
    (kind_is_small || looks_for_one(term)) && are_parts_small(term)
}

/// Returns true if the term searches an array for a single value. Several ones, or what a function is true
/// for, could take long to find.
fn looks_for_one(term: &RawTerm) -> bool {
    term.kind == TermType::Contains && matches!(&term.args[..], [_, value] if value.kind != TermType::Func)
}

fn are_parts_small(term: &RawTerm) -> bool {
    // A whole table is anything but small, and so are terms that take its rows.
    let reads_table = term.kind != TermType::Get && term.args.iter().any(|arg| arg.kind == TermType::Table);
    !reads_table
        && stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            are_small(&term.args) && term.optargs.iter().all(|(_, arg)| is_small(arg))
        })
}

#[cfg(test)]
mod tests {
    use crate::datum::syntax::{Arena, parse};
    use crate::term::Query;

    fn is_light(term: &str) -> bool {
        let arena = Arena::new();
        Query::new(Some(parse(term.as_bytes(), &arena).unwrap()), &[]).unwrap().is_light()
    }

    #[test]
    fn a_document_that_a_condition_is_on_is_light() {
        let document = r#"[16,[[15,["t"]],7]]"#;
        let held =
            |condition: &str| format!(r#"[64,[[69,[[2,[1]],[65,[{condition},[10,[1]],null]]]],{document}]]"#);
        let has = r#"[32,[[10,[1]],"owner"]]"#;
        let owner = r#"[170,[[10,[1]],"owner"]]"#;
        assert!(is_light(document));
        assert!(is_light(&held(&format!(
            r#"[67,[[17,[[52,[[10,[1]]]],"OBJECT"]],{has},[17,[{owner},"ann"]]]]"#
        ))));
        assert!(is_light(&held(&format!(r#"[67,[{has},[93,[{owner},"ann"]]]]"#))));
        assert!(is_light(&held(&format!(r#"[93,[[2,["ann","bob"]],{owner}]]"#))));
        // Several values, functions and tables may take any time.
        assert!(!is_light(&held(&format!(r#"[93,[{owner},"ann","bob"]]"#))));
        assert!(!is_light(&held(&format!(r#"[93,[{owner},[69,[[2,[2]],true]]]]"#))));
        assert!(!is_light(&held(r#"[93,[[15,["t"]],1]]"#)));
        assert!(!is_light(r#"[32,[[15,["t"]],"owner"]]"#));
    }

    #[test]
    fn a_table_s_count_is_light_and_any_other_isn_t() {
        assert!(is_light(r#"[43,[[15,["t"]]]]"#));
        assert!(is_light(r#"[43,[[15,[[14,["d"]],"t"]]]]"#));
        for heavy in [
            r#"[43,[[15,["t"]],1]]"#,
            r#"[43,[[182,[[15,["t"]],1,2]]]]"#,
            r#"[43,[[15,[[43,[[15,["t"]]]]]]]]"#,
        ] {
            assert!(!is_light(heavy), "{heavy}");
        }
    }
}
