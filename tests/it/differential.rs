//! Lists are the same with and without indexes: whole, in pages, as lines, and counted.
//!
//! `TEST_LISTS` says how many lists are tried, `TEST_SEED` which.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lists::{explain, get, pages};
use crate::support::{Api, header, number, seed};
use serde_json::{Value, json};
use warp_reql::settings::{Rdb, Settings};

const DOCS: &str = "/tables/heroes/docs";
/// Lists requested of one set of documents.
const LISTS: u64 = 60;
const INDEXES: [(&str, &[&str], &str); 9] = [
    ("a", &["a"], ""),
    ("b", &["b"], ""),
    ("ab", &["a", "b"], ""),
    ("b_id", &["b", "id"], ""),
    ("cd", &["c.d"], ""),
    ("cd_a", &["c.d", "a"], ""),
    ("tags", &["tags"], "multi"),
    ("place", &["place"], "geo"),
    ("kind", &["place.type"], ""),
];
/// The fields of conditions and orders. Some lead into geometries and times, which have no fields.
const FIELDS: [&str; 6] = ["a", "b", "c.d", "id", "place.type", "a.epoch_time"];

fn pick<'a, T>(random: &mut fastrand::Rng, items: &'a [T]) -> &'a T {
    &items[random.usize(..items.len())]
}

/// Values of all kinds: those that have a place in an index and those that have none.
fn value(random: &mut fastrand::Rng) -> Option<Value> {
    Some(match random.u8(..12) {
        0 => return None,
        1 => Value::Null,
        2 => json!(random.bool()),
        3 => json!({"b": random.u8(..3)}),
        4 => json!([random.u8(..3), null]),
        5 => json!([random.u8(..3)]),
        6 => json!({"$reql_type$": "TIME", "epoch_time": random.u8(..3), "timezone": "+00:00"}),
        7 => json!(pick(random, &["x", "y", "xy", ""])),
        _ => json!(f64::from(random.u8(..12)) / 2.0),
    })
}

/// Returns a value for a multi index: an array, which may have duplicates, or another value.
fn tags(random: &mut fastrand::Rng) -> Option<Value> {
    match random.u8(..6) {
        0 => value(random),
        _ => Some((0..random.usize(..5)).map(|_| value(random).unwrap_or_default()).collect()),
    }
}

fn coordinates(random: &mut fastrand::Rng) -> [f64; 2] {
    [10.0 + random.f64() / 50.0, 59.0 + random.f64() / 50.0]
}

/// Returns a value for a geo index: a point, a line or an area of some kilometers, or another value.
fn place(random: &mut fastrand::Rng) -> Option<Value> {
    let geometry = |kind: &str, coordinates: Value| {
        Some(json!({"$reql_type$": "GEOMETRY", "type": kind, "coordinates": coordinates}))
    };
    match random.u8(..8) {
        0 => value(random),
        1 | 2 => Some(json!({"type": value(random)})),
        3 => geometry("LineString", json!([coordinates(random), coordinates(random)])),
        4 => geometry("Polygon", area(random)),
        _ => geometry("Point", json!(coordinates(random))),
    }
}

/// A rectangle.
fn area(random: &mut fastrand::Rng) -> Value {
    let [west, south] = coordinates(random);
    let (east, north) = (west + 0.001 + random.f64() / 100.0, south + 0.001 + random.f64() / 100.0);
    json!([[[west, south], [east, south], [east, north], [west, north], [west, south]]])
}

fn document(id: usize, random: &mut fastrand::Rng) -> Value {
    let mut document = json!({"id": if id.is_multiple_of(7) { json!(format!("k{id}")) } else { json!(id) }});
    for name in ["a", "b"] {
        if let Some(value) = value(random) {
            document[name] = value;
        }
    }
    if let Some(value) = value(random) {
        document["c"] = if random.u8(..5) == 0 { value } else { json!({"d": value}) };
    }
    if let Some(tags) = tags(random) {
        document["tags"] = tags;
    }
    if let Some(place) = place(random) {
        document["place"] = place;
    }
    document
}

