//! Functions: the arguments of `map`, `filter`, `do` and others.

use std::sync::Arc;

use super::compile::compile_field_function;
use super::env::Env;
use super::scope::{Captured, Scope};
use super::spec::Determinism;
use super::term::{Flags, FuncTerm};
use super::val::Val;
use crate::budget::fuel;
use crate::datum::text::until_nul;
use crate::datum::{Datum, pseudo};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::term::{RawTerm, TermType};

/// A function with the variables it has captured. Cloning shares it.
#[derive(Clone)]
pub struct Func {
    body: Body,
    /// Place of the function in the query.
    pub bt: Bt,
}

#[derive(Clone)]
enum Body {
    Reql(Arc<FuncTerm>, Captured),
    /// A value in the place of a function: the function that always returns it.
    Constant(Datum),
    /// A value in the place of a function: the function that gets the field of this name.
    Field(Datum, Arc<FuncTerm>),
    Native(Arc<dyn NativeFunc>),
}

/// A function that is not made of terms, such as JavaScript.
pub trait NativeFunc: Send + Sync {
    /// Calls the function.
    fn call(&self, env: &Env, args: &[Datum]) -> Result<Datum>;
    /// Returns the source text.
    fn source(&self) -> String;
}

/// The meaning of a value in the place of a function (`function_shortcut_t` in RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
    /// No meaning: only functions are allowed.
    None,
    /// The function that always returns the value.
    Constant,
    /// The function that returns the field of that name.
    GetField,
}

impl Func {
    pub(super) fn new(func: Arc<FuncTerm>, captured: Captured) -> Func {
        let bt = func.body.bt;
        Func { body: Body::Reql(func, captured), bt }
    }

    /// Makes a function that is not made of terms.
    pub fn native(func: Arc<dyn NativeFunc>, bt: Bt) -> Func {
        Func { body: Body::Native(func), bt }
    }

    /// Makes the function that always returns a value.
    pub(super) fn constant(datum: Datum, bt: Bt) -> Func {
        Func { body: Body::Constant(datum), bt }
    }

    /// Makes the function that calls `get_field` with a value. If that is no name of a field, the call fails.
    pub(super) fn field(name: Datum, bt: Bt) -> Result<Func> {
        let func = compile_field_function(&name, bt)?;
        Ok(Func { body: Body::Field(name, func), bt })
    }

    /// Returns the number of parameters; `None` if the function takes any number.
    pub fn arity(&self) -> Option<usize> {
        match &self.body {
            Body::Reql(func, _) | Body::Field(_, func) => Some(func.params.len()),
            Body::Constant(_) => Some(0),
            Body::Native(_) => None,
        }
    }

    /// Returns the determinism of the function.
    pub fn determinism(&self) -> Determinism {
        match &self.body {
            Body::Reql(func, _) => func.body.determinism,
            Body::Constant(_) | Body::Field(..) => Determinism::ALWAYS,
            Body::Native(_) => Determinism::NO,
        }
    }

    /// Fails unless the function is deterministic, `harmless` causes aside.
    pub fn check_deterministic(&self, harmless: Determinism, hint: &str) -> Result<()> {
        if self.determinism().holds_despite(harmless) {
            Ok(())
        } else {
            Err(Error::logic(format!("Could not prove function deterministic.  {hint}")).at(self.bt))
        }
    }

    /// Returns the `FUNC` term, its parameters and the variables around it, if the function is made of terms.
    pub fn source(&self) -> Option<(&Arc<RawTerm>, &[i64], &Captured)> {
        match &self.body {
            Body::Reql(func, captured) => Some((&func.source, &func.params, captured)),
            _ => None,
        }
    }

    /// Returns the source text, if the function is not made of terms.
    pub fn native_source(&self) -> Option<String> {
        match &self.body {
            Body::Native(func) => Some(func.source()),
            _ => None,
        }
    }

