//! Compiled terms: checked, resolved, and evaluated by walking them.

use std::borrow::Cow;
use std::sync::Arc;

use super::call::Call;
use super::env::Env;
use super::func::Func;
use super::profile::{Job, Task, Trace, Work};
use super::scope::Scope;
use super::spec::{Determinism, Grouping, Plain, Spec};
use super::val::{Val, Value};
use crate::budget::fuel;
use crate::budget::memory::LARGE;
use crate::datum::pseudo::{self, Literals};
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{At, Bt, Error, Result};
use crate::term::{RawTerm, TermType};

/// A compiled term.
pub struct Term {
    /// Kind of the term.
    pub kind: TermType,
    /// Kind of the term that the client wrote, if this one replaces another.
    pub stands_for: Option<TermType>,
    /// Place of the term in the query.
    pub bt: Bt,
    /// Determinism of the result.
    pub determinism: Determinism,
    pub(super) shape: Shape,
}

/// Terms nest as deep as a client likes, and each level takes stack to be dropped.
impl Drop for Term {
    fn drop(&mut self) {
        if !matches!(self.shape, Shape::Datum(_) | Shape::Var(_) | Shape::Implicit) {
            let inner = std::mem::replace(&mut self.shape, Shape::Implicit);
            stacker::maybe_grow(64 * 1024, 1024 * 1024, || drop(inner));
        }
    }
}

/// A compiled function, its variables aside.
pub struct FuncTerm {
    /// Names of the parameters.
    pub params: Vec<i64>,
    /// Term to evaluate.
    pub body: Term,
    /// The whole `FUNC` term as it was sent, to be stored or shown.
    pub source: Arc<RawTerm>,
}

/// The kinds of terms that the evaluator tells apart.
pub(super) enum Shape {
    /// A literal.
    Datum(Datum),
    /// A variable.
    Var(i64),
    /// `r.row`
    Implicit,
    /// An object whose fields are terms, sorted by key.
    Object(Vec<(Arc<str>, Term)>),
    /// A function.
    Func(Arc<FuncTerm>),
    /// `r.args`, which spreads its value over the arguments around it.
    Args(Box<Term>),
    /// Any other term.
    Op {
        spec: &'static Spec,
        args: Vec<Term>,
        optargs: Vec<(Arc<str>, Term)>,
        /// Parts of a function of the first argument, for terms that recurse into sequences.
        element: Option<Arc<ElementTerm>>,
        /// Function that evaluates the term if all its arguments are plain values.
        plain: Option<Plain>,
    },
}

/// A term without its first argument.
pub struct ElementTerm {
    /// Kind of the term.
    pub kind: TermType,
    /// Place of the term.
    pub bt: Bt,
    /// The second argument and the following ones.
    pub args: Vec<RawTerm>,
}

impl ElementTerm {
    pub(super) fn of(raw: &RawTerm) -> Self {
        ElementTerm { kind: raw.kind, bt: raw.bt, args: raw.args.iter().skip(1).cloned().collect() }
    }
}

/// The permissions of a term's surroundings (`eval_flags_t` in RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// Permission of `r.literal` as the value.
    pub literals: Literals,
}

impl Flags {
    /// Nothing special is permitted.
    pub const NONE: Flags = Flags { literals: Literals::Refused };
    /// `r.literal` is permitted.
    pub const LITERAL_OK: Flags = Flags { literals: Literals::Allowed };
}

