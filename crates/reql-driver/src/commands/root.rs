//! The beginnings of queries.

use super::{
    Circle, Distance, Distinct, Extreme, Group, Http, Iso8601, Js, Random, Table, TableCreate, Union,
    beginnings,
};
use crate::term::{Argument, Arguments, Call, Opt, Term, TermType};
use crate::types::Binary;

/// The beginning of every query: `r.table("users")`.
///
/// The names are those of the official Python driver, whose [reference](https://rethinkdb.com/api/python/)
/// explains each command. Where a name is a word of Rust, it has an underscore at its end: [`do_`](r::do_),
/// [`match_`](Term::match_), [`mod_`](Term::mod_).
///
/// ```
/// use reql::{Term, r};
///
/// let grown_up = r.table("users").filter(|user: Term| user.g("age").ge(18)).count();
/// assert_eq!(r.do_(2, |two: Term| two * 3).to_string(), "r.do(2, var1 => var1.mul(3))");
/// # let _ = grown_up;
/// ```
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct r;

impl r {
    /// Makes a term of a value: `r.expr([1, 2])`.
    pub fn expr<K>(self, value: impl Argument<K>) -> Term {
        value.into_term()
    }

    /// Stands for the row that a function around is called with: `users.filter(r.row().g("age").ge(18))`. It
    /// works where a command takes a function, and not inside of another function.
    pub fn row(self) -> Term {
        Call::new(TermType::ImplicitVar).end()
    }

    /// Makes the option `index` an argument: `users.order_by(r.index(r.desc("age")))`.
    pub fn index<K>(self, value: impl Argument<K>) -> Opt {
        Opt::new("index", value.into_term())
    }

    /// Calls a function with values: `r.do_(args![1, 2], |a: Term, b: Term| a.add(b))`.
    pub fn do_<V, K>(self, values: impl Arguments<V>, function: impl Argument<K>) -> Term {
        Call::new(TermType::Funcall).function(function).with(values).end()
    }

    /// Calls a function with the first rows of some sequences, then the second, and so on:
    /// `r.map(args![a, b], |x: Term, y: Term| x.add(y))`.
    pub fn map<S, K>(self, sequences: impl Arguments<S>, function: impl Argument<K>) -> Term {
        Call::new(TermType::Map).with(sequences).function(function).end()
    }

    /// Makes binary data of bytes: `r.binary(b"abc")`. [`binary_of`](r::binary_of) takes a term.
    pub fn binary(self, bytes: impl AsRef<[u8]>) -> Term {
        self.expr(Binary(bytes.as_ref().to_vec()))
    }
}

