//! The answer of a write: the numbers of rows inserted, replaced and so on, and their changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::env::{Env, Limits};
use super::room::{Items, Room};
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result};

/// The counts and changes of a write, as they add up.
#[derive(Debug, Default)]
pub struct Stats {
    counts: [u64; COUNTS.len()],
    /// Changes; `None` unless the answer shows them.
    changes: Option<Shown>,
    first_error: Option<Datum>,
    generated_keys: Vec<Datum>,
    /// Room for the generated keys.
    room: Option<Room>,
    warnings: BTreeSet<String>,
}

/// Changes that the answer shows.
#[derive(Debug)]
pub(super) struct Shown {
    /// The changes.
    pub(super) changes: Items,
    /// The room for them.
    pub(super) room: Room,
}

impl Shown {
    /// Adds the changes of a later part of the write.
    fn join(&mut self, other: Shown, limits: Limits) {
        let Shown { changes, room } = other;
        // They count here from now on.
        drop(room);
        self.changes.extend(changes.list, &mut self.room, limits);
        self.changes.is_cut |= changes.is_cut;
    }
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
        match (&mut self.changes, other.changes) {
            (Some(shown), Some(more)) => shown.join(more, limits),
            (None, more) => self.changes = more,
            (Some(_), None) => {}
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

    /// Sets the changes to show.
    pub(super) fn show(&mut self, changes: Shown) {
        self.changes = Some(changes);
    }

    /// Adds a warning for the caller.
    pub fn warn(&mut self, message: String) {
        self.warnings.insert(message);
    }

    /// Adds the keys that the server generated, and the room for them.
    pub(super) fn generated_keys(&mut self, keys: Vec<Datum>, room: Room) {
        self.generated_keys = keys;
        self.room = Some(room);
    }

    /// Returns the answer, whose changes count on as a value of the query.
    pub fn into_datum(mut self) -> Datum {
        let mut answer = ObjectBuilder::new();
        for (name, count) in COUNTS.into_iter().zip(self.counts) {
            answer.insert(name, Datum::from(count));
        }
        if let Some(Shown { changes, room }) = self.changes {
            self.warnings.extend(changes.warning());
            answer.insert("changes", Datum::array(changes.list));
            room.keep();
        }
        if let Some(error) = self.first_error {
            answer.insert("first_error", error);
        }
        if !self.generated_keys.is_empty() {
            answer.insert("generated_keys", Datum::array(self.generated_keys));
        }
        if let Some(room) = self.room {
            room.keep();
        }
        if !self.warnings.is_empty() {
            answer.insert("warnings", Datum::array(self.warnings.into_iter().map(Datum::from).collect()));
        }
        Datum::Object(answer.build())
    }
}

/// The sum of the answers of writes, with any fields (`stats_merge` in RethinkDB's `datum.cc`).
pub struct Merged {
    fields: BTreeMap<Arc<str>, Field>,
    room: Room,
    limits: Limits,
}

/// The bytes of a field besides its key and its value.
const FIELD: usize = 128;

enum Field {
    /// An array that grows.
    Items(Items),
    Other(Datum),
}

impl Field {
    fn datum(&self) -> Datum {
        match self {
            Field::Items(items) => Datum::array(items.list.clone()),
            Field::Other(datum) => datum.clone(),
        }
    }
}

impl Merged {
    /// Makes the sum of no answers.
    pub fn new(env: &Env) -> Self {
        Merged { fields: BTreeMap::new(), room: Room::new(env), limits: env.limits }
    }

    /// Adds an answer: numbers add up, arrays are joined, and the first of several texts stays.
    pub fn add(&mut self, answer: &Datum) -> Result<()> {
        for (key, right) in answer.as_object()?.iter() {
            match (self.fields.get_mut(key), right) {
                (None, right) => self.insert(key, right)?,
                (Some(Field::Items(items)), Datum::Array(more)) => {
                    items.extend(more.iter(), &mut self.room, self.limits);
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

    /// Adds a field, which may be an array of any length.
    fn insert(&mut self, key: &str, value: Datum) -> Result<()> {
        self.room.take_bytes(FIELD + key.len())?;
        let field = match value {
            Datum::Array(more) => {
                let mut items = Items::default();
                items.extend(more.iter(), &mut self.room, Limits::NONE);
                Field::Items(items)
            }
            other => {
                self.room.take_bytes(other.footprint())?;
                Field::Other(other)
            }
        };
        self.fields.insert(Arc::from(key), field);
        Ok(())
    }

    /// Returns the answer, which counts on as a value of the query. Warnings that are in it already are not
    /// repeated.
    pub fn into_datum(mut self) -> Result<Datum> {
        let warning = |field: &Field| match field {
            Field::Items(items) => items.warning(),
            Field::Other(_) => None,
        };
        let more: BTreeSet<String> = self.fields.values().filter_map(warning).collect();
        if !more.is_empty() {
            let earlier = self.fields.remove("warnings").map(|field| field.datum());
            let mut list: Vec<_> = match &earlier {
                Some(warnings) => warnings.as_array()?.iter().collect(),
                None => Vec::new(),
            };
            let more: Vec<_> =
                more.into_iter().map(Datum::from).filter(|warning| !list.contains(warning)).collect();
            list.extend(more);
            self.fields.insert(Arc::from("warnings"), Field::Items(Items { list, is_cut: false }));
        }
        let fields = self.fields.into_iter().map(|(key, field)| {
            (
                key,
                match field {
                    Field::Items(items) => Datum::array(items.list),
                    Field::Other(datum) => datum,
                },
            )
        });
        let answer = Datum::object(fields);
        self.room.keep();
        Ok(answer)
    }
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

    const LIMITS: Limits = Limits { array: 3, ..Limits::NONE };

    fn merged(answers: &[&str]) -> Result<String> {
        let mut merged = Merged::new(&Env::detached().with_limits(LIMITS));
        for answer in answers {
            merged.add(&crate::datum::json::parse(answer)?)?;
        }
        crate::datum::json::to_string(&merged.into_datum()?)
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
