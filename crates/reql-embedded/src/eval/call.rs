//! A term during its evaluation, with access to its arguments.

use std::borrow::Cow;
use std::sync::Arc;

use super::compile::compile_element_function;
use super::env::Env;
use super::func::Func;
use super::mentioned::Mentioned;
use super::scope::Scope;
use super::spec::{Determinism, Spec};
use super::stream::Stream;
use super::table::TableRef;
use super::term::{Flags, Shape, Term};
use super::val::{Val, Value};
use crate::budget::fuel;
use crate::budget::memory::LARGE;
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::term::TermType;

/// Texts up to this length cost no more than the term that takes them.
const SHORT: usize = 256;

/// Gives access to the arguments. They are evaluated on first use, in any order, each at most once.
pub struct Call<'a> {
    /// The query that runs.
    pub env: &'a Env,
    /// Permissions of the term's surroundings.
    pub flags: Flags,
    scope: &'a Scope<'a>,
    term: &'a Term,
    /// Arguments with `r.args` spread out; `None` if there is no `r.args`.
    spread: Option<Vec<Slot<'a>>>,
    /// First argument, if it has been evaluated in advance.
    first: Option<Val>,
}

#[derive(Clone)]
enum Slot<'a> {
    Term(&'a Term),
    /// One of the values of an `r.args`, which is as deterministic as all of them.
    Value(Datum, Determinism),
}

impl<'a> Call<'a> {
    pub(super) fn new(env: &'a Env, scope: &'a Scope<'a>, term: &'a Term, flags: Flags) -> Result<Self> {
        let args = term.args();
        let mut call = Call::plain(env, scope, term, flags);
        if args.iter().any(Term::is_spread) {
            call.spread = Some(call.spread_args(args)?);
        }
        Ok(call)
    }

    /// Makes a call of a term without `r.args`.
    pub(super) fn plain(env: &'a Env, scope: &'a Scope<'a>, term: &'a Term, flags: Flags) -> Self {
        Call { env, flags, scope, term, spread: None, first: None }
    }

    /// Returns the permissions of the values of `r.args`: those of the term, and those of its surroundings.
    fn spread_flags(&self) -> Flags {
        match &self.term.shape {
            Shape::Op { spec, .. } if spec.spread_flags == Flags::LITERAL_OK => Flags::LITERAL_OK,
            _ => self.flags,
        }
    }

    fn spread_args(&self, args: &'a [Term]) -> Result<Vec<Slot<'a>>> {
        let mut slots = Vec::new();
        for arg in args {
            if arg.is_spread() {
                let values = arg.eval(self.env, self.scope, self.spread_flags())?.into_datum()?;
                fuel::spend(values.as_array()?.len())?;
                let bytes = values.as_array()?.len().saturating_mul(size_of::<Slot<'_>>());
                if bytes > LARGE {
                    fuel::keep(bytes)?;
                }
                slots.extend(values.as_array()?.iter().map(|value| Slot::Value(value, arg.determinism)));
            } else {
                slots.push(Slot::Term(arg));
            }
        }
        if let Shape::Op { spec, .. } = &self.term.shape
            && !spec.arity.admits(slots.len())
        {
            return Err(Error::logic(format!(
                "Expected {} but found {}.",
                spec.arity.describe(),
                slots.len()
            )));
        }
        Ok(slots)
    }

    /// Returns this call with another first argument, for the next group.
    pub(super) fn again(&self, first: Val) -> Result<Call<'a>> {
        let spread = self.spread.clone();
        Ok(Call {
            env: self.env,
            flags: self.flags,
            scope: self.scope,
            term: self.term,
            spread,
            first: Some(first),
        })
    }

    pub(super) fn put_back(&mut self, first: Val) {
        self.first = Some(first);
    }

    /// Evaluates a term that makes a plain value of plain values.
    pub(super) fn eval_plain(call: &mut Call<'_>) -> Result<Val> {
        match &call.term.shape {
            Shape::Op { spec: Spec { plain: Some(plain), .. }, .. } => {
                let datum = plain(call)?;
                Ok(call.val(datum))
            }
            _ => Err(Error::internal("No term that makes plain values.")),
        }
    }

    /// Evaluates a term that the compiler has replaced, which can't happen.
    pub(super) fn rewritten(call: &mut Call<'_>) -> Result<Val> {
        Err(Error::internal(format!("{} was not rewritten.", call.term.kind.name())))
    }

    /// Returns the number of arguments.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.spread.as_ref().map_or(self.term.args().len(), Vec::len)
    }

