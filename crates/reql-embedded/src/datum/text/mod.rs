//! Text: splitting it and searching it.

pub mod regexp;
mod split;

pub use split::{Separator, split};

/// The text up to its first NUL: what is left of it where RethinkDB handles it as a C string.
pub fn until_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}
