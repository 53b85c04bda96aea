//! Documents, arrays, and the types of values.

use super::methods;
use crate::term::{Argument, Arguments, Term};

methods! {
    /// Returns a field of an object or of each object of a sequence, or an element by its index:
    /// `r.row().g("name")`. Short for [`bracket`](Term::bracket).
    g<K>(key: Argument<K>) -> Term = Bracket with;
    /// Returns a field of an object or of each object of a sequence, or an element by its index:
    /// `r.row().bracket("name")`.
    bracket<K>(key: Argument<K>) -> Term = Bracket with;
    /// Returns a field of an object, or of each object of a sequence that has it:
    /// `r.row().get_field("name")`.
    get_field<K>(name: Argument<K>) -> Term = GetField with;
    /// Tells if an object has these fields, and not as null; keeps the objects of a sequence that do:
    /// `r.table("users").has_fields(args!["name", "age"])`.
    has_fields<K>(selectors: Arguments<K>) -> Term = HasFields with;
    /// Keeps these fields only, of the objects that have them all: `r.table("users").with_fields("name")`.
    with_fields<K>(selectors: Arguments<K>) -> Term = WithFields with;
    /// Keeps these fields only: `r.table("users").pluck(args!["name", obj! { "address": "city" }])`.
    pluck<K>(selectors: Arguments<K>) -> Term = Pluck with;
    /// Leaves these fields out: `r.table("users").without("password")`.
    without<K>(selectors: Arguments<K>) -> Term = Without with;
    /// Merges objects into one, at all levels: `r.row().merge(obj! { "seen": true })`.
    merge<K>(others: Arguments<K>) -> Term = Merge functions;
    /// Returns the names of an object's fields: `r.row().keys()`.
    keys() -> Term = Keys with;
    /// Returns the values of an object's fields: `r.row().values()`.
    values() -> Term = Values with;

    /// Adds an element at the end of an array: `r.expr([1]).append(2)`.
    append<K>(value: Argument<K>) -> Term = Append with;
    /// Adds an element at the beginning of an array: `r.expr([1]).prepend(0)`.
    prepend<K>(value: Argument<K>) -> Term = Prepend with;
    /// Removes all elements that another array has: `r.expr([1, 2]).difference([1])`.
    difference<K>(other: Argument<K>) -> Term = Difference with;
    /// Adds an element unless it is there: `r.expr([1]).set_insert(2)`.
    set_insert<K>(value: Argument<K>) -> Term = SetInsert with;
    /// Returns the elements of either array, once each: `r.expr([1]).set_union([2])`.
    set_union<K>(other: Argument<K>) -> Term = SetUnion with;
    /// Returns the elements of both arrays, once each: `r.expr([1]).set_intersection([1, 2])`.
    set_intersection<K>(other: Argument<K>) -> Term = SetIntersection with;
    /// Returns the elements that only the first array has, once each: `r.expr([1, 2]).set_difference([2])`.
    set_difference<K>(other: Argument<K>) -> Term = SetDifference with;
    /// Inserts an element before an index: `r.expr([1, 3]).insert_at(1, 2)`.
    insert_at<I, K>(index: Argument<I>, value: Argument<K>) -> Term = InsertAt with;
    /// Inserts an array before an index: `r.expr([1, 4]).splice_at(1, [2, 3])`.
    splice_at<I, K>(index: Argument<I>, values: Argument<K>) -> Term = SpliceAt with;
    /// Removes the element at an index, or those from one index up to another: `r.expr([1, 2]).delete_at(0)`,
    /// `r.expr([1, 2]).delete_at(args![0, 2])`.
    delete_at<K>(from_and_to: Arguments<K>) -> Term = DeleteAt with;
    /// Replaces the element at an index: `r.expr([1, 3]).change_at(1, 2)`.
    change_at<I, K>(index: Argument<I>, value: Argument<K>) -> Term = ChangeAt with;

    /// Returns another value in the place of null or of a missing field: `r.row().g("age").default(0)`. A
    /// function is called with the error's message.
    default<K>(value: Argument<K>) -> Term = Default with;
    /// Converts: `r.row().g("age").coerce_to("string")`.
    coerce_to<K>(kind: Argument<K>) -> Term = CoerceTo with;
    /// Returns the name of the value's type: `r.table("users").type_of()`.
    type_of() -> Term = TypeOf with;
    /// Describes a value, a table or a database: `r.table("users").info()`.
    info() -> Term = Info with;
    /// Returns the value as JSON's text: `r.row().to_json_string()`.
    to_json_string() -> Term = ToJsonString with;
    /// Returns the value as JSON's text: `r.row().to_json()`.
    to_json() -> Term = ToJsonString with;
}
