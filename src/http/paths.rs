//! The paths of the API: their templates, and the way in which names and ids are written in them.
//!
//! On its way a path meets clients, proxies and caches that rewrite it. They take out segments that are dots,
//! escaped or not, and segments that are empty. Some undo escapes, and then see slashes where there were
//! none. So an id stands in a path in a form that all of them leave alone, and a path that one of them would
//! rewrite is no path here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::context::Context;
use super::prefix::{TABLES, in_database};
use crate::database::Database;
use crate::error::{Code, Error};
use crate::names::PSEUDO_TYPE;
use crate::names::{is_name, is_new_name};
use crate::query::{decode, value};
use crate::reserved;

/// The characters that need no escape in a segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters that would divide a path, or begin something other than a path, once their escapes are
/// undone.
const DIVIDING: &[char] = &['/', '\\', '%', '?', '#', ';'];

/// The paths that requests about data start with. The others tell of the service itself: they need no
/// credentials, and answer even when it is busy with requests.
const DATA: [&str; 3] = [TABLES, "/tickets", "/reql"];

/// Returns whether a path, or a template of paths, is about tables, and not about the service itself.
pub(crate) fn is_about_data(path: &str) -> bool {
    DATA.iter().any(|data| path.starts_with(data))
}

/// Checks that nobody on the way would have made another path of this one: it has no segment that is empty or
/// dots.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    for segment in segments.filter(|_| path != "/") {
        if segment.is_empty() {
            return Err(Error::from(Code::NoSuchPath));
        }
        if is_dots(segment) {
            return Err(Error::bad_request(format!(
                "The id `{segment}` must stand in a path as JSON, in quotes."
            )));
        }
    }
    Ok(())
}

/// Returns whether a segment is what RFC 3986 calls a dot segment, however it is escaped.
fn is_dots(segment: &str) -> bool {
    // A longer one is none, and needs not be looked at.
    segment.len() <= "%2e%2e".len()
        && matches!(&segment.to_ascii_lowercase().replace("%2e", ".")[..], "." | "..")
}

impl Context {
    /// Returns the name of the database that the path names; `None` if it names none, and is about that of
    /// `rdb.db`.
    pub(crate) fn database_name(&self) -> Result<Option<String>, Error> {
        self.database_segment().map(name).transpose()
    }

    /// Returns a path within the database that this request is about.
    pub(crate) fn within(&self, path: &str) -> Result<String, Error> {
        Ok(in_database(self.database_name()?.as_deref(), path))
    }

    /// Returns the database that the request is about.
    ///
    /// # Errors
    ///
    /// [`Code::BadName`] if the path names one in a wrong way, [`Code::NoSuchDatabase`] if it isn't served.
    pub(crate) fn database(&self) -> Result<Database, Error> {
        let own = self.app().database();
        match self.database_name()? {
            None => Ok(own.clone()),
            Some(name) if self.app().settings().databases.has(&name) => Ok(own.named(&name)),
            Some(_) => Err(Error::from(Code::NoSuchDatabase)),
        }
    }

    /// Returns the name of the table that the path is about.
    pub(crate) fn table(&self) -> Result<String, Error> {
        let name = name(self.segment("table"))?;
        if reserved::is_table(&name) { Err(Error::from(Code::NoSuchTable)) } else { Ok(name) }
    }

    /// Returns the name of the index that the path is about.
    pub(crate) fn index(&self) -> Result<String, Error> {
        name(self.segment("index"))
    }

    /// Returns the id of the document that the path is about.
    pub(crate) fn document(&self) -> Result<Value, Error> {
        id(self.segment("id"))
    }
}

/// Reads the name of a database, table or index in a path.
fn name(segment: &str) -> Result<String, Error> {
    let name = decode(segment)?;
    if is_name(&name) { Ok(name) } else { Err(Error::bad_name(&name)) }
}

/// Checks that something new may have this name.
pub(crate) fn check_new_name(name: &str) -> Result<(), Error> {
    if is_new_name(name) { Ok(()) } else { Err(Error::bad_name(name)) }
}

/// Reads the id of a document in a path.
fn id(segment: &str) -> Result<Value, Error> {
    let id = value(&decode(segment)?);
    check_id(&id)?;
    Ok(id)
}

fn is_time_or_binary(fields: &Map<String, Value>) -> bool {
    fields.get(PSEUDO_TYPE).is_some_and(|kind| kind == "TIME" || kind == "BINARY")
}

