//! `split`: at white space, at a separator, or between characters.

use std::sync::LazyLock;

use regex::Regex;

/// The places at which a text is split.
#[derive(Debug, Clone, Copy)]
pub enum Separator<'a> {
    /// At runs of white space, as Unicode defines it; yields no empty pieces.
    Whitespace,
    /// At this text; between characters when it is empty.
    Text(&'a str),
}

impl Separator<'_> {
    /// Returns an upper bound of the number of pieces of a text.
    pub fn count(self, text: &str) -> usize {
        1 + match self {
            Separator::Whitespace => text.split_whitespace().count(),
            Separator::Text("") => text.chars().count(),
            Separator::Text(separator) => text.matches(separator).count(),
        }
    }
}

/// A character with the combining ones that follow it, as of Unicode 6.1, which RethinkDB knows. Later
/// versions have changed a few.
static CHARACTER: LazyLock<Regex> = LazyLock::new(|| {
    const COMBINING: &str =
        r"[\p{M}\x{19B0}-\x{19C0}\x{19C8}\x{19C9}\x{1CF2}\x{1CF3}&&\p{Age=6.1}&&[^\x{1885}\x{1886}]]";
    Regex::new(&format!("(?s).{COMBINING}*"))
        .unwrap_or_else(|error| unreachable!("a constant pattern: {error}"))
});

/// Returns the pieces of a text. At most `limit` splits are made; the rest stays whole.
pub fn split<'a>(text: &'a str, separator: Separator<'_>, limit: usize) -> Vec<&'a str> {
    match separator {
        Separator::Whitespace => split_whitespace(text, limit),
        Separator::Text("") => split_characters(text, limit),
        Separator::Text(separator) => text.splitn(limit.saturating_add(1), separator).collect(),
    }
}

fn split_whitespace(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = if pieces.len() == limit { None } else { rest.find(char::is_whitespace) };
        let (piece, more) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = more.trim_start();
    }
    pieces
}

fn split_characters(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces: Vec<&str> = CHARACTER.find_iter(text).take(limit).map(|found| found.as_str()).collect();
    let rest = &text[pieces.iter().map(|piece| piece.len()).sum()..];
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn splits(text: &str, separator: Option<&str>, limit: Option<usize>, pieces: &[&str]) {
        let separator = separator.map_or(Separator::Whitespace, Separator::Text);
        assert_eq!(split(text, separator, limit.unwrap_or(usize::MAX)), pieces);
    }

    #[test]
    fn white_space_leaves_no_empty_pieces() {
        splits("", None, None, &[]);
        splits("  ", None, Some(5), &[]);
        splits("  aaaa bbbb  cccc ", None, None, &["aaaa", "bbbb", "cccc"]);
        splits("aaaa bbbb  cccc ", None, Some(3), &["aaaa", "bbbb", "cccc"]);
        splits("aaaa bbbb  cccc ", None, Some(2), &["aaaa", "bbbb", "cccc "]);
        splits("  aaaa bbbb  cccc ", None, Some(1), &["aaaa", "bbbb  cccc "]);
        splits("  a b ", None, Some(0), &["a b "]);
        splits("a  b  ", None, Some(2), &["a", "b"]);
        splits("a\u{3000}b\u{85}c\u{200B}d", None, None, &["a", "b", "c\u{200B}d"]);
    }

    #[test]
    fn separators_leave_empty_pieces() {
        splits("", Some(" "), None, &[""]);
        splits("  ", Some(" "), None, &["", "", ""]);
        splits("aaaa bbbb  cccc ", Some("b"), Some(2), &["aaaa ", "", "bb  cccc "]);
        splits("aaaa bbbb  cccc ", Some("bb"), None, &["aaaa ", "", "  cccc "]);
        splits("a,b", Some(","), Some(0), &["a,b"]);
    }

    #[test]
    fn the_empty_separator_keeps_combining_characters_together() {
        splits("", Some(""), Some(5), &[]);
        splits("日本語🎉", Some(""), None, &["日", "本", "語", "🎉"]);
        splits("e\u{301}\u{302}a\n", Some(""), None, &["e\u{301}\u{302}", "a", "\n"]);
        splits("\u{301}a", Some(""), None, &["\u{301}", "a"]);
        splits("\u{1980}\u{19B0}\u{1885}", Some(""), None, &["\u{1980}\u{19B0}", "\u{1885}"]);
        splits("abc", Some(""), Some(2), &["a", "b", "c"]);
        splits("abc", Some(""), Some(1), &["a", "bc"]);
        splits("abc", Some(""), Some(0), &["abc"]);
    }

    proptest! {
        #[test]
        fn joined_pieces_are_the_text(text in "[ab,\\u{301}é]{0,12}", separator in "[,a]{0,2}", limit in 0_usize..5) {
            let pieces = split(&text, Separator::Text(&separator), limit);
            prop_assert_eq!(pieces.join(&separator), text.as_str());
            prop_assert!(pieces.len() <= limit + 1);
        }
    }
}
