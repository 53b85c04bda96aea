//! Arguments of commands: values, terms, closures, and several of them.

use std::collections::HashSet;

use serde::Serialize;

use super::value::to_term;
use super::{Content, Style, Term, Variable};

/// Names the kinds of [`Argument`]s and [`Choice`](crate::Choice)s. The compiler infers them, so they are
/// rarely written.
///
/// ```
/// use reql::markers::{Function, Value};
/// use reql::{Argument, Term};
///
/// fn with_two_parameters(join: impl Argument<Function<2, Value>>) -> Term {
///     join.into_term()
/// }
///
/// with_two_parameters(|left: Term, right: Term| left + right);
/// ```
pub mod markers {
    /// A value, by `Serialize`; a term too.
    ///
    /// ```
    /// use reql::markers::Value;
    /// use reql::{Argument, Term};
    ///
    /// fn term(value: impl Argument<Value>) -> Term {
    ///     value.into_term()
    /// }
    ///
    /// term(["a", "b"]);
    /// ```
    #[derive(Debug)]
    pub enum Value {}
    /// A closure of `N` parameters whose result is an argument of kind `K`.
    ///
    /// ```
    /// use reql::markers::{Function, Value};
    /// use reql::{Argument, Term};
    ///
    /// fn function(of_one: impl Argument<Function<1, Value>>) -> Term {
    ///     of_one.into_term()
    /// }
    ///
    /// function(|user: Term| user.g("age"));
    /// ```
    #[derive(Debug)]
    pub struct Function<const N: usize, K>(std::marker::PhantomData<K>);
    /// One argument of kind `K`.
    ///
    /// ```
    /// use reql::markers::{One, Value};
    /// use reql::{Arguments, Term, r};
    ///
    /// fn pluck(field: impl Arguments<One<Value>>) -> Term {
    ///     r.table("users").pluck(field)
    /// }
    ///
    /// pluck("age");
    /// ```
    #[derive(Debug)]
    pub struct One<K>(std::marker::PhantomData<K>);
    /// Any number of arguments.
    ///
    /// ```
    /// use reql::markers::Several;
    /// use reql::{Arguments, Term, args, r};
    ///
    /// fn pluck(fields: impl Arguments<Several>) -> Term {
    ///     r.table("users").pluck(fields)
    /// }
    ///
    /// pluck(args!["name", "age"]);
    /// ```
    #[derive(Debug)]
    pub enum Several {}
    /// One of the values of an option.
    ///
    /// ```
    /// use reql::markers::Known;
    /// use reql::{Choice, Durability, r};
    ///
    /// fn delete(durability: impl Choice<Durability, Known>) -> reql::commands::Delete {
    ///     r.table("users").delete().durability(durability)
    /// }
    ///
    /// delete(Durability::Soft);
    /// ```
    #[derive(Debug)]
    pub enum Known {}
    /// A term whose value is one of those of an option.
    ///
    /// ```
    /// use reql::markers::Computed;
    /// use reql::{Choice, Durability, r};
    ///
    /// fn delete(durability: impl Choice<Durability, Computed>) -> reql::commands::Delete {
    ///     r.table("users").delete().durability(durability)
    /// }
    ///
    /// delete(r.expr("soft"));
    /// ```
    #[derive(Debug)]
    pub enum Computed {}
}

use markers::{Function, One, Several, Value};

/// An argument of a command: anything that is `Serialize`, a [`Term`], or a closure.
///
/// A closure of up to five parameters becomes a function of the query: it is called once, with variables. Its
/// parameters need their type: `|user: Term| user.g("age").ge(18)`.
///
/// ```
/// use reql::{Term, obj, r};
///
/// r.table("users").get(7);
/// r.table("users").filter(obj! { "name": "Ada" });
/// r.table("users").filter(|user: Term| user.g("age").ge(18));
/// r.table("users").map(|user: Term| obj! { "name": user.g("name"), "seen": r.now() });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a ReQL command",
    note = "arguments are `Serialize` values, terms, and closures such as `|row: Term| row.g(\"age\")`",
    note = "several arguments are written `args![a, b]`, where a command takes several"
)]
pub trait Argument<K> {
    /// Makes a term of the argument.
    fn into_term(self) -> Term;
}

impl<T: Serialize> Argument<Value> for T {
    fn into_term(self) -> Term {
        to_term(&self)
    }
}

macro_rules! functions {
    ($($len:literal: $($parameter:ident)+, $($term:ident)+;)*) => { $(
        impl<F, R, K> Argument<Function<$len, K>> for F
        where
            F: FnOnce($($term),+) -> R,
            R: Argument<K>,
        {
            fn into_term(self) -> Term {
                $(let $parameter = Variable::fresh();)+
                let body = self($(Term::new(Content::Variable($parameter))),+).into_term();
                let parameters = vec![$($parameter),+];
                Term::new(Content::Function { parameters, body, style: Style::Closure })
            }
        }
    )* };
}

functions! {
    1: a, Term;
    2: a b, Term Term;
    3: a b c, Term Term Term;
    4: a b c d, Term Term Term Term;
    5: a b c d e, Term Term Term Term Term;
}

