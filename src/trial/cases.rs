//! The file of test cases.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use figment::providers::{Format, Toml};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::bounded;

/// A file of test cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    /// The documents of each table at the beginning of each case.
    #[serde(default)]
    pub(super) documents: BTreeMap<String, Vec<Value>>,
    pub(super) cases: Vec<Case>,
}

/// A test case: a request, its caller, and the expected answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    name: Option<String>,
    /// A role of the caller. Without role and claims, the request has no token.
    role: Option<String>,
    roles: Option<Vec<String>>,
    claims: Option<Map<String, Value>>,
    /// Method and path, such as `GET /tables/posts/docs`.
    request: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
    pub(super) status: u16,
    /// The ids of the documents in the answer, in any order.
    pub(super) rows: Option<Vec<Value>>,
    /// `true` if nothing may be written.
    #[serde(default)]
    pub(super) unchanged: bool,
}

impl Cases {
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        let wrong = |reason: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", file.display()))
        };
        let text = bounded::read_text(file).map_err(|error| wrong(error.to_string()))?;
        Toml::from_str(&text).map_err(|error| wrong(error.to_string()))
    }
}

impl Case {
    /// Returns the name of the case. Default: its request.
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.request.clone())
    }

    /// Returns the method and the path.
    pub(super) fn line(&self) -> io::Result<(&str, &str)> {
        let wrong = || {
            let reason =
                format!("`{}` is not a method and a path, such as `GET /tables/t/docs`", self.request);
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        self.request.split_once(' ').map(|(method, path)| (method, path.trim())).ok_or_else(wrong)
    }

    /// Returns the claims of the caller's token; `None` if there is none.
    pub(super) fn claims(&self) -> Option<Map<String, Value>> {
        let roles: Vec<&String> = self.role.iter().chain(self.roles.iter().flatten()).collect();
        if self.role.is_none() && self.roles.is_none() && self.claims.is_none() {
            return None;
        }
        let mut claims = self.claims.clone().unwrap_or_default();
        if !roles.is_empty() {
            claims.insert("role".to_owned(), roles.into_iter().cloned().collect());
        }
        Some(claims)
    }

    /// Checks the documents of an answer. Returns the ids that were found if they differ.
    pub(super) fn check_rows(&self, text: &str) -> Result<(), String> {
        let rows = match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(rows)) => rows,
            Ok(row @ Value::Object(_)) => vec![row],
            _ => return Err("no documents".to_owned()),
        };
        let sorted = |mut ids: Vec<Value>| {
            ids.sort_by_key(Value::to_string);
            ids
        };
        let found = sorted(rows.iter().map(|row| row.get("id").cloned().unwrap_or_default()).collect());
        let expected = sorted(self.rows.clone().unwrap_or_default());
        if found == expected { Ok(()) } else { Err(Value::from(found).to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cases_are_read() {
        let text = r#"
            [documents]
            t = [{ id = 1 }]

            [[cases]]
            role = "a"
            roles = ["b"]
            claims = { sub = "x" }
            request = "GET /tables/t/docs"
            status = 200
            rows = [2, 1]

            [[cases]]
            request = "nonsense"
            status = 400
        "#;
        let cases: Cases = Toml::from_str(text).unwrap();
        let [first, second] = &cases.cases[..] else { panic!("{cases:?}") };
        assert_eq!(Value::from(first.claims().unwrap()), json!({"sub": "x", "role": ["a", "b"]}));
        assert_eq!(first.line().unwrap(), ("GET", "/tables/t/docs"));
        assert!(first.check_rows(r#"[{"id":1},{"id":2}]"#).is_ok());
        for other in [r#"[{"id":1}]"#, r#"{"id":1}"#, "", "[1]"] {
            assert!(first.check_rows(other).is_err(), "{other}");
        }
        assert!(second.claims().is_none() && second.line().is_err());
        assert!(Toml::from_str::<Cases>("[[cases]]\nrequest = 'GET /'\nstatus = 1\nrow = []").is_err());
    }
}
