//! Log lines for programs: JSON and logfmt, with a field for each value of a record.

use std::fmt::Write as _;
use std::time::SystemTime;

use log::Record;
use log::kv::{Error, Key, Value, VisitSource};

use super::escape::{is_plain, quoted};

/// Returns a record as a JSON object on one line.
pub(super) fn json(time: SystemTime, record: &Record<'_>, message: &str) -> String {
    let mut line = String::from("{");
    each(time, record, message, |name, value| {
        let comma = if line.len() == 1 { "" } else { "," };
        let _ = match value {
            Field::Number(number) => write!(line, "{comma}{}:{number}", quoted(name)),
            Field::Text(text) => write!(line, "{comma}{}:{}", quoted(name), quoted(text)),
        };
    });
    line.push_str("}\n");
    line
}

/// Returns a record as `name=value` pairs on one line. Values that aren't a single word are quoted.
pub(super) fn logfmt(time: SystemTime, record: &Record<'_>, message: &str) -> String {
    let mut line = String::new();
    each(time, record, message, |name, value| {
        let space = if line.is_empty() { "" } else { " " };
        let _ = match value {
            Field::Number(number) => write!(line, "{space}{name}={number}"),
            Field::Text(text) if is_word(text) => write!(line, "{space}{name}={text}"),
            Field::Text(text) => write!(line, "{space}{name}={}", quoted(text)),
        };
    });
    line.push('\n');
    line
}

enum Field<'a> {
    /// A number, to be written as it is.
    Number(&'a str),
    Text(&'a str),
}

/// Calls `field` for each value of a record, the time first.
fn each(time: SystemTime, record: &Record<'_>, message: &str, mut field: impl FnMut(&str, Field<'_>)) {
    let time = humantime::format_rfc3339_millis(time).to_string();
    field("time", Field::Text(&time));
    field("level", Field::Text(&record.level().as_str().to_ascii_lowercase()));
    field("target", Field::Text(record.target()));
    field("message", Field::Text(message));
    // It fails only if the visitor fails, which this one never does.
    let _ = record.key_values().visit(&mut Visitor(field));
}

struct Visitor<F>(F);

impl<F: FnMut(&str, Field<'_>)> VisitSource<'_> for Visitor<F> {
    fn visit_pair(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Error> {
        if value.to_u64().is_some() || value.to_f64().is_some_and(f64::is_finite) {
            (self.0)(key.as_str(), Field::Number(&value.to_string()));
        } else if let Some(text) = value.to_borrowed_str() {
            (self.0)(key.as_str(), Field::Text(text));
        } else {
            (self.0)(key.as_str(), Field::Text(&value.to_string()));
        }
        Ok(())
    }
}

/// Returns true if a value needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= super::escape::LENGTH_MAX
        && text.chars().all(|c| is_plain(c) && !c.is_whitespace() && !"\"=\\".contains(c))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use log::Level;

    use super::*;

    fn line(format: fn(SystemTime, &Record<'_>, &str) -> String, message: &str) -> String {
        let pairs = [
            ("status", Value::from(204)),
            ("duration", Value::from(0.0015)),
            ("user", Value::from("b\nob =")),
        ];
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let record = Record::builder().level(Level::Info).target("warp_reql::x").key_values(&pairs).build();
        format(time, &record, message)
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let line = line(json, "GET /\n\u{2028}\"");
        assert_eq!(line.lines().count(), 1);
        let expected = serde_json::json!({
            "time": "2023-11-14T22:13:20.123Z", "level": "info", "target": "warp_reql::x",
            "message": "GET /\n\u{2028}\"", "status": 204, "duration": 0.0015, "user": "b\nob =",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
    }

    #[test]
    fn a_line_of_logfmt_has_pairs() {
        let expected = "time=2023-11-14T22:13:20.123Z level=info target=warp_reql::x message=\"GET \
            \\\"/\\n\" status=204 duration=0.0015 user=\"b\\nob =\"\n";
        assert_eq!(line(logfmt, "GET \"/\n"), expected);
    }
}
