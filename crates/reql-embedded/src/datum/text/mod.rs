//! Text: splitting it and searching it.

pub mod regexp;
mod split;

pub use split::{Separator, split};

/// Returns the text up to its first NUL, as RethinkDB does where it handles text as a C string.
pub fn until_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// Returns the start of a text, of at most `length` bytes.
pub(super) fn cut(text: &str, mut length: usize) -> &str {
    if length >= text.len() {
        return text;
    }
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text[..length]
}