    /// Returns the term's place.
    pub fn bt(&self) -> Bt {
        self.term.bt
    }

    /// Returns the kind of the term: families of similar terms share one function.
    pub fn kind(&self) -> TermType {
        self.term.kind
    }

    /// Evaluates an argument. The first one inherits the term's flags.
    pub fn arg(&mut self, index: usize) -> Result<Val> {
        self.arg_with(index, self.arg_flags(index))
    }

    fn arg_flags(&self, index: usize) -> Flags {
        if index == 0 { self.flags } else { Flags::NONE }
    }

    /// Evaluates an argument under other flags.
    pub fn arg_with(&mut self, index: usize, flags: Flags) -> Result<Val> {
        if index == 0
            && let Some(first) = self.first.take()
        {
            return Ok(first);
        }
        match &self.spread {
            None => match self.term.args().get(index) {
                Some(term) => term.eval(self.env, self.scope, flags),
                None => Err(Error::internal("Missing argument.")),
            },
            Some(slots) => match slots.get(index) {
                Some(Slot::Term(term)) => term.eval(self.env, self.scope, flags),
                Some(Slot::Value(datum, _)) => Ok(Val::datum(datum.clone(), self.bt())),
                None => Err(Error::internal("Missing argument.")),
            },
        }
    }

    /// Returns true if the arguments from an index on are the same each time and can't fail: literals,
    /// variables, functions. `r.row` is no such argument, since a function of the server may come between it
    /// and its value.
    pub fn has_fixed_args(&self, from: usize) -> bool {
        let is_fixed = |term: &Term| matches!(term.shape, Shape::Datum(_) | Shape::Var(_) | Shape::Func(_));
        match &self.spread {
            None => self.term.args().iter().skip(from).all(is_fixed),
            Some(slots) => slots.iter().skip(from).all(|slot| match slot {
                Slot::Term(term) => is_fixed(term),
                Slot::Value(..) => true,
            }),
        }
    }

    /// Evaluates an argument to a plain value.
    pub fn datum(&mut self, index: usize) -> Result<Datum> {
        Ok(self.look(index)?.0.into_owned())
    }

    /// Evaluates an argument to a plain value and keeps its place, for errors about it.
    pub fn placed(&mut self, index: usize) -> Result<(Datum, Bt)> {
        let (datum, bt) = self.look(index)?;
        Ok((datum.into_owned(), bt))
    }

    /// Evaluates an argument to a plain value with its place. A literal or a variable is only borrowed.
    pub fn look(&mut self, index: usize) -> Result<(Cow<'a, Datum>, Bt)> {
        let is_evaluated = self.spread.is_some() || index == 0 && self.first.is_some();
        match self.term.args().get(index) {
            Some(term) if !is_evaluated => term.look(self.env, self.scope, self.arg_flags(index)),
            _ => {
                let (datum, bt) = self.arg(index)?.into_placed()?;
                Ok((Cow::Owned(datum), bt))
            }
        }
    }

    /// Evaluates an argument that must have a certain type, as [`look`](Self::look) does. Because of that,
    /// the argument's term is to blame even if a row can't be read.
    fn look_for(&mut self, index: usize) -> Result<(Cow<'a, Datum>, Bt)> {
        let bt = self.term.args().get(index).map_or(self.bt(), |arg| arg.bt);
        self.look(index).at(bt)
    }

    /// Evaluates an argument to a number.
    pub fn num(&mut self, index: usize) -> Result<f64> {
        let (datum, bt) = self.look_for(index)?;
        datum.as_num().at(bt)
    }

    /// Evaluates an argument to an integer.
    pub fn int(&mut self, index: usize) -> Result<i64> {
        let (datum, bt) = self.look_for(index)?;
        datum.as_int().at(bt)
    }

    /// Evaluates an argument to a string, and counts what it takes to go through that once.
    pub fn str(&mut self, index: usize) -> Result<Arc<str>> {
        let (datum, bt) = self.look_for(index)?;
        let text = datum.as_str().cloned().at(bt)?;
        if text.len() > SHORT {
            fuel::spend_bytes(text.len())?;
        }
        Ok(text)
    }

