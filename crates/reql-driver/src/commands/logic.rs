//! Comparison, logic, numbers.

use super::methods;
use crate::term::{Argument, Arguments, Term};

methods! {
    /// Tells if all are equal: `r.row().g("age").eq(18)`, `r.expr(1).eq(args![1, 1])`.
    eq<K>(others: Arguments<K>) -> Term = Eq with;
    /// Tells if not all are equal: `r.row().g("age").ne(18)`.
    ne<K>(others: Arguments<K>) -> Term = Ne with;
    /// Tells if each is less than the next: `r.row().g("age").lt(18)`.
    lt<K>(others: Arguments<K>) -> Term = Lt with;
    /// Tells if each is at most the next: `r.row().g("age").le(18)`.
    le<K>(others: Arguments<K>) -> Term = Le with;
    /// Tells if each is greater than the next: `r.row().g("age").gt(18)`.
    gt<K>(others: Arguments<K>) -> Term = Gt with;
    /// Tells if each is at least the next: `r.row().g("age").ge(18)`.
    ge<K>(others: Arguments<K>) -> Term = Ge with;
    /// Negates: `r.row().g("active").not()`. The operator `!` does the same.
    not() -> Term = Not with;
    /// Returns the first that is false, or the last: `a.and(b)`, `a.and(args![b, c])`. The operator `&` does
    /// the same.
    and<K>(others: Arguments<K>) -> Term = And with;
    /// Returns the first that isn't false, or the last: `a.or(b)`, `a.or(args![b, c])`. The operator `|` does
    /// the same.
    or<K>(others: Arguments<K>) -> Term = Or with;
    /// Adds numbers, joins text and arrays, moves times: `r.row().g("age").add(1)`. The operator `+` does the
    /// same.
    add<K>(others: Arguments<K>) -> Term = Add with;
    /// Subtracts: `r.row().g("age").sub(1)`. The operator `-` does the same.
    sub<K>(others: Arguments<K>) -> Term = Sub with;
    /// Multiplies numbers, repeats arrays: `r.row().g("price").mul(2)`. The operator `*` does the same.
    mul<K>(others: Arguments<K>) -> Term = Mul with;
    /// Divides: `r.row().g("price").div(2)`. The operator `/` does the same.
    div<K>(others: Arguments<K>) -> Term = Div with;
    /// Returns the rest of a division: `r.row().g("n").mod_(2)`. The operator `%` does the same.
    mod_<K>(divisor: Argument<K>) -> Term = Mod with;
    /// Rounds down: `r.expr(1.5).floor()`.
    floor() -> Term = Floor with;
    /// Rounds up: `r.expr(1.5).ceil()`.
    ceil() -> Term = Ceil with;
    /// Rounds to the nearest whole number: `r.expr(1.5).round()`.
    round() -> Term = Round with;
    /// Combines bits by "and": `r.expr(6).bit_and(3)`.
    bit_and<K>(others: Arguments<K>) -> Term = BitAnd with;
    /// Combines bits by "or": `r.expr(6).bit_or(3)`.
    bit_or<K>(others: Arguments<K>) -> Term = BitOr with;
    /// Combines bits by "exclusive or": `r.expr(6).bit_xor(3)`.
    bit_xor<K>(others: Arguments<K>) -> Term = BitXor with;
    /// Inverts bits: `r.expr(6).bit_not()`.
    bit_not() -> Term = BitNot with;
    /// Shifts bits to the left: `r.expr(6).bit_sal(1)`.
    bit_sal<K>(by: Argument<K>) -> Term = BitSal with;
    /// Shifts bits to the right: `r.expr(6).bit_sar(1)`.
    bit_sar<K>(by: Argument<K>) -> Term = BitSar with;
}

macro_rules! operators {
    ($($trait:ident $method:ident $command:ident;)*) => { $(
        impl<T: serde::Serialize> std::ops::$trait<T> for Term {
            type Output = Term;

            fn $method(self, other: T) -> Term {
                Term::$command(&self, other)
            }
        }

        impl<T: serde::Serialize> std::ops::$trait<T> for &Term {
            type Output = Term;

            fn $method(self, other: T) -> Term {
                Term::$command(self, other)
            }
        }
    )* };
}

operators! {
    Add add add;
    Sub sub sub;
    Mul mul mul;
    Div div div;
    Rem rem mod_;
    BitAnd bitand and;
    BitOr bitor or;
}

impl std::ops::Not for Term {
    type Output = Term;

    fn not(self) -> Term {
        Term::not(&self)
    }
}

impl std::ops::Not for &Term {
    type Output = Term;

    fn not(self) -> Term {
        Term::not(self)
    }
}
