//! Write hooks.

use super::bytes::Reader;
use super::function::{StoredFunction, Unreadable};
use super::{legacy, read, taken};
use crate::datum::{Datum, json};
use crate::error::{Error, Result};

/// The prefix that distinguishes the bytes of a write hook's definition from other bytes.
const MAGIC: &str = "$reql_write_hook_function$";

/// The hint in errors of write hooks that aren't deterministic.
pub const HINT: &str = "Write hook functions must be deterministic.";

/// Returns a write hook as `get_write_hook` and `table_config` show it, by its text.
pub fn hook_row(text: &str) -> Result<Datum> {
    let function = read(text, legacy::write_hook)?;
    let bytes = [MAGIC.as_bytes(), &function.to_bytes()?].concat();
    Ok(Datum::object([
        ("function", Datum::Binary(bytes.into())),
        ("query", Datum::from(format!("setWriteHook({})", function.as_javascript()))),
    ]))
}

/// Returns the text of a write hook from the bytes that `get_write_hook` shows.
pub fn hook_from_binary(bytes: &[u8]) -> Result<String> {
    let foreign = |_: &str| {
        Error::logic(
            "Cannot create a write hook except from a reql_write_hook_function returned from \
             `get_write_hook`.",
        )
    };
    let bytes = bytes.strip_prefix(MAGIC.as_bytes()).ok_or_else(|| foreign(""))?;
    let function = if bytes.first() == Some(&b'[') {
        let function = json::utf8(bytes).and_then(legacy::write_hook);
        function.map_err(|error| Unreadable::Wrong(error.message().to_owned()))
    } else {
        StoredFunction::read(&mut Reader::new(bytes))
    };
    taken(function, foreign, HINT)
}
