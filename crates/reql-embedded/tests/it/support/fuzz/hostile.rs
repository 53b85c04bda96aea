//! Queries that are made to cost as much as they can: values that share, double and nest, sequences without
//! end, large options.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use crate::support::reql;

/// Returns the payload of a frame.
pub fn frame(random: &mut StdRng) -> Vec<u8> {
    let mut maker = Maker { random, names: 0 };
    let expression = maker.query();
    let term = reql::parse(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let options = maker.options();
    json!([1, term, options]).to_string().into_bytes()
}

struct Maker<'a> {
    random: &'a mut StdRng,
    /// Number of parameters that have a name.
    names: usize,
}

impl Maker<'_> {
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.choose(self.random).expect("choices")
    }

    fn number(&mut self) -> &'static str {
        self.one_of(&[
            "2",
            "7",
            "30",
            "300",
            "5000",
            "100000",
            "10000000",
            "1000000000000",
            "9007199254740992",
        ])
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn chance(&mut self, of: u32) -> bool {
        self.random.random_ratio(1, of)
    }

    fn query(&mut self) -> String {
        let depth = self.random.random_range(1..5);
        let value = self.value(depth);
        match self.random.random_range(0..12) {
            0 => format!(
                "r.table('t').insert({{id: 'h', v: {value}}}, {{conflict: 'replace', durability: 'soft'}})"
            ),
            1 => {
                let x = self.name();
                format!("r.table('t').get('h').update({x} => ({{v: {value}}}), {{durability: 'soft'}})")
            }
            2 => {
                let x = self.name();
                let rows = self.rows(depth);
                format!("{rows}.filter({x} => {value}.eq({x}))")
            }
            3 => format!("{}.limit(3)", self.rows(depth)),
            4 => format!("{}.count()", self.rows(depth)),
            5 => format!("r.table('t').get('h')('v').eq({value})"),
            6 => {
                let other = self.value(depth);
                format!("{value}.eq({other})")
            }
            7 => format!("{value}.typeOf()"),
            8 => format!("{value}.toJSON().count()"),
            _ => value,
        }
    }

    fn leaf(&mut self) -> &'static str {
        self.one_of(&[
            "r.expr(0)",
            "r.expr([])",
            "r.expr([1, 'two', null])",
            "r.expr('text')",
            "r.expr('\"')",
            "r.expr({a: 1, b: [2]})",
            "r.now()",
            "r.table('t').get(3)",
            "r.table('t').get('h')('v').default(1)",
        ])
    }

    fn value(&mut self, depth: usize) -> String {
        let Some(less) = depth.checked_sub(1) else { return self.leaf().to_owned() };
        let inner = self.value(less);
        let (x, y, n) = (self.name(), self.name(), self.number());
        match self.random.random_range(0..22) {
            0 => format!("r.expr([{inner}]).mul({n})"),
            1 => format!("r.range({n}).fold({inner}, ({x}, {y}) => [{x}, {x}])"),
            2 => format!("r.range({n}).fold({inner}, ({x}, {y}) => ({{a: {x}, b: {x}}}))"),
            3 => format!("r.range({n}).fold('x', ({x}, {y}) => {x}.add({x}))"),
            4 => format!("r.range({n}).fold({inner}, ({x}, {y}) => {x}.toJSON())"),
            5 => format!("r.range({n}).fold({inner}, ({x}, {y}) => [{x}])"),
            6 => format!("{inner}.do({x} => [{x}, {x}, {x}])"),
            7 => format!("{inner}.do({x} => r.expr([{x}, [{x}]]).distinct())"),
            8 => format!("{inner}.do({x} => r.expr([{x}, 1, {x}]).contains({x}))"),
            9 => format!("{inner}.coerceTo('string').add('x').match('[^x]{{900}}')"),
            10 => format!("{inner}.coerceTo('string').split('')"),
            11 => format!("{inner}.coerceTo('string').upcase()"),
            12 => format!("r.json({inner}.toJSON())"),
            13 => format!("{inner}.do({x} => r.expr({{a: {x}}}).merge({{b: {x}, a: {{c: {x}}}}}))"),
            14 => format!("r.circle([0, 0], 1000, {{numVertices: {n}}})"),
            15 => {
                let rows = self.rows(less);
                format!("{rows}.orderBy({x} => {inner})")
            }
            16 => {
                let rows = self.rows(less);
                format!("{rows}.group({x} => [{x}, {inner}]).count()")
            }
            17 => format!("{}.coerceTo('array')", self.rows(less)),
            18 => format!("{}.reduce(({x}, {y}) => r.expr([{x}, {y}]))", self.rows(less)),
            19 => format!("{inner}.do({x} => r.expr([{x}]).setUnion([{x}, {inner}]))"),
            20 => format!("r.expr('x').match('\\\\\\\\pL{{{}}}')", self.random.random_range(1..1000)),
            _ => format!("{}.distinct()", self.rows(less)),
        }
    }

    fn rows(&mut self, depth: usize) -> String {
        let (x, y, n) = (self.name(), self.name(), self.number());
        let Some(less) = depth.checked_sub(1) else {
            return if self.chance(2) { "r.table('t')".to_owned() } else { format!("r.range({n})") };
        };
        let rows = self.rows(less);
        match self.random.random_range(0..9) {
            0 => format!("{rows}.concatMap({x} => r.range({n}))"),
            1 => format!("{rows}.map({x} => {})", self.value(less)),
            2 => format!("{rows}.filter({x} => r.range({n}).count().eq(3))"),
            3 => {
                let other = self.rows(less);
                format!("{rows}.innerJoin({other}, ({x}, {y}) => {x}.eq({y}))")
            }
            4 => {
                let other = self.rows(less);
                format!("{rows}.union({other}, {{interleave: {x} => {x}}})")
                    .replace(&format!("{x} => {x}"), "true")
            }
            5 => format!("{rows}.offsetsOf({})", self.value(less)),
            6 => format!("{rows}.fold(0, ({x}, {y}) => {x}, {{emit: (a{x}, b{x}, c{x}) => [b{x}, b{x}]}})"),
            7 => format!("{rows}.sample({n})"),
            _ => format!("{rows}.skip(1)"),
        }
    }

    fn options(&mut self) -> Value {
        let mut options = serde_json::Map::new();
        for (name, values) in [
            ("array_limit", &[1e13, 1e6, 10.0]),
            ("max_batch_bytes", &[1e12, 1e9, 1.0]),
            ("max_batch_rows", &[1e12, 1e5, 1.0]),
            ("max_batch_seconds", &[1e9, 1e3, 0.0]),
            ("min_batch_rows", &[1e12, 1e9, 1.0]),
            ("first_batch_scaledown_factor", &[1.0, 1e9, 2.0]),
        ] {
            if self.chance(4) {
                options.insert(name.to_owned(), json!(values.choose(self.random)));
            }
        }
        Value::Object(options)
    }
}