/// A condition, as it stands in a group.
fn condition(random: &mut fastrand::Rng) -> String {
    let operand = *pick(random, &["0", "1", "2.5", "4", "x", "true", "[1]", "null", "{\"b\":1}"]);
    if random.u8(..4) == 0 {
        return format!("tags={}", of_tags(operand, random));
    }
    if random.u8(..6) == 0 {
        return format!("place={}", of_place(random));
    }
    let field = pick(random, &FIELDS);
    let test = match random.u8(..14) {
        0..=2 => format!("eq.{operand}"),
        3 => format!("in.({operand},3,3.0,y)"),
        4 => format!("gte.{operand}"),
        5 => format!("lt.{operand}"),
        6 => format!("gt.{operand}"),
        7 => "has".to_owned(),
        8 => format!("not.lte.{operand}"),
        9 => format!("starts.{}", pick(random, &["x", "k", "\"\"", "k1"])),
        10 => format!("type.{}", pick(random, &["string", "number", "array", "time"])),
        11 => format!("any.eq.({operand},1)"),
        12 => format!("all.gte.({operand},1)"),
        _ => format!("ne.{operand}"),
    };
    format!("{field}={test}")
}

fn of_tags(operand: &str, random: &mut fastrand::Rng) -> String {
    match random.u8(..5) {
        0 => format!("all.({operand},x)"),
        1 => format!("not.any.({operand},2)"),
        2 | 3 => format!("any.({operand},1.5,x,1.5)"),
        _ => format!("contains.{operand}"),
    }
}

fn of_place(random: &mut fastrand::Rng) -> String {
    let [longitude, latitude] = coordinates(random);
    match random.u8(..4) {
        0 => format!("within.{}", json!({"type": "Polygon", "coordinates": area(random)})),
        1 => format!(
            "intersects.{}",
            json!({"type": "LineString", "coordinates": [coordinates(random), [longitude, latitude]]})
        ),
        _ => format!("near.({longitude},{latitude},{}m)", random.u16(1..2000)),
    }
}

/// A group of conditions, as it stands in another.
fn group(depth: usize, random: &mut fastrand::Rng) -> String {
    let clauses: Vec<_> = (0..random.usize(1..4))
        .map(|_| if depth > 0 && random.u8(..3) == 0 { group(depth - 1, random) } else { condition(random) })
        .collect();
    format!("{}=({})", pick(random, &["or", "and", "not.or", "not.and"]), clauses.join(","))
}

fn order(random: &mut fastrand::Rng) -> String {
    let falling = random.u8(..3);
    let keys: Vec<_> = (0..random.usize(..3))
        .map(|_| {
            let field = pick(random, &FIELDS);
            let direction = match falling {
                0 => "",
                1 => ".desc",
                _ => *pick(random, &["", ".desc"]),
            };
            format!("{field}{direction}")
        })
        .collect();
    if keys.is_empty() { String::new() } else { format!("order={}&", keys.join(",")) }
}

fn query(random: &mut fastrand::Rng) -> String {
    let mut clauses: Vec<_> = (0..random.usize(..3)).map(|_| condition(random)).collect();
    if random.u8(..4) == 0 {
        clauses.push(group(2, random));
    }
    let clauses: String = clauses
        .iter()
        .map(|clause| {
            let (name, test) = clause.split_once('=').expect("a condition has a test");
            format!(
                "{name}={}&",
                percent_encoding::utf8_percent_encode(test, percent_encoding::NON_ALPHANUMERIC)
            )
        })
        .collect();
    format!("{clauses}{}", order(random))
}

