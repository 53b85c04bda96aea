//! Objects: their keys, their values, single fields.

use super::elements::{self, Elements, NO_RECURSE, Operation};
use super::position;
use crate::datum::{Datum, ObjectBuilder, pseudo};
use crate::error::{At, Result};
use crate::eval::{Arity, Call, Grouping, Spec, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Bracket, Arity::exactly(2), bracket_term)
        .or_plain(bracket_of_plain)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::new(TermType::GetField, Arity::exactly(2), get_field)
        .or_plain(get_field_of_plain)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::plain(TermType::Keys, Arity::exactly(1), |call| list_fields(call, |(key, _)| Datum::from(key))),
    Spec::plain(TermType::Values, Arity::exactly(1), |call| list_fields(call, |(_, value)| value)),
    Spec::plain(TermType::Object, Arity::at_least(0), object),
];

fn get_field(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    get_field_of(call, first)
}

fn get_field_of(call: &mut Call<'_>, first: Val) -> Result<Val> {
    elements::apply(call, first, Elements::SkipMap, |call| Ok(Operation::Field(call.str(1)?)))
}

fn get_field_of_plain(call: &mut Call<'_>) -> Result<Datum> {
    let (first, bt) = call.look(0)?;
    if matches!(*first, Datum::Object(_)) {
        elements::check_object(TermType::GetField, &first).at(bt)?;
        let (key, key_bt) = call.look(1)?;
        return first.field(key.as_str().at(key_bt)?);
    }
    get_field_of(call, Val::datum(first.into_owned(), bt))?.into_datum()
}

fn bracket_term(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    let key = call.arg(1)?;
    bracket_of(call, first, key)
}

fn bracket_of_plain(call: &mut Call<'_>) -> Result<Datum> {
    let (first, bt) = call.look(0)?;
    let (key, key_bt) = call.look(1)?;
    if let (Datum::Object(_), Datum::Str(name)) = (&*first, &*key) {
        elements::check_object(TermType::Bracket, &first).at(bt)?;
        return first.field(name);
    }
    let (first, key) = (Val::datum(first.into_owned(), bt), Val::datum(key.into_owned(), key_bt));
    bracket_of(call, first, key)?.into_datum()
}

fn bracket_of(call: &mut Call<'_>, first: Val, key: Val) -> Result<Val> {
    let (key, key_bt) = key.into_placed()?;
    match key {
        Datum::Str(name) => {
            elements::apply(call, first, Elements::SkipMap, |_| Ok(Operation::Field(name.clone())))
        }
        Datum::Num(_) => position::nth_of(call, first, Val::datum(key, key_bt)),
        other => {
            let found = other.type_name();
            let message =
                format!("Expected NUMBER or STRING as second argument to `bracket` but found {found}.");
            Err(other.type_error(message))
        }
    }
}

fn list_fields(call: &mut Call<'_>, listed: fn((&str, Datum)) -> Datum) -> Result<Datum> {
    let (datum, bt) = call.look(0)?;
    match &*datum {
        Datum::Object(object) if datum.reql_type().is_none() => {
            let items = object.iter().map(listed).collect();
            call.env.limits.array(items)
        }
        other => {
            let name = call.kind().name().to_lowercase();
            let message = format!("Cannot call `{name}` on objects of type `{}`.", other.type_name());
            Err(crate::error::Error::logic(message).at(bt))
        }
    }
}

fn object(call: &mut Call<'_>) -> Result<Datum> {
    let count = call.len();
    if !count.is_multiple_of(2) {
        call.arg(0)?;
        return Err(call.fail(format!("OBJECT expects an even number of arguments (but found {count}).")));
    }
    let mut object = ObjectBuilder::new();
    for index in (0..count).step_by(2) {
        let key = call.str(index)?;
        let value = call.datum(index + 1)?;
        if let Some(earlier) = object.get(&key) {
            return Err(call.fail(format!(
                "Duplicate key {} in object.  (got {} and {} as values)",
                Datum::Str(key.clone()).print(),
                earlier.printable()?.trunc_print(),
                value.printable()?.trunc_print()
            )));
        }
        object.insert(key, value);
    }
    pseudo::sanitize(object.build(), pseudo::Literals::Refused)
}
