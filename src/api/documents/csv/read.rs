//! Reading CSV: parsing documents as their lines arrive.
//!
//! Each document has the names of the columns, which may be longer than the line by far, so its size is known
//! before it is made.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::columns::{self, Column, Size};
use super::{COLUMNS, Dialect};
use crate::error::Error;

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

/// A complete line, of which no document is made yet.
pub(crate) struct Line<'a>(&'a mut Table);

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

    /// Returns the number of bytes that it has in memory.
    pub(crate) fn weight(&self) -> usize {
        self.cells.len() + self.columns.iter().flatten().map(Column::weight).sum::<usize>()
    }

    /// Reads the next line. Returns the number of bytes read, and the line if it is complete. Input that was
    /// not read has to be passed again.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<(usize, Option<Line<'_>>), Error> {
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
            if record && !self.header()? {
                return Ok((read, Some(Line(self))));
            }
        }
        Ok((read, None))
    }

    /// Ends the input. Returns the last line if it has no line break.
    pub(crate) fn finish(&mut self) -> Result<Option<Line<'_>>, Error> {
        // A line break ends the last line, unless it is inside of quotes: then it is one more byte of a cell.
        let filled = self.filled;
        let (_, record) = self.step(b"\n")?;
        if !record && self.filled > filled {
            return Err(self.wrong("a quote is opened and never closed"));
        }
        if record && !self.header()? {
            return Ok(Some(Line(self)));
        }
        match &self.columns {
            Some(_) => Ok(None),
            None => Err(Error::bad_request("CSV begins with a line of the columns' names.")),
        }
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

    /// Takes a complete line as the header if that isn't known yet. Returns whether it is.
    fn header(&mut self) -> Result<bool, Error> {
        if self.columns.is_some() {
            return Ok(false);
        }
        let cells = self.cells()?;
        let columns = columns::parse(&cells, &self.dialect).map_err(|reason| self.wrong(&reason))?;
        self.columns = Some(columns);
        self.advance();
        Ok(true)
    }

    /// Returns the cells of a complete line.
    fn cells(&self) -> Result<Vec<&str>, Error> {
        let text = std::str::from_utf8(self.cells.get(..self.filled).unwrap_or_default());
        let text = text.map_err(|_| self.wrong("it is not UTF-8"))?;
        // A cell that isn't UTF-8 would be a bug of the reader; it is treated as empty.
        Ok(self.bounds().map(|(start, end)| text.get(start..end).unwrap_or_default()).collect())
    }

    /// Returns the start and the end of each cell of a complete line.
    fn bounds(&self) -> impl Iterator<Item = (usize, usize)> {
        let ends = self.ends.get(..self.ended).unwrap_or_default().iter().copied();
        std::iter::once(0).chain(ends.clone()).zip(ends)
    }

    /// Goes on to the next line.
    fn advance(&mut self) {
        (self.filled, self.ended) = (0, 0);
        self.line = self.reader.line();
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::bad_request(format!("In the line {} of the CSV: {reason}.", self.line))
    }
}

impl Line<'_> {
    /// Returns the most that the document may be.
    pub(crate) fn size(&self) -> Size {
        let Line(table) = self;
        let cells = table.bounds().map(|(start, end)| table.cells.get(start..end).unwrap_or_default());
        columns::size(table.columns.as_deref().unwrap_or_default(), cells)
    }

    /// Makes the document.
    pub(crate) fn document(self) -> Result<Map<String, Value>, Error> {
        let Line(table) = self;
        let columns = table.columns.as_deref().unwrap_or_default();
        let made = columns::document(columns, &table.cells()?).map_err(|reason| table.wrong(&reason))?;
        table.advance();
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::scale::values;
    use crate::query::Parameters;

    fn read_with(query: &str, parts: &[&[u8]]) -> Result<Value, String> {
        let dialect =
            Dialect::take(&mut Parameters::parse(query).unwrap()).map_err(|error| error.to_string())?;
        let (mut table, mut pending, mut documents) = (Table::new(dialect), Vec::new(), Vec::new());
        for part in parts {
            pending.extend_from_slice(part);
            loop {
                let (read, line) = table.push(&pending).map_err(|error| error.to_string())?;
                let is_line = line.is_some();
                documents.extend(line.map(made).transpose()?);
                pending.drain(..read);
                if !is_line {
                    break;
                }
            }
        }
        let last = table.finish().map_err(|error| error.to_string())?;
        documents.extend(last.map(made).transpose()?);
        Ok(json!(documents))
    }

    /// Makes the document of a line, and checks that it is no larger than it was said to be.
    fn made(line: Line<'_>) -> Result<Map<String, Value>, String> {
        let size = line.size();
        let document = line.document().map_err(|error| error.to_string())?;
        let text = Value::Object(document.clone()).to_string();
        assert!(text.len() <= size.length + 2, "{size:?}: {text}");
        assert!(values(text.as_bytes()) <= size.values + 1, "{size:?}: {text}");
        Ok(document)
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
            ("a,b\n1,\"6 inch\n2,y\n3,z\n", 2),
            ("a,b\n1,\"", 2),
            ("a,\"b\n1,2\n", 1),
            ("a.b.c,a.b\n", 1),
            ("x,$serde_json::private::RawValue\n", 1),
            ("a.$serde_json::private::Number\n", 1),
            ("a\n{\"$serde_json::private::RawValue\":1}\n", 2),
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

    #[test]
    fn the_size_of_a_document_is_known_before_it_is_made() {
        let names = format!("{},\u{1}b,t,{}", "n".repeat(1000), vec!["d"; 32].join("."));
        let text = format!(
            "{names}\n1,\u{2}\\,1970-01-01,\"[[],{{\"\"a\"\":0}}]\"\n,,,\nx,,2000-02-29T12:00:00+14:00,\n"
        );
        assert_eq!(read_with("time=t", &[text.as_bytes()]).unwrap().as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn documents_are_as_deep_as_others() {
        let cell = |names: usize, depth: usize| {
            let name = vec!["a"; names].join(".");
            read(&format!("{name}\n{}{}\n", "[".repeat(depth), "]".repeat(depth)))
        };
        assert!(cell(1, 99).is_ok() && cell(32, 68).is_ok());
        for (names, depth) in [(1, 100), (32, 69), (32, 100)] {
            let error = cell(names, depth).unwrap_err();
            assert!(error.contains("line 2 ") && error.contains("nested more than 100 deep"), "{error}");
        }
    }

    #[test]
    fn many_long_names_are_compared_at_once() {
        let name = |at: usize| format!("{}{at}", "n".repeat(1000));
        let names: Vec<_> = (0..COLUMNS).map(name).collect();
        assert_eq!(read(&format!("{}\n", names.join(","))), Ok(json!([])));
        let twice = format!("{},{}\n", names[1..].join(","), name(1));
        assert!(read(&twice).unwrap_err().contains("column 1000 "));
    }
}
