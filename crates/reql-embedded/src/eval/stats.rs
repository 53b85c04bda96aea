//! The answer of a write: the numbers of rows inserted, replaced and so on, and their changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::env::Limits;
use crate::budget::memory::Reservation;
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result};

/// The counts and changes of a write, as they add up.
#[derive(Debug, Default)]
pub struct Stats {
    counts: [u64; COUNTS.len()],
    /// Changes; `None` unless the answer shows them.
    changes: Option<Vec<Datum>>,
    /// Memory of the changes.
    held: Option<Reservation>,
    first_error: Option<Datum>,
    generated_keys: Vec<Datum>,
    warnings: BTreeSet<String>,
}

/// The names of the counts, in the order of [`Count`].
const COUNTS: [&str; 6] = ["deleted", "errors", "inserted", "replaced", "skipped", "unchanged"];

#[derive(Debug, Clone, Copy)]
enum Count {
    Deleted,
    Errors,
    Inserted,
    Replaced,
    Skipped,
    Unchanged,
}

impl Stats {
    /// Adds the counts and changes of another write.
    pub fn add(&mut self, other: Stats, limits: Limits) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        if let Some(changes) = other.changes {
            let is_full = self.changes.as_ref().is_some_and(|shown| shown.len() >= limits.array);
            self.show(changes, limits);
            self.hold(other.held.filter(|_| !is_full));
        }
        self.first_error = self.first_error.take().or(other.first_error);
        self.generated_keys.extend(other.generated_keys);
        self.warnings.extend(other.warnings);
    }

    /// Counts a row that was replaced by another.
    pub(super) fn row(&mut self, old: &Datum, new: &Datum, changed: bool) {
        self.count(match (old.is_null(), new.is_null()) {
            (true, true) => Count::Skipped,
            (true, false) => Count::Inserted,
            (false, true) => Count::Deleted,
            (false, false) if changed => Count::Replaced,
            (false, false) => Count::Unchanged,
        });
    }

    /// Counts a row that could not be written.
    pub(super) fn failed(&mut self) {
        self.count(Count::Errors);
    }

    /// Tells why a row could not be written, unless an earlier one is told of.
    pub(super) fn explain(&mut self, error: &Error) {
        self.first_error.get_or_insert_with(|| Datum::str(error.message()));
    }

    fn count(&mut self, count: Count) {
        self.counts[count as usize] += 1;
    }

    /// Adds changes to show, possibly none.
    pub(super) fn show(&mut self, changes: impl IntoIterator<Item = Datum>, limits: Limits) {
        let shown = self.changes.get_or_insert_default();
        if !extend(shown, changes, limits) {
            self.warnings.insert(truncated(limits));
        }
    }

    /// Keeps the memory of changes to show.
    pub(super) fn hold(&mut self, changes: Option<Reservation>) {
        match (&mut self.held, changes) {
            (Some(held), Some(changes)) => held.absorb(changes),
            (Some(_), None) => {}
            (None, changes) => self.held = changes,
        }
    }

    /// Adds a warning for the caller.
    pub fn warn(&mut self, message: String) {
        self.warnings.insert(message);
    }

    /// Adds the keys that the server generated.
    pub fn generated_keys(&mut self, keys: Vec<Datum>) {
        self.generated_keys = keys;
    }

    /// Returns the answer.
    pub fn into_datum(self) -> Datum {
        let mut answer = ObjectBuilder::new();
        for (name, count) in COUNTS.into_iter().zip(self.counts) {
            answer.insert(name, Datum::from(count));
        }
        if let Some(changes) = self.changes {
            answer.insert("changes", Datum::array(changes));
        }
        if let Some(error) = self.first_error {
            answer.insert("first_error", error);
        }
        if !self.generated_keys.is_empty() {
            answer.insert("generated_keys", Datum::array(self.generated_keys));
        }
        if !self.warnings.is_empty() {
            answer.insert("warnings", Datum::array(self.warnings.into_iter().map(Datum::from).collect()));
        }
        Datum::Object(answer.build())
    }
}

/// The sum of the answers of writes, with any fields (`stats_merge` in RethinkDB's `datum.cc`).
#[derive(Default)]
pub struct Merged {
    fields: BTreeMap<Arc<str>, Field>,
    warnings: BTreeSet<String>,
}

enum Field {
    /// An array that grows.
    Items(Vec<Datum>),
    Other(Datum),
}

impl Field {
    fn datum(&self) -> Datum {
        match self {
            Field::Items(items) => Datum::array(items.clone()),
            Field::Other(datum) => datum.clone(),
        }
    }
}

impl Merged {
    /// Adds an answer: numbers add up, arrays are joined, and the first of several texts stays.
    pub fn add(&mut self, answer: &Datum, limits: Limits) -> Result<()> {
        for (key, right) in answer.as_object()?.iter() {
            match (self.fields.get_mut(key), right) {
                (None, right) => {
                    let field = match right {
                        Datum::Array(items) => Field::Items(items.iter().collect()),
                        other => Field::Other(other),
                    };
                    self.fields.insert(Arc::from(key), field);
                }
                (Some(Field::Items(items)), Datum::Array(more)) => {
                    if !extend(items, more.iter(), limits) {
                        self.warnings.insert(truncated(limits));
                    }
                }
                (Some(Field::Other(Datum::Num(sum))), Datum::Num(more)) => match Datum::num(*sum + more)? {
                    Datum::Num(more) => *sum = more,
                    _ => return Err(Error::internal("A sum of numbers is no number.")),
                },
                (Some(Field::Other(Datum::Str(_))), Datum::Str(_)) => {}
                (Some(left), right) => return Err(unmergeable(&left.datum(), &right)),
            }
        }
        Ok(())
    }

