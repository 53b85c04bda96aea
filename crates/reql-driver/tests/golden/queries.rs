//! A query for each term and each option, by the names of `queries.txt`.

use std::collections::BTreeMap;

use reql::commands::Table;
use reql::{
    Args, Bound, Conflict, Durability, EmergencyRepair, GeoSystem, HttpMethod, IdentifierFormat, ReadMode,
    ResultFormat, ReturnChanges, Term, Unit, WaitFor, args, obj, r,
};

/// Returns the queries of `golden.json` in Rust.
pub fn queries() -> BTreeMap<&'static str, Term> {
    let mut all = BTreeMap::new();
    let parts = [
        values,
        administration,
        documents,
        writes,
        operators,
        functions,
        arrays,
        text,
        sequences,
        aggregates,
    ]
    .into_iter()
    .chain([joins, control, times, geometry, indexes]);
    for part in parts {
        for (name, term) in part() {
            assert!(all.insert(name, term).is_none(), "{name} comes twice");
        }
    }
    all
}

macro_rules! queries {
    ($($part:ident { $($name:literal => $query:expr,)* })*) => { $(
        fn $part() -> Vec<(&'static str, Term)> {
            vec![$(($name, r.expr($query))),*]
        }
    )* };
}

fn t() -> Table {
    r.table("t")
}

fn point() -> Term {
    r.point(0, 0)
}

