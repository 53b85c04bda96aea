//! What queries are built of, beyond what the driver's typed commands cover.
//!
//! User data only ever enters a query through [`datum`], which writes arrays as `MAKE_ARRAY` and objects as
//! such, so no data can become a term.

mod shown;

use ql2::term::TermType;
use reql::Command;
use reql::cmd::{self, between, get_all};
use serde::Serialize;
use serde_json::Value;

/// A query or a part of one: the driver's [`Command`], which can be run, or a [`Term`], which can be read as
/// well and turned into a command.
pub(crate) trait Node: Clone {
    /// A value as it is.
    fn datum(value: impl Serialize) -> Self;

    /// A term with these arguments, and with options if it has a place for them.
    fn call(typ: TermType, args: Vec<Self>, options: Options) -> Self;
}

/// The options of the terms that go through an index. The database's own range has its lower end and not its
/// upper one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) index: Option<String>,
    pub(crate) left_open: bool,
    pub(crate) right_closed: bool,
}

/// A query as a tree. Shown, it is what one would write in JavaScript.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Datum(Value),
    Call { typ: TermType, args: Vec<Term>, options: Options },
}

impl Node for Term {
    fn datum(value: impl Serialize) -> Self {
        Term::Datum(serde_json::to_value(value).unwrap_or_default())
    }

    fn call(typ: TermType, args: Vec<Self>, options: Options) -> Self {
        Term::Call { typ, args, options }
    }
}

impl From<Term> for Command {
    fn from(term: Term) -> Self {
        match term {
            Term::Datum(value) => Command::datum(value),
            Term::Call { typ, args, options } => {
                Command::call(typ, args.into_iter().map(Command::from).collect(), options)
            }
        }
    }
}

impl Node for Command {
    fn datum(value: impl Serialize) -> Self {
        Command::from_json(value)
    }

    fn call(typ: TermType, args: Vec<Self>, options: Options) -> Self {
        let mut args = args.into_iter();
        if options == Options::default() {
            return args.fold(Command::new(typ), Command::with_arg);
        }
        let sequence = args.next().unwrap_or_else(null);
        let arg = args.fold(Command::new(typ), Command::with_arg);
        if typ != TermType::Between {
            let opts = get_all::Options::new().index(options.index.unwrap_or_default());
            return sequence.get_all(With { arg, opts });
        }
        let mut opts = between::Options::new();
        opts.index = options.index.as_deref();
        opts.left_bound = options.left_open.then_some(between::Status::Open);
        opts.right_bound = options.right_closed.then_some(between::Status::Closed);
        sequence.between(With { arg, opts })
    }
}

/// A term with these arguments.
pub(crate) fn term<T: Node>(typ: TermType, args: impl IntoIterator<Item = T>) -> T {
    T::call(typ, args.into_iter().collect(), Options::default())
}

/// A value as it is.
pub(crate) fn datum<T: Node>(value: impl Serialize) -> T {
    T::datum(value)
}

/// A table of the request's database.
pub(crate) fn table<T: Node>(name: &str) -> T {
    term(TermType::Table, [datum(name)])
}

/// An array of terms.
pub(crate) fn array<T: Node>(items: impl IntoIterator<Item = T>) -> T {
    term(TermType::MakeArray, items)
}

/// An object of terms.
pub(crate) fn object<'a, T: Node>(fields: impl IntoIterator<Item = (&'a str, T)>) -> T {
    term(TermType::Object, fields.into_iter().flat_map(|(name, value)| [datum(name), value]))
}

/// A function of one argument.
pub(crate) fn func<T: Node>(body: impl FnOnce(T) -> T) -> T {
    numbered_func(reql::var_counter(), body)
}

/// A function whose argument has this number, for definitions that are compared by their text later.
pub(crate) fn numbered_func<T: Node>(id: u64, body: impl FnOnce(T) -> T) -> T {
    term(TermType::Func, [datum([id]), body(variable(id))])
}

/// A function of two arguments.
pub(crate) fn binary_func<T: Node>(body: impl FnOnce(T, T) -> T) -> T {
    let ids = [reql::var_counter(), reql::var_counter()];
    let [one, other] = ids.map(variable);
    term(TermType::Func, [datum(ids), body(one, other)])
}

fn variable<T: Node>(id: u64) -> T {
    term(TermType::Var, [datum(id)])
}

/// A value bound to a name, for a body that uses it more than once.
pub(crate) fn bind<T: Node>(value: T, body: impl FnOnce(T) -> T) -> T {
    term(TermType::Funcall, [func(body), value])
}

/// `if condition { yes } else { no }`
pub(crate) fn branch<T: Node>(condition: T, yes: T, no: T) -> T {
    term(TermType::Branch, [condition, yes, no])
}

/// A field, which must be there.
pub(crate) fn field<T: Node>(object: T, name: &str) -> T {
    term(TermType::Bracket, [object, datum(name)])
}

pub(crate) fn eq<T: Node>(left: T, right: T) -> T {
    term(TermType::Eq, [left, right])
}

pub(crate) fn ne<T: Node>(left: T, right: T) -> T {
    term(TermType::Ne, [left, right])
}

pub(crate) fn not<T: Node>(condition: T) -> T {
    term(TermType::Not, [condition])
}

pub(crate) fn null<T: Node>() -> T {
    datum(())
}

/// The first rows of a sequence.
pub(crate) fn limit<T: Node>(sequence: T, count: usize) -> T {
    term(TermType::Limit, [sequence, datum(count)])
}

/// The rows of a sequence as an array.
pub(crate) fn collected<T: Node>(sequence: T) -> T {
    term(TermType::CoerceTo, [sequence, datum("array")])
}

/// Sorted by an index, in rising order. The driver has no form for a falling one: its options are plain data,
/// and `desc` is a term.
pub(crate) fn order_by_index<T: Node>(sequence: T, index: &str) -> T {
    then_by(sequence, [], index)
}

/// Sorted by an index in rising order, and rows of equal value by these keys.
pub(crate) fn then_by<T: Node>(sequence: T, keys: impl IntoIterator<Item = T>, index: &str) -> T {
    let args = std::iter::once(sequence).chain(keys).collect();
    T::call(TermType::OrderBy, args, Options { index: Some(index.to_owned()), ..Options::default() })
}

/// The rows with any of these keys in an index.
pub(crate) fn get_all<T: Node>(sequence: T, keys: impl IntoIterator<Item = T>, index: &str) -> T {
    let args = std::iter::once(sequence).chain(keys).collect();
    T::call(TermType::GetAll, args, Options { index: Some(index.to_owned()), ..Options::default() })
}

/// The rows whose key in an index lies between these terms.
pub(crate) fn between<T: Node>(sequence: T, low: T, high: T, options: Options) -> T {
    T::call(TermType::Between, vec![sequence, low, high], options)
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
