//! `union`: several sequences as one, in turn or merged by an order.

use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::stream::{Chain, Merge};
use crate::eval::{Arity, Call, Flags, Order, Spec, Stream, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[Spec::new(TermType::Union, Arity::at_least(0), union).optargs(&["interleave"])];

fn union(call: &mut Call<'_>) -> Result<Val> {
    let streams = (0..call.len()).map(|index| call.stream(index)).collect::<Result<Vec<_>>>()?;
    let order = interleave_order(call)?;
    if streams.is_empty() {
        return call.array(Vec::new());
    }
    call.seq(if order.is_empty() {
        Stream::new(Chain::new(streams), call.bt())
    } else if streams.iter().any(|stream| stream.feed().is_some()) {
        return Err(call.fail("Cannot use an infinite stream with an ordered `union`."));
    } else {
        Stream::new(Merge::new(streams, order, call.bt()), call.bt())
    })
}

/// Returns the order that `interleave` asks for; an empty one if it is a bool or missing.
fn interleave_order(call: &Call<'_>) -> Result<Order> {
    let mut order = Order::default();
    let Some((term, scope)) = call.lazy_optarg("interleave") else { return Ok(order) };
    let mut push = |kind: TermType, val: Val| {
        if kind == TermType::Args {
            return Err(call.fail("r.args is not supported in an order_by or union command yet."));
        }
        order.push(kind, val).at(call.bt())
    };
    // The elements of an array are not evaluated as one, because functions can't be in an array.
    if term.kind == TermType::MakeArray && !term.args().is_empty() {
        for item in term.args() {
            push(item.kind, item.eval(call.env, scope, Flags::NONE)?)?;
        }
        return Ok(order);
    }
    let val = term.eval(call.env, scope, Flags::NONE)?;
    let bt = val.bt;
    if !val.is_datum() {
        push(term.kind, val)?;
        return Ok(order);
    }
    match val.into_datum()? {
        Datum::Bool(_) => {}
        Datum::Array(items) if term.kind == TermType::MakeArray => {
            for item in items.iter() {
                push(TermType::Asc, Val::datum(item, bt))?;
            }
        }
        field => push(term.kind, Val::datum(field, bt))?,
    }
    Ok(order)
}
