//! A parser of ReQL in JavaScript syntax. No JavaScript is run.
//!
//! It supports expressions of `r`, functions of both syntaxes whose body is one expression, literals of all
//! kinds, arithmetic of number literals, comments, and an `await` and a `.run(...)` around the query, which
//! are ignored. The length, the tokens, the nesting and the terms of a text are limited; parsing takes time
//! proportional to its length.
//!
//! The result is a tree in the structure of the wire format, in which each node has its place in the text.
//! The backtrace of a server's error is a path through that tree, so the error can be shown in the text.

mod call;
mod chain;
mod commands;
mod functions;
mod lexer;
mod literal;
mod node;
mod number;
mod operators;
mod parser;
mod place;
mod values;

use std::fmt;

use reql::TermType;

pub(crate) use call::camel_case;
pub(crate) use commands::{COMMANDS, Command, On};
pub(crate) use node::{Node, Step};
pub(crate) use place::{Place, Span};

/// The longest text that is read, in bytes.
pub(crate) const MAX_LENGTH: usize = 1 << 18;
/// The most tokens that a text may have.
const MAX_TOKENS: usize = 100_000;
/// The deepest nesting of brackets and functions. Parsing them is recursive.
const MAX_LEVELS: u16 = 64;
/// The most parameters of the functions around a name. Each name is looked for among them.
const MAX_VARIABLES: usize = 256;
/// The deepest nesting of terms. Each command of a chain adds one level. Writing and dropping terms is
/// recursive.
const MAX_DEPTH: u16 = 400;

/// An error of syntax, with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) span: Span,
}

impl Fault {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Fault { message: message.into(), span }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

type Result<T = Node, E = Fault> = std::result::Result<T, E>;

/// Parses one query.
///
/// # Errors
///
/// The first error of syntax, with its place.
pub(crate) fn parse(text: &str) -> Result {
    if text.len() > MAX_LENGTH {
        let message = format!("a query has at most {} KiB", MAX_LENGTH >> 10);
        return Err(Fault::new(Span::new(0, 0), message));
    }
    parser::Parser::new(text, lexer::tokens(text)?).query()
}

#[cfg(test)]
mod tests;
