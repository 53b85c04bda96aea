//! Laws of values: their order, their keys, their texts, and their merging.

use std::cmp::Ordering;

use proptest::prelude::*;
use reql_embedded::datum::{Datum, json, key};

fn number() -> impl Strategy<Value = f64> {
    let odd =
        [0.0, -0.0, 1e308, -1e308, 5e-324, 9_007_199_254_740_991.0, 9_007_199_254_740_993.0, 1e21, 1e-7];
    prop_oneof![
        prop::sample::select(odd.to_vec()),
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL,
        (-100..100i32).prop_map(f64::from),
    ]
}

fn scalar() -> impl Strategy<Value = Datum> {
    prop_oneof![
        any::<bool>().prop_map(Datum::Bool),
        number().prop_map(Datum::Num),
        "[\0\u{1}a-cß🏳]{0,4}".prop_map(Datum::from),
        prop::collection::vec(0..4u8, 0..4).prop_map(|bytes| Datum::Binary(bytes.into())),
    ]
}

/// Returns values that may stand in an index.
fn indexable() -> impl Strategy<Value = Datum> {
    scalar().prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Datum::array))
}

fn datum() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![4 => scalar(), 1 => Just(Datum::Null)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Datum::array),
            prop::collection::btree_map("[a-c\0]{0,2}", inner, 0..4).prop_map(Datum::object),
        ]
    })
}

fn object() -> impl Strategy<Value = Datum> {
    prop::collection::btree_map("[a-c]", datum(), 0..4).prop_map(Datum::object)
}

fn text(datum: &Datum) -> String {
    json::to_string(datum).expect("no bounds of ranges inside")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_is_total(a in datum(), b in datum(), c in datum()) {
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn keys_are_in_the_order_of_values(a in indexable(), b in indexable()) {
        let key = |datum| key::secondary(datum).expect("an indexable value");
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn json_reads_back(a in datum()) {
        let text = text(&a);
        // A zero byte in a key is escaped, and so comes back as well.
        let back = json::parse(&text).expect("what was written");
        prop_assert_eq!(&back, &a);
        prop_assert_eq!(json::to_string(&back).expect("the same again"), text);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&a.print()).is_ok());
    }

    #[test]
    fn numbers_read_back_bit_by_bit(a in number()) {
        let text = text(&Datum::Num(a));
        prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(a.to_bits()));
    }

    #[test]
    fn merging_nothing_changes_nothing(a in object()) {
        let empty = Datum::object::<&str>([]);
        prop_assert_eq!(&a.merge(&empty).expect("an object"), &a);
        prop_assert_eq!(&empty.merge(&a).expect("an object"), &a);
        prop_assert_eq!(&a.merge(&a).expect("an object"), &a);
    }

    #[test]
    fn the_later_object_wins(a in object(), b in object()) {
        let merged = a.merge(&b).expect("an object");
        for (key, value) in b.as_object().expect("an object").iter() {
            if !matches!(value, Datum::Object(_)) {
                prop_assert_eq!(merged.get(key), Some(value));
            }
        }
        for key in a.as_object().expect("an object").keys() {
            prop_assert!(merged.get(key).is_some());
        }
    }
}
