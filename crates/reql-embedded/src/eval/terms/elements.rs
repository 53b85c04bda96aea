//! Terms that work on an object, or on each element of a sequence: `get_field`, `pluck`, `merge` and their
//! like.

use std::sync::Arc;

use crate::budget::fuel;
use crate::datum::{Datum, pseudo};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::pathspec::PathSpec;
use crate::eval::stream::{Flow, Row, Stage, check_deterministic};
use crate::eval::{Call, Env, Flags, Func, Val, Value};
use crate::geo::Relation;
use crate::term::TermType;

/// The option that marks calls on a single element, which must not recurse.
pub const NO_RECURSE: &[&str] = &["_NO_RECURSE_"];

/// The result of a term that works on each element of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Each element is replaced by the result.
    Map,
    /// The elements for which the result is true stay.
    Filter,
    /// Each element is replaced by the result; those that lack the field are left out.
    SkipMap,
}

/// The operation of a term on an object: the term with all arguments but the first evaluated.
pub enum Operation {
    /// The value of the field.
    Field(Arc<str>),
    /// The object with these fields only.
    Pluck(PathSpec),
    /// The object without these fields.
    Without(PathSpec),
    /// True or false: the object has these fields.
    HasFields(PathSpec),
    /// True or false: the geometry has this relation to another one.
    Relation(Relation),
    /// The object merged with others, one after the other.
    Merge(Vec<Overlay>),
}

/// The value that an object is merged with.
pub enum Overlay {
    /// A value.
    Value(Datum, Bt),
    /// The result of a function of the object.
    Func(Func, Bt),
}

impl Operation {
    /// Applies the operation to an object that is no pseudo-type, or to a geometry.
    pub fn apply(&self, env: &Env, object: &Datum) -> Result<Datum> {
        match self {
            Operation::Field(key) => object.field(key),
            Operation::Pluck(paths) => Ok(paths.project(object, env.limits)),
            Operation::Without(paths) => Ok(paths.unproject(object, env.limits)),
            Operation::HasFields(paths) => Ok(Datum::Bool(paths.is_in(object))),
            Operation::Relation(relation) => relation.holds(object).map(Datum::Bool),
            Operation::Merge(overlays) => {
                overlays.iter().try_fold(object.clone(), |merged, overlay| overlay.lay_over(env, &merged))
            }
        }
    }
}

impl Overlay {
    /// Makes an overlay of an argument.
    pub fn of(val: Val) -> Result<Overlay> {
        let bt = val.bt;
        Ok(match val.value {
            Value::Func(func) => Overlay::Func(func, bt),
            _ if val.is_datum() => Overlay::Value(val.into_datum()?, bt),
            _ => return Err(val.wrong_type("FUNCTION")),
        })
    }

    /// Merges the overlay into an object.
    pub fn lay_over(&self, env: &Env, object: &Datum) -> Result<Datum> {
        fuel::spend(1)?;
        let (made, bt);
        let overlay = match self {
            Overlay::Value(value, place) => {
                bt = *place;
                value
            }
            Overlay::Func(func, place) => {
                bt = *place;
                made = func.call_val(env, std::slice::from_ref(object), Flags::LITERAL_OK)?.into_datum()?;
                &made
            }
        };
        match overlay {
            Datum::Object(_) if overlay.reql_type().is_some_and(|kind| &*kind != "LITERAL") => {
                let message = format!("Cannot merge objects of type `{}`.", overlay.type_name());
                Err(Error::logic(message).at(bt))
            }
            overlay => object.merge(overlay),
        }
    }
}