fn check_id(id: &Value) -> Result<(), Error> {
    match id {
        Value::Object(fields) if is_time_or_binary(fields) => Ok(()),
        Value::Null | Value::Object(_) => Err(Error::bad_request(
            "An id is a string, a number, a boolean, a time, binary data, or an array of those.",
        )),
        Value::Array(items) => items.iter().try_for_each(check_id),
        _ => Ok(()),
    }
}

/// Writes an id as a segment of a path, such that reading it gives the same id, and nobody on the way makes
/// another path of it.
pub(crate) fn segment(id: &Value) -> String {
    let stands_for_itself = |text: &String| {
        value(text) == *id && !matches!(&text[..], "" | "." | "..") && !text.contains(divides)
    };
    let text = match id {
        Value::String(text) if stands_for_itself(text) => text.clone(),
        // All that divides is in strings, where JSON has another way to write it.
        id => id.to_string().chars().map(undivided).collect(),
    };
    utf8_percent_encode(&text, SEGMENT).to_string()
}

fn divides(c: char) -> bool {
    DIVIDING.contains(&c) || c.is_control()
}

fn undivided(c: char) -> String {
    // A backslash is already the beginning of an escape.
    if c != '\\' && divides(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
}

/// Returns whether a path fits a template, such as `/tables/{table}`.
pub(crate) fn fits(path: &str, template: &str) -> bool {
    let (mut parts, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(want)) if part == want || (want.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    #[test]
    fn ids_are_values() {
        assert_eq!(id("42").unwrap(), json!(42));
        assert_eq!(id("%2242%22").unwrap(), json!("42"));
        assert_eq!(id("a%2Fb").unwrap(), json!("a/b"));
        assert_eq!(id("%5B1,%22a%22%5D").unwrap(), json!([1, "a"]));
        for wrong in ["null", "%7B%7D", "%5Bnull%5D", "%FF", "%7B%22$reql_type$%22:%22GEOMETRY%22%7D"] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn segments_read_back_as_their_ids() {
        let time = json!({"$reql_type$": "TIME", "epoch_time": 1.5, "timezone": "+05:30"});
        for (id, expected) in [
            (json!("bob"), "bob"),
            (json!("a b"), "a%20b"),
            (json!("..."), "..."),
            (json!("42"), "%2242%22"),
            (json!(42), "42"),
            (json!(true), "true"),
            (json!("\"q\""), "%22%5C%22q%5C%22%22"),
            (json!(""), "%22%22"),
            (json!("."), "%22.%22"),
            (json!(".."), "%22..%22"),
            (json!("%2e%2e"), "%22%5Cu00252e%5Cu00252e%22"),
            (json!("../x"), "%22..%5Cu002fx%22"),
            (json!(["a/b"]), "%5B%22a%5Cu002fb%22%5D"),
            (json!("é"), "%C3%A9"),
            (
                time,
                "%7B%22%24reql%5Ftype%24%22%3A%22TIME%22%2C%22epoch%5Ftime%22%3A1.5%2C\
                 %22timezone%22%3A%22%2B05%3A30%22%7D",
            ),
        ] {
            let expected = expected.replace("%5F", "_");
            assert_eq!(segment(&id), expected, "{id}");
            assert_eq!(super::id(&expected).unwrap(), id);
        }
    }

    #[test]
    fn paths_that_someone_would_rewrite_are_none() {
        for path in ["/tables/", "//tables", "/tables//docs", "/tables/t/docs/", "/health/live/", "//", ""] {
            assert!(check(path).is_err_and(|error| error.code() == Code::NoSuchPath), "{path}");
        }
        for path in ["/tables/t/docs/..", "/tables/./docs", "/tables/t/docs/%2e%2E", "/tables/t/docs/.%2e"] {
            assert!(check(path).is_err_and(|error| error.code() == Code::BadRequest), "{path}");
        }
        for path in ["/", "/tables", "/tables/t/docs/...", "/tables/t/docs/%22..%22", "/tables/t/docs/.a"] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn paths_have_templates() {
        for (path, template, expected) in [
            ("/tables", "/tables", true),
            ("/tables/heroes", "/tables/{table}", true),
            ("/tables/heroes/docs/%2F", "/tables/{table}/docs/{id}", true),
            ("/tables/heroes", "/tables", false),
            ("/tables//docs", "/tables/{table}/docs", false),
            ("/tables/heroes/docs/1/2", "/tables/{table}/docs/{id}", false),
            ("/tables/", "/tables/{table}", false),
            ("/", "/tables", false),
            ("", "/tables", false),
        ] {
            assert_eq!(fits(path, template), expected, "{path}");
        }
    }
}
