//! Objects and their fields. Each of these terms also takes a sequence, and then works on each of its elements.

use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};
use crate::eval::stream::{Flow, Row, Stage};
use crate::eval::{Arity, Call, Env, Func, Grouping, Spec, Val, Value};
use crate::term::TermType;

/// Marks the calls that work on an element already, and so must not recurse.
const NO_RECURSE: &[&str] = &["_NO_RECURSE_"];

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Bracket, Arity::exactly(2), bracket_term)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::new(TermType::GetField, Arity::exactly(2), get_field)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
];

/// What a sequence becomes when the term works on each of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Each element is replaced by the result.
    Map,
    /// The elements for which the result is true stay.
    Filter,
    /// Each element is replaced by the result; those that lack the field are left out.
    SkipMap,
}

/// Applies a term to an object, or to each element of a sequence.
///
/// `on_object` computes the result for one object. For a sequence the term is compiled anew as a function of its first
/// argument, so that the other arguments are evaluated for each element, as RethinkDB does it.
pub fn object_or_elements(
    call: &mut Call<'_>,
    first: Val,
    elements: Elements,
    on_object: impl FnOnce(&mut Call<'_>, Datum) -> Result<Val>,
) -> Result<Val> {
    let (bt, name) = (first.bt, call.kind().name().to_lowercase());
    let first = match first.value {
        Value::Single(selection) => Val::datum(selection.get().at(bt)?, bt),
        value => Val { value, bt },
    };
    match &first.value {
        Value::Datum(object @ Datum::Object(_)) => {
            if object.reql_type().is_some() {
                let kind = object.type_name();
                return Err(Error::logic(format!("Cannot call `{name}` on objects of type `{kind}`.")).at(bt));
            }
            let object = object.clone();
            on_object(call, object)
        }
        Value::Datum(Datum::Array(_)) => over_elements(call, first, elements),
        Value::Datum(other) => {
            let message =
                format!("Cannot perform {name} on a non-object non-sequence `{}`.", other.trunc_print());
            Err(other.type_error(message).at(bt))
        }
        _ if first.is_sequence() => over_elements(call, first, elements),
        _ => {
            let message =
                format!("Cannot perform {name} on a non-object non-sequence `VALUE {}`.", first.type_name());
            Err(Error::logic(message).at(bt))
        }
    }
}

fn over_elements(call: &mut Call<'_>, sequence: Val, elements: Elements) -> Result<Val> {
    if let Some(no_recurse) = call.optarg("_NO_RECURSE_")?
        && no_recurse.into_bool()?
    {
        let name = call.kind().name().to_lowercase();
        return Err(call.fail(format!("Cannot perform {name} on a sequence of sequences.")));
    }
    let stage = OnElements { func: call.as_element_function()?, elements };
    match sequence.value {
        Value::Table(_) | Value::Slice(_) | Value::Selection(..) if elements == Elements::Filter => {
            let bt = sequence.bt;
            let (table, stream) = sequence.into_selection(call.env)?;
            Ok(Val { value: Value::Selection(table, stream.then(stage)), bt })
        }
        _ => call.seq(sequence.into_stream(call.env)?.then(stage)),
    }
}

/// Works on each element of a sequence.
struct OnElements {
    func: Func,
    elements: Elements,
}

impl Stage for OnElements {
    fn apply(&mut self, env: &Env, row: Row) -> Result<Flow> {
        let Row { group, value } = row;
        let result = self.func.call(env, std::slice::from_ref(&value));
        Ok(match self.elements {
            Elements::Map => Flow::Keep(Row { group, value: result? }),
            Elements::Filter if result.as_ref().is_ok_and(Datum::is_truthy) => {
                Flow::Keep(Row { group, value })
            }
            _ => match result {
                Ok(value) if self.elements == Elements::SkipMap => Flow::Keep(Row { group, value }),
                Err(error) if error.kind() != crate::error::ErrorKind::NonExistence => return Err(error),
                _ => Flow::Drop,
            },
        })
    }
}

fn get_field(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    object_or_elements(call, first, Elements::SkipMap, |call, object| {
        let key = call.arg(1)?.into_str()?;
        Ok(call.val(object.field(&key).at(call.bt())?))
    })
}

fn bracket_term(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    let (key, key_bt) = call.placed(1)?;
    match &key {
        Datum::Str(name) => object_or_elements(call, first, Elements::SkipMap, |call, object| {
            Ok(call.val(object.field(name).at(call.bt())?))
        }),
        Datum::Num(_) => Err(Error::logic("bracket with a number is not there yet").at(key_bt)),
        other => Err(other.type_error(format!(
            "Expected NUMBER or STRING as second argument to `bracket` but found {}.",
            other.type_name()
        ))),
    }
}

/// The field of an object as a function that stands for its name computes it.
pub fn bracket(_env: &Env, object: Datum, key: &Datum, bt: Bt) -> Result<Val> {
    let key = key.as_str().at(bt)?;
    match &object {
        Datum::Object(_) => Ok(Val::datum(object.field(key).at(bt)?, bt)),
        other => {
            let message =
                format!("Cannot perform bracket on a non-object non-sequence `{}`.", other.trunc_print());
            Err(other.type_error(message).at(bt))
        }
    }
}
