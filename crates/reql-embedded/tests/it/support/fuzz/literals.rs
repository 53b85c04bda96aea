//! Values as they stand in a query, the odd ones first.

use rand::rngs::StdRng;
use rand::{Rng, seq::IndexedRandom};

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "0.5",
    "-2.5",
    "100",
    "1e308",
    "-1e308",
    "5e-324",
    "1e15",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "4294967296",
    "2147483648",
    "-2147483649",
    "9223372036854775808",
    "1e22",
    "99999",
    "100001",
];

const STRINGS: &[&str] = &[
    "",
    "a",
    "id",
    "a.b",
    "\0",
    "nul\0inside",
    "ß\u{301}\u{200d}🏳️‍🌈",
    "\u{feff}\u{202e}x",
    "ARRAY",
    "object",
    "string",
    "number",
    "binary",
    "bool",
    "2024-02-29T12:30:15.250+05:30",
    "-9999-W53-7",
    "+00:00",
    "-23:59",
    "(a+)+$",
    "(?i)[[:alpha:]]{1,9}",
    "((a{1000}){1000}){9}",
    "{a} {b|c}",
    "[1,{\"x\":[]}]",
    "{\"$reql_type$\":\"TIME\"}",
];

const NAMES: &[&str] =
    &["id", "n", "s", "tags", "place", "nested", "missing", "t", "u", "test", "both", "many"];

const PSEUDO: &[&str] = &[
    r#"{"$reql_type$":"TIME","epoch_time":1e9,"timezone":"+00:00"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":-62167219200.5,"timezone":"-13:45"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":1e300,"timezone":"+01:00"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":"x","timezone":"Z"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":1,"timezone":"+99:99"}"#,
    r#"{"$reql_type$":"BINARY","data":"AAEC/w=="}"#,
    r#"{"$reql_type$":"BINARY","data":"AAEC/w==="}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[0,0]}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[1e308,91]}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"Polygon","coordinates":[[[0,0],[1,1],[0,1],[1,0],[0,0]]]}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"LineString","coordinates":[[0,0],[0,0]]}"#,
    r#"{"$reql_type$":"GEOMETRY","coordinates":{}}"#,
    r#"{"$reql_type$":"LITERAL","value":1}"#,
    r#"{"$reql_type$":"LITERAL"}"#,
    r#"{"$reql_type$":"GROUPED_DATA","data":[[1,2]]}"#,
    r#"{"$reql_type$":"NOVEL"}"#,
    r#"{"$reql_type$":7}"#,
];

/// Returns one of several texts.
pub fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

/// Returns a number, odd or plain.
pub fn number(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => pick(random, NUMBERS).to_owned(),
        1 => random.random_range(-1e3..1e3).to_string(),
        _ => integer(random),
    }
}

/// Returns a small integer.
pub fn integer(random: &mut StdRng) -> String {
    random.random_range(-3..12).to_string()
}

/// Returns a string, odd, long or meaningful.
pub fn string(random: &mut StdRng) -> String {
    let text = match random.random_range(0..20) {
        0 => "x".repeat(random.random_range(100..5_000)),
        1..8 => pick(random, NAMES).to_owned(),
        _ => pick(random, STRINGS).to_owned(),
    };
    quote(&text)
}

/// Returns the name of a field, a table, an index or a database.
pub fn name(random: &mut StdRng) -> String {
    quote(pick(random, NAMES))
}

/// Returns a pseudo-type, well or ill formed.
pub fn pseudo(random: &mut StdRng) -> String {
    pick(random, PSEUDO).to_owned()
}

/// Returns any value that is no container.
pub fn scalar(random: &mut StdRng) -> String {
    match random.random_range(0..8) {
        0 => "null".to_owned(),
        1 => random.random::<bool>().to_string(),
        2..5 => number(random),
        5..7 => string(random),
        _ => pseudo(random),
    }
}

/// Returns a JSON string.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
