//! Values packed, damaged, shared and nested at random: packed values read back, damage is reported, and a
//! value that is large by sharing takes no time by its size.
//!
//! `DATUM_ROUNDS=100000` goes on for longer with a fresh seed; `DATUM_SEED=7` begins with the round that
//! failed.

use std::sync::Arc;

use crate::support::values::{Values, measured};
use rand::SeedableRng;
use rand::rngs::StdRng;
use reql_embedded::datum::{Datum, MAX_VALUE, ObjectBuilder, json, key};

/// The rounds that run by default.
const ROUNDS: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs a test with random values, many times.
fn rounds(round: impl Fn(&mut Values)) {
    let many = number("DATUM_ROUNDS");
    let first = number("DATUM_SEED").unwrap_or_else(|| if many.is_some() { rand::random() } else { 1 });
    for seed in (0..many.unwrap_or(ROUNDS)).map(|round| first.wrapping_add(round)) {
        // Shown when the round fails.
        println!("DATUM_SEED={seed}");
        round(&mut Values::new(StdRng::seed_from_u64(seed)));
    }
}

fn bytes(datum: &Datum) -> Arc<[u8]> {
    datum.to_bytes().expect("a value that can be packed").into()
}

/// Returns a copy that shares nothing with any other value: all of it is one buffer.
fn unshared(datum: &Datum) -> Datum {
    Datum::from_bytes(bytes(datum))
}

#[test]
fn what_is_packed_reads_back() {
    rounds(|values| {
        let datum = values.datum();
        let packed = bytes(&datum);
        assert_eq!(packed.len(), datum.size());
        let back = Datum::from_bytes(packed.clone());
        assert!(back == datum, "{}", datum.print());
        assert_eq!(back.size(), datum.size());
        assert_eq!(bytes(&back), packed, "packing again changes nothing");
        assert_eq!(json::to_string(&back).expect("JSON"), json::to_string(&datum).expect("JSON"));
        assert_eq!(back.print(), datum.print());
        assert_eq!(back.holds_literal(), datum.holds_literal());
        assert!(back.drop_literals() == datum.drop_literals());
        reads_alike(&datum, &back);
    });
}

/// Checks that every part is found in the packed value, and nothing else is.
fn reads_alike(datum: &Datum, packed: &Datum) {
    match (datum, packed) {
        (Datum::Array(items), Datum::Array(packed)) => {
            assert_eq!(items.len(), packed.len());
            assert!(packed.get(items.len()).is_none());
            for (index, item) in items.iter().enumerate() {
                reads_alike(&item, &packed.get(index).expect("an element"));
            }
        }
        (Datum::Object(fields), Datum::Object(packed)) => {
            assert!(fields.keys().eq(packed.keys()));
            for (key, value) in fields.iter() {
                assert!(packed.contains_key(key));
                reads_alike(&value, &packed.get(key).expect("a field"));
                for other in [String::new(), format!("{key}a"), format!("{key}\0"), format!("a{key}")] {
                    assert!(packed.get(&other) == fields.get(&other), "{other:?}");
                    assert_eq!(packed.contains_key(&other), fields.contains_key(&other));
                }
            }
        }
        _ => assert!(datum == packed),
    }
}

#[test]
fn damaged_bytes_are_never_a_panic() {
    rounds(|values| {
        let datum = values.datum();
        let mut damaged = bytes(&datum).to_vec();
        for _ in 0..20 {
            values.damage(&mut damaged);
            let read = Datum::from_bytes(damaged.as_slice().into());
            use_all(&read, &mut 5_000);
            let _ = (json::to_string(&read), read.print(), read.trunc_print(), read.check(), read.size());
            let _ = (read.cmp(&datum), datum.compare(&read), read == read.clone(), read.holds_literal());
            let _ = (read.merge(&datum), datum.merge(&read), read.drop_literals(), read.to_bytes());
            let _ = (key::primary(&read), key::secondary(&read), read.type_name());
        }
    });
}

/// Uses all parts, but at most `left` of them: damaged offsets may lead to one part from many places.
fn use_all(datum: &Datum, left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    match datum {
        Datum::Array(items) => items.iter().for_each(|item| use_all(&item, left)),
        Datum::Object(fields) => fields.iter().for_each(|(key, value)| {
            let _ = (fields.get(key), fields.contains_key(key), fields.clone().without(key));
            use_all(&value, left);
        }),
        _ => {}
    }
}