beginnings! {
    /// Makes binary data of a term, as `binary` with a term does: `r.binary_of(r.row().g("text"))`.
    binary_of<K>(text: Argument<K>) -> Term = Binary with;
    /// Returns a database: `r.db("blog")`.
    db<K>(name: Argument<K>) -> Term = Db with;
    /// Makes a database: `r.db_create("blog")`.
    db_create<K>(name: Argument<K>) -> Term = DbCreate with;
    /// Drops a database: `r.db_drop("blog")`.
    db_drop<K>(name: Argument<K>) -> Term = DbDrop with;
    /// Lists the databases: `r.db_list()`.
    db_list() -> Term = DbList with;
    /// Returns a table of the query's database: `r.table("users")`.
    table<K>(name: Argument<K>) -> Table = Table with;
    /// Makes a table in the query's database: `r.table_create("users")`.
    table_create<K>(name: Argument<K>) -> TableCreate = TableCreate with;
    /// Drops a table of the query's database: `r.table_drop("users")`.
    table_drop<K>(name: Argument<K>) -> Term = TableDrop with;
    /// Lists the tables of the query's database: `r.table_list()`.
    table_list() -> Term = TableList with;
    /// Grants permissions on everything: `r.grant("ada", obj! { "read": true })`.
    grant<U, K>(user: Argument<U>, permissions: Argument<K>) -> Term = Grant with;

    /// Runs JavaScript: `r.js("1 + 1")`.
    js<K>(script: Argument<K>) -> Js = Javascript with;
    /// Asks another server: `r.http("http://example.com")`.
    http<K>(url: Argument<K>) -> Http = Http functions;
    /// Reads JSON: `r.json("[1, 2]")`.
    json<K>(text: Argument<K>) -> Term = Json with;
    /// Makes arguments of an array, for commands that take any number: `users.get_all(r.args([1, 2]))`.
    args<K>(array: Argument<K>) -> Term = Args with;
    /// Fails with this message, or with the error that `default` is about: `r.error("No.")`,
    /// `r.error(args![])`.
    error<K>(message: Arguments<K>) -> Term = Error with;
    /// Returns a number by chance, below 1, or in a range: `r.random(args![])`, `r.random(args![1, 10])`.
    random<K>(range: Arguments<K>) -> Random = Random with;
    /// Returns the value after the first condition that holds, or the last: `r.branch(args![condition, a,
    /// b])`.
    branch<K>(conditions_and_values: Arguments<K>) -> Term = Branch with;
    /// Makes an object of keys and values in turn: `r.object(args!["a", 1])`.
    object<K>(keys_and_values: Arguments<K>) -> Term = Object with;
    /// Makes a UUID by chance, or of a text: `r.uuid(args![])`, `r.uuid("ada")`.
    uuid<K>(text: Arguments<K>) -> Term = Uuid with;
    /// Returns whole numbers without end, below one, or between two: `r.range(args![1, 10])`.
    range<K>(from_and_to: Arguments<K>) -> Term = Range with;
    /// Replaces a field as a whole, or removes it, inside of `merge` and `update`: `r.literal(obj! { "a": 1
    /// })`.
    literal<K>(value: Arguments<K>) -> Term = Literal with;
    /// Orders from the least: `users.order_by(r.asc("age"))`.
    asc<K>(key: Argument<K>) -> Term = Asc functions;
    /// Orders from the greatest: `users.order_by(r.desc("age"))`.
    desc<K>(key: Argument<K>) -> Term = Desc functions;
    /// Is below any key of an index: `users.between(r.minval(), 10)`.
    minval() -> Term = Minval with;
    /// Is above any key of an index: `users.between(10, r.maxval())`.
    maxval() -> Term = Maxval with;
    /// Describes a value: `r.info(r.table("users"))`.
    info<K>(value: Argument<K>) -> Term = Info with;
    /// Returns the name of a value's type: `r.type_of(1)`.
    type_of<K>(value: Argument<K>) -> Term = TypeOf with;
    /// Fills the `{name}`s of a template: `r.format("Hello {name}", obj! { "name": "Ada" })`. For servers
    /// after RethinkDB 2.4.
    format<T, K>(template: Argument<T>, values: Argument<K>) -> Term = Format with;

    /// Returns the time at which the query began: `r.now()`.
    now() -> Term = Now with;
    /// Makes a time of year, month, day, possibly hour, minute and second, and a timezone:
    /// `r.time(args![2015, 11, 3, "Z"])`.
    time<K>(parts: Arguments<K>) -> Term = Time with;
    /// Makes a time of seconds since 1970: `r.epoch_time(1446539400)`.
    epoch_time<K>(seconds: Argument<K>) -> Term = EpochTime with;
    /// Reads a time: `r.iso8601("2015-11-03T08:30:00Z")`.
    iso8601<K>(text: Argument<K>) -> Iso8601 = Iso8601 with;
    /// Is 1, as `day_of_week` counts.
    monday() -> Term = Monday with;
    /// Is 2.
    tuesday() -> Term = Tuesday with;
    /// Is 3.
    wednesday() -> Term = Wednesday with;
    /// Is 4.
    thursday() -> Term = Thursday with;
    /// Is 5.
    friday() -> Term = Friday with;
    /// Is 6.
    saturday() -> Term = Saturday with;
    /// Is 7.
    sunday() -> Term = Sunday with;
    /// Is 1, as `month` counts.
    january() -> Term = January with;
    /// Is 2.
    february() -> Term = February with;
    /// Is 3.
    march() -> Term = March with;
    /// Is 4.
    april() -> Term = April with;
    /// Is 5.
    may() -> Term = May with;
    /// Is 6.
    june() -> Term = June with;
    /// Is 7.
    july() -> Term = July with;
    /// Is 8.
    august() -> Term = August with;
    /// Is 9.
    september() -> Term = September with;
    /// Is 10.
    october() -> Term = October with;
    /// Is 11.
    november() -> Term = November with;
    /// Is 12.
    december() -> Term = December with;

    /// Makes geometry of GeoJSON: `r.geojson(object)`.
    geojson<K>(object: Argument<K>) -> Term = Geojson with;
    /// Makes a point of longitude and latitude, in degrees: `r.point(2.35, 48.86)`.
    point<A, B>(longitude: Argument<A>, latitude: Argument<B>) -> Term = Point with;
    /// Makes a line of points, or of arrays of longitude and latitude: `r.line(args![[0, 0], [1, 1]])`.
    line<K>(points: Arguments<K>) -> Term = Line with;
    /// Makes a polygon of its corners: `r.polygon(args![[0, 0], [1, 0], [1, 1]])`.
    polygon<K>(points: Arguments<K>) -> Term = Polygon with;
    /// Makes a circle of centre and radius: `r.circle(r.point(2, 49), 1000)`.
    circle<A, B>(centre: Argument<A>, radius: Argument<B>) -> Circle = Circle with;
    /// Returns the distance of two geometries: `r.distance(a, b)`.
    distance<A, B>(from: Argument<A>, to: Argument<B>) -> Distance = Distance with;
    /// Tells if two geometries touch: `r.intersects(a, b)`.
    intersects<A, B>(one: Argument<A>, other: Argument<B>) -> Term = Intersects with;

    /// Compares, as [`Term::eq`] does: `r.eq(args![1, 1])`.
    eq<K>(values: Arguments<K>) -> Term = Eq with;
    /// Compares, as [`Term::ne`] does.
    ne<K>(values: Arguments<K>) -> Term = Ne with;
    /// Compares, as [`Term::lt`] does.
    lt<K>(values: Arguments<K>) -> Term = Lt with;
    /// Compares, as [`Term::le`] does.
    le<K>(values: Arguments<K>) -> Term = Le with;
    /// Compares, as [`Term::gt`] does.
    gt<K>(values: Arguments<K>) -> Term = Gt with;
    /// Compares, as [`Term::ge`] does.
    ge<K>(values: Arguments<K>) -> Term = Ge with;
    /// Tells if all hold: `r.and(conditions.into_iter().collect::<Args>())`.
    and<K>(values: Arguments<K>) -> Term = And with;
    /// Tells if one holds: `r.or(conditions.into_iter().collect::<Args>())`.
    or<K>(values: Arguments<K>) -> Term = Or with;
    /// Negates: `r.not(true)`.
    not<K>(value: Argument<K>) -> Term = Not with;
    /// Adds: `r.add(args![1, 2, 3])`.
    add<K>(values: Arguments<K>) -> Term = Add with;
    /// Subtracts: `r.sub(args![3, 2, 1])`.
    sub<K>(values: Arguments<K>) -> Term = Sub with;
    /// Multiplies: `r.mul(args![1, 2, 3])`.
    mul<K>(values: Arguments<K>) -> Term = Mul with;
    /// Divides: `r.div(args![6, 3, 2])`.
    div<K>(values: Arguments<K>) -> Term = Div with;
    /// Returns the rest of a division: `r.mod_(7, 2)`.
    mod_<A, B>(number: Argument<A>, divisor: Argument<B>) -> Term = Mod with;
    /// Combines bits by "and": `r.bit_and(args![6, 3])`.
    bit_and<K>(values: Arguments<K>) -> Term = BitAnd with;
    /// Combines bits by "or": `r.bit_or(args![6, 3])`.
    bit_or<K>(values: Arguments<K>) -> Term = BitOr with;
    /// Combines bits by "exclusive or": `r.bit_xor(args![6, 3])`.
    bit_xor<K>(values: Arguments<K>) -> Term = BitXor with;
    /// Inverts bits: `r.bit_not(6)`.
    bit_not<K>(value: Argument<K>) -> Term = BitNot with;
    /// Shifts bits to the left: `r.bit_sal(6, 1)`.
    bit_sal<A, B>(value: Argument<A>, by: Argument<B>) -> Term = BitSal with;
    /// Shifts bits to the right: `r.bit_sar(6, 1)`.
    bit_sar<A, B>(value: Argument<A>, by: Argument<B>) -> Term = BitSar with;
    /// Rounds down: `r.floor(1.5)`.
    floor<K>(value: Argument<K>) -> Term = Floor with;
    /// Rounds up: `r.ceil(1.5)`.
    ceil<K>(value: Argument<K>) -> Term = Ceil with;
    /// Rounds to the nearest whole number: `r.round(1.5)`.
    round<K>(value: Argument<K>) -> Term = Round with;

    /// Joins sequences: `r.union(args![a, b])`.
    union<K>(sequences: Arguments<K>) -> Union = Union with;
    /// Parts a sequence into groups: `r.group(args![users, "city"])`.
    group<K>(sequence_and_keys: Arguments<K>) -> Group = Group functions;
    /// Combines rows: `r.reduce(args![ages, |a: Term, b: Term| a.add(b)])`.
    reduce<S, K>(sequence: Argument<S>, function: Argument<K>) -> Term = Reduce functions;
    /// Counts: `r.count(users)`.
    count<K>(sequence_and_predicate: Arguments<K>) -> Term = Count functions;
    /// Adds up: `r.sum(args![users, "age"])`.
    sum<K>(sequence_and_key: Arguments<K>) -> Term = Sum functions;
    /// Returns the average: `r.avg(args![users, "age"])`.
    avg<K>(sequence_and_key: Arguments<K>) -> Term = Avg functions;
    /// Returns the least: `r.min(args![users, "age"])`.
    min<K>(sequence_and_key: Arguments<K>) -> Extreme = Min functions;
    /// Returns the greatest: `r.max(args![users, "age"])`.
    max<K>(sequence_and_key: Arguments<K>) -> Extreme = Max functions;
    /// Removes rows that come twice: `r.distinct([1, 1])`.
    distinct<K>(sequence: Argument<K>) -> Distinct = Distinct functions;
    /// Tells if a sequence has values: `r.contains(args![[1, 2], 1])`.
    contains<K>(sequence_and_values: Arguments<K>) -> Term = Contains functions;
}
