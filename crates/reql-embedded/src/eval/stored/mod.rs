//! Functions that outlive their query: those of indexes and write hooks.
//!
//! They are kept, shown and taken back in RethinkDB's own bytes, so that an archive of either server restores
//! into the other. In the store, these bytes are text in base64.

mod bytes;
mod function;
mod hook;
mod index;
mod legacy;
mod protobuf;
mod value;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use bytes::Reader;
use function::{StoredFunction, Unreadable};

pub use hook::{HINT as HOOK_HINT, hook_from_binary, hook_row};
pub use index::{Functions, HINT as INDEX_HINT, index_from_binary, index_query, index_to_binary};

use super::func::Func;
use super::spec::Determinism;
use crate::error::{Bt, Error, Result};

/// Returns the text of a function, for [`function`] to read.
pub fn text(func: &Func) -> Result<String> {
    checked_text(&StoredFunction::new(func)?)
}

/// Returns the text of the function of an index that is named after a field. It blames `bt`.
pub fn text_of_field(name: &str, bt: Bt) -> Result<String> {
    checked_text(&StoredFunction::of_field(name, bt))
}

/// Reads the function of a text.
pub fn function(text: &str) -> Result<Func> {
    read(text, legacy::index_function)?.compile().map_err(|error| error.moved_to(Bt::default()))
}

/// Returns the text of a function, after checking that it can be read again.
fn checked_text(function: &StoredFunction) -> Result<String> {
    let bytes = function.to_bytes()?;
    match StoredFunction::read(&mut Reader::new(&bytes)) {
        Ok(_) => Ok(STANDARD.encode(&bytes)),
        // Objects take two levels where they took one in the query.
        Err(_) => Err(Error::logic("Function too deeply nested to be stored.")),
    }
}

/// Reads a text of the store; `legacy` reads those of earlier versions.
fn read(text: &str, legacy: impl FnOnce(&str) -> Result<StoredFunction>) -> Result<StoredFunction> {
    if legacy::is_legacy(text) {
        return legacy(text);
    }
    let damaged = || Error::internal("A stored function is damaged.");
    let bytes = STANDARD.decode(text).map_err(|_| damaged())?;
    StoredFunction::read(&mut Reader::new(&bytes)).map_err(|_| damaged())
}

/// Returns the text of a function that came in as bytes. Fails unless it compiles and is deterministic.
fn taken(
    function: std::result::Result<StoredFunction, Unreadable>,
    unreadable: impl FnOnce(&str) -> Error,
    hint: &str,
) -> Result<String> {
    let function = match function {
        Ok(function) => function,
        Err(Unreadable::Script) => {
            return Err(Error::logic(format!("Could not prove function deterministic.  {hint}")));
        }
        Err(Unreadable::Wrong(message)) => return Err(unreadable(&message)),
        Err(Unreadable::Broken(broken)) => {
            let name = broken.name();
            return Err(unreadable(&format!(
                "Deserialization of sindex description failed with error {name}."
            )));
        }
    };
    let text = checked_text(&function)?;
    let func = function.compile().map_err(|error| unreadable(error.message()))?;
    func.check_deterministic(Determinism::ALWAYS, hint)?;
    Ok(text)
}