#[test]
fn damaged_text_is_an_error_wherever_it_is_read() {
    const TEXT: &str = "a text to be damaged";
    let inner = Datum::object([("other", Datum::Null), ("text", Datum::str(TEXT))]);
    let around = Datum::array(vec![inner.clone(), Datum::from(7_u32)]);
    for datum in [Datum::str(TEXT), inner, around] {
        let mut bytes = datum.to_bytes().expect("a value that can be packed");
        let at = bytes.windows(TEXT.len()).position(|part| part == TEXT.as_bytes()).expect("the text");
        bytes[at + 3] = 0xff;
        let read = Datum::from_bytes(bytes.into());
        let message = "A value in the database file is damaged. The command `check` tells where.";
        assert_eq!(json::to_string(&read).expect_err("damage").message(), message);
        assert!(json::parse(&read.print()).is_err(), "{}", read.print());
        let text = match &read {
            Datum::Array(items) => items.get(0).and_then(|object| object.get("text")),
            Datum::Object(fields) => fields.get("text"),
            _ => Some(read.clone()),
        };
        let text = text.expect("something in its place");
        assert!(matches!(text, Datum::Damaged), "{text:?}");
        assert_eq!(text.check().expect_err("damage").message(), message);
        // A value made of the damaged parts can't be stored.
        let mut copy = ObjectBuilder::new();
        copy.insert("copied", text);
        assert_eq!(Datum::Object(copy.build()).to_bytes().expect_err("damage").message(), message);
    }
}

#[test]
fn damaged_keys_are_an_error_too() {
    let datum = Datum::object([("first", Datum::from(1_u32)), ("second", Datum::from(2_u32))]);
    let mut bytes = datum.to_bytes().expect("a value that can be packed");
    let at = bytes.windows(6).position(|part| part == b"second").expect("the key");
    bytes[at] = 0xff;
    let read = Datum::from_bytes(bytes.into());
    assert!(json::to_string(&read).is_err());
    let Datum::Object(fields) = read else { panic!("no object") };
    assert!(fields.get("first") == Some(Datum::from(1_u32)));
    assert!(fields.iter().any(|(_, value)| matches!(value, Datum::Damaged)));
    assert!(Datum::Object(fields.with("third", Datum::Null)).check().is_err());
}

#[test]
fn values_that_share_their_parts_are_as_those_that_don_t() {
    /// The size in bytes up to which values are packed and compared with shared ones.
    const SMALL: usize = 1 << 13;
    /// The size in bytes that takes a debug build a while to go through.
    const LARGE: u128 = 1 << 18;
    rounds(|values| {
        let pool = values.pool();
        for (datum, size) in &pool {
            assert_eq!(datum.size().min(u32::MAX as usize) as u128, (*size).min(u32::MAX.into()));
            let is_too_large = *size > MAX_VALUE as u128;
            assert_eq!(datum.check().is_err(), is_too_large, "{size} bytes");
            if is_too_large || *size < LARGE {
                assert_eq!(datum.to_bytes().is_err(), is_too_large, "{size} bytes");
            }
            // No part of it is compared twice, or the largest of these would never end.
            assert!(*datum == datum.clone());
            assert!(datum.print().len() <= 64 << 10 && datum.trunc_print().len() <= 300);
            let around = |text: &str| Datum::object([("a", datum.clone()), ("b", Datum::str(text))]);
            assert!(around("x") < around("y"));
            if *size < LARGE {
                let merged = around("x").merge(&around("y")).expect("two objects");
                assert!(Some(merged) == around("y").drop_literals());
            }
        }
        let small: Vec<_> = pool.iter().filter(|(_, size)| *size <= SMALL as u128).collect();
        for (a, size) in &small {
            let copy = unshared(a);
            assert_eq!((copy.size() as u128, measured(a)), (*size, *size));
            for (b, _) in small.iter().rev().take(4) {
                let other = unshared(b);
                assert_eq!(a.cmp(b), copy.cmp(&other));
                assert_eq!(a.compare(b), copy.compare(&other));
                assert_eq!(a.cmp(&other), copy.cmp(b));
                assert_eq!(a == b, copy == other);
            }
        }
    });
}

#[test]
fn two_values_with_no_part_in_common_are_compared_by_their_size() {
    let double =
        |levels| (0..levels).fold(Datum::empty_array(), |inner, _| Datum::array(vec![inner.clone(), inner]));
    // 2^20 arrays each.
    assert!(double(20) == double(20));
    assert!(double(20) < double(21));
    let shared = double(1000);
    assert!(shared == shared.clone());
    assert!(shared.check().is_err());
}

#[test]
fn a_long_text_deep_inside_is_copied_once() {
    const LONG: usize = 64 << 20;
    let deep = (0..10_000).fold(Datum::str("x".repeat(LONG)), |inner, _| Datum::array(vec![inner]));
    let packed = deep.to_bytes().expect("a value that can be packed");
    assert_eq!(packed.len(), deep.size());
    assert!(packed.len() < LONG + 10_000 * 20);
}
