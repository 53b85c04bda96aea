//! What a write answers: how many rows were inserted, replaced and so on, and which.

use std::collections::BTreeSet;

use super::env::Env;
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result};

/// The counts and changes of a write, as they add up.
#[derive(Debug, Default)]
pub struct Stats {
    fields: ObjectBuilder,
    warnings: BTreeSet<String>,
}

const COUNTS: [&str; 6] = ["deleted", "errors", "inserted", "replaced", "skipped", "unchanged"];

impl Stats {
    /// Nothing yet, not even zeros.
    pub fn empty() -> Self {
        Stats::default()
    }

    /// All counts at zero.
    pub fn zero() -> Self {
        let mut stats = Stats::empty();
        for count in COUNTS {
            stats.fields.insert(count, Datum::Num(0.0));
        }
        stats
    }

    /// Adds those of another write.
    pub fn add(&mut self, other: Stats, env: &Env) -> Result<()> {
        self.merge(&Datum::Object(other.fields.build()), env)?;
        self.warnings.extend(other.warnings);
        Ok(())
    }

    /// Adds the answer of a write: numbers add up, arrays are joined, of texts the first stays (`stats_merge` in RethinkDB's
    /// `datum.cc`).
    pub fn merge(&mut self, answer: &Datum, env: &Env) -> Result<()> {
        for (key, right) in answer.as_object()?.iter() {
            let merged = match self.fields.get(key) {
                None => right,
                Some(left) => match (left, &right) {
                    (Datum::Num(a), Datum::Num(b)) => Datum::num(a + b)?,
                    (Datum::Array(a), Datum::Array(b)) => {
                        let mut items: Vec<Datum> = a.iter().chain(b.iter()).collect();
                        if items.len() > env.limits.array {
                            items.truncate(env.limits.array);
                            let limit = env.limits.array;
                            self.warnings.insert(format!("Too many changes, array truncated to {limit}."));
                        }
                        Datum::array(items)
                    }
                    (Datum::Str(_), Datum::Str(_)) => left.clone(),
                    _ => {
                        return Err(Error::logic(format!(
                            "Cannot merge statistics `{}` (type {}) and `{}` (type {}).",
                            left.trunc_print(),
                            left.type_name(),
                            right.trunc_print(),
                            right.type_name()
                        )));
                    }
                },
            };
            self.fields.insert(key, merged);
        }
        Ok(())
    }

    /// Counts a row that became another.
    pub(super) fn row(&mut self, old: &Datum, new: &Datum, changed: bool) {
        self.count(match (old.is_null(), new.is_null()) {
            (true, true) => "skipped",
            (true, false) => "inserted",
            (false, true) => "deleted",
            (false, false) if changed => "replaced",
            (false, false) => "unchanged",
        });
    }

    /// Counts a row that could not be written.
    pub(super) fn failed(&mut self, error: &Error) {
        self.count("errors");
        if self.fields.get("first_error").is_none() {
            self.fields.insert("first_error", Datum::str(error.message()));
        }
    }

    fn count(&mut self, name: &str) {
        let count = match self.fields.get(name) {
            Some(Datum::Num(count)) => *count,
            _ => 0.0,
        };
        self.fields.insert(name, Datum::Num(count + 1.0));
    }

    /// Adds to the changes, of which there may be none yet.
    pub(super) fn show(&mut self, change: Option<Datum>, env: &Env) -> Result<()> {
        let changes = Datum::array(change.into_iter().collect());
        self.merge(&Datum::object([("changes", changes)]), env)
    }

    /// Notes something that the caller should know.
    pub fn warn(&mut self, message: String) {
        self.warnings.insert(message);
    }

    /// Lists the keys that were made up.
    pub fn generated_keys(&mut self, keys: Vec<Datum>) {
        self.fields.insert("generated_keys", Datum::array(keys));
    }

    /// The answer.
    pub fn into_datum(mut self) -> Datum {
        if !self.warnings.is_empty() {
            let warnings = self.warnings.into_iter().map(Datum::from).collect();
            self.fields.insert("warnings", Datum::array(warnings));
        }
        Datum::Object(self.fields.build())
    }
}
