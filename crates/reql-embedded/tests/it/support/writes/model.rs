//! The table that the writes change.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Chance;

/// Sizes around those of the batches in which a write reads and writes.
const SIZES: &[i64] = &[0, 1, 2, 5, 12, 40, 199, 200, 201, 202, 399, 400, 401, 511, 513, 620];

/// A document without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub v: Option<i64>,
    pub m: Vec<i64>,
    pub g: i64,
}

/// The tables `t`, which is written, and `s`, which isn't.
pub struct Model {
    pub t: BTreeMap<i64, Row>,
    pub s: BTreeMap<i64, Row>,
}

/// The counts of a write by their names in the answer, such as `inserted`.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub fn add(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    /// Returns the number of rows that were written or left unchanged.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the number of rows that have changed.
    pub fn changed(&self) -> u64 {
        ["inserted", "replaced", "deleted"].iter().map(|name| self.get(name)).sum()
    }
}

impl Row {
    fn random(chance: &mut Chance, size: i64) -> Self {
        let m = (0..chance.below(4)).map(|_| chance.below(size + 5)).collect();
        Row { v: chance.is(0.95).then(|| chance.below(2 * size + 1)), m, g: chance.below(4) }
    }

    pub fn to_json(&self, id: i64) -> Value {
        let mut row = json!({"id": id, "m": self.m, "g": self.g});
        if let Some(v) = self.v {
            row["v"] = v.into();
        }
        row
    }
}

impl Model {
    pub fn random(chance: &mut Chance) -> Self {
        let (size_t, size_s) = (chance.one_of(SIZES), chance.one_of(SIZES));
        let mut rows = |size: i64| {
            let step = chance.one_of(&[1, 1, 3]);
            (0..size).map(|n| (n * step, Row::random(chance, size))).collect()
        };
        Model { t: rows(size_t), s: rows(size_s) }
    }

    /// Puts the new row in place of the old one, and counts it.
    pub fn put(&mut self, id: i64, new: Option<Row>, counts: &mut Counts) {
        let old = match &new {
            Some(row) => self.t.insert(id, row.clone()),
            None => self.t.remove(&id),
        };
        counts.add(match (&old, &new) {
            (None, None) => "skipped",
            (None, Some(_)) => "inserted",
            (Some(_), None) => "deleted",
            (Some(old), Some(new)) if old == new => "unchanged",
            (Some(_), Some(_)) => "replaced",
        });
    }

    /// Returns the keys in the order of an index, each as often as it is in the index.
    pub fn by_index(&self, index: &str) -> Vec<i64> {
        let mut entries: Vec<(Vec<i64>, i64)> = Vec::new();
        for (id, row) in &self.t {
            match index {
                "v" => entries.extend(row.v.map(|v| (vec![v], *id))),
                "m" => entries.extend(row.m.iter().map(|m| (vec![*m], *id))),
                "c" => entries.extend(row.v.map(|v| (vec![row.g, v], *id))),
                _ => entries.push((vec![*id], *id)),
            }
        }
        entries.sort();
        entries.into_iter().map(|(_, id)| id).collect()
    }
}
