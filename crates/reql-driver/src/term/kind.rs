//! The names and numbers of the terms: `Term.TermType` in RethinkDB's `ql2.proto`.

macro_rules! term_types {
    ($($variant:ident = $number:literal, $name:literal, $javascript:literal;)*) => {
        /// The kind of a term: its operation.
        ///
        /// ```
        /// use reql::TermType;
        ///
        /// assert_eq!((TermType::Add.name(), TermType::Add.number()), ("ADD", 24));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum TermType {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        impl TermType {
            /// All kinds of terms.
            pub const ALL: &[TermType] = &[$(TermType::$variant,)*];

            /// Returns the kind's name in `ql2.proto`.
            pub fn name(self) -> &'static str {
                match self { $(TermType::$variant => $name,)* }
            }

            /// Returns the name of the kind's command in JavaScript.
            pub(crate) fn javascript(self) -> &'static str {
                match self { $(TermType::$variant => $javascript,)* }
            }
        }
    };
}

impl TermType {
    /// Returns the kind's number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }
}

term_types! {
    Datum = 1, "DATUM", "datum";
    MakeArray = 2, "MAKE_ARRAY", "makeArray";
    MakeObj = 3, "MAKE_OBJ", "makeObj";
    Var = 10, "VAR", "var";
    Javascript = 11, "JAVASCRIPT", "js";
    Error = 12, "ERROR", "error";
    ImplicitVar = 13, "IMPLICIT_VAR", "row";
    Db = 14, "DB", "db";
    Table = 15, "TABLE", "table";
    Get = 16, "GET", "get";
    Eq = 17, "EQ", "eq";
    Ne = 18, "NE", "ne";
    Lt = 19, "LT", "lt";
    Le = 20, "LE", "le";
    Gt = 21, "GT", "gt";
    Ge = 22, "GE", "ge";
    Not = 23, "NOT", "not";
    Add = 24, "ADD", "add";
    Sub = 25, "SUB", "sub";
    Mul = 26, "MUL", "mul";
    Div = 27, "DIV", "div";
    Mod = 28, "MOD", "mod";
    Append = 29, "APPEND", "append";
    Slice = 30, "SLICE", "slice";
    GetField = 31, "GET_FIELD", "getField";
    HasFields = 32, "HAS_FIELDS", "hasFields";
    Pluck = 33, "PLUCK", "pluck";
    Without = 34, "WITHOUT", "without";
    Merge = 35, "MERGE", "merge";
    BetweenDeprecated = 36, "BETWEEN_DEPRECATED", "between";
    Reduce = 37, "REDUCE", "reduce";
    Map = 38, "MAP", "map";
    Filter = 39, "FILTER", "filter";
    ConcatMap = 40, "CONCAT_MAP", "concatMap";
    OrderBy = 41, "ORDER_BY", "orderBy";
    Distinct = 42, "DISTINCT", "distinct";
    Count = 43, "COUNT", "count";
    Union = 44, "UNION", "union";
    Nth = 45, "NTH", "nth";
    InnerJoin = 48, "INNER_JOIN", "innerJoin";
    OuterJoin = 49, "OUTER_JOIN", "outerJoin";
    EqJoin = 50, "EQ_JOIN", "eqJoin";
    CoerceTo = 51, "COERCE_TO", "coerceTo";
    TypeOf = 52, "TYPE_OF", "typeOf";
    Update = 53, "UPDATE", "update";
    Delete = 54, "DELETE", "delete";
    Replace = 55, "REPLACE", "replace";
    Insert = 56, "INSERT", "insert";
    DbCreate = 57, "DB_CREATE", "dbCreate";
    DbDrop = 58, "DB_DROP", "dbDrop";
    DbList = 59, "DB_LIST", "dbList";
    TableCreate = 60, "TABLE_CREATE", "tableCreate";
    TableDrop = 61, "TABLE_DROP", "tableDrop";
    TableList = 62, "TABLE_LIST", "tableList";
    Funcall = 64, "FUNCALL", "do";
    Branch = 65, "BRANCH", "branch";
    Or = 66, "OR", "or";
    And = 67, "AND", "and";
    ForEach = 68, "FOR_EACH", "forEach";
    Func = 69, "FUNC", "func";
    Skip = 70, "SKIP", "skip";
    Limit = 71, "LIMIT", "limit";
    Zip = 72, "ZIP", "zip";
    Asc = 73, "ASC", "asc";
    Desc = 74, "DESC", "desc";
    IndexCreate = 75, "INDEX_CREATE", "indexCreate";
    IndexDrop = 76, "INDEX_DROP", "indexDrop";
    IndexList = 77, "INDEX_LIST", "indexList";
    GetAll = 78, "GET_ALL", "getAll";
    Info = 79, "INFO", "info";
    Prepend = 80, "PREPEND", "prepend";
    Sample = 81, "SAMPLE", "sample";
    InsertAt = 82, "INSERT_AT", "insertAt";
    DeleteAt = 83, "DELETE_AT", "deleteAt";
    ChangeAt = 84, "CHANGE_AT", "changeAt";
    SpliceAt = 85, "SPLICE_AT", "spliceAt";
    IsEmpty = 86, "IS_EMPTY", "isEmpty";
    OffsetsOf = 87, "OFFSETS_OF", "offsetsOf";
    SetInsert = 88, "SET_INSERT", "setInsert";
    SetIntersection = 89, "SET_INTERSECTION", "setIntersection";
    SetUnion = 90, "SET_UNION", "setUnion";
    SetDifference = 91, "SET_DIFFERENCE", "setDifference";
    Default = 92, "DEFAULT", "default";
    Contains = 93, "CONTAINS", "contains";
    Keys = 94, "KEYS", "keys";
    Difference = 95, "DIFFERENCE", "difference";
    WithFields = 96, "WITH_FIELDS", "withFields";
    Match = 97, "MATCH", "match";
    Json = 98, "JSON", "json";
    Iso8601 = 99, "ISO8601", "ISO8601";
    ToIso8601 = 100, "TO_ISO8601", "toISO8601";
    EpochTime = 101, "EPOCH_TIME", "epochTime";
    ToEpochTime = 102, "TO_EPOCH_TIME", "toEpochTime";
    Now = 103, "NOW", "now";
    InTimezone = 104, "IN_TIMEZONE", "inTimezone";
    During = 105, "DURING", "during";
    Date = 106, "DATE", "date";
    Monday = 107, "MONDAY", "monday";
    Tuesday = 108, "TUESDAY", "tuesday";
    Wednesday = 109, "WEDNESDAY", "wednesday";
    Thursday = 110, "THURSDAY", "thursday";
    Friday = 111, "FRIDAY", "friday";
    Saturday = 112, "SATURDAY", "saturday";
    Sunday = 113, "SUNDAY", "sunday";
    January = 114, "JANUARY", "january";
    February = 115, "FEBRUARY", "february";
    March = 116, "MARCH", "march";
    April = 117, "APRIL", "april";
    May = 118, "MAY", "may";
    June = 119, "JUNE", "june";
    July = 120, "JULY", "july";
    August = 121, "AUGUST", "august";
    September = 122, "SEPTEMBER", "september";
    October = 123, "OCTOBER", "october";
    November = 124, "NOVEMBER", "november";
    December = 125, "DECEMBER", "december";
    TimeOfDay = 126, "TIME_OF_DAY", "timeOfDay";
    Timezone = 127, "TIMEZONE", "timezone";
    Year = 128, "YEAR", "year";
    Month = 129, "MONTH", "month";
    Day = 130, "DAY", "day";
    DayOfWeek = 131, "DAY_OF_WEEK", "dayOfWeek";
    DayOfYear = 132, "DAY_OF_YEAR", "dayOfYear";
    Hours = 133, "HOURS", "hours";
    Minutes = 134, "MINUTES", "minutes";
    Seconds = 135, "SECONDS", "seconds";
    Time = 136, "TIME", "time";
    Literal = 137, "LITERAL", "literal";
    Sync = 138, "SYNC", "sync";
    IndexStatus = 139, "INDEX_STATUS", "indexStatus";
    IndexWait = 140, "INDEX_WAIT", "indexWait";
    Upcase = 141, "UPCASE", "upcase";
    Downcase = 142, "DOWNCASE", "downcase";
    Object = 143, "OBJECT", "object";
    Group = 144, "GROUP", "group";
    Sum = 145, "SUM", "sum";
    Avg = 146, "AVG", "avg";
    Min = 147, "MIN", "min";
    Max = 148, "MAX", "max";
    Split = 149, "SPLIT", "split";
    Ungroup = 150, "UNGROUP", "ungroup";
    Random = 151, "RANDOM", "random";
    Changes = 152, "CHANGES", "changes";
    Http = 153, "HTTP", "http";
    Args = 154, "ARGS", "args";
    Binary = 155, "BINARY", "binary";
    IndexRename = 156, "INDEX_RENAME", "indexRename";
    Geojson = 157, "GEOJSON", "geojson";
    ToGeojson = 158, "TO_GEOJSON", "toGeojson";
    Point = 159, "POINT", "point";
    Line = 160, "LINE", "line";
    Polygon = 161, "POLYGON", "polygon";
    Distance = 162, "DISTANCE", "distance";
    Intersects = 163, "INTERSECTS", "intersects";
    Includes = 164, "INCLUDES", "includes";
    Circle = 165, "CIRCLE", "circle";
    GetIntersecting = 166, "GET_INTERSECTING", "getIntersecting";
    Fill = 167, "FILL", "fill";
    GetNearest = 168, "GET_NEAREST", "getNearest";
    Uuid = 169, "UUID", "uuid";
    Bracket = 170, "BRACKET", "bracket";
    PolygonSub = 171, "POLYGON_SUB", "polygonSub";
    ToJsonString = 172, "TO_JSON_STRING", "toJsonString";
    Range = 173, "RANGE", "range";
    Config = 174, "CONFIG", "config";
    Status = 175, "STATUS", "status";
    Reconfigure = 176, "RECONFIGURE", "reconfigure";
    Wait = 177, "WAIT", "wait";
    Rebalance = 179, "REBALANCE", "rebalance";
    Minval = 180, "MINVAL", "minval";
    Maxval = 181, "MAXVAL", "maxval";
    Between = 182, "BETWEEN", "between";
    Floor = 183, "FLOOR", "floor";
    Ceil = 184, "CEIL", "ceil";
    Round = 185, "ROUND", "round";
    Values = 186, "VALUES", "values";
    Fold = 187, "FOLD", "fold";
    Grant = 188, "GRANT", "grant";
    SetWriteHook = 189, "SET_WRITE_HOOK", "setWriteHook";
    GetWriteHook = 190, "GET_WRITE_HOOK", "getWriteHook";
    BitAnd = 191, "BIT_AND", "bitAnd";
    BitOr = 192, "BIT_OR", "bitOr";
    BitXor = 193, "BIT_XOR", "bitXor";
    BitNot = 194, "BIT_NOT", "bitNot";
    BitSal = 195, "BIT_SAL", "bitSal";
    BitSar = 196, "BIT_SAR", "bitSar";
    Format = 197, "FORMAT", "format";
}
