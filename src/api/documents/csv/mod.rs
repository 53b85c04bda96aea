//! Documents as CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)): a header line, then a line for
//! each.
//!
//! CSV has no types, so a dialect says how cells are read. `docs/recipes.md` describes it for users.

mod columns;
mod read;
mod write;

use crate::error::Error;
use crate::query::{Parameters, Path};
pub(crate) use read::{Line, Table};
pub(crate) use write::Writer;

/// The media type of answers, which have a header line
/// ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180#section-3)).
pub(crate) const CSV_WITH_NAMES: &str = "text/csv; charset=utf-8; header=present";
/// The most columns of a table.
pub(crate) const COLUMNS: usize = 1000;

/// The separator, and the columns of text and of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    separator: u8,
    text: Columns,
    time: Columns,
}

/// Some columns, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Columns {
    All,
    These(Vec<Path>),
}

impl Dialect {
    /// Takes the parameters that a request with CSV in its body may have: `separator`, `text` and `time`.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Self, Error> {
        let mut columns = |name: &str| match parameters.take(name)?.as_deref() {
            None => Ok(Columns::These(Vec::new())),
            Some("*") => Ok(Columns::All),
            Some(list) => Path::parse_list(list, name, COLUMNS).map(Columns::These),
        };
        let (text, time) = (columns("text")?, columns("time")?);
        Ok(Dialect { separator: separator(parameters)?, text, time })
    }
}

/// Takes the parameter `separator`: `,` (the default), `;`, `|`, or `tab`.
pub(crate) fn separator(parameters: &mut Parameters) -> Result<u8, Error> {
    match parameters.take("separator")?.as_deref() {
        None | Some(",") => Ok(b','),
        Some(";") => Ok(b';'),
        Some("|") => Ok(b'|'),
        Some("tab" | "\t") => Ok(b'\t'),
        Some(_) => Err(Error::bad_parameter("separator", "it must be `,`, `;`, `|` or `tab`")),
    }
}

impl Columns {
    fn have(&self, column: &Path) -> bool {
        match self {
            Columns::All => true,
            Columns::These(columns) => columns.contains(column),
        }
    }
}
