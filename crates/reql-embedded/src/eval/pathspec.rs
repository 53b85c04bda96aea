//! Paths: the fields of an object, and of the objects inside it, that `pluck`, `without` and `has_fields`
//! name.

use std::sync::Arc;

use super::limits::Limits;
use crate::budget::fuel;
use crate::datum::pseudo::{self, Literals};
use crate::datum::{Datum, Object, ObjectBuilder};
use crate::error::{Error, Result};

/// A set of paths: `"a"`, `["a", "b"]`, `{a: true, b: ["c", "d"]}`.
#[derive(Debug, Clone)]
pub enum PathSpec {
    /// One field.
    Field(Arc<str>),
    /// All of several paths.
    All(Vec<PathSpec>),
    /// Paths inside of fields.
    Inside(Vec<(Arc<str>, PathSpec)>),
}

/// The treatment of an array: as a value, or as its elements. At the top it is a value: terms handle
/// sequences themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrays {
    Elements,
    NoObject,
}

impl PathSpec {
    /// Reads the paths in the arguments of a term.
    pub fn of_args(args: &[Datum]) -> Result<PathSpec> {
        Ok(Self::all(args.iter().map(PathSpec::of).collect::<Result<_>>()?))
    }

    fn of(datum: &Datum) -> Result<PathSpec> {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || match datum {
            Datum::Str(name) => Ok(PathSpec::Field(name.clone())),
            Datum::Array(items) => {
                Ok(Self::all(items.iter().map(|item| PathSpec::of(&item)).collect::<Result<_>>()?))
            }
            Datum::Object(object) => Self::of_object(object),
            other => Err(Error::logic(format!("Invalid path argument `{}`.", other.printable()?.print()))),
        })
    }

    /// Reads the paths of an object. Fields that are `true` are wanted as a whole; the values of others are
    /// paths again.
    fn of_object(object: &Object) -> Result<PathSpec> {
        let (mut whole, mut inside) = (Vec::new(), Vec::new());
        for (key, value) in object.iter() {
            match value {
                Datum::Bool(true) => whole.push(PathSpec::Field(key.into())),
                value => inside.push((Arc::from(key), PathSpec::of(&value)?)),
            }
        }
        if whole.is_empty() {
            return Ok(PathSpec::Inside(inside));
        }
        if !inside.is_empty() {
            whole.push(PathSpec::Inside(inside));
        }
        Ok(Self::all(whole))
    }

    fn all(mut paths: Vec<PathSpec>) -> PathSpec {
        match paths.pop() {
            Some(only) if paths.is_empty() => only,
            last => {
                paths.extend(last);
                PathSpec::All(paths)
            }
        }
    }

    /// Returns the object with these paths only. Paths that lead nowhere are left out.
    pub fn project(&self, object: &Datum, limits: Limits) -> Datum {
        self.projection(object, Arrays::NoObject, limits).unwrap_or_else(|| Datum::Object(Object::empty()))
    }

    /// Returns a value with these paths only; `None` if a path names the field of a value that is no object.
    fn projection(&self, datum: &Datum, arrays: Arrays, limits: Limits) -> Option<Datum> {
        match datum {
            Datum::Array(items) if arrays == Arrays::Elements => {
                limits.check_array(items.len()).ok()?;
                let project = |item| self.projection(&item, Arrays::NoObject, limits);
                Some(Datum::array(items.iter().map(project).collect::<Option<_>>()?))
            }
            datum => {
                let mut out = ObjectBuilder::new();
                self.project_into(&mut out, datum, limits)?;
                pseudo::sanitize(out.build(), Literals::Refused).ok()
            }
        }
    }

    fn project_into(&self, out: &mut ObjectBuilder, datum: &Datum, limits: Limits) -> Option<()> {
        if !self.burn() {
            return None;
        }
        match self {
            PathSpec::Field(key) => {
                if let Some(value) = fields(datum)?.get(key) {
                    if **key == *pseudo::REQL_TYPE {
                        // What each path finds is an object of its own (`pathspec.cc`), and none is a time or
                        // a geometry by that field alone.
                        return None;
                    }
                    out.insert(key.clone(), value);
                }
            }
            PathSpec::All(paths) => {
                for path in paths {
                    path.project_into(out, datum, limits)?;
                }
            }
            PathSpec::Inside(paths) => {
                for (key, path) in paths {
                    let Some(value) = fields(datum)?.get(key) else { continue };
                    if let Some(part) = grow(|| path.projection(&value, Arrays::Elements, limits)) {
                        out.insert(key.clone(), part);
                    }
                }
            }
        }
        Some(())
    }

    /// Returns the object without these paths.
    pub fn unproject(&self, object: &Datum, limits: Limits) -> Datum {
        self.rest(object, Arrays::NoObject, limits).unwrap_or_else(|| object.clone())
    }

    /// Returns a value without these paths; `None` if it is no object.
    fn rest(&self, datum: &Datum, arrays: Arrays, limits: Limits) -> Option<Datum> {
        match datum {
            Datum::Array(items) if arrays == Arrays::Elements => {
                limits.check_array(items.len()).ok()?;
                let rest = |item| self.rest(&item, Arrays::NoObject, limits);
                Some(Datum::array(items.iter().map(rest).collect::<Option<_>>()?))
            }
            datum => {
                let mut out = ObjectBuilder::from(fields(datum)?.clone());
                self.remove_from(&mut out, limits);
                pseudo::sanitize(out.build(), Literals::Refused).ok()
            }
        }
    }

    fn remove_from(&self, object: &mut ObjectBuilder, limits: Limits) {
        if !self.burn() {
            return;
        }
        match self {
            PathSpec::Field(key) => drop(object.remove(key)),
            PathSpec::All(paths) => paths.iter().for_each(|path| path.remove_from(object, limits)),
            PathSpec::Inside(paths) => {
                for (key, path) in paths {
                    let Some(value) = object.get(key) else { continue };
                    if let Some(rest) = grow(|| path.rest(value, Arrays::Elements, limits)) {
                        object.insert(key.clone(), rest);
                    }
                }
            }
        }
    }

    /// Counts the work on this level of the paths. Returns false if the work should stop.
    fn burn(&self) -> bool {
        match self {
            PathSpec::Field(_) => true,
            PathSpec::All(paths) => fuel::burn(paths.len() / 2),
            PathSpec::Inside(paths) => fuel::burn(1 + paths.len() / 2),
        }
    }

    /// Returns true if all of the paths exist, and lead to values other than `null`.
    pub fn is_in(&self, datum: &Datum) -> bool {
        if !self.burn() {
            return false;
        }
        match self {
            PathSpec::Field(key) => datum.get(key).is_some_and(|value| !value.is_null()),
            PathSpec::All(paths) => paths.iter().all(|path| path.is_in(datum)),
            PathSpec::Inside(paths) => paths
                .iter()
                .all(|(key, path)| datum.get(key).is_some_and(|value| grow(|| path.is_in(&value)))),
        }
    }
}

fn fields(datum: &Datum) -> Option<&Object> {
    match datum {
        Datum::Object(object) => Some(object),
        _ => None,
    }
}

fn grow<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, work)
}
