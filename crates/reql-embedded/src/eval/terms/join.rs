//! Joins: `eq_join` through an index, `inner_join` and `outer_join`, which are made of other terms.

use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Bt, Result};
use crate::eval::stream::EqJoin;
use crate::eval::{Arity, Call, Grouping, Shortcut, Spec, Stream, Val};
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::rewritten(TermType::InnerJoin, Arity::exactly(3), inner_join),
    Spec::rewritten(TermType::OuterJoin, Arity::exactly(3), outer_join),
    Spec::new(TermType::EqJoin, Arity::exactly(3), eq_join)
        .optargs(&["index", "ordered"])
        .grouping(Grouping::Stream),
];

/// Computes `eq_join` in the order of the left rows, with `ordered` or without.
fn eq_join(call: &mut Call<'_>) -> Result<Val> {
    let mut left = call.stream(0)?;
    let table = call.arg(2)?.into_table()?;
    let key = call.arg(1)?.into_func(Shortcut::GetField)?;
    if let Some(ordered) = call.optarg("ordered")?
        && ordered.into_bool()?
    {
        // RethinkDB then joins one row after the other.
        left.expect_at_most(1);
    }
    let index = match call.optarg("index")? {
        Some(index) => index.into_datum()?.as_str()?.clone(),
        None => table.primary_key().clone(),
    };
    call.seq(Stream::new(EqJoin::new(left, key, table, index.to_string()), call.bt()))
}

/// Names of variables that no client uses, since drivers count from 1; `r.row` doesn't refer to them either.
const LEFT: i64 = -10;
const RIGHT: i64 = -11;
const PAIRS: i64 = -12;

/// Rewrites an inner join to `left.concat_map(l => pairs(l))`.
fn inner_join(join: &RawTerm) -> Result<RawTerm> {
    let make = Maker(join.bt);
    let (left, pairs) = sides(join, make);
    let mut joined = make.op(TermType::ConcatMap, vec![left, make.func(LEFT, pairs)]);
    joined.optargs.clone_from(&join.optargs);
    Ok(joined)
}

/// Rewrites an outer join to
///
/// `left.concat_map(l => pairs(l).coerce_to('ARRAY').do(p => branch(p.count() > 0, p, [{left: l}])))`.
fn outer_join(join: &RawTerm) -> Result<RawTerm> {
    let make = Maker(join.bt);
    let (left, pairs) = sides(join, make);
    let pairs = make.op(TermType::CoerceTo, vec![pairs, make.literal(Datum::str("ARRAY"))]);
    let count = make.op(TermType::Count, vec![make.var(PAIRS)]);
    let alone = make.object(vec![("left", make.var(LEFT))]);
    let either = make.op(
        TermType::Branch,
        vec![
            make.op(TermType::Gt, vec![count, make.literal(Datum::Num(0.0))]),
            make.var(PAIRS),
            make.op(TermType::MakeArray, vec![alone]),
        ],
    );
    let completed = make.op(TermType::Funcall, vec![make.func(PAIRS, either), pairs]);
    let mut joined = make.op(TermType::ConcatMap, vec![left, make.func(LEFT, completed)]);
    joined.optargs.clone_from(&join.optargs);
    Ok(joined)
}

/// Returns the left side of a join, and the pairs that its rows form with those of the right side:
///
/// `right.concat_map(r => branch(matches(l, r), [{left: l, right: r}], []))`
fn sides(join: &RawTerm, make: Maker) -> (RawTerm, RawTerm) {
    let mut args = join.args.iter().cloned();
    let mut next = || args.next().unwrap_or_else(|| make.literal(Datum::Null));
    let (left, right, matches) = (next(), next(), next());
    let matches = make.op(TermType::Funcall, vec![matches, make.var(LEFT), make.var(RIGHT)]);
    let pair = make.object(vec![("left", make.var(LEFT)), ("right", make.var(RIGHT))]);
    let pair_or_nothing = make.op(
        TermType::Branch,
        vec![matches, make.op(TermType::MakeArray, vec![pair]), make.op(TermType::MakeArray, vec![])],
    );
    (left, make.op(TermType::ConcatMap, vec![right, make.func(RIGHT, pair_or_nothing)]))
}

/// Makes terms that blame one place.
#[derive(Clone, Copy)]
struct Maker(Bt);

impl Maker {
    fn op(self, kind: TermType, args: Vec<RawTerm>) -> RawTerm {
        RawTerm::generated(kind, self.0, args)
    }

    fn literal(self, datum: Datum) -> RawTerm {
        RawTerm::literal(datum, self.0)
    }

    fn var(self, name: i64) -> RawTerm {
        self.op(TermType::Var, vec![self.literal(name.into())])
    }

    fn func(self, param: i64, body: RawTerm) -> RawTerm {
        let params = self.op(TermType::MakeArray, vec![self.literal(param.into())]);
        self.op(TermType::Func, vec![params, body])
    }

    fn object(self, fields: Vec<(&str, RawTerm)>) -> RawTerm {
        let mut object = self.op(TermType::MakeObj, Vec::new());
        object.optargs = fields.into_iter().map(|(key, value)| (Arc::from(key), value)).collect();
        object
    }
}