/// Applies a term to its first argument: an object, or each element of a sequence.
///
/// `operation` evaluates the other arguments. RethinkDB does that again for each element of a sequence. This
/// function does the same, by compiling the term as a function of its first argument, unless the arguments
/// are fixed.
pub fn apply(
    call: &mut Call<'_>,
    first: Val,
    elements: Elements,
    operation: impl Fn(&mut Call<'_>) -> Result<Operation>,
) -> Result<Val> {
    let on_object = |call: &mut Call<'_>, object: &Datum| operation(call)?.apply(call.env, object);
    apply_or(call, first, elements, on_object, &operation)
}

/// Does as [`apply`] does, but calls `on_object` for a single object, which may take turns at evaluating
/// arguments and working.
pub fn apply_or(
    call: &mut Call<'_>,
    first: Val,
    elements: Elements,
    on_object: impl Fn(&mut Call<'_>, &Datum) -> Result<Datum>,
    operation: impl Fn(&mut Call<'_>) -> Result<Operation>,
) -> Result<Val> {
    let bt = first.bt;
    let first = match first.value {
        Value::Single(selection) => Val::datum(selection.get()?, bt),
        value => Val { value, bt },
    };
    match &first.value {
        Value::Datum(Datum::Array(_)) => over_elements(call, first, elements, operation),
        Value::Datum(datum) => {
            // An error that a value can't be shown blames this term; an error that shows it blames the term
            // that made it.
            if !matches!(datum, Datum::Object(_)) {
                datum.printable()?;
            }
            check_object(call.kind(), datum).at(bt)?;
            let result = on_object(call, datum)?;
            Ok(call.val(result))
        }
        _ if first.is_sequence() => over_elements(call, first, elements, operation),
        _ => {
            let (name, shown) = (name(call.kind()), first.describe()?);
            Err(Error::logic(format!("Cannot perform {name} on a non-object non-sequence `{shown}`.")).at(bt))
        }
    }
}

/// Returns a term's name in error messages.
fn name(kind: TermType) -> String {
    kind.name().to_lowercase()
}

/// Fails unless the value is an object, and no pseudo-type except a geometry for a term that works on
/// geometry.
pub fn check_object(kind: TermType, datum: &Datum) -> Result<()> {
    let takes_geometry = matches!(kind, TermType::Intersects | TermType::Includes);
    match datum {
        Datum::Object(_) if datum.reql_type().is_none() => Ok(()),
        Datum::Object(_) if takes_geometry && datum.is_ptype(pseudo::GEOMETRY) => Ok(()),
        Datum::Object(_) => {
            let type_name = datum.type_name();
            Err(Error::logic(format!("Cannot call `{}` on objects of type `{type_name}`.", name(kind))))
        }
        other => {
            let shown = other.printable()?.trunc_print();
            let message = format!("Cannot perform {} on a non-object non-sequence `{shown}`.", name(kind));
            Err(other.type_error(message))
        }
    }
}

fn nested_sequences(kind: TermType) -> Error {
    Error::logic(format!("Cannot perform {} on a sequence of sequences.", name(kind)))
}

fn over_elements(
    call: &mut Call<'_>,
    sequence: Val,
    elements: Elements,
    operation: impl Fn(&mut Call<'_>) -> Result<Operation>,
) -> Result<Val> {
    if let Some(no_recurse) = call.optarg("_NO_RECURSE_")?
        && no_recurse.into_bool()?
    {
        return Err(nested_sequences(call.kind()).at(call.bt()));
    }
    // An operation that can't be made fails for each element, and so not at all if there are none.
    let fixed = if call.has_fixed_args(1) { operation(call).ok() } else { None };
    let work = match fixed {
        Some(operation) => Work::Direct { operation, kind: call.kind() },
        None => Work::Compiled(call.as_element_function()?),
    };
    let stage = OnElements { work, elements, bt: call.bt() };
    match sequence.value {
        Value::Table(_) | Value::Slice(_) | Value::Selection(..) if elements == Elements::Filter => {
            let bt = call.bt();
            let (table, stream) = sequence.into_selection(call.env)?;
            Ok(Val { value: Value::Selection(table, stream.then(stage, bt)), bt })
        }
        _ => call.seq(sequence.into_stream(call.env)?.then(stage, call.bt())),
    }
}

/// Works on each element of a sequence.
struct OnElements {
    work: Work,
    elements: Elements,
    bt: Bt,
}

enum Work {
    Direct { operation: Operation, kind: TermType },
    Compiled(Func),
}

impl Work {
    fn apply(&self, env: &Env, element: &Datum) -> Result<Datum> {
        match self {
            Work::Compiled(func) => func.call(env, std::slice::from_ref(element)),
            Work::Direct { kind, .. } if matches!(element, Datum::Array(_)) => Err(nested_sequences(*kind)),
            Work::Direct { operation, kind } => {
                check_object(*kind, element)?;
                operation.apply(env, element)
            }
        }
    }
}

impl Stage for OnElements {
    fn apply(&self, env: &Env, row: Row) -> Result<Flow> {
        let Row { group, value } = row;
        let result = match self.work.apply(env, &value) {
            Err(error) if self.elements != Elements::Map && error.kind() == ErrorKind::NonExistence => {
                return Ok(Flow::Drop);
            }
            result => result.at(self.bt)?,
        };
        Ok(match self.elements {
            Elements::Filter if !result.is_truthy() => Flow::Drop,
            Elements::Filter => Flow::Keep(Row { group, value }),
            Elements::Map | Elements::SkipMap => Flow::Keep(Row { group, value: result }),
        })
    }

    fn check_watchable(&self) -> Result<()> {
        match &self.work {
            Work::Compiled(func) => check_deterministic(func),
            Work::Direct { operation: Operation::Merge(overlays), .. } => {
                overlays.iter().try_for_each(|overlay| match overlay {
                    Overlay::Func(func, _) => check_deterministic(func),
                    Overlay::Value(..) => Ok(()),
                })
            }
            Work::Direct { .. } => Ok(()),
        }
    }

    fn is_filter(&self) -> bool {
        self.elements == Elements::Filter
    }
}
