//! What the compiler and the evaluator know of each term: its arguments, and the function that evaluates it.

use super::call::Call;
use super::term::Flags;
use super::val::Val;
use crate::datum::Datum;
use crate::error::Result;
use crate::term::{RawTerm, TermType};

/// Evaluates a term that makes a plain value of plain values. Most work on single rows is done by such terms,
/// so they are spared the detour over everything else that a term can be.
pub type Plain = fn(&mut Call<'_>) -> Result<Datum>;

/// How a term is compiled and evaluated. Each family of terms lists its own in a `TERMS` constant.
pub struct Spec {
    /// Which term it is.
    pub kind: TermType,
    /// How many arguments it takes.
    pub arity: Arity,
    /// The optional arguments that it takes.
    pub optargs: &'static [&'static str],
    /// Those of them that are evaluated as often as the term likes: they arrive as functions without
    /// parameters.
    pub lazy_optargs: &'static [&'static str],
    /// Evaluates it.
    pub eval: fn(&mut Call<'_>) -> Result<Val>,
    /// Evaluates it when its first argument is sure to be a plain value, which makes it one too.
    pub plain: Option<Plain>,
    /// What it does with grouped data as its first argument.
    pub grouping: Grouping,
    /// Whether it gives the same answer each time; its arguments can make it worse.
    pub determinism: Determinism,
    /// What the arguments that `r.args` brings may be.
    pub spread_flags: Flags,
    /// Where that depends on how it is written, tells what it adds.
    pub determinism_of: Option<fn(&RawTerm) -> Determinism>,
    /// Replaces it by other terms before compilation.
    pub rewrite: Option<fn(&RawTerm) -> Result<RawTerm>>,
}

/// How many arguments a term takes; those that `r.args` brings count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arity {
    min: usize,
    max: Option<usize>,
}

/// What a term does when its first argument is grouped (`can_be_grouped` and `is_grouped_seq_op` in
/// RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// It runs once for each group, on the group's value.
    PerGroup,
    /// It works on a grouped stream as a whole, row by row; on grouped data once for each group.
    Stream,
    /// It takes grouped data as a value of its own.
    Whole,
}

/// What makes a term's answers differ between runs (`deterministic_t` in RethinkDB).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Determinism(u8);

impl Determinism {
    /// Always the same answer.
    pub const ALWAYS: Self = Determinism(0);
    /// Depends on chance, on data or on the outside.
    pub const NO: Self = Determinism(1);
    /// The same on one server, but perhaps not on another.
    pub const ONE_SERVER: Self = Determinism(2);
    /// The same as long as `r.now()` is.
    pub const CONSTANT_NOW: Self = Determinism(4);

    /// That of a term made of two.
    pub fn join(self, other: Self) -> Self {
        Determinism(self.0 | other.0)
    }

    /// Whether the answer is the same each time, provided that these causes don't count.
    pub fn holds_despite(self, harmless: Self) -> bool {
        self.0 & !harmless.0 == 0
    }
}

impl Arity {
    /// Exactly this many.
    pub const fn exactly(count: usize) -> Self {
        Arity { min: count, max: Some(count) }
    }

    /// From `min` to `max`.
    pub const fn between(min: usize, max: usize) -> Self {
        Arity { min, max: Some(max) }
    }

    /// `min` or more.
    pub const fn at_least(min: usize) -> Self {
        Arity { min, max: None }
    }

    /// Whether so many are right.
    pub fn admits(self, count: usize) -> bool {
        self.min <= count && self.max.is_none_or(|max| count <= max)
    }

    /// As error messages say it: `2 arguments`, `1 or more arguments`, `between 1 and 3 arguments`.
    pub fn describe(self) -> String {
        match self.max {
            Some(max) if max == self.min => format!("{max} argument{}", if max == 1 { "" } else { "s" }),
            Some(max) => format!("between {} and {max} arguments", self.min),
            None => format!("{} or more arguments", self.min),
        }
    }
}

impl Spec {
    /// A deterministic term without optional arguments that runs once for each group.
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

    /// A deterministic term that makes a plain value of plain values.
    pub const fn plain(kind: TermType, arity: Arity, eval: Plain) -> Self {
        Spec::new(kind, arity, Call::eval_plain).or_plain(eval)
    }

    /// With a shorter way when the first argument is sure to be a plain value.
    pub const fn or_plain(mut self, eval: Plain) -> Self {
        self.plain = Some(eval);
        self
    }

    /// A term that is replaced by others.
    pub const fn rewritten(kind: TermType, arity: Arity, rewrite: fn(&RawTerm) -> Result<RawTerm>) -> Self {
        let mut spec = Spec::new(kind, arity, Call::rewritten);
        spec.rewrite = Some(rewrite);
        spec
    }

    /// Whether it works on each element when its first argument is a sequence.
    pub fn is_elementwise(&self) -> bool {
        self.optargs.contains(&"_NO_RECURSE_")
    }

    /// With these optional arguments.
    pub const fn optargs(mut self, names: &'static [&'static str]) -> Self {
        self.optargs = names;
        self
    }

    /// With these optional arguments evaluated as functions.
    pub const fn lazy_optargs(mut self, names: &'static [&'static str]) -> Self {
        self.lazy_optargs = names;
        self
    }

    /// With another behaviour towards grouped data.
    pub const fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// With `r.literal` permitted in what `r.args` brings.
    pub const fn spreading_literals(mut self) -> Self {
        self.spread_flags = Flags::LITERAL_OK;
        self
    }

    /// With a determinism that depends on how it is written.
    pub const fn determinism_of(mut self, of: fn(&RawTerm) -> Determinism) -> Self {
        self.determinism_of = Some(of);
        self
    }

    /// With another determinism.
    pub const fn determinism(mut self, determinism: Determinism) -> Self {
        self.determinism = determinism;
        self
    }
}
