//! Terms as text, as JSON and as values of Rust.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};

use reql::types::{Change, Time, Written};
use reql::{Args, Conflict, ErrorKind, Query, ReturnChanges, Term, args, obj, r};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn wire(term: impl Serialize) -> String {
    serde_json::to_string(&term).unwrap()
}

#[test]
fn as_in_javascript() {
    for (term, text) in [
        (r.db("d").table("t").into(), r#"r.db("d").table("t")"#),
        (r.table("t").get_all(args!["a", r.index("i")]).into(), r#"r.table("t").getAll("a", {index: "i"})"#),
        (r.table("t").order_by(r.index(r.desc("i"))).into(), r#"r.table("t").orderBy({index: r.desc("i")})"#),
        (r.table("t").filter(r.row().g("a").gt(1)).into(), r#"r.table("t").filter(r.row("a").gt(1))"#),
        (r.expr([1]).map(|x: Term| obj! { "a b": x }), r#"r.expr([1]).map(var1 => ({"a b": var1}))"#),
        (
            r.map(args![[1], [2]], |x: Term, y: Term| x + y),
            "r.expr([1]).map([2], (var1, var2) => var1.add(var2))",
        ),
        (r.do_(args![1, "a"], |x: Term, _: Term| x), r#"r.do(1, "a", (var1, var2) => var1)"#),
        (r.expr("a").match_("b").g("groups").nth(0), r#"r.expr("a").match("b")("groups").nth(0)"#),
        (r.table("t").between(r.minval(), 1).into(), r#"r.table("t").between(r.minval, 1)"#),
        (r.monday().eq(1), "r.monday.eq(1)"),
        (r.now().to_iso8601(), "r.now().toISO8601()"),
        (r.table_create("t").primary_key("k").into(), r#"r.tableCreate("t", {primaryKey: "k"})"#),
        (r.expr("\"\n").upcase(), r#"r.expr("\"\n").upcase()"#),
        (r.expr(obj! {}).keys(), "r.expr({}).keys()"),
        // Bare, these would be options, or arguments of another type.
        (
            r.table("t").group(obj! { "a": r.row().g("a") }).into(),
            r#"r.table("t").group(r.expr({a: r.row("a")}))"#,
        ),
        (r.table("t").get_all(args![1, obj! { "a": 2 }]).into(), r#"r.table("t").getAll(1, r.expr({a: 2}))"#),
        (r.table("t").get_all(args![obj! { "a": 2 }, 1]).into(), r#"r.table("t").getAll({a: 2}, 1)"#),
        (r.binary_of("abc"), r#"r.binary(r.expr("abc"))"#),
    ] {
        assert_eq!(term.to_string(), text);
    }
}

#[test]
fn the_same_code_makes_the_same_text() {
    let query = || {
        r.table("a")
            .map(|x: Term| r.table("b").map(|y: Term| x.g("n") + y.g("n")).sum(args![]))
            .filter(r.row().gt(1))
    };
    assert_eq!(wire(query()), wire(query()));
    assert_eq!(query().to_string(), query().to_string());
    let json = wire(query());
    for number in 1..=3 {
        assert!(json.contains(&format!("[2,[{number}]]")), "{json}");
    }
}

#[test]
fn functions_of_up_to_five_parameters() {
    let sum = r.do_(args![1, 2, 3, 4, 5], |a: Term, b: Term, c: Term, d: Term, e: Term| a + b + c + d + e);
    assert!(wire(sum).starts_with("[64,[[69,[[2,[1,2,3,4,5]],"));
    let conflict = r.table("t").insert(obj! {}).conflict(|_: Term, _: Term, new: Term| new);
    assert_eq!(wire(&conflict), r#"[56,[[15,["t"]],{}],{"conflict":[69,[[2,[1,2,3]],[10,[3]]]]}]"#);
    assert_eq!(conflict.to_string(), r#"r.table("t").insert({}, {conflict: (var1, var2, var3) => var3})"#);
}

#[test]
fn a_row_belongs_to_the_nearest_function() {
    let nested = r.table("a").merge(obj! { "n": r.table("b").filter(r.row().g("x")).count() });
    assert_eq!(nested.to_string(), r#"r.table("a").merge({n: r.table("b").filter(r.row("x")).count()})"#);
    assert_eq!(wire(nested).matches("[69,").count(), 1, "only the inner one");
    let both = r.table("a").update(obj! { "n": r.row().g("n"), "m": [r.row().g("m")] });
    assert_eq!(wire(both).matches("[69,").count(), 1);
}

#[test]
fn options_have_their_last_value() {
    let insert = r.table("t").insert(obj! {}).conflict(Conflict::Update).return_changes(true);
    let insert = insert.conflict(Conflict::Replace).return_changes(ReturnChanges::Always);
    assert_eq!(wire(&insert), r#"[56,[[15,["t"]],{}],{"conflict":"replace","return_changes":"always"}]"#);
    // Terms that were made of it before aren't changed.
    let (table, kept) = (r.table("t"), r.table("t").get(1));
    assert_eq!(wire(table.read_mode(reql::ReadMode::Majority)), r#"[15,["t"],{"read_mode":"majority"}]"#);
    assert_eq!(wire(kept), r#"[16,[[15,["t"]],1]]"#);
}

#[derive(Serialize)]
enum Shape {
    Unit,
    New(u8),
    Tuple(u8, Vec<u8>),
    Struct { a: Option<u8>, at: Term },
}

#[derive(Serialize)]
struct Everything<'a> {
    shapes: [Shape; 4],
    map: BTreeMap<u8, (i8, f32)>,
    keys: HashMap<char, ()>,
    text: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    left_out: Option<u8>,
}

#[test]
fn values_of_any_type() {
    let everything = Everything {
        shapes: [
            Shape::Unit,
            Shape::New(1),
            Shape::Tuple(2, vec![3]),
            Shape::Struct { a: None, at: r.now() },
        ],
        map: BTreeMap::from([(7, (-1, 0.5))]),
        keys: HashMap::from([('k', ())]),
        text: "é",
        left_out: None,
    };
    let expected = json!({
        "shapes": [2, [
            "Unit",
            { "New": 1 },
            { "Tuple": [2, [2, [2, [3]]]] },
            { "Struct": { "a": null, "at": [103, []] } },
        ]],
        "map": { "7": [2, [-1, 0.5]] },
        "keys": { "k": null },
        "text": "é",
    });
    assert_eq!(serde_json::to_value(r.expr(&everything)).unwrap(), expected);
}

#[test]
fn what_no_json_can_say() {
    for term in [
        r.expr(f64::NAN),
        r.expr(vec![f32::INFINITY]),
        r.expr(u128::MAX),
        r.expr(i128::MIN),
        r.expr(HashMap::from([((1, 2), 3)])),
        r.table("t").filter(obj! { "a": [f64::NAN] }).into(),
    ] {
        assert!(serde_json::to_string(&term).is_err(), "{term:?}");
        assert!(Query::new(&term).to_json().is_err());
        assert!(term.to_string().starts_with("/* "), "{term}");
    }
    assert_eq!(wire(r.expr(u64::MAX as i128)), u64::MAX.to_string());
    // serde buffers what is in here, and a term would become the array that it is on the wire.
    #[derive(Serialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        shape: Shape,
    }
    let flat = |shape| Query::new(r.expr(Flat { id: 1, shape })).to_json();
    assert_eq!(flat(Shape::Struct { a: None, at: r.expr(2) }).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(flat(Shape::New(2)).unwrap(), r#"[1,{"id":1,"New":2}]"#);
}

#[test]
fn values_that_are_too_deep() {
    #[derive(Serialize)]
    struct Nested(Option<Box<Nested>>, u8);
    let mut nested = Nested(None, 0);
    for _ in 0..600 {
        nested = Nested(Some(Box::new(nested)), 0);
    }
    let error = Query::new(r.expr(&nested)).to_json().unwrap_err();
    assert!(error.to_string().contains("500"), "{error}");
    let mut term = r.expr(0);
    for _ in 0..10_000 {
        term = r.expr([term]);
    }
    assert!(Query::new(term).to_json().is_err());
}

#[test]
fn numbers_and_text_stay_what_they_are() {
    for value in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!("\u{0}\u{2028}"),
    ] {
        assert_eq!(wire(r.expr(&value)), value.to_string());
    }
    assert_eq!(wire(r.binary([0xff, 0])), r#"{"$reql_type$":"BINARY","data":"/wA="}"#);
    // Read by fewer than all digits, their last would be another.
    for text in ["449.49106478873813", "945.2706955539223"] {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(wire(r.expr(raw)), text);
        assert_eq!(wire(serde_json::from_str::<f64>(text).unwrap()), text);
    }
}

#[test]
fn a_key_that_comes_twice_has_its_last_value() {
    assert_eq!(wire(obj! { "a": 1, "b": 2, "a": 3 }), r#"{"b":2,"a":3}"#);
    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<&'static str, u8>,
    }
    let flat = Flat { a: 1, rest: BTreeMap::from([("a", 2), ("b", 3)]) };
    assert_eq!(wire(r.expr(flat)), r#"{"a":2,"b":3}"#);
}

/// The work for a query grows with its length, and not with the square of it.
#[test]
fn functions_of_very_many_parameters() {
    const MANY: u64 = 200_000;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let first = json!([10, [1]]);
        let body = json!([2, vec![first; MANY as usize]]);
        let one = json!([69, [[2, Vec::from_iter(1..=MANY)], body]]);
        let each = json!([69, [[2, [1]], [10, [1]]]]);
        let several = json!([2, vec![each; MANY as usize / 10]]);
        for query in [one, several] {
            let term = Term::from_wire(&query).unwrap();
            tell.send((wire(&term).len(), term.to_string().len())).unwrap();
        }
    });
    for _ in 0..2 {
        let (json, text) = told.recv_timeout(std::time::Duration::from_secs(60)).expect("in time");
        assert!(json > 300_000 && text > 300_000, "{json} {text}");
    }
}

#[test]
fn parameters_hide_those_of_functions_around() {
    let inner = json!([69, [[2, [1, 1]], [10, [1]]]]);
    let outer = json!([69, [[2, [1, 2]], [2, [inner, [10, [1]], [10, [2]]]]]]);
    let expected = r#"[69,[[2,[1,2]],[2,[[69,[[2,[3,4]],[10,[4]]]],[10,[1]],[10,[2]]]]]]"#;
    assert_eq!(wire(Term::from_wire(&outer).unwrap()), expected);
    assert!(Term::from_wire(&json!([2, [outer, [10, [2]]]])).is_err());
}

#[test]
fn arguments_of_any_number() {
    let ids = Args::from_iter(["a", "b"]);
    assert_eq!(wire(r.table("t").get_all(ids.clone())), r#"[78,[[15,["t"]],"a","b"]]"#);
    let mut more = ids.with(r.now()).with(args![1, r.index("i")]);
    more.extend([2]);
    assert_eq!(wire(r.table("t").get_all(more)), r#"[78,[[15,["t"]],"a","b",[103,[]],1,2],{"index":"i"}]"#);
    let conditions: Args = (0..1000).map(|n| r.row().g("n").eq(n)).collect();
    assert!(serde_json::to_string(&r.table("t").filter(r.or(conditions))).is_ok());
}

#[test]
fn rows_of_feeds_and_writes() {
    let change: Change<u8> = serde_json::from_str(r#"{"state":"ready"}"#).unwrap();
    assert_eq!((change.state.as_deref(), change.new_val), (Some("ready"), None));
    let written: Written =
        serde_json::from_value(json!({ "errors": 1, "first_error": "x", "else": 1 })).unwrap();
    assert_eq!((written.errors, written.first_error.as_deref()), (1, Some("x")));
    assert!(serde_json::from_str::<Time>(r#"{"$reql_type$":"BINARY","data":""}"#).is_err());
    assert!(serde_json::from_str::<Value>("{").is_err());
}

#[test]
fn times_of_chrono() {
    use chrono::{DateTime, FixedOffset};
    for text in
        ["2015-11-03T08:30:00.125+02:00", "1969-12-31T23:59:59.999-11:30", "0001-01-01T00:00:00+00:00"]
    {
        let time: DateTime<FixedOffset> = text.parse().unwrap();
        let ours = Time::from(time);
        assert_eq!(DateTime::try_from(&ours).unwrap().to_rfc3339(), time.to_rfc3339());
    }
    assert!(DateTime::try_from(&Time::new(f64::NAN, "Z")).is_err());
    assert!(DateTime::try_from(&Time::new(0.0, "nowhere")).is_err());
    // To the millisecond and the minute that RethinkDB would keep.
    let time: DateTime<FixedOffset> = "2015-11-03T08:30:00.999600Z".parse().unwrap();
    assert_eq!(Time::from(time).epoch_time, time.timestamp() as f64 + 1.0);
    let nearly_utc = time.with_timezone(&FixedOffset::west_opt(20).unwrap());
    assert_eq!(Time::from(nearly_utc).timezone, "+00:00");
    assert!(DateTime::try_from(&Time::new(1e300, "Z")).is_err());
    assert_eq!(DateTime::try_from(&Time::new(0.0, "Z")).unwrap().to_rfc3339(), "1970-01-01T00:00:00+00:00");
}