    /// Evaluates an argument to a sequence.
    pub fn stream(&mut self, index: usize) -> Result<Stream> {
        self.arg(index)?.into_stream(self.env)
    }

    /// Evaluates an optional argument, of this term or of the whole query.
    pub fn optarg(&self, name: &str) -> Result<Option<Val>> {
        match self.own_optarg(name) {
            Some(term) => term.eval(self.env, self.scope, Flags::NONE).map(Some),
            None => self.env.optarg(name),
        }
    }

    /// Returns an optional argument as a term that isn't evaluated yet, with the scope to do so.
    pub fn lazy_optarg(&self, name: &str) -> Option<(&'a Term, &'a Scope<'a>)> {
        self.own_optarg(name).map(|term| (term, self.scope))
    }

    fn own_optarg(&self, name: &str) -> Option<&'a Term> {
        match &self.term.shape {
            Shape::Op { optargs, .. } => optargs.iter().find(|(key, _)| **key == *name).map(|(_, term)| term),
            _ => None,
        }
    }

    /// Returns this term as a function of its first argument.
    pub fn as_element_function(&self) -> Result<Func> {
        match &self.term.shape {
            Shape::Op { element: Some(element), .. } => {
                compile_element_function(element, self.scope, self.env.limits)
            }
            _ => Err(self.fail_as(ErrorKind::Internal, "Not a term that works on elements.")),
        }
    }

    /// Returns the kind of an argument's term; `None` if the argument comes from `r.args`.
    pub fn arg_kind(&self, index: usize) -> Option<TermType> {
        match &self.spread {
            None => self.term.args().get(index).map(|term| term.kind),
            Some(slots) => match slots.get(index) {
                Some(Slot::Term(term)) => Some(term.kind),
                _ => None,
            },
        }
    }

    /// Returns the tables that an argument can read or write.
    pub fn arg_tables(&self, index: usize) -> Mentioned<'a> {
        match &self.spread {
            None => self.term.args().get(index).map_or_else(Mentioned::default, Mentioned::of),
            Some(slots) => match slots.get(index) {
                Some(Slot::Term(term)) => Mentioned::of(term),
                // A plain value.
                _ => Mentioned::default(),
            },
        }
    }

    /// Returns true if there is an `r.args` among the arguments.
    pub fn has_spread(&self) -> bool {
        self.spread.is_some()
    }

    /// Returns the determinism of an argument.
    pub fn arg_determinism(&self, index: usize) -> Determinism {
        match &self.spread {
            None => self.term.args().get(index).map_or(Determinism::ALWAYS, |term| term.determinism),
            Some(slots) => match slots.get(index) {
                Some(Slot::Term(term)) => term.determinism,
                Some(Slot::Value(_, determinism)) => *determinism,
                None => Determinism::ALWAYS,
            },
        }
    }

    /// Makes a result that blames this term if it turns out wrong.
    pub fn val(&self, datum: Datum) -> Val {
        Val::datum(datum, self.bt())
    }

    /// Makes a list the result; fails if it is over the array limit.
    pub fn array(&self, items: Vec<Datum>) -> Result<Val> {
        Ok(self.val(self.env.limits.array(items)?))
    }

    /// Makes a sequence the result: an array at once if it came from one.
    pub fn seq(&self, stream: Stream) -> Result<Val> {
        Val::seq(stream, self.env, self.bt())
    }

    /// Returns the rows of a sequence, and the table whose rows they are, if it is a selection.
    pub fn rows(&self, sequence: Val) -> Result<(Option<TableRef>, Stream)> {
        if sequence.is_selection() {
            sequence.into_selection(self.env).map(|(table, rows)| (Some(table), rows))
        } else {
            sequence.into_stream(self.env).map(|rows| (None, rows))
        }
    }

    /// Inverts [`rows`](Self::rows): makes rows the result, a selection if they are those of a table.
    pub fn selection_or_seq(&self, table: Option<TableRef>, rows: Stream) -> Result<Val> {
        match table {
            Some(table) => Ok(Val { value: Value::Selection(table, rows), bt: self.bt() }),
            None => self.seq(rows),
        }
    }

    /// Returns a query-logic error of this term.
    pub fn fail(&self, message: impl Into<String>) -> Error {
        Error::logic(message).at(self.bt())
    }

    /// Returns an error of this term.
    pub fn fail_as(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(self.bt())
    }
}
