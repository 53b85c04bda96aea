//! The commands of the language. Names are those of the official Python driver.
//!
//! A command returns a [`Term`](crate::Term), or, for commands that take options, a type of its own
//! with a method for each option. Those types are here; they rarely have to be named.

mod admin;
mod documents;
mod geo;
mod logic;
mod options;
mod root;
mod sequences;
mod tables;
mod text;
mod time;
mod writes;

pub use options::*;
pub use root::r;

/// Defines commands that are called on a term: name, arguments, result, term, and how arguments are taken
/// (`with`: as they are; `functions`: an expression of `r.row` becomes a function, as in the official
/// drivers).
macro_rules! methods {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$($generic:ident),+>)? ($($arg:ident: $trait:ident<$kind:ident>),*)
            -> $result:ident = $term:ident $how:ident;
    )*) => {
        impl $crate::Term {
            $(
                $(#[$doc])*
                pub fn $name $(<$($generic),+>)? (&self, $($arg: impl $trait<$kind>),*) -> $result {
                    $crate::term::Call::on($crate::TermType::$term, self)$(.$how($arg))*.end().into()
                }
            )*
        }
    };
}

/// Defines commands that begin a query.
macro_rules! beginnings {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$($generic:ident),+>)? ($($arg:ident: $trait:ident<$kind:ident>),*)
            -> $result:ident = $term:ident $how:ident;
    )*) => {
        // The traits of operators take one argument of one type; these take any number.
        #[allow(clippy::should_implement_trait)]
        impl r {
            $(
                $(#[$doc])*
                pub fn $name $(<$($generic),+>)? (self, $($arg: impl $trait<$kind>),*) -> $result {
                    $crate::term::Call::new($crate::TermType::$term)$(.$how($arg))*.end().into()
                }
            )*
        }
    };
}

use {beginnings, methods};
