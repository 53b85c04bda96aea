//! The commands of RethinkDB's JavaScript API: what each takes, as its official driver has it
//! (<https://rethinkdb.com/api/javascript/>).

use super::TermType;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its name in JavaScript.
    pub(crate) name: &'static str,
    pub(crate) term: TermType,
    pub(crate) on: On,
    /// The fewest and the most arguments besides the receiver of a method and the options.
    pub(super) least: u8,
    pub(super) most: Option<u8>,
    /// The names of its options on the wire.
    pub(crate) options: &'static [&'static str],
    pub(super) functions: Functions,
}

/// The positions of a command in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// `r.now()`
    Root,
    /// `r.minval`, without brackets
    Constant,
    /// `value.upcase()`
    Value,
    /// `value.add(1)` and `r.add(value, 1)`
    Both,
    /// `db.table("t")` and `r.table("t")`, which leaves out its receiver
    Either,
}

/// The arguments that become functions when they mention `r.row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    None,
    All,
    Last,
    Nth(u8),
}

/// Returns the command of this name: a method, or one of `r`.
pub(super) fn find(name: &str, of_value: bool) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name && command.stands_on(of_value))
}

impl Command {
    /// Returns whether it can be a method of a value, or, if `value` is false, of `r`.
    pub(crate) fn stands_on(&self, value: bool) -> bool {
        match self.on {
            On::Root | On::Constant => !value,
            On::Value => value,
            On::Both | On::Either => true,
        }
    }
}

const fn command(name: &'static str, term: TermType, on: On, least: u8, most: Option<u8>) -> Command {
    Command { name, term, on, least, most, options: &[], functions: Functions::None }
}

impl Command {
    const fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    const fn functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }
}

/// Defines a command with `$n` arguments, `$n` or more (`$n..`), or from `$n` to `$m` (`$n..$m`).
macro_rules! c {
    ($name:literal $term:ident $on:ident $n:literal) => {
        command($name, TermType::$term, On::$on, $n, Some($n))
    };
    ($name:literal $term:ident $on:ident $n:literal ..) => {
        command($name, TermType::$term, On::$on, $n, None)
    };
    ($name:literal $term:ident $on:ident $n:literal .. $m:literal) => {
        command($name, TermType::$term, On::$on, $n, Some($m))
    };
}

const BOUNDS: &[&str] = &["left_bound", "right_bound"];
const INDEX: &[&str] = &["index"];
const GEO: &[&str] = &["geo_system", "unit"];
const WRITE: &[&str] = &["durability", "return_changes", "non_atomic", "ignore_write_hook"];
const CREATE: &[&str] =
    &["primary_key", "durability", "shards", "replicas", "primary_replica_tag", "nonvoting_replica_tags"];
const LAYOUT: &[&str] =
    &["shards", "replicas", "primary_replica_tag", "nonvoting_replica_tags", "dry_run", "emergency_repair"];
const HTTP: &[&str] = &[
    "timeout",
    "attempts",
    "redirects",
    "verify",
    "result_format",
    "method",
    "auth",
    "params",
    "header",
    "data",
    "page",
    "page_limit",
];
const CHANGES: &[&str] = &[
    "squash",
    "changefeed_queue_size",
    "include_initial",
    "include_states",
    "include_offsets",
    "include_types",
];

