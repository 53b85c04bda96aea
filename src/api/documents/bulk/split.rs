//! Splitting a JSON body into its documents.

use serde_json::{Map, Value};

use crate::error::Error;
use crate::http::body::document;

/// A splitter of a body into documents, byte by byte.
pub(crate) struct Splitter {
    form: Form,
    item: Vec<u8>,
    /// The number of arrays and objects of the item that are open.
    depth: usize,
    quoted: bool,
    escaped: bool,
    here: Place,
    /// The start of the item.
    start: Place,
}

/// The format of the body, and the position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    /// Before the bracket that opens the array.
    Array,
    /// In the array, before its first item.
    First,
    Item,
    /// After the array.
    End,
}

/// A position: the number of complete lines, and of bytes in the current one.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    lines: usize,
    columns: usize,
}

/// The text of a document.
pub(crate) struct Item {
    text: Vec<u8>,
    start: Place,
}

impl Splitter {
    pub(crate) fn lines() -> Self {
        Splitter::new(Form::Lines)
    }

    pub(crate) fn array() -> Self {
        Splitter::new(Form::Array)
    }

    fn new(form: Form) -> Self {
        Splitter {
            form,
            item: Vec::new(),
            depth: 0,
            quoted: false,
            escaped: false,
            here: Place::default(),
            start: Place::default(),
        }
    }

    /// Returns the number of bytes of the unfinished item.
    pub(crate) fn held(&self) -> usize {
        self.item.len()
    }

    /// Adds a byte. Returns an item if the byte completes one.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Item>, Error> {
        let item = match self.form {
            Form::Lines if byte == b'\n' => self.line(),
            Form::Lines => {
                self.item.push(byte);
                None
            }
            Form::Array | Form::End if byte.is_ascii_whitespace() => None,
            Form::Array if byte == b'[' => {
                self.form = Form::First;
                None
            }
            Form::Array => return Err(self.wrong("expected an array")),
            Form::End => return Err(self.wrong("trailing characters")),
            Form::First | Form::Item => self.inner(byte),
        };
        self.advance(byte);
        if item.is_some() || self.item.is_empty() {
            self.start = self.here;
        }
        Ok(item)
    }

    /// Ends the body. Returns the last line if it has no line break.
    pub(crate) fn finish(&mut self) -> Result<Option<Item>, Error> {
        match self.form {
            Form::Lines => Ok(self.line()),
            Form::End => Ok(None),
            _ => {
                self.here.columns = self.here.columns.saturating_sub(1);
                Err(self.wrong("EOF while parsing a list"))
            }
        }
    }

    fn line(&mut self) -> Option<Item> {
        let text = std::mem::take(&mut self.item);
        (!text.trim_ascii().is_empty()).then_some(Item { text, start: self.start })
    }

    fn inner(&mut self, byte: u8) -> Option<Item> {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => self.quoted = true,
                b'[' | b'{' => self.depth += 1,
                b',' if self.depth == 0 => {
                    self.form = Form::Item;
                    return Some(self.item());
                }
                b']' if self.depth == 0 => {
                    let empty = self.form == Form::First && self.item.trim_ascii().is_empty();
                    self.form = Form::End;
                    let item = self.item();
                    return (!empty).then_some(item);
                }
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.item.push(byte);
        None
    }

    fn item(&mut self) -> Item {
        Item { text: std::mem::take(&mut self.item), start: self.start }
    }

    fn advance(&mut self, byte: u8) {
        if byte == b'\n' {
            self.here = Place { lines: self.here.lines + 1, columns: 0 };
        } else {
            self.here.columns += 1;
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        let Place { lines, columns } = self.here;
        Error::bad_json(lines + 1, columns + 1, reason)
    }
}

impl Item {
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn parse(&self) -> Result<Map<String, Value>, Error> {
        let Place { lines, columns } = self.start;
        document(&self.text).map_err(|error| error.moved(lines, columns))
    }
}
