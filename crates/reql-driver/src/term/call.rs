//! A command with some of its arguments.

use super::{Args, Argument, Arguments, Content, Term, TermType};

/// A command with its arguments so far.
pub(crate) struct Call {
    kind: TermType,
    args: Args,
}

impl Call {
    pub(crate) fn new(kind: TermType) -> Self {
        Call { kind, args: Args::new() }
    }

    pub(crate) fn on(kind: TermType, first: &Term) -> Self {
        Call { kind, args: Args { terms: vec![first.clone()], options: Vec::new() } }
    }

    pub(crate) fn with<K>(mut self, more: impl Arguments<K>) -> Self {
        more.add_to(&mut self.args);
        self
    }

    /// Takes a value, or a function that may be written with `r.row`.
    pub(crate) fn function<K>(mut self, argument: impl Argument<K>) -> Self {
        self.args.terms.push(argument.into_term().into_function());
        self
    }

    /// Takes arguments that may be functions, as the official drivers do for most commands.
    pub(crate) fn functions<K>(mut self, more: impl Arguments<K>) -> Self {
        let before = self.args.terms.len();
        more.add_to(&mut self.args);
        for term in self.args.terms.iter_mut().skip(before) {
            if !term.is_order() {
                *term = term.clone().into_function();
            }
        }
        self
    }

    pub(crate) fn end(self) -> Term {
        let Args { terms: args, options } = self.args;
        options.into_iter().fold(
            Term::new(Content::Call { kind: self.kind, args, options: Vec::new() }),
            |term, (name, value)| term.with_option(name, value),
        )
    }
}

impl Term {
    /// Tells if the term is `r.asc(..)` or `r.desc(..)`, which have made functions of their arguments.
    fn is_order(&self) -> bool {
        matches!(self.content(), Content::Call { kind: TermType::Asc | TermType::Desc, .. })
    }
}