    /// Returns the answer. Warnings that are in it already are not repeated.
    pub fn into_datum(mut self) -> Result<Datum> {
        if !self.warnings.is_empty() {
            let earlier = self.fields.remove("warnings").map(|field| field.datum());
            let mut warnings: Vec<_> = match &earlier {
                Some(warnings) => warnings.as_array()?.iter().collect(),
                None => Vec::new(),
            };
            let more = self.warnings.into_iter().map(Datum::from);
            let more: Vec<_> = more.filter(|warning| !warnings.contains(warning)).collect();
            warnings.extend(more);
            self.fields.insert(Arc::from("warnings"), Field::Items(warnings));
        }
        let fields = self.fields.into_iter().map(|(key, field)| {
            (
                key,
                match field {
                    Field::Items(items) => Datum::array(items),
                    Field::Other(datum) => datum,
                },
            )
        });
        Ok(Datum::object(fields))
    }
}

/// Adds items up to the longest array. Returns true if all fit.
fn extend(items: &mut Vec<Datum>, more: impl IntoIterator<Item = Datum>, limits: Limits) -> bool {
    let mut more = more.into_iter();
    items.extend(more.by_ref().take(limits.array.saturating_sub(items.len())));
    // The first array may have been longer than the limit.
    let fit = more.next().is_none() && items.len() <= limits.array;
    items.truncate(limits.array);
    fit
}

fn truncated(limits: Limits) -> String {
    format!("Too many changes, array truncated to {}.", limits.array)
}

fn unmergeable(left: &Datum, right: &Datum) -> Error {
    Error::logic(format!(
        "Cannot merge statistics `{}` (type {}) and `{}` (type {}).",
        left.trunc_print(),
        left.type_name(),
        right.trunc_print(),
        right.type_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::memory::Pool;

    const LIMITS: Limits = Limits { array: 3, ..Limits::NONE };

    fn merged(answers: &[&str]) -> Result<String> {
        let mut merged = Merged::default();
        for answer in answers {
            merged.add(&crate::datum::json::parse(answer)?, LIMITS)?;
        }
        crate::datum::json::to_string(&merged.into_datum()?)
    }

    #[test]
    fn memory_is_held_for_the_changes_that_are_shown() {
        let pool = Pool::default();
        let mut sum = Stats::default();
        for _ in 0..5 {
            let (mut part, mut held) = (Stats::default(), Reservation::new(&pool));
            part.show([Datum::Null, Datum::Null], LIMITS);
            held.add_bytes(1 << 20).unwrap();
            part.hold(Some(held));
            sum.add(part, LIMITS);
        }
        assert_eq!(pool.used(), 2 << 20, "the third and later parts are not shown");
        drop(sum.into_datum());
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn numbers_add_up_arrays_are_joined_and_the_first_text_stays() {
        assert_eq!(merged(&[]).unwrap(), "{}");
        let answers = [r#"{"n":1,"a":[1],"t":"x"}"#, r#"{"n":2,"a":[2],"t":"y","m":0}"#];
        assert_eq!(merged(&answers).unwrap(), r#"{"a":[1,2],"m":0,"n":3,"t":"x"}"#);
        let error = merged(&[r#"{"n":1}"#, r#"{"n":[]}"#]).unwrap_err();
        assert_eq!(error.message(), "Cannot merge statistics `1` (type NUMBER) and `[]` (type ARRAY).");
        assert!(merged(&[r#"{"n":null}"#, r#"{"n":null}"#]).is_err());
        assert!(merged(&["1"]).is_err());
    }

    #[test]
    fn long_arrays_are_cut_with_a_warning() {
        let warning = r#""warnings":["Too many changes, array truncated to 3."]"#;
        let whole = [r#"{"a":[1,2]}"#, r#"{"a":[3]}"#];
        assert_eq!(merged(&whole).unwrap(), r#"{"a":[1,2,3]}"#);
        let cut = [r#"{"a":[1,2]}"#, r#"{"a":[3,4]}"#];
        assert_eq!(merged(&cut).unwrap(), format!(r#"{{"a":[1,2,3],{warning}}}"#));
        assert_eq!(merged(&[r#"{"a":[1,2,3,4]}"#]).unwrap(), r#"{"a":[1,2,3,4]}"#, "one is left alone");
        let long = [r#"{"a":[1,2,3,4]}"#, r#"{"a":[]}"#];
        assert_eq!(merged(&long).unwrap(), format!(r#"{{"a":[1,2,3],{warning}}}"#));
        let warned = [r#"{"a":[1,2,3],"warnings":["w"]}"#, r#"{"a":[4]}"#];
        let both = r#""warnings":["w","Too many changes, array truncated to 3."]"#;
        assert_eq!(merged(&warned).unwrap(), format!(r#"{{"a":[1,2,3],{both}}}"#));
    }
}
