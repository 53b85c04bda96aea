//! ReQL as one writes it in JavaScript, read into terms. Nothing of JavaScript is run.
//!
//! What is read: expressions of `r`, functions of both spellings whose body is one expression, literals of
//! every kind, sums of plain numbers, comments, and a `.run(...)` at the end, which says nothing here. A
//! text has a bound in length, tokens, levels and terms; what it costs to read is proportional to its
//! length.
//!
//! The result is a tree in the form of the wire's JSON, in which each part knows the place that it was read
//! from. So an error of the server, whose backtrace is a way through that tree, is shown in the text.

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
/// The number of brackets and functions that may stand inside of each other. Reading them is recursive.
const MAX_LEVELS: u16 = 64;
/// The number of terms that may stand inside of each other, each command of a chain being one more. Writing
/// and dropping them is recursive.
const MAX_DEPTH: u16 = 400;

/// What is wrong with a text, and with which part of it.
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

/// Reads one query.
///
/// # Errors
///
/// What is wrong with the text, at its place.
pub(crate) fn parse(text: &str) -> Result {
    if text.len() > MAX_LENGTH {
        let message = format!("a query has at most {} KiB", MAX_LENGTH >> 10);
        return Err(Fault::new(Span::new(0, 0), message));
    }
    parser::Parser::new(text, lexer::tokens(text)?).query()
}

#[cfg(test)]
mod tests;
