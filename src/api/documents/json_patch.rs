//! JSON Patch ([RFC 6902](https://www.rfc-editor.org/rfc/rfc6902)): a list of operations on one document.
//!
//! A `copy` may double a document, and thirty of them would exceed any memory. So the cost of each operation
//! is computed before it is applied.

use json_patch::{PatchOperation, jsonptr::Pointer, patch_unsafe};
use serde_json::Value;

use super::depth::check_depth;
use super::write::same;
use crate::error::{Code, Error};
use crate::http::body::parse;
use crate::json;
use crate::query::Path;

/// The most operations of a patch.
pub(crate) const OPERATIONS: usize = 1000;
/// The largest cost of a patch: the bytes, as JSON, of all values that its operations move and copy, and four
/// bytes for each member of an array that is shifted.
const WORK: usize = 32 << 20;
/// The most bytes, as JSON, of all values that the operations of a patch copy.
const COPIED: usize = 1 << 20;

/// A valid patch with at most [`OPERATIONS`] operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPatch(Vec<PatchOperation>);

/// The remaining cost that is allowed.
struct Budget {
    work: usize,
    copied: usize,
}

impl JsonPatch {
    /// Parses a patch.
    ///
    /// # Errors
    ///
    /// `bad-json` if it isn't JSON; `bad-request` if it isn't a patch, or has too many operations.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let operations: Vec<Value> = parse(body)?;
        if operations.len() > OPERATIONS {
            return Err(Error::bad_request(format!("A patch may have {OPERATIONS} operations at most.")));
        }
        let read = |(at, operation)| {
            let wrong = |reason: String| Error::bad_request(format!("Operation {at} of the patch {reason}."));
            let operation =
                serde_json::from_value(operation).map_err(|error| wrong(format!("is none: {error}")))?;
            // The database would cut the name there, after it was checked as another one.
            let is_cut = pointers(&operation).any(|pointer| pointer.as_str().contains('\0'));
            if is_cut {
                return Err(wrong("has a pointer that holds a NUL".to_owned()));
            }
            let is_reserved =
                pointers(&operation).flat_map(Pointer::tokens).any(|name| json::is_reserved(&name.decoded()));
            match is_reserved {
                true => Err(wrong("has a pointer with a reserved name".to_owned())),
                false => Ok(operation),
            }
        };
        operations.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(JsonPatch)
    }

    /// Returns the fields that it may change; `None` if it may change the whole document. Each is there with
    /// all that is in it, whatever other operations do with a part of it.
    pub(crate) fn touched(&self) -> Option<Vec<Path>> {
        let mut touched = Vec::new();
        for operation in &self.0 {
            let from = match operation {
                PatchOperation::Test(_) => continue,
                PatchOperation::Move(moved) => Some(&*moved.from),
                _ => None,
            };
            for pointer in from.into_iter().chain([operation.path()]) {
                let names = pointer.tokens().map(|name| name.decoded().into_owned()).collect();
                touched.push(Path::of_names(names)?);
            }
        }
        Some(touched)
    }

    /// Applies the patch to a document.
    ///
    /// # Errors
    ///
    /// `patch-failed` if a `test` fails, a pointer doesn't exist, or the patch is too costly. It names the
    /// operation by its index, counted from 0.
    pub(crate) fn apply(&self, mut document: Value) -> Result<Value, Error> {
        let mut budget = Budget { work: WORK, copied: COPIED };
        for (at, operation) in self.0.iter().enumerate() {
            let failed = |reason: String| {
                Error::about(Code::PatchFailed, format!("operation {at}, counted from 0: {reason}"))
            };
            budget.pay(operation, &document).map_err(|reason| failed(reason.to_owned()))?;
            match operation {
                PatchOperation::Test(test) => {
                    let found = document.pointer(test.path.as_str());
                    let holds = found.is_some_and(|found| same(found, &test.value));
                    let reason = if found.is_some() { "there is another value" } else { "there is no value" };
                    if !holds {
                        return Err(failed(format!("{reason} at `{}`", shown(&test.path))));
                    }
                }
                operation => patch_unsafe(&mut document, std::slice::from_ref(operation))
                    .map_err(|error| failed(format!("{} (`{}`)", error.kind, shown(operation.path()))))?,
            }
        }
        Ok(document)
    }
}