impl Term {
    /// Evaluates the term. An error without a place gets the term's.
    pub fn eval(&self, env: &Env, scope: &Scope<'_>, flags: Flags) -> Result<Val> {
        let eval = || stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.eval_here(env, scope, flags));
        env.trace().map_or_else(eval, |trace| self.told(trace, eval)).at(self.bt)
    }

    /// Calls `eval`, which evaluates the term, and records that in the profile.
    #[cold]
    fn told<T>(&self, trace: &Trace, eval: impl FnOnce() -> T) -> T {
        let _told = self.tell(trace);
        eval()
    }

    /// Records the evaluation of the term until the result is dropped: from its last part to its first.
    fn tell<'a>(&self, trace: &'a Trace) -> (Option<Job<'a>>, Option<Task<'a>>, Option<Task<'a>>) {
        let outer = self.stands_for.and_then(|kind| trace.term(kind));
        let task = trace.term(self.kind);
        let work = match (self.kind, &self.shape) {
            (TermType::MakeArray, Shape::Datum(Datum::Array(items))) => Some(Work::Array(items.len())),
            (TermType::MakeArray, Shape::Op { args, .. }) => Some(Work::Array(args.len())),
            (TermType::MakeObj, Shape::Datum(Datum::Object(fields))) => Some(Work::Object(fields.len())),
            (TermType::MakeObj, Shape::Object(fields)) => Some(Work::Object(fields.len())),
            _ => None,
        };
        let work = work.filter(|work| !matches!(work, Work::Array(0) | Work::Object(0)));
        (work.and_then(|work| trace.work(work)), task, outer)
    }

    /// Evaluates the term to a plain value, with the term that made it. Literals and variables are only
    /// borrowed.
    #[inline]
    pub fn look<'a>(
        &'a self,
        env: &'a Env,
        scope: &'a Scope<'_>,
        flags: Flags,
    ) -> Result<(Cow<'a, Datum>, Bt)> {
        match self.peek(scope) {
            Some(datum) if env.trace().is_none() => Ok((Cow::Borrowed(datum), self.bt)),
            _ => self.look_deeper(env, scope, flags),
        }
    }

    /// Returns the value of a literal or a variable.
    #[inline]
    fn peek<'a>(&'a self, scope: &'a Scope<'_>) -> Option<&'a Datum> {
        match &self.shape {
            Shape::Datum(datum) => Some(datum),
            Shape::Var(variable) => scope.get(*variable),
            Shape::Implicit => scope.implicit(),
            _ => None,
        }
    }

    fn look_deeper<'a>(
        &'a self,
        env: &'a Env,
        scope: &'a Scope<'_>,
        flags: Flags,
    ) -> Result<(Cow<'a, Datum>, Bt)> {
        if let Shape::Op { plain: Some(plain), .. } = &self.shape {
            let call = || {
                self.spend()?;
                evaluate(*plain, &mut Call::plain(env, scope, self, flags))
            };
            let look = || stacker::maybe_grow(64 * 1024, 1024 * 1024, call);
            let datum = env.trace().map_or_else(look, |trace| self.told(trace, look)).at(self.bt)?;
            return Ok((Cow::Owned(datum), self.bt));
        }
        // If the value is a row, the term that wants it reads it.
        let (datum, bt) = self.eval(env, scope, flags)?.into_placed()?;
        Ok((Cow::Owned(datum), bt))
    }

    /// Returns true if the term is sure to have a plain value, not grouped data, a sequence or a function.
    pub(super) fn is_plain(&self) -> bool {
        match &self.shape {
            Shape::Datum(_) | Shape::Var(_) | Shape::Implicit | Shape::Object(_) => true,
            Shape::Op { plain, .. } => plain.is_some(),
            Shape::Func(_) | Shape::Args(_) => false,
        }
    }

    /// Returns true if the term is `r.args`.
    pub(super) fn is_spread(&self) -> bool {
        matches!(self.shape, Shape::Args(_))
    }

    fn eval_here(&self, env: &Env, scope: &Scope<'_>, flags: Flags) -> Result<Val> {
        self.spend()?;
        match &self.shape {
            Shape::Datum(_) | Shape::Var(_) | Shape::Implicit => match self.peek(scope) {
                Some(datum) => Ok(Val::datum(datum.clone(), self.bt)),
                None => Err(Error::internal("Variable name not found.")),
            },
            Shape::Op { plain: Some(plain), .. } => {
                Ok(Val::datum(evaluate(*plain, &mut Call::plain(env, scope, self, flags))?, self.bt))
            }
            Shape::Object(fields) => self.eval_object(fields, env, scope, flags),
            Shape::Func(func) => Ok(Val::func(Func::new(func.clone(), scope.capture()), self.bt)),
            Shape::Args(inner) => self.eval_args(inner, env, scope, flags),
            Shape::Op { spec, .. } => {
                let val = eval_op(spec, Call::new(env, scope, self, flags)?)?;
                match &val.value {
                    Value::Datum(datum) if self.has_counted() => datum.check()?,
                    Value::Datum(datum) => check(datum)?,
                    _ => {}
                }
                Ok(val)
            }
        }
    }

    /// Returns true if the term's value counts already: as that of another term, or as what a write shows.
    fn has_counted(&self) -> bool {
        use TermType::{Branch, ForEach, Insert, Replace};
        matches!(self.kind, Branch | ForEach | Insert | Replace)
    }

    /// Counts the evaluation of the term, and of arguments that are only borrowed.
    #[inline]
    fn spend(&self) -> Result<()> {
        fuel::spend(1 + self.args().len() / 8)
    }

    fn eval_args(&self, inner: &Term, env: &Env, scope: &Scope<'_>, flags: Flags) -> Result<Val> {
        let (items, bt) = inner.eval(env, scope, flags)?.into_placed()?;
        items.as_array()?;
        Ok(Val::datum(items, bt))
    }

    fn eval_object(
        &self,
        fields: &[(Arc<str>, Term)],
        env: &Env,
        scope: &Scope<'_>,
        flags: Flags,
    ) -> Result<Val> {
        let mut object = ObjectBuilder::with_capacity(fields.len());
        for (key, term) in fields {
            object.insert(key.clone(), term.eval(env, scope, flags)?.into_datum()?);
        }
        let object = pseudo::sanitize(object.build(), Literals::Refused)?;
        check(&object)?;
        Ok(Val::datum(object, self.bt))
    }

    /// Returns the arguments; an empty slice if there are none.
    pub(super) fn args(&self) -> &[Term] {
        match &self.shape {
            Shape::Op { args, .. } => args,
            _ => &[],
        }
    }
}

/// Evaluates a term to a plain value, which must not be too large.
#[inline]
fn evaluate(plain: Plain, call: &mut Call<'_>) -> Result<Datum> {
    let datum = plain(call)?;
    check(&datum)?;
    Ok(datum)
}

/// Fails for a value that is too large for any query, or for the rest of this query's memory.
#[inline]
fn check(datum: &Datum) -> Result<()> {
    match datum {
        Datum::Null | Datum::Bool(_) | Datum::Num(_) => Ok(()),
        _ if datum.size() <= LARGE => datum.check(),
        _ => {
            datum.check()?;
            fuel::keep(datum.footprint())
        }
    }
}

/// Runs a term, once for each group if its first argument is grouped.
fn eval_op(spec: &'static Spec, mut call: Call<'_>) -> Result<Val> {
    if spec.grouping == Grouping::Whole || call.len() == 0 {
        return (spec.eval)(&mut call);
    }
    let first = call.arg(0)?;
    match first.into_groups(call.env, spec.grouping)? {
        Ok(groups) => {
            let mut results = Vec::with_capacity(groups.len());
            for (group, value) in groups {
                let mut call = call.again(Val::datum(value, call.bt()))?;
                results.push((group, (spec.eval)(&mut call)?.into_datum()?));
            }
            Ok(Val::grouped(results.into_iter().collect(), call.bt()))
        }
        Err(ungrouped) => {
            call.put_back(ungrouped);
            (spec.eval)(&mut call)
        }
    }
}