queries! {
    values {
        "expr.null" => (),
        "expr.nested" => obj! { "a": (1, 2.5, "x", true, (), obj! { "b": [0; 0] }) },
        "expr.array" => (1, (2, [3])),
        "expr.text" => "\"é\n",
        "row" => t().filter(r.row().g("a")),
        "var" => t().map(|x: Term| x),
        "binary" => r.binary(b"abc"),
        "binary.term" => r.binary_of(r.expr("abc")),
        "literal" => r.expr(obj! { "a": obj! { "b": 1 } }).merge(obj! { "a": r.literal(obj! { "c": 2 }) }),
        "literal.empty" => r.expr(obj! { "a": 1 }).merge(obj! { "a": r.literal(args![]) }),
        "object" => r.object(args!["a", 1]),
        "json" => r.json("[1]"),
        "js" => r.js("1 + 1"),
        "js.timeout" => r.js("1 + 1").timeout(1.5),
        "uuid" => r.uuid(args![]),
        "uuid.text" => r.uuid("a"),
        "random" => r.random(args![]),
        "random.to" => r.random(10),
        "random.float" => r.random(args![1, 10]).float(true),
        "range" => r.range(args![]).limit(1),
        "range.to" => r.range(3),
        "range.from" => r.range(args![1, 3]),
        "http" => r.http("http://127.0.0.1:9/"),
        "http.options" => r.http("http://127.0.0.1:9/")
            .method(HttpMethod::Post)
            .result_format(ResultFormat::Text)
            .timeout(1)
            .attempts(1)
            .redirects(0)
            .verify(false)
            .auth(obj! { "user": "u", "pass": "p" })
            .params(obj! { "a": 1 })
            .header(obj! { "b": "c" })
            .data(obj! { "d": 1 }),
        "http.page" => r.http("http://127.0.0.1:9/")
            .page("link-next")
            .page_limit(2)
            .result_format(ResultFormat::Json)
            .timeout(1)
            .attempts(1),
    }
    administration {
        "db" => r.db("d"),
        "db_create" => r.db_create("d"),
        "db_drop" => r.db_drop("d"),
        "db_list" => r.db_list(),
        "table" => r.table("t"),
        "table.db" => r.db("d").table("t"),
        "table.read_mode" => r.table("t").read_mode(ReadMode::Outdated),
        "table.identifier" => r.db("rethinkdb").table("jobs").identifier_format(IdentifierFormat::Uuid),
        "table.options" => r.table("t").read_mode(r.expr("maj") + "ority"),
        "table_create" => r.table_create("n"),
        "table_create.db" => r.db("d").table_create("n"),
        "table_create.options" => r.table_create("n")
            .primary_key("k")
            .durability(Durability::Soft)
            .shards(1)
            .replicas(obj! { "default": 1 })
            .primary_replica_tag("default")
            .nonvoting_replica_tags(["x"]),
        "table_drop" => r.table_drop("n"),
        "table_drop.db" => r.db("d").table_drop("n"),
        "table_list" => r.table_list(),
        "table_list.db" => r.db("d").table_list(),
        "grant" => r.grant("u", obj! { "read": true }),
        "grant.db" => r.db("d").grant("u", obj! { "read": () }),
        "grant.table" => t().grant("u", obj! { "write": false }),
        "config" => t().config(),
        "config.db" => r.db("d").config(),
        "status" => t().status(),
        "wait" => t().wait(),
        "wait.options" => t().wait().wait_for(WaitFor::ReadyForWrites).timeout(5),
        "wait.db" => r.db("d").wait(),
        "reconfigure" => t().reconfigure().shards(1).replicas(1),
        "reconfigure.options" => t().reconfigure()
            .shards(1)
            .replicas(obj! { "default": 1 })
            .primary_replica_tag("default")
            .nonvoting_replica_tags([0; 0])
            .dry_run(true),
        "reconfigure.repair" => t().reconfigure()
            .emergency_repair(EmergencyRepair::UnsafeRollbackOrErase)
            .dry_run(true),
        "rebalance" => t().rebalance(),
    }
    documents {
        "get" => t().get(1),
        "get.compound" => t().get((1, "a")),
        "get_all" => t().get_all(1),
        "get_all.several" => t().get_all(args![1, "b", [3]]),
        "get_all.index" => t().get_all("a").index("i"),
        "get_all.args" => t().get_all(args![r.args([1, 2]), r.index("i")]),
        "between" => t().between(1, 2),
        "between.options" => t().between(r.minval(), r.maxval())
            .index("i")
            .left_bound(Bound::Open)
            .right_bound(Bound::Closed),
        "minval" => t().between(r.minval(), 1),
        "maxval" => t().between(1, r.maxval()),
    }
    writes {
        "insert" => t().insert(obj! { "id": 1 }),
        "insert.several" => t().insert((obj! { "id": 1 }, obj! { "id": 2, "at": r.now() })),
        "insert.options" => t().insert(obj! { "id": 1 })
            .conflict(Conflict::Replace)
            .durability(Durability::Soft)
            .return_changes(true)
            .ignore_write_hook(true),
        "insert.always" => t().insert(obj! { "id": 1 })
            .conflict(Conflict::Update)
            .return_changes(ReturnChanges::Always),
        "insert.conflict" => t().insert(obj! { "id": 1 })
            .conflict(|_: Term, old: Term, new: Term| old.merge(new)),
        "update" => t().get(1).update(obj! { "a": 1 }),
        "update.row" => t().update(obj! { "a": r.row().g("a") + 1 }),
        "update.function" => t().update(|x: Term| obj! { "a": x.g("a") }),
        "update.options" => t().update(obj! { "a": r.js("1") })
            .non_atomic(true)
            .durability(Durability::Hard)
            .return_changes(ReturnChanges::Always)
            .ignore_write_hook(false),
        "replace" => t().get(1).replace(obj! { "id": 1 }),
        "replace.row" => t().replace(r.row().without("a")),
        "replace.options" => t().replace(|x: Term| x)
            .non_atomic(true)
            .durability(Durability::Soft)
            .return_changes(false)
            .ignore_write_hook(true),
        "delete" => t().delete(),
        "delete.options" => t().delete()
            .durability(Durability::Soft)
            .return_changes(true)
            .ignore_write_hook(true),
        "sync" => t().sync(),
        "for_each" => t().for_each(|x: Term| r.table("t").insert(x)),
        "set_write_hook" => t().set_write_hook(|_: Term, _: Term, new: Term| new),
        "set_write_hook.none" => t().set_write_hook(()),
        "get_write_hook" => t().get_write_hook(),
    }
    operators {
        "eq" => r.expr(1).eq(2),
        "eq.several" => r.expr(1).eq(args![2, 3]),
        "ne" => r.expr(1).ne(2),
        "lt" => r.expr(1).lt(2),
        "le" => r.expr(1).le(2),
        "gt" => r.expr(1).gt(2),
        "ge" => r.expr(1).ge(2),
        "not" => r.expr(true).not(),
        "not.operator" => !r.expr(true),
        "and" => r.expr(true).and(args![false, true]),
        "and.operator" => r.expr(true) & false,
        "or" => r.expr(true).or(false),
        "or.operator" => r.expr(true) | false,
        "add" => r.expr(1).add(args![2, 3]),
        "add.operator" => r.expr(1) + 2,
        "sub" => r.expr(1).sub(2),
        "sub.operator" => r.expr(1) - 2,
        "mul" => r.expr(1).mul(2),
        "mul.operator" => r.expr(1) * 2,
        "div" => r.expr(1).div(2),
        "div.operator" => r.expr(1) / 2,
        "mod" => r.expr(1).mod_(2),
        "mod.operator" => r.expr(1) % 2,
        "floor" => r.expr(1.5).floor(),
        "ceil" => r.expr(1.5).ceil(),
        "round" => r.expr(1.5).round(),
        "bit_and" => r.expr(6).bit_and(3),
        "bit_or" => r.expr(6).bit_or(3),
        "bit_xor" => r.expr(6).bit_xor(3),
        "bit_not" => r.expr(6).bit_not(),
        "bit_sal" => r.expr(6).bit_sal(1),
        "bit_sar" => r.expr(6).bit_sar(1),
    }
    functions {
        "r.eq" => r.eq(args![1, 1, 1]),
        "r.ne" => r.ne(args![1, 2]),
        "r.lt" => r.lt(args![1, 2]),
        "r.le" => r.le(args![1, 2]),
        "r.gt" => r.gt(args![1, 2]),
        "r.ge" => r.ge(args![1, 2]),
        "r.and" => r.and(args![true, false]),
        "r.or" => r.or(Args::from_iter([true, false])),
        "r.not" => r.not(true),
        "r.add" => r.add(args![1, 2, 3]),
        "r.sub" => r.sub(args![3, 2]),
        "r.mul" => r.mul(args![1, 2]),
        "r.div" => r.div(args![6, 3]),
        "r.mod" => r.mod_(7, 2),
        "r.bit_and" => r.bit_and(args![6, 3]),
        "r.bit_or" => r.bit_or(args![6, 3]),
        "r.bit_xor" => r.bit_xor(args![6, 3]),
        "r.bit_not" => r.bit_not(6),
        "r.bit_sal" => r.bit_sal(6, 1),
        "r.bit_sar" => r.bit_sar(6, 1),
        "r.floor" => r.floor(1.5),
        "r.ceil" => r.ceil(1.5),
        "r.round" => r.round(1.5),
        "args" => r.add(r.args([1, 2])),
    }
    arrays {
        "bracket" => r.expr(obj! { "a": 1 }).g("a"),
        "bracket.index" => r.expr([1, 2]).bracket(0),
        "get_field" => r.expr(obj! { "a": 1 }).get_field("a"),
        "has_fields" => t().has_fields(args!["a", obj! { "b": true }]),
        "with_fields" => t().with_fields(args!["a", "b"]),
        "pluck" => t().pluck(args!["a", obj! { "b": ["c"] }]),
        "without" => t().without("a"),
        "merge" => r.expr(obj! { "a": 1 }).merge(args![obj! { "b": 2 }, obj! { "c": 3 }]),
        "merge.row" => t().merge(obj! { "b": r.row().g("a") }),
        "merge.function" => t().merge(|x: Term| obj! { "b": x.g("a") }),
        "keys" => r.expr(obj! { "a": 1 }).keys(),
        "values" => r.expr(obj! { "a": 1 }).values(),
        "append" => r.expr([1]).append(2),
        "prepend" => r.expr([1]).prepend(2),
        "difference" => r.expr([1]).difference([2]),
        "set_insert" => r.expr([1]).set_insert(2),
        "set_union" => r.expr([1]).set_union([2]),
        "set_intersection" => r.expr([1]).set_intersection([2]),
        "set_difference" => r.expr([1]).set_difference([2]),
        "insert_at" => r.expr([1]).insert_at(0, 2),
        "splice_at" => r.expr([1]).splice_at(0, [2, 3]),
        "delete_at" => r.expr([1, 2]).delete_at(0),
        "delete_at.range" => r.expr([1, 2]).delete_at(args![0, 1]),
        "change_at" => r.expr([1]).change_at(0, 2),
        "default" => r.expr(()).default(1),
        "default.function" => r.expr(()).default(|error: Term| error),
        "coerce_to" => r.expr(1).coerce_to("string"),
        "type_of" => r.expr(1).type_of(),
        "r.type_of" => r.type_of(1),
        "info" => t().info(),
        "r.info" => r.info(1),
    }
    text {
        "to_json_string" => r.expr(1).to_json_string(),
        "to_json" => r.expr(1).to_json(),
        "match" => r.expr("abc").match_("^a"),
        "split" => r.expr("a b").split(args![]),
        "split.separator" => r.expr("a b").split(" "),
        "split.limit" => r.expr("a b").split(args![" ", 1]),
        "split.spaces" => r.expr("a b").split(args![(), 1]),
        "upcase" => r.expr("a").upcase(),
        "downcase" => r.expr("A").downcase(),
    }
    sequences {
        "filter" => t().filter(obj! { "a": 1 }),
        "filter.function" => t().filter(|x: Term| x.g("a").gt(1)),
        "filter.default" => t().filter(r.row().g("a").gt(1)).default_value(true),
        "filter.error" => t().filter(r.row().g("a").gt(1)).default_value(r.error(args![])),
        "map" => t().map(|x: Term| x.g("a")),
        "map.row" => t().map(r.row().g("a")),
        "map.several" => r.map(args![[1, 2], [3, 4]], |x: Term, y: Term| x + y),
        "map.nested" => r.expr([1]).map(|x: Term| r.expr([2]).map(|y: Term| x + y)),
        "concat_map" => r.expr([[1]]).concat_map(|x: Term| x),
        "order_by" => t().order_by("a"),
        "order_by.several" => t().order_by(args!["a", r.desc("b"), r.asc("c")]),
        "order_by.function" => t().order_by(|x: Term| x.g("a")),
        "order_by.row" => t().order_by(r.desc(r.row().g("a"))),
        "order_by.index" => t().order_by(r.index("i")),
        "order_by.index_desc" => t().order_by("a").index(r.desc("i")),
        "asc.function" => t().order_by(r.asc(|x: Term| x.g("a"))),
        "skip" => t().skip(1),
        "limit" => t().limit(1),
        "slice" => r.expr([1, 2, 3]).slice(1),
        "slice.options" => r.expr([1, 2, 3])
            .slice(args![0, 1])
            .left_bound(Bound::Open)
            .right_bound(Bound::Closed),
        "nth" => r.expr([1]).nth(0),
        "offsets_of" => r.expr([1]).offsets_of(1),
        "offsets_of.function" => r.expr([1]).offsets_of(|x: Term| x.eq(1)),
        "is_empty" => t().is_empty(),
        "union" => t().union(args![[1], [2]]),
        "union.interleave" => t().union(t()).interleave(false),
        "union.order" => r.expr([obj! { "a": 1 }]).union([obj! { "a": 2 }]).interleave(("a", r.desc("b"))),
        "union.row" => t().union(t()).interleave(r.row().g("a")),
        "r.union" => r.union(args![[1], [2]]),
        "sample" => t().sample(1),
        "changes" => t().changes(),
        "changes.options" => t().changes()
            .squash(0.5)
            .changefeed_queue_size(10)
            .include_initial(true)
            .include_states(true)
            .include_types(true),
        "changes.offsets" => t().order_by(r.index("id"))
            .limit(1)
            .changes()
            .include_offsets(true)
            .include_initial(true)
            .squash(true),
    }
    aggregates {
        "count" => t().count(),
        "count.value" => r.expr([1]).count_if(1),
        "count.function" => t().count_if(|x: Term| x.g("a").eq(1)),
        "count.row" => t().count_if(r.row().g("a").eq(1)),
        "r.count" => r.count([1]),
        "sum" => r.expr([1]).sum(args![]),
        "sum.field" => t().sum("a"),
        "sum.function" => t().sum(|x: Term| x.g("a")),
        "r.sum" => r.sum([1]),
        "avg" => t().avg("a"),
        "r.avg" => r.avg([1]),
        "min" => t().min("a"),
        "min.index" => t().min(args![]).index("i"),
        "r.min" => r.min([1]),
        "max" => t().max(r.row().g("a")),
        "max.index" => t().max(r.index("i")),
        "r.max" => r.max([1]),
        "reduce" => r.expr([1, 2]).reduce(|a: Term, b: Term| a + b),
        "r.reduce" => r.reduce([1, 2], |a: Term, b: Term| a + b),
        "fold" => r.expr([1]).fold(0, |a: Term, b: Term| a + b),
        "fold.options" => r.expr([1])
            .fold(0, |a: Term, b: Term| a + b)
            .emit(|a: Term, _: Term, _: Term| [a])
            .final_emit(|a: Term| [a]),
        "fold.row" => r.expr([1]).fold(0, |a: Term, b: Term| a + b).final_emit([r.row()]),
        "distinct" => t().distinct(),
        "distinct.index" => t().distinct().index("i"),
        "r.distinct" => r.distinct([1]),
        "contains" => r.expr([1]).contains(args![1, 2]),
        "contains.function" => r.expr([1]).contains(|x: Term| x.eq(1)),
        "r.contains" => r.contains(args![[1], 1]),
        "group" => t().group("a"),
        "group.function" => t().group(args![|x: Term| x.g("a"), "b"]),
        "group.index" => t().group(r.index("i")),
        "group.multi" => t().group("a").multi(true).count(),
        "r.group" => r.group(args![[obj! { "a": 1 }], "a"]),
        "ungroup" => t().group("a").count().ungroup(),
    }
    joins {
        "inner_join" => t().inner_join(t(), |x: Term, y: Term| x.eq(y)),
        "outer_join" => t().outer_join(t(), |x: Term, y: Term| x.eq(y)),
        "eq_join" => t().eq_join("a", t()),
        "eq_join.function" => t().eq_join(|x: Term| x.g("a"), t()),
        "eq_join.row" => t().eq_join(r.row().g("a"), t()),
        "eq_join.options" => t().eq_join("a", t()).index("i").ordered(true),
        "zip" => t().eq_join("a", t()).zip(),
    }
    control {
        "do" => r.expr(1).do_(|x: Term| x + 1),
        "do.value" => r.expr(1).do_(2),
        "do.several" => r.do_(args![1, 2], |x: Term, y: Term| x + y),
        "do.alone" => r.do_(args![], 1),
        "branch" => r.branch(args![true, 1, 2]),
        "branch.several" => r.branch(args![false, 1, true, 2, 3]),
        "error" => r.error("no"),
    }
    times {
        "now" => r.now(),
        "time" => r.time(args![2015, 11, 3, "Z"]),
        "time.full" => r.time(args![2015, 11, 3, 8, 30, 1.5, "+02:00"]),
        "epoch_time" => r.epoch_time(1446539400),
        "iso8601" => r.iso8601("2015-11-03T08:30:00Z"),
        "iso8601.timezone" => r.iso8601("2015-11-03T08:30:00").default_timezone("Z"),
        "to_iso8601" => r.now().to_iso8601(),
        "to_epoch_time" => r.now().to_epoch_time(),
        "during" => r.now().during(r.epoch_time(0), r.now()),
        "during.options" => r.now()
            .during(r.epoch_time(0), r.now())
            .left_bound(Bound::Open)
            .right_bound(Bound::Closed),
        "in_timezone" => r.now().in_timezone("+01:00"),
        "timezone" => r.now().timezone(),
        "date" => r.now().date(),
        "time_of_day" => r.now().time_of_day(),
        "year" => r.now().year(),
        "month" => r.now().month(),
        "day" => r.now().day(),
        "day_of_week" => r.now().day_of_week(),
        "day_of_year" => r.now().day_of_year(),
        "hours" => r.now().hours(),
        "minutes" => r.now().minutes(),
        "seconds" => r.now().seconds(),
        "weekdays" => [
            r.monday(), r.tuesday(), r.wednesday(), r.thursday(), r.friday(), r.saturday(), r.sunday(),
        ],
        "months" => [
            r.january(), r.february(), r.march(), r.april(), r.may(), r.june(), r.july(), r.august(),
            r.september(), r.october(), r.november(), r.december(),
        ],
    }
    geometry {
        "geojson" => r.geojson(obj! { "type": "Point", "coordinates": [0, 1] }),
        "to_geojson" => r.point(0, 1).to_geojson(),
        "point" => r.point(0, 1),
        "line" => r.line(args![[0, 0], [1, 1]]),
        "line.points" => r.line(args![point(), r.point(1, 1)]),
        "polygon" => r.polygon(args![[0, 0], [1, 0], [1, 1]]),
        "circle" => r.circle([0, 0], 1),
        "circle.options" => r.circle(point(), 1)
            .num_vertices(8)
            .geo_system(GeoSystem::Wgs84)
            .unit(Unit::Kilometre)
            .filled(false),
        "circle.sphere" => r.circle([0, 0], 0.1).geo_system(GeoSystem::UnitSphere),
        "distance" => point().distance(r.point(1, 1)),
        "distance.options" => r.distance(point(), r.point(1, 1))
            .geo_system(GeoSystem::Wgs84)
            .unit(Unit::Mile),
        "intersects" => r.circle([0, 0], 1).intersects(point()),
        "r.intersects" => r.intersects(point(), point()),
        "includes" => r.circle([0, 0], 1).includes(point()),
        "fill" => r.circle([0, 0], 1).filled(false).fill(),
        "polygon_sub" => r.circle([0, 0], 2).polygon_sub(r.circle([0, 0], 1)),
        "get_intersecting" => t().get_intersecting(r.circle([0, 0], 1)).index("g"),
        "get_nearest" => t().get_nearest(point()).index("g"),
        "get_nearest.options" => t().get_nearest(point())
            .index("g")
            .max_results(5)
            .max_dist(10)
            .unit(Unit::NauticalMile)
            .geo_system(GeoSystem::Wgs84),
    }
    indexes {
        "index_create" => t().index_create("j"),
        "index_create.function" => t().index_create_by("k", |x: Term| x.g("a")),
        "index_create.row" => t().index_create_by("l", r.row().g("a")),
        "index_create.compound" => t().index_create_by("m", (r.row().g("a"), r.row().g("b"))),
        "index_create.options" => t().index_create("n").multi(true).geo(false),
        "index_list" => t().index_list(),
        "index_status" => t().index_status(args![]),
        "index_status.several" => t().index_status(args!["i", "g"]),
        "index_wait" => t().index_wait(args![]),
        "index_wait.one" => t().index_wait("i"),
        "index_rename" => t().index_rename("n", "o"),
        "index_rename.options" => t().index_rename("m", "o").overwrite(true),
        "index_drop" => t().index_drop("o"),
    }
}