/// Returns the pointers of an operation.
fn pointers(operation: &PatchOperation) -> impl Iterator<Item = &Pointer> {
    let from = match operation {
        PatchOperation::Move(moved) => Some(&*moved.from),
        PatchOperation::Copy(copy) => Some(&*copy.from),
        _ => None,
    };
    from.into_iter().chain([operation.path()])
}

/// Shortens a pointer for messages.
fn shown(pointer: &Pointer) -> String {
    pointer.as_str().chars().take(100).collect()
}

impl Budget {
    /// Subtracts the cost of an operation. Fails if too little is left, or if the operation would nest the
    /// document too deeply.
    fn pay(&mut self, operation: &PatchOperation, document: &Value) -> Result<(), &'static str> {
        let path = operation.path();
        match operation {
            PatchOperation::Test(_) => return Ok(()),
            PatchOperation::Add(add) => fits(path, &add.value)?,
            PatchOperation::Replace(replace) => fits(path, &replace.value)?,
            PatchOperation::Remove(_) => {}
            PatchOperation::Move(moved) => {
                self.shift(&moved.from, document)?;
                self.carry(&moved.from, path, document)?;
            }
            PatchOperation::Copy(copy) => {
                let size = self.carry(&copy.from, path, document)?;
                let left = self.copied.checked_sub(size);
                self.copied = left.ok_or("the patch copies more than 1 MiB")?;
            }
        }
        self.shift(path, document)
    }

    /// Subtracts the cost of moving or copying a value, which is its size, and returns that.
    fn carry(&mut self, from: &Pointer, to: &Pointer, document: &Value) -> Result<usize, &'static str> {
        let Some(value) = document.pointer(from.as_str()) else { return Ok(0) };
        let size = size(value);
        self.spend(size)?;
        fits(to, value)?;
        Ok(size)
    }

    /// Subtracts the cost of shifting the members of an array for an insertion or a removal.
    fn shift(&mut self, path: &Pointer, document: &Value) -> Result<(), &'static str> {
        let Some((parent, last)) = path.split_back() else { return Ok(()) };
        let Some(Value::Array(items)) = document.pointer(parent.as_str()) else { return Ok(()) };
        let behind = match last.decoded().parse::<usize>() {
            Ok(at) => items.len().saturating_sub(at),
            Err(_) => 0,
        };
        self.spend(behind.saturating_mul(4))
    }

    fn spend(&mut self, work: usize) -> Result<(), &'static str> {
        self.work = self.work.checked_sub(work).ok_or("the patch moves and copies too much")?;
        Ok(())
    }
}

/// Checks that a value at a place doesn't nest the document too deeply.
fn fits(path: &Pointer, value: &Value) -> Result<(), &'static str> {
    check_depth(path.count(), value)
}