/// The arguments of a command that takes any number of them: one [`Argument`], or
/// [`args!`](crate::args)`[a, b]`.
///
/// ```
/// use reql::{Arguments, Term, args, r};
///
/// fn keep<K>(fields: impl Arguments<K>) -> Term {
///     r.table("users").pluck(fields)
/// }
///
/// assert_eq!(keep("name").to_string(), r#"r.table("users").pluck("name")"#);
/// assert_eq!(keep(args!["name", "age"]).to_string(), r#"r.table("users").pluck("name", "age")"#);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the arguments of a ReQL command",
    note = "write one argument as it is, and several or none as `args![a, b]`"
)]
pub trait Arguments<K> {
    /// Adds the arguments to others.
    fn add_to(self, args: &mut Args);
}

impl<T: Argument<K>, K> Arguments<One<K>> for T {
    fn add_to(self, args: &mut Args) {
        args.terms.push(self.into_term());
    }
}

impl Arguments<Several> for Args {
    fn add_to(self, args: &mut Args) {
        args.terms.extend(self.terms);
        args.options.extend(self.options);
    }
}

impl Arguments<Several> for Opt {
    fn add_to(self, args: &mut Args) {
        args.options.push((self.name, self.value));
    }
}

/// The arguments of a command that takes any number of them, with options among them. Made by
/// [`args!`](crate::args), or out of an iterator.
///
/// ```
/// use reql::{Args, args, r};
///
/// r.table("users").get_all(args!["ada", "grace"]);
/// r.table("users").get_all(args![1815, r.index("born")]);
/// let names = ["ada", "grace"].map(str::to_owned);
/// r.table("users").get_all(Args::from_iter(names));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Args {
    pub(super) terms: Vec<Term>,
    pub(super) options: Vec<(&'static str, Term)>,
}

impl Args {
    /// Makes an empty list.
    pub fn new() -> Self {
        Args::default()
    }

    /// Adds an argument, several, or an option.
    pub fn with<K>(mut self, more: impl Arguments<K>) -> Self {
        more.add_to(&mut self);
        self
    }
}

impl<T: Serialize> FromIterator<T> for Args {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Args { terms: values.into_iter().map(|value| to_term(&value)).collect(), options: Vec::new() }
    }
}

impl<T: Serialize> Extend<T> for Args {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        self.terms.extend(values.into_iter().map(|value| to_term(&value)));
    }
}

/// An option that stands among the arguments, see [`r.index`](crate::r::index).
///
/// ```
/// use reql::{Opt, args, r};
///
/// let by_city: Opt = r.index("city");
/// r.table("users").get_all(args!["Oslo", by_city]);
/// ```
#[derive(Debug, Clone)]
pub struct Opt {
    name: &'static str,
    value: Term,
}

impl Opt {
    pub(crate) fn new(name: &'static str, value: Term) -> Self {
        Opt { name, value }
    }
}

/// A term: a [`Term`], a command that takes options, and references to them.
///
/// ```
/// use reql::{AsTerm, Term, r};
///
/// fn count(rows: impl AsTerm) -> Term {
///     rows.as_term().count()
/// }
///
/// let users = r.table("users");
/// assert_eq!(count(&users).to_string(), r#"r.table("users").count()"#);
/// ```
pub trait AsTerm {
    /// Returns the term.
    fn as_term(&self) -> &Term;
}

impl AsTerm for Term {
    fn as_term(&self) -> &Term {
        self
    }
}

impl<T: AsTerm> AsTerm for &T {
    fn as_term(&self) -> &Term {
        (**self).as_term()
    }
}

/// Any number of arguments, for commands such as [`get_all`](crate::Term::get_all). Each may be of another
/// type.
///
/// ```
/// use reql::{args, r};
///
/// r.table("users").pluck(args!["name", "age"]);
/// r.now().split(args![]);
/// ```
#[macro_export]
macro_rules! args {
    () => { $crate::Args::new() };
    ($($argument:expr),+ $(,)?) => { $crate::Args::new()$(.with($argument))+ };
}

/// An object whose values may be terms, closures and anything that is `Serialize`.
///
/// ```
/// use reql::{obj, r};
///
/// let visit = obj! { "user": "ada", "at": r.now(), "tags": ["a", "b"], "from": obj! { "page": 1 } };
/// assert_eq!(visit.to_string(), r#"{user: "ada", at: r.now(), tags: ["a", "b"], from: {page: 1}}"#);
/// ```
#[macro_export]
macro_rules! obj {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::Term::object([$(($key.to_owned(), $crate::Argument::into_term($value))),*])
    };
}

impl Term {
    /// Makes an object of keys and values; [`obj!`](crate::obj) is shorter where the keys are known. A key
    /// that comes twice has its last value.
    ///
    /// ```
    /// use reql::{Term, r};
    ///
    /// let fields = ["a", "b"].map(|name| (name.to_owned(), r.row().g(name)));
    /// assert_eq!(Term::object(fields).to_string(), r#"{a: r.row("a"), b: r.row("b")}"#);
    /// ```
    pub fn object(fields: impl IntoIterator<Item = (String, Term)>) -> Term {
        let mut fields = fields.into_iter().collect();
        keep_last(&mut fields);
        Term::new(Content::Object(fields))
    }
}

/// Drops all fields of a key but the last.
fn keep_last(fields: &mut Vec<(String, Term)>) {
    let mut keys = HashSet::with_capacity(fields.len());
    // From the end: the first that is met is the one to keep.
    let kept: Vec<bool> = fields.iter().rev().map(|(key, _)| keys.insert(key.as_str())).collect();
    if keys.len() < kept.len() {
        let mut kept = kept.into_iter().rev();
        fields.retain(|_| kept.next().unwrap_or(true));
    }
}
