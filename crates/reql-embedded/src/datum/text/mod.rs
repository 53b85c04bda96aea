//! Text: what RethinkDB's string terms do, and numbers read from text.

mod number;
pub mod regexp;
mod split;
pub mod template;

pub use number::parse_number;
pub use split::{Separator, split};

/// The text with the letters a to z in upper case; RethinkDB leaves all others alone.
pub fn upcase(text: &str) -> String {
    text.to_ascii_uppercase()
}

/// The text with the letters A to Z in lower case.
pub fn downcase(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// How many code points the text has.
pub fn count(text: &str) -> usize {
    text.chars().count()
}

/// The code points from `start` up to, not including, `end`; empty when there are none.
pub fn slice(text: &str, start: usize, end: usize) -> &str {
    let offset = |index| text.char_indices().nth(index).map_or(text.len(), |(offset, _)| offset);
    text.get(offset(start)..offset(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ascii() {
        assert_eq!(upcase("Abc ключ ß"), "ABC ключ ß");
        assert_eq!(downcase("Def КЛЮЧ"), "def КЛЮЧ");
    }

    #[test]
    fn code_points_are_counted_and_sliced() {
        assert_eq!(count("こんにちは"), 5);
        assert_eq!(slice("こんにちは", 1, 2), "ん");
        assert_eq!(slice("hello", 1, 99), "ello");
        assert_eq!(slice("hello", 3, 1), "");
        assert_eq!(slice("hello", 9, 12), "");
    }
}
