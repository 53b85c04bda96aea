//! Objects: their keys, their values, single fields.

use super::elements::{self, Elements, NO_RECURSE, Operation};
use super::position;
use crate::datum::{Datum, ObjectBuilder, pseudo};
use crate::error::{At, Bt, Result};
use crate::eval::{Arity, Call, Env, Grouping, Spec, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Bracket, Arity::exactly(2), bracket_term)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::new(TermType::GetField, Arity::exactly(2), get_field)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::new(TermType::Keys, Arity::exactly(1), |call| list_fields(call, |(key, _)| Datum::from(key))),
    Spec::new(TermType::Values, Arity::exactly(1), |call| list_fields(call, |(_, value)| value)),
    Spec::new(TermType::Object, Arity::at_least(0), object),
];

fn get_field(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    elements::apply(call, first, Elements::SkipMap, |call| Ok(Operation::Field(call.arg(1)?.into_str()?)))
}

fn bracket_term(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    let key = call.arg(1)?;
    let key_bt = key.bt;
    match key.into_datum()? {
        Datum::Str(name) => {
            elements::apply(call, first, Elements::SkipMap, |_| Ok(Operation::Field(name.clone())))
        }
        number @ Datum::Num(_) => {
            let position = position::position(&number).at(key_bt)?;
            position::nth_of(call, first, position)
        }
        other => {
            let found = other.type_name();
            let message =
                format!("Expected NUMBER or STRING as second argument to `bracket` but found {found}.");
            Err(other.type_error(message))
        }
    }
}

/// The field of an object as a function that stands for its name computes it.
pub fn bracket(_env: &Env, object: Datum, key: &Datum, bt: Bt) -> Result<Val> {
    let key = key.as_str().at(bt)?;
    elements::check_object(TermType::Bracket, &object).at(bt)?;
    Ok(Val::datum(object.field(key).at(bt)?, bt))
}

fn list_fields(call: &mut Call<'_>, listed: fn((&str, Datum)) -> Datum) -> Result<Val> {
    let (datum, bt) = call.placed(0)?;
    match &datum {
        Datum::Object(object) if datum.reql_type().is_none() => {
            let items = object.iter().map(listed).collect();
            call.array(items)
        }
        other => {
            let name = call.kind().name().to_lowercase();
            let message = format!("Cannot call `{name}` on objects of type `{}`.", other.type_name());
            Err(crate::error::Error::logic(message).at(bt))
        }
    }
}

fn object(call: &mut Call<'_>) -> Result<Val> {
    let count = call.len();
    if !count.is_multiple_of(2) {
        return Err(call.fail(format!("OBJECT expects an even number of arguments (but found {count}).")));
    }
    let mut object = ObjectBuilder::new();
    for index in (0..count).step_by(2) {
        let key = call.arg(index)?.into_str()?;
        let value = call.datum(index + 1)?;
        if let Some(earlier) = object.get(&key) {
            return Err(call.fail(format!(
                "Duplicate key {} in object.  (got {} and {} as values)",
                Datum::Str(key.clone()).print(),
                earlier.trunc_print(),
                value.trunc_print()
            )));
        }
        object.insert(key, value);
    }
    Ok(call.val(pseudo::sanitize(object.build(), pseudo::Literals::Refused)?))
}