/// Estimates the size of a value as JSON, in bytes.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + size(value) + 4).sum::<usize>() + 2
        }
        Value::String(text) => text.len() + 2,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(document: Value, patch: Value) -> Result<Value, String> {
        let patch = JsonPatch::read(patch.to_string().as_bytes()).map_err(|error| error.to_string())?;
        patch.apply(document).map_err(|error| error.to_string())
    }

    /// Runs the public test cases of <https://github.com/json-patch/json-patch-tests>.
    #[test]
    fn the_public_records_hold() {
        let records = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/json-patch/");
        let mut held = 0;
        for file in ["tests.json", "spec_tests.json"] {
            let text = std::fs::read(format!("{records}{file}")).unwrap();
            let records: Vec<Value> = serde_json::from_slice(&text).unwrap();
            for record in records {
                if record["comment"] == "duplicate ops" {
                    // Its fault is a duplicate field, which a `Value` can't hold.
                    let twice = r#"[{"op": "add", "path": "/a", "value": 1, "op": "move", "from": "/b"}]"#;
                    assert!(JsonPatch::read(twice.as_bytes()).is_err());
                    continue;
                }
                let context = format!("{file}: {record}");
                let outcome = applied(record["doc"].clone(), record["patch"].clone());
                match record.get("expected") {
                    Some(expected) => assert!(same(&outcome.unwrap(), expected), "{context}"),
                    // Some cases only say that the patch can be applied.
                    None if record.get("error").is_none() => {
                        assert!(outcome.is_ok(), "{context}: {outcome:?}")
                    }
                    None => assert!(outcome.is_err(), "{context}: {outcome:?}"),
                }
                held += 1;
            }
        }
        assert_eq!(held, 111);
    }

    #[test]
    fn numbers_are_the_same_as_the_database_sees_them() {
        assert!(applied(json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1.0}])).is_ok());
    }

    #[test]
    fn a_field_is_touched_whatever_happens_to_a_part_of_it() {
        let touched = |patch: Value| {
            let touched = JsonPatch::read(patch.to_string().as_bytes()).unwrap().touched()?;
            Some(touched.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let replaced = json!({"op": "replace", "path": "/a", "value": {}});
        let within = json!({"op": "add", "path": "/a/b", "value": 1});
        assert_eq!(touched(json!([replaced, within])).unwrap(), ["a", "a.b"]);
        assert_eq!(touched(json!([within, replaced])).unwrap(), ["a.b", "a"]);
        let moved = json!({"op": "move", "from": "/a", "path": "/b"});
        let copied = json!({"op": "copy", "from": "/c", "path": "/d"});
        assert_eq!(touched(json!([moved, copied])).unwrap(), ["a", "b", "d"]);
        assert_eq!(touched(json!([{"op": "test", "path": "/a", "value": 1}])).unwrap(), [""; 0]);
        assert_eq!(touched(json!([within, {"op": "replace", "path": "", "value": {}}])), None);
    }

    #[test]
    fn a_failure_names_its_operation() {
        let test = json!({"op": "test", "path": "/a", "value": 1});
        let error = applied(json!({"a": 1}), json!([test, {"op": "remove", "path": "/b"}])).unwrap_err();
        assert!(error.to_lowercase().contains("operation 1"), "{error}");
        let error = applied(json!({}), json!([test, {"op": "jump", "path": "/b"}])).unwrap_err();
        assert!(error.to_lowercase().contains("operation 1"), "{error}");
    }

    #[test]
    fn a_name_that_the_database_would_cut_is_none() {
        for wrong in [
            json!({"op": "add", "path": "/a\u{0}", "value": 1}),
            json!({"op": "remove", "path": "/\u{0}a"}),
            json!({"op": "test", "path": "/a\u{0}/b", "value": 1}),
            json!({"op": "move", "from": "/a\u{0}", "path": "/b"}),
            json!({"op": "copy", "from": "/a\u{0}", "path": "/b"}),
        ] {
            let error = applied(json!({"a": 1}), json!([wrong])).unwrap_err();
            assert!(error.contains("Operation 0") && error.contains("NUL"), "{wrong}: {error}");
        }
        assert!(applied(json!({"a": 1}), json!([{"op": "add", "path": "/a", "value": "\u{0}"}])).is_ok());
    }

    #[test]
    fn bombs_are_bounded() {
        let copies: Vec<_> =
            (0..60).map(|at| json!({"op": "copy", "from": "", "path": format!("/{at}")})).collect();
        assert!(applied(json!({"a": 1}), json!(copies)).unwrap_err().contains("copies more"));
        let nested: Vec<_> =
            (0..150).map(|at| json!({"op": "add", "path": "/a".repeat(at + 1), "value": {}})).collect();
        assert!(applied(json!({}), json!(nested)).unwrap_err().contains("nested"));
        let moved: Vec<_> = (0..150)
            .flat_map(|_| {
                [
                    json!({"op": "add", "path": "/b", "value": {}}),
                    json!({"op": "move", "from": "/a", "path": "/b/a"}),
                    json!({"op": "move", "from": "/b", "path": "/a"}),
                ]
            })
            .collect();
        assert!(applied(json!({"a": {}}), json!(moved)).unwrap_err().contains("nested"));
        let shifts = vec![json!({"op": "add", "path": "/a/0", "value": 0}); OPERATIONS];
        assert!(applied(json!({"a": vec![0; 200_000]}), json!(shifts)).unwrap_err().contains("too much"));
        let many = vec![json!({"op": "test", "path": "", "value": 0}); OPERATIONS + 1];
        assert!(applied(json!(0), json!(many)).unwrap_err().contains("1000"));
    }
}
