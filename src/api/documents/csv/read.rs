//! Reading CSV: parsing documents as their lines arrive.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Number, Value};

use super::{COLUMNS, Dialect};
use crate::error::Error;
use crate::http::strict;
use crate::names::PSEUDO_TYPE;
use crate::query::{Path, time_of};

/// The greatest integer up to which a double, which is the database's type of numbers, is exact.
const EXACT: u64 = 1 << 53;
/// The byte order mark, which may precede the header line.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A table that is read line by line.
pub(crate) struct Table {
    reader: Reader,
    dialect: Dialect,
    columns: Option<Vec<Column>>,
    /// The bytes of the current line's cells; `ends` has the end of each.
    cells: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    ended: usize,
    /// `true` once any input has been read.
    begun: bool,
    /// The number of the current line.
    line: u64,
}

/// A column: the field of its cells, and their type.
struct Column {
    path: Path,
    meaning: Meaning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// JSON if the cell is valid JSON, else text.
    Any,
    Text,
    Time,
}

impl Table {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let reader = ReaderBuilder::new().delimiter(dialect.separator).build();
        Table {
            reader,
            dialect,
            columns: None,
            cells: vec![0; 1 << 10],
            filled: 0,
            ends: vec![0; 16],
            ended: 0,
            begun: false,
            line: 1,
        }
    }

    /// Returns the number of bytes of the unfinished line.
    pub(crate) fn held(&self) -> usize {
        self.filled
    }

    /// Parses the next document. Returns the number of bytes read, and the document if it is complete. Input
    /// that was not read has to be passed again.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<(usize, Option<Map<String, Value>>), Error> {
        if !self.begun {
            if input.len() < BOM.len() && BOM.starts_with(input) {
                return Ok((0, None));
            }
            self.begin(input)?;
        }
        let mut read = 0;
        while let Some(rest) = input.get(read..).filter(|rest| !rest.is_empty()) {
            let (taken, record) = self.step(rest)?;
            read += taken;
            if record && let Some(document) = self.record()? {
                return Ok((read, Some(document)));
            }
        }
        Ok((read, None))
    }

    /// Ends the input. Returns the document of the last line if it has no line break.
    pub(crate) fn finish(&mut self) -> Result<Option<Map<String, Value>>, Error> {
        let (_, record) = self.step(&[])?;
        let document = if record { self.record()? } else { None };
        if document.is_none() && self.columns.is_none() {
            return Err(Error::bad_request("CSV begins with a line of the columns' names."));
        }
        Ok(document)
    }

    fn begin(&mut self, input: &[u8]) -> Result<(), Error> {
        self.begun = true;
        match input {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(self.wrong("it is UTF-16; save it as UTF-8")),
            _ => Ok(()),
        }
    }

    /// Runs the reader. Returns the number of bytes read, and whether a line is complete.
    fn step(&mut self, input: &[u8]) -> Result<(usize, bool), Error> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            let (Some(cells), Some(ends)) =
                (self.cells.get_mut(self.filled..), self.ends.get_mut(self.ended..))
            else {
                return Err(Error::internal("a line of CSV was lost"));
            };
            let (result, read, written, ended) = self.reader.read_record(rest, cells, ends);
            taken += read;
            self.filled += written;
            self.ended += ended;
            match result {
                // The callers limit the length of a line.
                ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() > COLUMNS => {
                    return Err(self.wrong(&format!("it has more than {COLUMNS} cells")));
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok((taken, false)),
                ReadRecordResult::Record => return Ok((taken, true)),
            }
        }
    }

    /// Handles a complete line: the header, or a document.
    fn record(&mut self) -> Result<Option<Map<String, Value>>, Error> {
        let (filled, ended) = (std::mem::take(&mut self.filled), std::mem::take(&mut self.ended));
        let text = std::str::from_utf8(self.cells.get(..filled).unwrap_or_default());
        let text = text.map_err(|_| self.wrong("it is not UTF-8"))?;
        let ends = self.ends.get(..ended).unwrap_or_default();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        // A cell that isn't UTF-8 would be a bug of the reader; it is treated as empty.
        let cells: Vec<_> =
            starts.zip(ends).map(|(start, end)| text.get(start..*end).unwrap_or_default()).collect();
        let made = match &self.columns {
            None => {
                let columns = columns(&cells, &self.dialect).map_err(|reason| self.wrong(&reason))?;
                self.columns = Some(columns);
                None
            }
            Some(columns) => Some(document(columns, &cells).map_err(|reason| self.wrong(&reason))?),
        };
        self.line = self.reader.line();
        Ok(made)
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::bad_request(format!("In the line {} of the CSV: {reason}.", self.line))
    }
}

/// Parses the header line.
fn columns(cells: &[&str], dialect: &Dialect) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for (at, name) in cells.iter().enumerate() {
        let path = Path::parse(name, "columns")
            .map_err(|_| format!("the name of column {} is not that of a field", at + 1))?;
        if columns.iter().any(|other| other.path.begins(&path) || path.begins(&other.path)) {
            return Err(format!("column {} is there twice, or is a part of another", at + 1));
        }
        let meaning = match (dialect.text.have(&path), dialect.time.have(&path)) {
            (true, _) => Meaning::Text,
            (_, true) => Meaning::Time,
            _ => Meaning::Any,
        };
        columns.push(Column { path, meaning });
    }
    Ok(columns)
}

/// Makes a document of a line. An empty cell is a missing field.
fn document(columns: &[Column], cells: &[&str]) -> Result<Map<String, Value>, String> {
    if cells.len() != columns.len() {
        return Err(format!("it has {} cells, and the first line {}", cells.len(), columns.len()));
    }
    let mut document = Map::new();
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let value = value(column.meaning, cell).map_err(|reason| format!("`{}` {reason}", column.path))?;
        column.path.overwrite(&mut document, value);
    }
    match document.contains_key(PSEUDO_TYPE) {
        true => Err(format!("a document has no `{PSEUDO_TYPE}`")),
        false => Ok(document),
    }
}

