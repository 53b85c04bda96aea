//! A check that the bytes on disk haven't changed: packed values, keys, and cells of geospatial indexes.
//!
//! `format.txt` has a line for each value: its kind, the value as JSON, and the bytes. A line that no longer
//! holds means that databases of earlier versions can't be read any more: then the number of the format has
//! to change (see `docs/file-format.md`), and never the line alone.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Datum, is_well_formed, json, key, pack, packed};
use crate::geo::index;

const LINES: &str = include_str!("format.txt");

/// Reads a value. `{"repeat": text, "times": n}` stands for a long text, and `{"items": value, "times": n}`
/// for a long array.
fn value(text: &str) -> Datum {
    let datum = json::parse(text).expect("JSON");
    let times = datum.get("times").and_then(|times| times.as_int().ok()).unwrap_or_default() as usize;
    match (datum.get("repeat"), datum.get("items")) {
        (Some(part), _) => Datum::str(part.as_str().expect("a text").repeat(times)),
        (_, Some(item)) => Datum::array(vec![item; times]),
        _ => datum,
    }
}

/// Shows bytes: all of a few; of many, the first ones, their number and a digest.
fn show(bytes: &[u8]) -> String {
    const FEW: usize = 100;
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    if bytes.len() <= FEW {
        return hex(bytes);
    }
    let digest = Sha256::digest(bytes);
    format!("{}.. {} bytes, SHA-256 {}..", hex(&bytes[..16]), bytes.len(), hex(&digest[..8]))
}

/// Returns the part of a line after the kind: the value and its bytes.
fn line(kind: &str, datum: &Datum) -> String {
    match kind {
        "packed" => show(&pack::value(datum).expect("a value that can be packed")),
        "primary" => show(&key::primary(datum).expect("a primary key")),
        "secondary" => show(&key::secondary(datum).expect("a secondary key")),
        "cells" => {
            let keys = index::keys(datum).expect("geometry");
            let texts = keys.iter().map(|key| key.escape_ascii().to_string());
            texts.collect::<Vec<_>>().join(" ")
        }
        other => panic!("no such kind of bytes: {other}"),
    }
}

#[test]
fn bytes_are_what_they_have_always_been() {
    let mut now = String::new();
    for written in LINES.lines() {
        let [kind, text, _] = written.split(" | ").collect::<Vec<_>>()[..] else {
            let _ = writeln!(now, "{written}");
            continue;
        };
        let _ = writeln!(now, "{kind} | {text} | {}", line(kind, &value(text)));
    }
    assert!(now == LINES, "the format on disk has changed; the lines would now be\n{now}");
}

#[test]
fn packed_lines_read_back() {
    for (kind, text) in LINES.lines().filter_map(|line| line.split_once(" | ")) {
        if kind == "packed" {
            let datum = value(text.split(" | ").next().expect("a value"));
            let bytes = pack::value(&datum).expect("a value that can be packed");
            assert!(is_well_formed(&bytes));
            assert!(packed::from_bytes(bytes.into()) == datum, "{text}");
        }
    }
}