/// Checks a list in each of its forms.
async fn check(api: &Api, query: &str, expected: &Value, context: &str) {
    assert_eq!(&get(api, &format!("{query}limit=1000")).await, expected, "{context}");
    assert_eq!(&json!(pages(api, &format!("{query}limit=11")).await), expected, "in pages, {context}");
    let headers = [("accept", "application/x-ndjson"), ("prefer", "count=exact")];
    let lines = api.with("GET", &format!("{DOCS}?{query}"), &headers, b"").await;
    let text = std::str::from_utf8(lines.body()).unwrap();
    let streamed: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&json!(streamed), expected, "streamed, {context}");
    assert_eq!(header(&lines, "x-total-count"), streamed.len().to_string(), "{context}");
}

/// The document that another one's `a` names, and the first ten whose `a` names it.
fn expanded(row: &Value, all: &[Value]) -> Value {
    let is_same = |one: &Value, other: &Value| match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one.is_string() && one == other,
    };
    let mut row = row.clone();
    row["peer"] = all.iter().find(|it| is_same(&it["id"], &row["a"])).cloned().unwrap_or_default();
    row["fans"] = all.iter().filter(|it| is_same(&it["a"], &row["id"])).take(10).cloned().collect();
    row
}

fn related(settings: Settings) -> Settings {
    let relations = json!([
        {"table": "heroes", "name": "peer", "field": "a", "to": "heroes"},
        {"table": "heroes", "name": "fans", "to": "heroes", "many": true, "index": "a"},
    ]);
    // What is tried here are results: a machine that is busy with other things may take its time.
    let patience = Duration::from_secs(60);
    let rdb = Rdb { connect_timeout: patience, query_timeout: patience, ..settings.rdb };
    Settings { relations: serde_json::from_value(relations).unwrap(), rdb, ..settings }
}

#[tokio::test]
async fn an_index_makes_no_difference_to_any_result() {
    let seed = seed();
    let lists = number("TEST_LISTS", LISTS);
    let mut taken = BTreeMap::new();
    for round in 0..lists.div_ceil(LISTS) {
        let seed = seed.wrapping_add(round);
        let mut random = fastrand::Rng::with_seed(seed);
        let api = Api::at_home(related).await;
        let documents: Vec<_> = (0..70).map(|id| document(id, &mut random)).collect();
        assert_eq!(api.send("POST", DOCS, &json!(documents)).await.status(), 201);
        let mut expected = Vec::new();
        for _ in 0..LISTS {
            let query = query(&mut random);
            assert!([json!(null), json!("id")].contains(&explain(&api, &query).await["index"]), "{query}");
            let list = get(&api, &format!("{query}limit=1000")).await;
            expected.push((query, list));
        }
        for (name, fields, kind) in INDEXES {
            let mut index = json!({"fields": fields});
            if !kind.is_empty() {
                index[kind] = json!(true);
            }
            let made = api.send("PUT", &format!("/tables/heroes/indexes/{name}"), &index).await;
            assert_eq!(made.status(), 201, "{:?}", made.body());
        }
        let all = get(&api, "limit=1000").await;
        for (query, expected) in &expected {
            let rows = expected.as_array().unwrap().iter();
            let with_related: Vec<_> = rows.map(|row| expanded(row, all.as_array().unwrap())).collect();
            let context = format!("TEST_SEED={seed}: {query}expand=peer,fans");
            check(&api, &format!("{query}expand=peer,fans&"), &json!(with_related), &context).await;
            let explained = explain(&api, query).await;
            *taken.entry(explained["index"].as_str().unwrap_or("none").to_owned()).or_insert(0) += 1;
            let reql = explained["reql"].as_str().unwrap_or_default();
            check(&api, query, expected, &format!("TEST_SEED={seed}: {query}\n{reql}")).await;
        }
        println!("{} of {lists} lists", (round + 1) * LISTS);
    }
    assert!(taken.len() >= 5, "TEST_SEED={seed}: {taken:?}");
    for name in ["tags", "place"] {
        assert!(lists < 1000 || taken.contains_key(name), "TEST_SEED={seed}: {taken:?}");
    }
    println!("{lists} lists: {taken:?}");
}
