//! The names and numbers of ReQL's terms, from `Term.TermType` in RethinkDB's `ql2.proto`.

macro_rules! term_types {
    ($($variant:ident = $number:literal, $name:literal;)*) => {
        /// The operation of a term.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum TermType {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        impl TermType {
            /// All terms that there are.
            pub const ALL: &[TermType] = &[$(TermType::$variant,)*];

            /// Returns the term of a number on the wire.
            pub fn from_number(number: i64) -> Option<TermType> {
                match number {
                    $($number => Some(TermType::$variant),)*
                    _ => None,
                }
            }

            /// Returns the term's name in `ql2.proto`.
            pub fn name(self) -> &'static str {
                match self {
                    $(TermType::$variant => $name,)*
                }
            }
        }
    };
}

term_types! {
    Datum = 1, "DATUM";
    MakeArray = 2, "MAKE_ARRAY";
    MakeObj = 3, "MAKE_OBJ";
    Var = 10, "VAR";
    Javascript = 11, "JAVASCRIPT";
    Error = 12, "ERROR";
    ImplicitVar = 13, "IMPLICIT_VAR";
    Db = 14, "DB";
    Table = 15, "TABLE";
    Get = 16, "GET";
    Eq = 17, "EQ";
    Ne = 18, "NE";
    Lt = 19, "LT";
    Le = 20, "LE";
    Gt = 21, "GT";
    Ge = 22, "GE";
    Not = 23, "NOT";
    Add = 24, "ADD";
    Sub = 25, "SUB";
    Mul = 26, "MUL";
    Div = 27, "DIV";
    Mod = 28, "MOD";
    Append = 29, "APPEND";
    Slice = 30, "SLICE";
    GetField = 31, "GET_FIELD";
    HasFields = 32, "HAS_FIELDS";
    Pluck = 33, "PLUCK";
    Without = 34, "WITHOUT";
    Merge = 35, "MERGE";
    BetweenDeprecated = 36, "BETWEEN_DEPRECATED";
    Reduce = 37, "REDUCE";
    Map = 38, "MAP";
    Filter = 39, "FILTER";
    ConcatMap = 40, "CONCAT_MAP";
    OrderBy = 41, "ORDER_BY";
    Distinct = 42, "DISTINCT";
    Count = 43, "COUNT";
    Union = 44, "UNION";
    Nth = 45, "NTH";
    InnerJoin = 48, "INNER_JOIN";
    OuterJoin = 49, "OUTER_JOIN";
    EqJoin = 50, "EQ_JOIN";
    CoerceTo = 51, "COERCE_TO";
    TypeOf = 52, "TYPE_OF";
    Update = 53, "UPDATE";
    Delete = 54, "DELETE";
    Replace = 55, "REPLACE";
    Insert = 56, "INSERT";
    DbCreate = 57, "DB_CREATE";
    DbDrop = 58, "DB_DROP";
    DbList = 59, "DB_LIST";
    TableCreate = 60, "TABLE_CREATE";
    TableDrop = 61, "TABLE_DROP";
    TableList = 62, "TABLE_LIST";
    Funcall = 64, "FUNCALL";
    Branch = 65, "BRANCH";
    Or = 66, "OR";
    And = 67, "AND";
    ForEach = 68, "FOR_EACH";
    Func = 69, "FUNC";
    Skip = 70, "SKIP";
    Limit = 71, "LIMIT";
    Zip = 72, "ZIP";
    Asc = 73, "ASC";
    Desc = 74, "DESC";
    IndexCreate = 75, "INDEX_CREATE";
    IndexDrop = 76, "INDEX_DROP";
    IndexList = 77, "INDEX_LIST";
    GetAll = 78, "GET_ALL";
    Info = 79, "INFO";
    Prepend = 80, "PREPEND";
    Sample = 81, "SAMPLE";
    InsertAt = 82, "INSERT_AT";
    DeleteAt = 83, "DELETE_AT";
    ChangeAt = 84, "CHANGE_AT";
    SpliceAt = 85, "SPLICE_AT";
    IsEmpty = 86, "IS_EMPTY";
    OffsetsOf = 87, "OFFSETS_OF";
    SetInsert = 88, "SET_INSERT";
    SetIntersection = 89, "SET_INTERSECTION";
    SetUnion = 90, "SET_UNION";
    SetDifference = 91, "SET_DIFFERENCE";
    Default = 92, "DEFAULT";
    Contains = 93, "CONTAINS";
    Keys = 94, "KEYS";
    Difference = 95, "DIFFERENCE";
    WithFields = 96, "WITH_FIELDS";
    Match = 97, "MATCH";
    Json = 98, "JSON";
    Iso8601 = 99, "ISO8601";
    ToIso8601 = 100, "TO_ISO8601";
    EpochTime = 101, "EPOCH_TIME";
    ToEpochTime = 102, "TO_EPOCH_TIME";
    Now = 103, "NOW";
    InTimezone = 104, "IN_TIMEZONE";
    During = 105, "DURING";
    Date = 106, "DATE";
    Monday = 107, "MONDAY";
    Tuesday = 108, "TUESDAY";
    Wednesday = 109, "WEDNESDAY";
    Thursday = 110, "THURSDAY";
    Friday = 111, "FRIDAY";
    Saturday = 112, "SATURDAY";
    Sunday = 113, "SUNDAY";
    January = 114, "JANUARY";
    February = 115, "FEBRUARY";
    March = 116, "MARCH";
    April = 117, "APRIL";
    May = 118, "MAY";
    June = 119, "JUNE";
    July = 120, "JULY";
    August = 121, "AUGUST";
    September = 122, "SEPTEMBER";
    October = 123, "OCTOBER";
    November = 124, "NOVEMBER";
    December = 125, "DECEMBER";
    TimeOfDay = 126, "TIME_OF_DAY";
    Timezone = 127, "TIMEZONE";
    Year = 128, "YEAR";
    Month = 129, "MONTH";
    Day = 130, "DAY";
    DayOfWeek = 131, "DAY_OF_WEEK";
    DayOfYear = 132, "DAY_OF_YEAR";
    Hours = 133, "HOURS";
    Minutes = 134, "MINUTES";
    Seconds = 135, "SECONDS";
    Time = 136, "TIME";
    Literal = 137, "LITERAL";
    Sync = 138, "SYNC";
    IndexStatus = 139, "INDEX_STATUS";
    IndexWait = 140, "INDEX_WAIT";
    Upcase = 141, "UPCASE";
    Downcase = 142, "DOWNCASE";
    Object = 143, "OBJECT";
    Group = 144, "GROUP";
    Sum = 145, "SUM";
    Avg = 146, "AVG";
    Min = 147, "MIN";
    Max = 148, "MAX";
    Split = 149, "SPLIT";
    Ungroup = 150, "UNGROUP";
    Random = 151, "RANDOM";
    Changes = 152, "CHANGES";
    Http = 153, "HTTP";
    Args = 154, "ARGS";
    Binary = 155, "BINARY";
    IndexRename = 156, "INDEX_RENAME";
    Geojson = 157, "GEOJSON";
    ToGeojson = 158, "TO_GEOJSON";
    Point = 159, "POINT";
    Line = 160, "LINE";
    Polygon = 161, "POLYGON";
    Distance = 162, "DISTANCE";
    Intersects = 163, "INTERSECTS";
    Includes = 164, "INCLUDES";
    Circle = 165, "CIRCLE";
    GetIntersecting = 166, "GET_INTERSECTING";
    Fill = 167, "FILL";
    GetNearest = 168, "GET_NEAREST";
    Uuid = 169, "UUID";
    Bracket = 170, "BRACKET";
    PolygonSub = 171, "POLYGON_SUB";
    ToJsonString = 172, "TO_JSON_STRING";
    Range = 173, "RANGE";
    Config = 174, "CONFIG";
    Status = 175, "STATUS";
    Reconfigure = 176, "RECONFIGURE";
    Wait = 177, "WAIT";
    Rebalance = 179, "REBALANCE";
    Minval = 180, "MINVAL";
    Maxval = 181, "MAXVAL";
    Between = 182, "BETWEEN";
    Floor = 183, "FLOOR";
    Ceil = 184, "CEIL";
    Round = 185, "ROUND";
    Values = 186, "VALUES";
    Fold = 187, "FOLD";
    Grant = 188, "GRANT";
    SetWriteHook = 189, "SET_WRITE_HOOK";
    GetWriteHook = 190, "GET_WRITE_HOOK";
    BitAnd = 191, "BIT_AND";
    BitOr = 192, "BIT_OR";
    BitXor = 193, "BIT_XOR";
    BitNot = 194, "BIT_NOT";
    BitSal = 195, "BIT_SAL";
    BitSar = 196, "BIT_SAR";
}

impl TermType {
    /// Returns the term's number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Returns true if the term changes data or administers: such terms may not stand inside functions that
    /// run for each row.
    pub fn is_write_or_meta(self) -> bool {
        use TermType::*;
        matches!(
            self,
            Update
                | Delete
                | Insert
                | Replace
                | DbCreate
                | DbDrop
                | TableCreate
                | TableDrop
                | Wait
                | Reconfigure
                | Rebalance
                | Sync
                | Grant
                | SetWriteHook
                | GetWriteHook
                | IndexCreate
                | IndexDrop
                | IndexWait
                | IndexRename
        )
    }

    /// Returns true if the term's arguments after the first may not write.
    pub fn forbids_writes(self) -> bool {
        use TermType::*;
        matches!(
            self,
            Reduce
                | Map
                | Fold
                | Filter
                | ConcatMap
                | Group
                | InnerJoin
                | OuterJoin
                | EqJoin
                | Update
                | Delete
                | Replace
                | Insert
                | Count
                | Sum
                | Avg
                | Min
                | Max
        )
    }
}