/// All commands. Those of one name that differ by their receiver follow each other.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    // Databases, tables, users.
    c!("db" Db Root 1),
    c!("dbCreate" DbCreate Root 1),
    c!("dbDrop" DbDrop Root 1),
    c!("dbList" DbList Root 0),
    c!("table" Table Either 1).options(&["read_mode", "identifier_format"]),
    c!("tableCreate" TableCreate Either 1).options(CREATE),
    c!("tableDrop" TableDrop Either 1),
    c!("tableList" TableList Either 0),
    c!("grant" Grant Either 2),
    c!("config" Config Value 0),
    c!("status" Status Value 0),
    c!("wait" Wait Value 0).options(&["wait_for", "timeout"]),
    c!("reconfigure" Reconfigure Value 0).options(LAYOUT),
    c!("rebalance" Rebalance Value 0),
    c!("sync" Sync Value 0),
    c!("info" Info Both 0),
    // Indexes and write hooks.
    c!("indexCreate" IndexCreate Value 1..2).options(&["multi", "geo"]).functions(Functions::Nth(1)),
    c!("indexDrop" IndexDrop Value 1),
    c!("indexList" IndexList Value 0),
    c!("indexRename" IndexRename Value 2).options(&["overwrite"]),
    c!("indexStatus" IndexStatus Value 0..),
    c!("indexWait" IndexWait Value 0..),
    c!("setWriteHook" SetWriteHook Value 1).functions(Functions::All),
    c!("getWriteHook" GetWriteHook Value 0),
    // Writes.
    c!("insert" Insert Value 1).options(&["conflict", "durability", "return_changes", "ignore_write_hook"]),
    c!("update" Update Value 1).options(WRITE).functions(Functions::All),
    c!("replace" Replace Value 1).options(WRITE).functions(Functions::All),
    c!("delete" Delete Value 0).options(&["durability", "return_changes", "ignore_write_hook"]),
    c!("forEach" ForEach Value 1).functions(Functions::All),
    // Selections.
    c!("get" Get Value 1),
    c!("getAll" GetAll Value 0..).options(INDEX),
    c!("between" Between Value 2).options(&["index", "left_bound", "right_bound"]),
    c!("filter" Filter Both 1).options(&["default"]).functions(Functions::All),
    c!("getIntersecting" GetIntersecting Value 1).options(INDEX),
    c!("getNearest" GetNearest Value 1)
        .options(&["index", "max_results", "max_dist", "unit", "geo_system"]),
    c!("changes" Changes Value 0).options(CHANGES),
    // Joins.
    c!("innerJoin" InnerJoin Value 2),
    c!("outerJoin" OuterJoin Value 2),
    c!("eqJoin" EqJoin Value 2).options(&["index", "ordered"]).functions(Functions::Nth(0)),
    c!("zip" Zip Value 0),
    // Sequences.
    c!("map" Map Both 1..).functions(Functions::Last),
    c!("withFields" WithFields Value 0..),
    c!("concatMap" ConcatMap Both 1).functions(Functions::All),
    c!("orderBy" OrderBy Both 0..).options(INDEX).functions(Functions::All),
    c!("asc" Asc Root 1).functions(Functions::All),
    c!("desc" Desc Root 1).functions(Functions::All),
    c!("skip" Skip Value 1),
    c!("limit" Limit Value 1),
    c!("slice" Slice Value 1..2).options(BOUNDS),
    c!("nth" Nth Value 1),
    c!("offsetsOf" OffsetsOf Value 1).functions(Functions::All),
    c!("isEmpty" IsEmpty Value 0),
    c!("union" Union Both 0..).options(&["interleave"]),
    c!("sample" Sample Value 1),
    c!("distinct" Distinct Both 0).options(INDEX),
    c!("contains" Contains Both 1..).functions(Functions::All),
    // Aggregates.
    c!("group" Group Both 0..).options(&["index", "multi"]).functions(Functions::All),
    c!("ungroup" Ungroup Value 0),
    c!("reduce" Reduce Both 1).functions(Functions::All),
    c!("fold" Fold Both 2).options(&["emit", "final_emit"]).functions(Functions::Nth(1)),
    c!("count" Count Both 0..1).functions(Functions::All),
    c!("sum" Sum Both 0..1).options(INDEX).functions(Functions::All),
    c!("avg" Avg Both 0..1).options(INDEX).functions(Functions::All),
    c!("min" Min Both 0..1).options(INDEX).functions(Functions::All),
    c!("max" Max Both 0..1).options(INDEX).functions(Functions::All),
    // Documents and arrays.
    c!("row" ImplicitVar Constant 0),
    c!("pluck" Pluck Value 0..),
    c!("without" Without Value 0..),
    c!("merge" Merge Value 0..).functions(Functions::All),
    c!("append" Append Value 1),
    c!("prepend" Prepend Value 1),
    c!("difference" Difference Value 1),
    c!("setInsert" SetInsert Value 1),
    c!("setUnion" SetUnion Value 1),
    c!("setIntersection" SetIntersection Value 1),
    c!("setDifference" SetDifference Value 1),
    c!("getField" GetField Value 1),
    c!("bracket" Bracket Value 1),
    c!("hasFields" HasFields Value 0..),
    c!("insertAt" InsertAt Value 2),
    c!("spliceAt" SpliceAt Value 2),
    c!("deleteAt" DeleteAt Value 1..2),
    c!("changeAt" ChangeAt Value 2),
    c!("keys" Keys Value 0),
    c!("values" Values Value 0),
    c!("literal" Literal Root 0..1),
    c!("object" Object Root 0..),
    // Text.
    c!("match" Match Value 1),
    c!("split" Split Value 0..2),
    c!("upcase" Upcase Value 0),
    c!("downcase" Downcase Value 0),
    c!("format" Format Both 1),
    // Numbers and logic.
    c!("add" Add Both 1..),
    c!("sub" Sub Both 1..),
    c!("mul" Mul Both 1..),
    c!("div" Div Both 1..),
    c!("mod" Mod Both 1),
    c!("bitAnd" BitAnd Both 1..),
    c!("bitOr" BitOr Both 1..),
    c!("bitXor" BitXor Both 1..),
    c!("bitNot" BitNot Both 0),
    c!("bitSal" BitSal Both 1..),
    c!("bitSar" BitSar Both 1..),
    c!("and" And Value 0..),
    c!("and" And Root 0..),
    c!("or" Or Value 0..),
    c!("or" Or Root 0..),
    c!("eq" Eq Both 1..),
    c!("ne" Ne Both 1..),
    c!("gt" Gt Both 1..),
    c!("ge" Ge Both 1..),
    c!("lt" Lt Both 1..),
    c!("le" Le Both 1..),
    c!("not" Not Both 0),
    c!("random" Random Root 0..2).options(&["float"]),
    c!("round" Round Both 0),
    c!("ceil" Ceil Both 0),
    c!("floor" Floor Both 0),
    // Times.
    c!("now" Now Root 0),
    c!("time" Time Root 4..7),
    c!("epochTime" EpochTime Root 1),
    c!("ISO8601" Iso8601 Root 1).options(&["default_timezone"]),
    c!("inTimezone" InTimezone Value 1),
    c!("timezone" Timezone Value 0),
    c!("during" During Value 2).options(BOUNDS),
    c!("date" Date Value 0),
    c!("timeOfDay" TimeOfDay Value 0),
    c!("year" Year Value 0),
    c!("month" Month Value 0),
    c!("day" Day Value 0),
    c!("dayOfWeek" DayOfWeek Value 0),
    c!("dayOfYear" DayOfYear Value 0),
    c!("hours" Hours Value 0),
    c!("minutes" Minutes Value 0),
    c!("seconds" Seconds Value 0),
    c!("toISO8601" ToIso8601 Value 0),
    c!("toEpochTime" ToEpochTime Value 0),
    c!("monday" Monday Constant 0),
    c!("tuesday" Tuesday Constant 0),
    c!("wednesday" Wednesday Constant 0),
    c!("thursday" Thursday Constant 0),
    c!("friday" Friday Constant 0),
    c!("saturday" Saturday Constant 0),
    c!("sunday" Sunday Constant 0),
    c!("january" January Constant 0),
    c!("february" February Constant 0),
    c!("march" March Constant 0),
    c!("april" April Constant 0),
    c!("may" May Constant 0),
    c!("june" June Constant 0),
    c!("july" July Constant 0),
    c!("august" August Constant 0),
    c!("september" September Constant 0),
    c!("october" October Constant 0),
    c!("november" November Constant 0),
    c!("december" December Constant 0),
    // Control.
    c!("args" Args Root 1),
    c!("binary" Binary Root 1),
    c!("do" Funcall Value 1..).functions(Functions::Last),
    c!("do" Funcall Root 1..).functions(Functions::Last),
    c!("branch" Branch Value 2..),
    c!("branch" Branch Root 3..),
    c!("range" Range Root 0..2),
    c!("error" Error Root 0..1),
    c!("default" Default Value 1),
    c!("js" Javascript Root 1).options(&["timeout"]),
    c!("coerceTo" CoerceTo Value 1),
    c!("typeOf" TypeOf Both 0),
    c!("json" Json Root 1),
    c!("toJSON" ToJsonString Value 0),
    c!("toJsonString" ToJsonString Value 0),
    c!("http" Http Root 1).options(HTTP),
    c!("uuid" Uuid Root 0..1),
    c!("minval" Minval Constant 0),
    c!("maxval" Maxval Constant 0),
    // Geometry.
    c!("geojson" Geojson Root 1),
    c!("toGeojson" ToGeojson Value 0),
    c!("point" Point Root 2),
    c!("line" Line Root 2..),
    c!("polygon" Polygon Root 3..),
    c!("circle" Circle Root 2).options(&["num_vertices", "geo_system", "unit", "fill"]),
    c!("distance" Distance Both 1).options(GEO),
    c!("fill" Fill Value 0),
    c!("includes" Includes Value 1),
    c!("intersects" Intersects Both 1),
    c!("polygonSub" PolygonSub Value 1),
];
