//! The specification of a term: its arguments, and the function that evaluates it.

use super::call::Call;
use super::term::Flags;
use super::val::Val;
use crate::datum::Datum;
use crate::error::Result;
use crate::term::{RawTerm, TermType};

/// Evaluates a term that makes a plain value of plain values. Most work on single rows is done by such terms,
/// so they skip the handling of all other results.
pub type Plain = fn(&mut Call<'_>) -> Result<Datum>;

/// The compilation and evaluation of a term. Each family of terms lists its own in a `TERMS` constant.
pub struct Spec {
    /// Kind of the term.
    pub kind: TermType,
    /// Number of arguments.
    pub arity: Arity,
    /// Names of the optional arguments.
    pub optargs: &'static [&'static str],
    /// Names of the optional arguments that the term evaluates as often as it likes: they arrive as functions
    /// without parameters.
    pub lazy_optargs: &'static [&'static str],
    /// Function that evaluates the term.
    pub eval: fn(&mut Call<'_>) -> Result<Val>,
    /// Function that evaluates the term if its first argument is sure to be a plain value. Its result is a
    /// plain value too.
    pub plain: Option<Plain>,
    /// Treatment of grouped data as the first argument.
    pub grouping: Grouping,
    /// Determinism of the term itself; its arguments can make it worse.
    pub determinism: Determinism,
    /// Permissions of the values of `r.args`.
    pub spread_flags: Flags,
    /// Function that returns further causes of indeterminism, for terms where they depend on the arguments.
    pub determinism_of: Option<fn(&RawTerm) -> Determinism>,
    /// Function that replaces the term by other terms before compilation.
    pub rewrite: Option<fn(&RawTerm) -> Result<RawTerm>>,
}

/// The number of arguments of a term; the values of `r.args` count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arity {
    min: usize,
    max: Option<usize>,
}

/// The treatment of a grouped first argument (`can_be_grouped` and `is_grouped_seq_op` in RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// The term runs once for each group, on the group's value.
    PerGroup,
    /// The term works on a grouped stream as a whole, row by row; on grouped data once for each group.
    Stream,
    /// The term takes grouped data as a value of its own.
    Whole,
}

/// The causes that make a term's answers differ between runs (`deterministic_t` in RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Determinism(u8);

impl Determinism {
    /// Always the same answer.
    pub const ALWAYS: Self = Determinism(0);
    /// Depends on chance, on data or on the outside.
    pub const NO: Self = Determinism(1);
    /// One answer on one server, but possibly another one elsewhere.
    pub const ONE_SERVER: Self = Determinism(2);
    /// One answer as long as `r.now()` is the same.
    pub const CONSTANT_NOW: Self = Determinism(4);

    /// Returns the determinism of a term made of two.
    pub fn join(self, other: Self) -> Self {
        Determinism(self.0 | other.0)
    }

    /// Returns true if the answer is the same each time, provided that these causes don't count.
    pub fn holds_despite(self, harmless: Self) -> bool {
        self.0 & !harmless.0 == 0
    }
}

impl Arity {
    /// Returns the arity of exactly `count` arguments.
    pub const fn exactly(count: usize) -> Self {
        Arity { min: count, max: Some(count) }
    }

    /// Returns the arity of `min` to `max` arguments.
    pub const fn between(min: usize, max: usize) -> Self {
        Arity { min, max: Some(max) }
    }

    /// Returns the arity of `min` arguments or more.
    pub const fn at_least(min: usize) -> Self {
        Arity { min, max: None }
    }

    /// Returns true if the number of arguments is allowed.
    pub fn admits(self, count: usize) -> bool {
        self.min <= count && self.max.is_none_or(|max| count <= max)
    }

    /// Returns the text of error messages: `2 arguments`, `1 or more arguments`, `between 1 and 3 arguments`.
    pub fn describe(self) -> String {
        match self.max {
            Some(max) if max == self.min => format!("{max} argument{}", if max == 1 { "" } else { "s" }),
            Some(max) => format!("between {} and {max} arguments", self.min),
            None => format!("{} or more arguments", self.min),
        }
    }
}

impl Spec {
    /// Makes a deterministic term without optional arguments that runs once for each group.
    pub const fn new(kind: TermType, arity: Arity, eval: fn(&mut Call<'_>) -> Result<Val>) -> Self {
        Spec {
            kind,
            arity,
            optargs: &[],
            lazy_optargs: &[],
            eval,
            plain: None,
            grouping: Grouping::PerGroup,
            determinism: Determinism::ALWAYS,
            determinism_of: None,
            spread_flags: Flags::NONE,
            rewrite: None,
        }
    }

    /// Makes a deterministic term that makes a plain value of plain values.
    pub const fn plain(kind: TermType, arity: Arity, eval: Plain) -> Self {
        Spec::new(kind, arity, Call::eval_plain).or_plain(eval)
    }

    /// Adds a faster function for a first argument that is sure to be a plain value.
    pub const fn or_plain(mut self, eval: Plain) -> Self {
        self.plain = Some(eval);
        self
    }

    /// Makes a term that is replaced by others.
    pub const fn rewritten(kind: TermType, arity: Arity, rewrite: fn(&RawTerm) -> Result<RawTerm>) -> Self {
        let mut spec = Spec::new(kind, arity, Call::rewritten);
        spec.rewrite = Some(rewrite);
        spec
    }

    /// Returns true if the term works on each element when its first argument is a sequence.
    pub fn is_elementwise(&self) -> bool {
        self.optargs.contains(&"_NO_RECURSE_")
    }

    /// Adds optional arguments.
    pub const fn optargs(mut self, names: &'static [&'static str]) -> Self {
        self.optargs = names;
        self
    }

    /// Adds optional arguments that are evaluated as functions.
    pub const fn lazy_optargs(mut self, names: &'static [&'static str]) -> Self {
        self.lazy_optargs = names;
        self
    }

    /// Sets another treatment of grouped data.
    pub const fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Permits `r.literal` in the values of `r.args`.
    pub const fn spreading_literals(mut self) -> Self {
        self.spread_flags = Flags::LITERAL_OK;
        self
    }

    /// Makes the determinism depend on the arguments.
    pub const fn determinism_of(mut self, of: fn(&RawTerm) -> Determinism) -> Self {
        self.determinism_of = Some(of);
        self
    }

    /// Sets another determinism.
    pub const fn determinism(mut self, determinism: Determinism) -> Self {
        self.determinism = determinism;
        self
    }
}
