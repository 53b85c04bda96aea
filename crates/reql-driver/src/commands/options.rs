//! Commands that take options: a type for each, with a method for each option.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::term::{
    Argument, AsTerm, Bound, Choice, Conflict, Durability, EmergencyRepair, GeoSystem, HttpMethod,
    IdentifierFormat, ReadMode, ResultFormat, ReturnChanges, Term, Unit, WaitFor,
};

/// Defines commands, each with an example, and their options: the method, the option on the wire, its type,
/// and `into_function` where an expression of `r.row` becomes a function, as in the official drivers.
macro_rules! commands {
    ($(
        $(#[$doc:meta])*
        $command:ident = $example:literal {
            $($(#[$option_doc:meta])* $option:ident = $name:literal: $trait:ident<$($param:ident),+>
                $(, $make:ident)?;)*
        }
    )*) => { $(
        $(#[$doc])*
        ///
        /// ```
        /// # use reql::*;
        #[doc = concat!($example, ";")]
        /// ```
        ///
        /// It has all commands of a [`Term`], and these options. An option that is set twice has its last
        /// value.
        #[derive(Clone)]
        #[must_use = "a query does nothing until it is run"]
        pub struct $command(Term);

        impl $command {
            $(
                $(#[$option_doc])*
                pub fn $option<K>(self, value: impl $trait<$($param),+>) -> Self {
                    $command(self.0.with_option($name, value.into_term()$(.$make())?))
                }
            )*
        }

        impl From<Term> for $command {
            fn from(term: Term) -> Self {
                $command(term)
            }
        }

        impl From<$command> for Term {
            fn from(command: $command) -> Self {
                command.0
            }
        }

        impl AsTerm for $command {
            fn as_term(&self) -> &Term {
                &self.0
            }
        }

        impl Deref for $command {
            type Target = Term;

            fn deref(&self) -> &Term {
                &self.0
            }
        }

        impl Serialize for $command {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl fmt::Display for $command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )* };
}

commands! {
    /// A table.
    Table = r#"r.table("users").read_mode(ReadMode::Outdated)"# {
        /// The replica that is read.
        read_mode = "read_mode": Choice<ReadMode, K>;
        /// The form in which a system table names databases, tables and servers.
        identifier_format = "identifier_format": Choice<IdentifierFormat, K>;
    }
    /// The command `table_create`.
    TableCreate = r#"r.table_create("users").primary_key("name")"# {
        /// The point at which the table's writes are answered: on disk, or in memory.
        durability = "durability": Choice<Durability, K>;
        /// The field that is the primary key; `"id"` by default.
        primary_key = "primary_key": Argument<K>;
        /// The number of shards, from 1 to 64; 1 by default.
        shards = "shards": Argument<K>;
        /// The number of replicas of each shard, or an object of a number for each server tag.
        replicas = "replicas": Argument<K>;
        /// The server tag that the primary replicas go to.
        primary_replica_tag = "primary_replica_tag": Argument<K>;
        /// The server tags whose replicas don't vote.
        nonvoting_replica_tags = "nonvoting_replica_tags": Argument<K>;
    }
    /// The command `insert`.
    Insert = r#"r.table("users").insert(obj! { "name": "Ada" }).conflict(Conflict::Replace)"# {
        /// The way to deal with documents whose primary key is taken.
        conflict = "conflict": Choice<Conflict, K>;
        /// The point at which the write is answered: on disk, or in memory.
        durability = "durability": Choice<Durability, K>;
        /// The changes that the answer has, as `changes`; none by default.
        return_changes = "return_changes": Choice<ReturnChanges, K>;
        /// Writes past the table's write hook, which takes a permission.
        ignore_write_hook = "ignore_write_hook": Argument<K>;
    }
    /// The command `update`.
    Update = r#"r.table("users").get(1).update(obj! { "age": r.row().g("age").add(1) })"# {
        /// The point at which the write is answered: on disk, or in memory.
        durability = "durability": Choice<Durability, K>;
        /// The changes that the answer has, as `changes`; none by default.
        return_changes = "return_changes": Choice<ReturnChanges, K>;
        /// Allows functions whose result isn't sure to be the same each time.
        non_atomic = "non_atomic": Argument<K>;
        /// Writes past the table's write hook, which takes a permission.
        ignore_write_hook = "ignore_write_hook": Argument<K>;
    }
    /// The command `replace`.
    Replace = r#"r.table("users").get(1).replace(r.row().without("age"))"# {
        /// The point at which the write is answered: on disk, or in memory.
        durability = "durability": Choice<Durability, K>;
        /// The changes that the answer has, as `changes`; none by default.
        return_changes = "return_changes": Choice<ReturnChanges, K>;
        /// Allows functions whose result isn't sure to be the same each time.
        non_atomic = "non_atomic": Argument<K>;
        /// Writes past the table's write hook, which takes a permission.
        ignore_write_hook = "ignore_write_hook": Argument<K>;
    }
    /// The command `delete`.
    Delete = r#"r.table("users").get(1).delete().durability(Durability::Soft)"# {
        /// The point at which the write is answered: on disk, or in memory.
        durability = "durability": Choice<Durability, K>;
        /// The changes that the answer has, as `changes`; none by default.
        return_changes = "return_changes": Choice<ReturnChanges, K>;
        /// Writes past the table's write hook, which takes a permission.
        ignore_write_hook = "ignore_write_hook": Argument<K>;
    }
    /// The command `get_all`.
    GetAll = r#"r.table("users").get_all("Ada").index("name")"# {
        /// The index that the keys are looked up in; the primary one by default.
        index = "index": Argument<K>;
    }
    /// The command `between`.
    Between = r#"r.table("users").between(18, 65).index("age").right_bound(Bound::Closed)"# {
        /// The lower bound; closed by default.
        left_bound = "left_bound": Choice<Bound, K>;
        /// The upper bound; open by default.
        right_bound = "right_bound": Choice<Bound, K>;
        /// The index that the range is of; the primary one by default.
        index = "index": Argument<K>;
    }
    /// The command `filter`.
    Filter = r#"r.table("users").filter(r.row().g("age").ge(18)).default_value(true)"# {
        /// The option `default`: the result for rows that lack a field; `false` unless it is set. `r.error()`
        /// makes it an error.
        default_value = "default": Argument<K>;
    }
    /// The command `order_by`.
    OrderBy = r#"r.table("users").order_by("name").index(r.desc("age"))"# {
        /// The index that is read in its order, possibly as `r.desc(name)`.
        index = "index": Argument<K>;
    }
    /// The command `distinct`.
    Distinct = r#"r.table("users").distinct().index("name")"# {
        /// The index whose values are told apart.
        index = "index": Argument<K>;
    }
    /// The command `union`.
    Union = r#"r.table("a").union(r.table("b")).interleave(false)"# {
        /// `true` (by default), `false` to keep the order of the sequences, or the field or the function in
        /// whose order they are merged.
        interleave = "interleave": Argument<K>, into_function;
    }
    /// The command `eq_join`.
    EqJoin = r#"r.table("posts").eq_join("author", r.table("users")).index("name")"# {
        /// The index of the table that is joined; the primary one by default.
        index = "index": Argument<K>;
        /// Keeps the order of the sequence on the left.
        ordered = "ordered": Argument<K>;
    }
    /// The command `group`.
    Group = r#"r.table("users").group("city").multi(true)"# {
        /// The index whose values are the groups.
        index = "index": Argument<K>;
        /// Puts a row into a group for each element of an array that it is grouped by.
        multi = "multi": Argument<K>;
    }
    /// The command `min` or `max`.
    Extreme = r#"r.table("users").max(args![]).index("age")"# {
        /// The index whose first or last value is taken.
        index = "index": Argument<K>;
    }
    /// The command `fold`.
    Fold = "r.range(args![3]).fold(0, |sum: Term, n: Term| sum.add(n))" {
        /// A function of the old value, the row and the new value, which returns an array of rows.
        emit = "emit": Argument<K>, into_function;
        /// A function of the last value, which returns an array of rows.
        final_emit = "final_emit": Argument<K>, into_function;
    }
    /// The command `changes`.
    Changes = r#"r.table("users").changes().include_initial(true)"# {
        /// `true` to send only the last of several changes of a row, or the seconds to wait for them.
        squash = "squash": Argument<K>;
        /// The number of changes that wait for a slow taker; 100000 by default.
        changefeed_queue_size = "changefeed_queue_size": Argument<K>;
        /// Begins the feed with the rows that there are.
        include_initial = "include_initial": Argument<K>;
        /// Adds rows that say when the initial rows begin and end.
        include_states = "include_states": Argument<K>;
        /// Adds the row's old and new position, in feeds of `order_by` and `limit`.
        include_offsets = "include_offsets": Argument<K>;
        /// Adds the kind of each change.
        include_types = "include_types": Argument<K>;
    }
    /// The command `slice`.
    Slice = "r.expr([1, 2, 3]).slice(args![0, 1]).right_bound(Bound::Closed)" {
        /// The lower bound; closed by default.
        left_bound = "left_bound": Choice<Bound, K>;
        /// The upper bound; open by default.
        right_bound = "right_bound": Choice<Bound, K>;
    }
    /// The command `index_create`.
    IndexCreate = r#"r.table("users").index_create("tags").multi(true)"# {
        /// Makes an entry for each element of an array.
        multi = "multi": Argument<K>;
        /// Makes an index of geometry.
        geo = "geo": Argument<K>;
    }
    /// The command `index_rename`.
    IndexRename = r#"r.table("users").index_rename("a", "b").overwrite(true)"# {
        /// Takes the place of an index that has the new name.
        overwrite = "overwrite": Argument<K>;
    }
    /// The command `wait`.
    Wait = r#"r.table("users").wait().wait_for(WaitFor::ReadyForReads)"# {
        /// The state that is waited for.
        wait_for = "wait_for": Choice<WaitFor, K>;
        /// The longest wait, in seconds; no limit by default.
        timeout = "timeout": Argument<K>;
    }
    /// The command `reconfigure`.
    Reconfigure = r#"r.table("users").reconfigure().shards(2).replicas(1)"# {
        /// The data that a table which has lost replicas may lose.
        emergency_repair = "emergency_repair": Choice<EmergencyRepair, K>;
        /// The number of shards, from 1 to 64.
        shards = "shards": Argument<K>;
        /// The number of replicas of each shard, or an object of a number for each server tag.
        replicas = "replicas": Argument<K>;
        /// The server tag that the primary replicas go to.
        primary_replica_tag = "primary_replica_tag": Argument<K>;
        /// The server tags whose replicas don't vote.
        nonvoting_replica_tags = "nonvoting_replica_tags": Argument<K>;
        /// Only shows the new configuration.
        dry_run = "dry_run": Argument<K>;
    }
    /// The command `during`.
    During = "let (a, b) = (r.now(), r.now() + 60); r.now().during(a, b).right_bound(Bound::Closed)" {
        /// The earlier bound; closed by default.
        left_bound = "left_bound": Choice<Bound, K>;
        /// The later bound; open by default.
        right_bound = "right_bound": Choice<Bound, K>;
    }
    /// The command `iso8601`.
    Iso8601 = r#"r.iso8601("2015-11-03T08:30:00").default_timezone("Z")"# {
        /// The timezone of a time that names none.
        default_timezone = "default_timezone": Argument<K>;
    }
    /// The command `random`.
    Random = "r.random(args![1, 2]).float(true)" {
        /// Any number of the range, not only whole ones.
        float = "float": Argument<K>;
    }
    /// The command `js`.
    Js = r#"r.js("1 + 1").timeout(1.5)"# {
        /// The longest time, in seconds; 5 by default.
        timeout = "timeout": Argument<K>;
    }
    /// The command `http`.
    Http = r#"r.http("http://example.com").result_format(ResultFormat::Text)"# {
        /// The method; GET by default.
        method = "method": Choice<HttpMethod, K>;
        /// The format that the answer is taken for.
        result_format = "result_format": Choice<ResultFormat, K>;
        /// The longest time, in seconds; 30 by default.
        timeout = "timeout": Argument<K>;
        /// The number of attempts; 5 by default.
        attempts = "attempts": Argument<K>;
        /// The number of redirects that it follows; 1 by default.
        redirects = "redirects": Argument<K>;
        /// Checks the certificate of the other server; `true` by default.
        verify = "verify": Argument<K>;
        /// The credentials: an object of `user`, `pass`, and `type`, which is `"basic"` or `"digest"`.
        auth = "auth": Argument<K>;
        /// The query string, as an object.
        params = "params": Argument<K>;
        /// The headers, as an object or an array of text.
        header = "header": Argument<K>;
        /// The body, or an object that becomes a form.
        data = "data": Argument<K>;
        /// `"link-next"`, or a function of the answer that returns the next page's address.
        page = "page": Argument<K>;
        /// The most pages that there may be; needed with `page`.
        page_limit = "page_limit": Argument<K>;
    }
    /// The command `circle`.
    Circle = "r.circle(r.point(2, 49), 1).unit(Unit::Kilometre)" {
        /// The shape of the earth.
        geo_system = "geo_system": Choice<GeoSystem, K>;
        /// The unit of the radius.
        unit = "unit": Choice<Unit, K>;
        /// The number of corners of the polygon; 32 by default.
        num_vertices = "num_vertices": Argument<K>;
        /// The option `fill`: `true` (by default) makes a polygon, `false` a line.
        filled = "fill": Argument<K>;
    }
    /// The command `distance`.
    Distance = "let (a, b) = (r.point(2, 49), r.point(10, 60)); r.distance(a, b).unit(Unit::Mile)" {
        /// The shape of the earth.
        geo_system = "geo_system": Choice<GeoSystem, K>;
        /// The unit of the result.
        unit = "unit": Choice<Unit, K>;
    }
    /// The command `get_intersecting`.
    GetIntersecting =
        r#"let area = r.circle(r.point(2, 49), 9); r.table("places").get_intersecting(area).index("where")"# {
        /// The geo index; needed.
        index = "index": Argument<K>;
    }
    /// The command `get_nearest`.
    GetNearest =
        r#"let point = r.point(2, 49); r.table("places").get_nearest(point).index("where").max_results(5)"# {
        /// The shape of the earth.
        geo_system = "geo_system": Choice<GeoSystem, K>;
        /// The unit of distances.
        unit = "unit": Choice<Unit, K>;
        /// The geo index; needed.
        index = "index": Argument<K>;
        /// The most documents; 100 by default.
        max_results = "max_results": Argument<K>;
        /// The greatest distance; 100 kilometres by default.
        max_dist = "max_dist": Argument<K>;
    }
}
