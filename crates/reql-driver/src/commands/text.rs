//! Text.

use super::methods;
use crate::term::{Argument, Arguments, Term};

methods! {
    /// Matches a regular expression in RE2's syntax: `r.row().g("name").match_("^A")`.
    match_<K>(pattern: Argument<K>) -> Term = Match with;
    /// Splits at white space, or at a text, possibly with a limit: `r.expr("a b").split(args![])`,
    /// `r.expr("a,b").split(",")`, `r.expr("a,b").split(args![",", 1])`.
    split<K>(separator_and_limit: Arguments<K>) -> Term = Split with;
    /// Makes letters large: `r.row().g("name").upcase()`.
    upcase() -> Term = Upcase with;
    /// Makes letters small: `r.row().g("name").downcase()`.
    downcase() -> Term = Downcase with;
    /// Fills the `{name}`s of a template: `r.expr("Hello {name}").format(obj! { "name": "Ada" })`. For
    /// servers after RethinkDB 2.4.
    format<K>(values: Argument<K>) -> Term = Format with;
}
