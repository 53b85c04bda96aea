//! The columns of CSV: what each cell becomes in a document.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::Dialect;
use crate::app::scale::values;
use crate::http::strict;
use crate::json;
use crate::names::PSEUDO_TYPE;
use crate::query::{Path, time_of};

/// The greatest integer up to which a double, which is the database's type of numbers, is exact.
const EXACT: u64 = 1 << 53;
/// The bytes of a time in JSON, without those of a cell that says so.
const TIME: usize = 100;

/// A column: the field of its cells, and their type.
pub(super) struct Column {
    path: Path,
    meaning: Meaning,
    /// The most bytes that a document has for it in JSON, without the cell.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// JSON if the cell is valid JSON, else text.
    Any,
    Text,
    Time,
}

/// The most that the document of a line may be.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Size {
    /// Its bytes as JSON.
    pub(crate) length: usize,
    /// The number of its values.
    pub(crate) values: u64,
}

impl Column {
    fn new(path: Path, dialect: &Dialect) -> Self {
        let meaning = match (dialect.text.have(&path), dialect.time.have(&path)) {
            (true, _) => Meaning::Text,
            (_, true) => Meaning::Time,
            _ => Meaning::Any,
        };
        let time = if meaning == Meaning::Time { TIME } else { 0 };
        // Beside each name, there are a colon, and a comma or two braces.
        let length = time + path.names().iter().map(|name| quoted(name.as_bytes()) + 3).sum::<usize>();
        Column { path, meaning, length }
    }

    /// Returns the number of bytes that it has in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Column>() + self.length
    }

    /// Returns the number of values that a document has for it, without those in the cell.
    fn values(&self) -> u64 {
        self.path.names().len() as u64 + if self.meaning == Meaning::Time { 3 } else { 0 }
    }
}

/// Returns the most bytes that a text has in JSON.
fn quoted(text: &[u8]) -> usize {
    let length = |byte: &u8| match byte {
        ..b' ' => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    2 + text.iter().map(length).sum::<usize>()
}

/// Parses the header line.
pub(super) fn parse(cells: &[&str], dialect: &Dialect) -> Result<Vec<Column>, String> {
    let column = |(at, name): (usize, &&str)| {
        let path = Path::parse(name, "columns").ok();
        path.filter(|path| !path.names().iter().any(|name| json::is_reserved(name)))
            .map(|path| Column::new(path, dialect))
            .ok_or_else(|| format!("the name of column {} is not that of a field", at + 1))
    };
    let columns = cells.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    match clash(&columns) {
        Some(at) => Err(format!("column {} is there twice, or is a part of another", at + 1)),
        None => Ok(columns),
    }
}

/// Returns a column whose field is that of another one before, or around it, or within it.
fn clash(columns: &[Column]) -> Option<usize> {
    let (mut fields, mut objects) = (HashSet::new(), HashSet::new());
    columns.iter().map(|column| column.path.names()).position(|names| {
        let mut around = (1..names.len()).filter_map(|length| names.get(..length));
        objects.extend(around.clone());
        objects.contains(names) || around.any(|names| fields.contains(names)) || !fields.insert(names)
    })
}

/// Returns the most that the document of a line may be.
pub(super) fn size<'a>(columns: &[Column], cells: impl Iterator<Item = &'a [u8]>) -> Size {
    let there = columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
    there.fold(Size::default(), |size, (column, cell)| {
        let inner = if column.meaning == Meaning::Any { values(cell) } else { 0 };
        Size {
            length: size.length + column.length + quoted(cell),
            values: size.values + column.values() + inner,
        }
    })
}

/// Makes a document of a line. An empty cell is a missing field.
pub(super) fn document(columns: &[Column], cells: &[&str]) -> Result<Map<String, Value>, String> {
    if cells.len() != columns.len() {
        return Err(format!("it has {} cells, and the first line {}", cells.len(), columns.len()));
    }
    let mut document = Map::new();
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let value = value(column, cell).map_err(|reason| format!("`{}` {reason}", column.path))?;
        column.path.overwrite(&mut document, value);
    }
    match document.contains_key(PSEUDO_TYPE) {
        true => Err(format!("a document has no `{PSEUDO_TYPE}`")),
        false => Ok(document),
    }
}

fn value(column: &Column, cell: &str) -> Result<Value, String> {
    match column.meaning {
        Meaning::Text => Ok(cell.into()),
        Meaning::Time => time_of(cell).ok_or_else(|| "is no time as ISO 8601 writes it".to_owned()),
        Meaning::Any => match strict::read_below(column.path.names().len(), cell.as_bytes()) {
            // Stored as text, so that no digit of a long number is lost.
            Ok(Value::Number(number)) if !is_exact(&number) => Ok(cell.into()),
            Ok(value) => Ok(value),
            Err(error) if error.is_data() => {
                Err(format!("is JSON that can't be stored: {}", strict::reason(&error)))
            }
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