    /// Calls the function. One without parameters takes any arguments, which some drivers rely on.
    pub fn call_val(&self, env: &Env, args: &[Datum], flags: Flags) -> Result<Val> {
        let _values = fuel::Scope::begin();
        match &self.body {
            Body::Reql(func, captured) => func.body.eval(env, &self.scope(func, captured, args)?, flags),
            Body::Field(_, func) => func.body.eval(env, &self.scope(func, &Captured::NOTHING, args)?, flags),
            Body::Constant(datum) => Ok(Val::datum(datum.clone(), self.bt)),
            Body::Native(func) => Ok(Val::datum(func.call(env, args).at(self.bt)?, self.bt)),
        }
    }

    /// Calls the function, whose result must be a plain value.
    pub fn call(&self, env: &Env, args: &[Datum]) -> Result<Datum> {
        match &self.body {
            Body::Reql(func, captured) => {
                let _values = fuel::Scope::begin();
                let scope = self.scope(func, captured, args)?;
                let (datum, _) = func.body.look(env, &scope, Flags::NONE)?;
                Ok(datum.into_owned())
            }
            _ => self.call_val(env, args, Flags::NONE)?.into_datum(),
        }
    }

    /// Returns the scope of the body in a call with these arguments.
    fn scope<'a>(&self, func: &'a FuncTerm, captured: &'a Captured, args: &'a [Datum]) -> Result<Scope<'a>> {
        match func.params.len() {
            0 => Ok(Scope::of_call(captured, &[], &[])),
            count if count == args.len() => Ok(Scope::of_call(captured, &func.params, args)),
            count => Err(wrong_arity(args.len(), count).at(self.bt)),
        }
    }

    /// Calls the function with one argument; `None` if it fails because a field or a row doesn't exist.
    pub fn find(&self, env: &Env, arg: &Datum) -> Result<Option<Datum>> {
        // A row without the field is common, and an error that shows the row is expensive.
        if let (Body::Field(Datum::Str(key), _), Datum::Object(object)) = (&self.body, arg)
            && arg.reql_type().is_none()
        {
            return Ok(object.get(key));
        }
        match self.call(env, std::slice::from_ref(arg)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::NonExistence => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls the function as `filter` does. An object stands for the fields that a row must match. The result
    /// for a missing field is that of `default`: false without one, an error if it is `r.error()`.
    pub fn matches(&self, env: &Env, row: &Datum, default: Option<&Func>) -> Result<bool> {
        let error = match self.matches_strictly(env, row) {
            Err(error) if error.kind() == ErrorKind::NonExistence => error,
            result => return result,
        };
        let Some(default) = default else { return Ok(false) };
        match default.call(env, &[]) {
            Ok(value) => Ok(value.is_truthy()),
            Err(failure) if failure.kind() == ErrorKind::EmptyUser => Err(error),
            Err(failure) => Err(failure),
        }
    }

    fn matches_strictly(&self, env: &Env, row: &Datum) -> Result<bool> {
        let value = self.call(env, std::slice::from_ref(row))?;
        match (&value, &self.body) {
            (Datum::Object(_), Body::Constant(_)) => matches_object(&value, row, self.bt),
            (Datum::Object(_), Body::Reql(func, _))
                if matches!(func.body.kind, TermType::MakeObj | TermType::Datum) =>
            {
                matches_object(&value, row, self.bt)
            }
            _ => Ok(value.is_truthy()),
        }
    }
}

fn wrong_arity(expected: usize, found: usize) -> Error {
    let plural = |count| if count == 1 { "" } else { "s" };
    Error::logic(format!(
        "Expected function with {expected} argument{} but found function with {found} argument{}.",
        plural(expected),
        plural(found)
    ))
}

fn matches_object(predicate: &Datum, value: &Datum, bt: Bt) -> Result<bool> {
    if predicate.is_ptype(pseudo::LITERAL) {
        return Ok(predicate.field("value")? == *value);
    }
    for (key, expected) in predicate.as_object()?.iter() {
        let found = value
            .as_object()?
            .get(key)
            .ok_or_else(|| Error::missing(format!("No attribute `{}` in object.", until_nul(key))).at(bt))?;
        let matches = match (&expected, &found) {
            (Datum::Object(_), Datum::Object(_)) => {
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || matches_object(&expected, &found, bt))?
            }
            _ => expected == found,
        };
        if !matches {
            return Ok(false);
        }
        fuel::spend(1)?;
    }
    Ok(true)
}