fn value(meaning: Meaning, cell: &str) -> Result<Value, String> {
    match meaning {
        Meaning::Text => Ok(cell.into()),
        Meaning::Time => time_of(cell).ok_or_else(|| "is no time as ISO 8601 writes it".to_owned()),
        Meaning::Any => match strict::read(cell.as_bytes()) {
            // Stored as text, so that no digit of a long number is lost.
            Ok(Value::Number(number)) if !is_exact(&number) => Ok(cell.into()),
            Ok(value) => Ok(value),
            Err(error) if error.is_data() => Err("is JSON that can't be stored".to_owned()),
            Err(_) => Ok(cell.into()),
        },
    }
}

/// Returns whether the database can store a number exactly, if it is an integer.
fn is_exact(number: &Number) -> bool {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => number <= EXACT,
        (_, Some(number)) => number.unsigned_abs() <= EXACT,
        // serde_json parses integers beyond 64 bits as floats.
        _ => number.as_f64().is_some_and(|number| number.fract() != 0.0 || number.abs() <= EXACT as f64),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::query::Parameters;

    fn read_with(query: &str, parts: &[&[u8]]) -> Result<Value, String> {
        let dialect =
            Dialect::take(&mut Parameters::parse(query).unwrap()).map_err(|error| error.to_string())?;
        let (mut table, mut pending, mut documents) = (Table::new(dialect), Vec::new(), Vec::new());
        for part in parts {
            pending.extend_from_slice(part);
            loop {
                let (read, document) = table.push(&pending).map_err(|error| error.to_string())?;
                pending.drain(..read);
                match document {
                    Some(document) => documents.push(document),
                    None => break,
                }
            }
        }
        documents.extend(table.finish().map_err(|error| error.to_string())?);
        Ok(json!(documents))
    }

    fn read(text: &str) -> Result<Value, String> {
        read_with("", &[text.as_bytes()])
    }

    #[test]
    fn cells_are_json_or_text() {
        let text = "id,name,ok,tags,address.city,zip,big\r\n\
                    1,Bruce,true,\"[1,\"\"a\"\"]\",Oslo,0150,12345678901234567890\r\n\
                    \"2\",\"a \"\"b\"\", c\nd\",null,,,\"\"\"42\"\"\",-9007199254740993\r\n";
        let expected = json!([
            {"id": 1, "name": "Bruce", "ok": true, "tags": [1, "a"], "address": {"city": "Oslo"},
             "zip": "0150", "big": "12345678901234567890"},
            {"id": 2, "name": "a \"b\", c\nd", "ok": null, "zip": "42", "big": "-9007199254740993"},
        ]);
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read(&text.replace("\r\n", "\n")).unwrap(), expected);
        // Without a line break at the end, with empty lines, and with a byte order mark.
        assert_eq!(read(text.trim_end()).unwrap(), expected);
        assert_eq!(read(&format!("\u{feff}\r\n{text}\r\n\r\n")).unwrap(), expected);
    }

    #[test]
    fn lines_are_found_wherever_the_body_is_cut() {
        let text = "\u{feff}a,\"b, c\"\r\n1,\"x\r\ny\"\r\n\r\nä,\u{feff}\r\n";
        let whole = read(text);
        assert_eq!(whole, Ok(json!([{"a": 1, "b, c": "x\r\ny"}, {"a": "ä", "b, c": "\u{feff}"}])));
        for cut in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            assert_eq!(read_with("", &[one, other]), whole, "{cut}");
        }
        let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
        assert_eq!(read_with("", &bytes), whole);
    }

    #[test]
    fn a_dialect_is_given_by_parameters() {
        let read = |query: &str, text: &str| read_with(query, &[text.as_bytes()]);
        assert_eq!(read("separator=;", "a;b\n1,5;2\n"), Ok(json!([{"a": "1,5", "b": 2}])));
        assert_eq!(read("separator=tab", "a\tb\n1\t2\n"), Ok(json!([{"a": 1, "b": 2}])));
        assert_eq!(
            read("text=zip,a.b", "zip,a.b,c\n1,2,3\n"),
            Ok(json!([{"zip": "1", "a": {"b": "2"}, "c": 3}]))
        );
        assert_eq!(read("text=*", "a,b\n1,null\n"), Ok(json!([{"a": "1", "b": "null"}])));
        let time = json!({"$reql_type$": "TIME", "epoch_time": 0.0, "timezone": "+00:00"});
        assert_eq!(read("time=t", "t\n1970-01-01T00:00:00Z\n"), Ok(json!([{"t": time}])));
        assert!(read("time=t", "t\nsoon\n").is_err());
        assert!(read("separator=x", "a\n").is_err());
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        for (text, line) in [
            ("a,b\n1,2\n1\n", 3),
            ("a,b\n\n\"x\ny\",2\n1,2,3\n", 5),
            ("a,a\n", 1),
            ("a,a.b\n", 1),
            ("a,\n", 1),
            ("a\n{\"b\":1,\"b\":2}\n", 2),
            ("$reql_type$\n1\n", 2),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(&format!("line {line} ")), "{text:?}: {error}");
        }
        assert!(read("").is_err());
        assert!(read_with("", &[b"\xff\xfea\0"]).is_err());
        assert!(read_with("", &[b"a\n\xff\n"]).is_err());
        let wide = vec!["1"; 3000].join(",");
        assert!(read(&wide).is_err());
    }
}
