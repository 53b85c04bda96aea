//! Sequences: tables, streams, arrays.

use super::{Changes, Distinct, EqJoin, Extreme, Filter, Fold, Group, OrderBy, Slice, Union, methods};
use crate::term::{Argument, Arguments, Call, Term, TermType};

methods! {
    /// Keeps the rows that match an object or a predicate: `users.filter(obj! { "name": "Ada" })`,
    /// `users.filter(|user: Term| user.g("age").ge(18))`.
    filter<K>(predicate: Argument<K>) -> Filter = Filter functions;
    /// Calls a function with each row and joins the sequences that it returns:
    /// `users.concat_map(|user: Term| user.g("tags"))`.
    concat_map<K>(function: Argument<K>) -> Term = ConcatMap functions;
    /// Orders by fields, functions, `r.asc(..)` and `r.desc(..)`: `users.order_by(args!["name",
    /// r.desc("age")])`, `users.order_by(r.index(r.desc("age")))`.
    order_by<K>(keys: Arguments<K>) -> OrderBy = OrderBy functions;
    /// Leaves out the first rows: `users.skip(10)`.
    skip<K>(count: Argument<K>) -> Term = Skip with;
    /// Keeps the first rows: `users.limit(10)`.
    limit<K>(count: Argument<K>) -> Term = Limit with;
    /// Returns the rows from an index, and up to another: `users.slice(10)`, `users.slice(args![10, 20])`.
    slice<K>(from_and_to: Arguments<K>) -> Slice = Slice with;
    /// Returns the row at an index; negative ones count from the end: `users.nth(0)`.
    nth<K>(index: Argument<K>) -> Term = Nth with;
    /// Returns the indexes of a value, or of the rows of a predicate: `r.expr(["a", "b"]).offsets_of("b")`.
    offsets_of<K>(value: Argument<K>) -> Term = OffsetsOf functions;
    /// Tells if there is no row: `users.is_empty()`.
    is_empty() -> Term = IsEmpty with;
    /// Joins sequences: `a.union(b)`, `a.union(args![b, c])`.
    union<K>(others: Arguments<K>) -> Union = Union with;
    /// Returns a number of rows by chance: `users.sample(3)`.
    sample<K>(count: Argument<K>) -> Term = Sample with;

    /// Counts the rows: `users.count()`.
    count() -> Term = Count with;
    /// Counts the rows that are a value or match a predicate, as `count` with an argument does:
    /// `users.count_if(r.row().g("age").ge(18))`.
    count_if<K>(predicate: Argument<K>) -> Term = Count functions;
    /// Adds up a field, a function's results, or the rows themselves: `users.sum("age")`,
    /// `r.expr([1]).sum(args![])`.
    sum<K>(of: Arguments<K>) -> Term = Sum functions;
    /// Returns the average of a field, of a function's results, or of the rows themselves:
    /// `users.avg("age")`.
    avg<K>(of: Arguments<K>) -> Term = Avg functions;
    /// Returns the row with the least field, function's result, or value: `users.min("age")`.
    min<K>(by: Arguments<K>) -> Extreme = Min functions;
    /// Returns the row with the greatest field, function's result, or value: `users.max("age")`.
    max<K>(by: Arguments<K>) -> Extreme = Max functions;
    /// Combines rows by a function of two until one is left: `ages.reduce(|a: Term, b: Term| a.add(b))`.
    reduce<K>(function: Argument<K>) -> Term = Reduce functions;
    /// Removes rows that come twice: `r.expr([1, 1]).distinct()`.
    distinct() -> Distinct = Distinct with;
    /// Tells if a sequence has all these values, or a row for each predicate: `r.expr([1, 2]).contains(1)`.
    contains<K>(values: Arguments<K>) -> Term = Contains functions;
    /// Parts a sequence into groups by fields or functions: `users.group("city").count()`.
    group<K>(by: Arguments<K>) -> Group = Group functions;
    /// Makes a sequence of `group` and `reduction` out of groups: `users.group("city").count().ungroup()`.
    ungroup() -> Term = Ungroup with;

    /// Joins the pairs of rows for which a function is true: `a.inner_join(b, |x: Term, y: Term| x.eq(y))`.
    inner_join<S, K>(other: Argument<S>, predicate: Argument<K>) -> Term = InnerJoin with;
    /// Joins as [`inner_join`](Term::inner_join) does, and keeps the rows on the left that have no pair:
    /// `a.outer_join(b, |x: Term, y: Term| x.eq(y))`.
    outer_join<S, K>(other: Argument<S>, predicate: Argument<K>) -> Term = OuterJoin with;
    /// Joins by a field or a function of the left and a key of the right:
    /// `posts.eq_join("author", r.table("users"))`.
    eq_join<K, T>(left: Argument<K>, table: Argument<T>) -> EqJoin = EqJoin functions;
    /// Merges the pairs of a join: `posts.eq_join("author", r.table("users")).zip()`.
    zip() -> Term = Zip with;

    /// Calls a function that writes with each row: `users.for_each(|user: Term|
    /// r.table("log").insert(user))`.
    for_each<K>(function: Argument<K>) -> Term = ForEach functions;
    /// Follows the changes of a table, a document or a query: `users.changes()`.
    changes() -> Changes = Changes with;
}

impl Term {
    /// Calls a function with each row: `users.map(r.row().g("name"))`. [`r.map`](crate::r::map) takes several
    /// sequences.
    pub fn map<K>(&self, function: impl Argument<K>) -> Term {
        Call::on(TermType::Map, self).function(function).end()
    }

    /// Goes through rows in order with a value that a function of the value and the row renews:
    /// `ages.fold(0, |sum: Term, age: Term| sum.add(age))`.
    pub fn fold<B, K>(&self, base: impl Argument<B>, function: impl Argument<K>) -> Fold {
        Call::on(TermType::Fold, self).with(base).function(function).end().into()
    }

    /// Calls a function with this value, or evaluates an expression: `r.table("users").get(1).do_(|user:
    /// Term| user.g("name"))`. [`r.do_`](crate::r::do_) takes several values.
    pub fn do_<K>(&self, function: impl Argument<K>) -> Term {
        Call::new(TermType::Funcall).function(function).with(self).end()
    }
}
