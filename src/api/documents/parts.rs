//! Parts of documents as they are written, for documents that are nested too deeply to be read. This service
//! stores none, but another client of the database may have.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use crate::query::Path;

/// Returns the JSON of a field; `None` if the document doesn't have it.
pub(crate) fn part<'a>(document: &'a str, field: &Path) -> Option<&'a str> {
    let inner = |json: &'a str, name: &String| {
        let fields: HashMap<String, &'a RawValue> = serde_json::from_str(json).ok()?;
        fields.get(name).map(|value| value.get())
    };
    field.names().iter().try_fold(document, inner)
}

/// Returns the JSON of an object without a field of these names; `None` if that isn't in it. It is recursive,
/// as deep as a path is.
pub(crate) fn without(object: &str, names: &[String]) -> Option<Box<RawValue>> {
    let (name, within) = names.split_first()?;
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(object).ok()?;
    let inner = fields.remove(name)?;
    if !within.is_empty() {
        fields.insert(name.clone(), without(inner.get(), within)?);
    }
    serde_json::value::to_raw_value(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_does_not_matter() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let document =
            format!(r#"{{"a":{deep},"b":{{"c":1,"$serde_json::private::RawValue":{deep}}},"a":2}}"#);
        let of = |field: &str| part(&document, &Path::parse(field, "f").unwrap());
        assert_eq!((of("a"), of("b.c"), of("c"), of("a.b")), (Some("2"), Some("1"), None, None));
        assert_eq!(of("b.\"$serde_json::private::RawValue\""), Some(&*deep));
        let names = ["b", "c"].map(str::to_owned);
        let rest = without(&document, &names).unwrap();
        assert_eq!(rest.get(), format!(r#"{{"a":2,"b":{{"$serde_json::private::RawValue":{deep}}}}}"#));
        assert!(without(&document, &names[1..]).is_none());
    }
}
