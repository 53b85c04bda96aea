//! Terms that the driver's typed commands don't cover.
//!
//! User data only ever enters a query through [`datum`], which writes arrays as `MAKE_ARRAY` and objects as such, so no
//! data can become a term.

use ql2::term::TermType;
use reql::Command;
use reql::cmd::{self, between, get_all};
use serde::Serialize;

/// A term with these arguments.
pub(crate) fn term(typ: TermType, args: impl IntoIterator<Item = Command>) -> Command {
    args.into_iter().fold(Command::new(typ), Command::with_arg)
}

/// A value as it is.
pub(crate) fn datum(value: impl Serialize) -> Command {
    Command::from_json(value)
}

/// An array of terms.
pub(crate) fn array(items: impl IntoIterator<Item = Command>) -> Command {
    term(TermType::MakeArray, items)
}

/// An object of terms.
pub(crate) fn object<const N: usize>(fields: [(&str, Command); N]) -> Command {
    term(TermType::Object, fields.into_iter().flat_map(|(name, value)| [datum(name), value]))
}

/// A function of one argument.
pub(crate) fn func(body: impl FnOnce(Command) -> Command) -> Command {
    numbered_func(reql::var_counter(), body)
}

/// A function whose argument has this number, for definitions that are compared by their text later.
pub(crate) fn numbered_func(id: u64, body: impl FnOnce(Command) -> Command) -> Command {
    term(TermType::Func, [datum([id]), body(Command::var(id))])
}

/// A value bound to a name, for a body that uses it more than once.
pub(crate) fn bind(value: Command, body: impl FnOnce(Command) -> Command) -> Command {
    term(TermType::Funcall, [func(body), value])
}

/// `if condition { yes } else { no }`
pub(crate) fn branch(condition: Command, yes: Command, no: Command) -> Command {
    term(TermType::Branch, [condition, yes, no])
}

/// A field, which must be there.
pub(crate) fn field(object: Command, name: &str) -> Command {
    term(TermType::Bracket, [object, datum(name)])
}

pub(crate) fn eq(left: Command, right: Command) -> Command {
    term(TermType::Eq, [left, right])
}

pub(crate) fn ne(left: Command, right: Command) -> Command {
    term(TermType::Ne, [left, right])
}

pub(crate) fn not(condition: Command) -> Command {
    term(TermType::Not, [condition])
}

pub(crate) fn null() -> Command {
    datum(())
}

/// Sorted by an index, in rising order. (The driver has no form for a falling one.)
pub(crate) fn order_by_index(sequence: Command, index: &str) -> Command {
    let options = get_all::Options::new().index(index.to_owned());
    sequence.get_all(With { arg: Command::new(TermType::OrderBy), opts: options })
}

/// The rows with any of these keys in an index.
pub(crate) fn get_all(sequence: Command, keys: impl IntoIterator<Item = Command>, index: &str) -> Command {
    let options = get_all::Options::new().index(index.to_owned());
    sequence.get_all(With { arg: term(TermType::GetAll, keys), opts: options })
}

/// The rows whose key in an index lies between these terms.
pub(crate) fn between(
    sequence: Command,
    low: Command,
    high: Command,
    options: between::Options<'_>,
) -> Command {
    sequence.between(With { arg: term(TermType::Between, [low, high]), opts: options })
}

/// Arguments and options in a combination that the driver has no type for.
struct With<T> {
    arg: Command,
    opts: T,
}

impl<T> From<With<T>> for cmd::Arg<T> {
    fn from(With { arg, opts }: With<T>) -> Self {
        cmd::Arg { arg, opts: Some(opts) }
    }
}

impl get_all::Arg for With<get_all::Options> {
    fn arg(self) -> cmd::Arg<get_all::Options> {
        self.into()
    }
}

impl<'a> between::Arg<'a> for With<between::Options<'a>> {
    fn arg(self) -> cmd::Arg<between::Options<'a>> {
        self.into()
    }
}
