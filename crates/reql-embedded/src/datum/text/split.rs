//! `split`: at white space, at a separator, or between characters.

use std::sync::LazyLock;

use regex::Regex;

use super::cut;
use crate::budget::fuel;
use crate::budget::memory::LARGE;
use crate::error::Result;

/// The places at which a text is split.
#[derive(Debug, Clone, Copy)]
pub enum Separator<'a> {
    /// At runs of white space, as Unicode defines it; yields no empty pieces.
    Whitespace,
    /// At this text; between characters when it is empty.
    Text(&'a str),
}

/// The bytes that are searched between two looks whether to go on.
const WINDOW: usize = 64 << 10;

/// Characters that combine with the one before them, as of Unicode 6.1, which RethinkDB knows; later versions
/// have changed their minds about a few.
static COMBINING: LazyLock<Regex> = LazyLock::new(|| {
    const COMBINING: &str =
        r"[\p{M}\x{19B0}-\x{19C0}\x{19C8}\x{19C9}\x{1CF2}\x{1CF3}&&\p{Age=6.1}&&[^\x{1885}\x{1886}]]";
    Regex::new(&format!("^{COMBINING}*")).unwrap_or_else(|error| unreachable!("a constant pattern: {error}"))
});

/// Returns the pieces of a text. At most `limit` splits are made; the rest stays whole. The list of pieces is
/// counted until the innermost [`Scope`](fuel::Scope) ends, if it is long.
pub fn split<'a>(text: &'a str, separator: Separator<'_>, limit: usize) -> Result<Vec<&'a str>> {
    match separator {
        Separator::Whitespace => split_whitespace(text, limit),
        Separator::Text("") => split_characters(text, limit),
        Separator::Text(separator) => split_at(text, separator, limit),
    }
}

fn split_whitespace(text: &str, limit: usize) -> Result<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = skip_space(text)?;
    while !rest.is_empty() {
        let end =
            if pieces.len() == limit { None } else { find(rest, 1, |part| part.find(char::is_whitespace))? };
        let (piece, more) = rest.split_at(end.unwrap_or(rest.len()));
        push(&mut pieces, piece)?;
        rest = skip_space(more)?;
    }
    Ok(pieces)
}

fn skip_space(text: &str) -> Result<&str> {
    let start = find(text, 1, |part| part.find(|c: char| !c.is_whitespace()))?;
    Ok(&text[start.unwrap_or(text.len())..])
}

fn split_at<'a>(text: &'a str, separator: &str, limit: usize) -> Result<Vec<&'a str>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while pieces.len() < limit
        && let Some(end) = find(rest, separator.len(), |part| part.find(separator))?
    {
        push(&mut pieces, &rest[..end])?;
        rest = &rest[end + separator.len()..];
    }
    push(&mut pieces, rest)?;
    Ok(pieces)
}

fn split_characters(text: &str, limit: usize) -> Result<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while pieces.len() < limit
        && let Some(first) = rest.chars().next()
    {
        let (piece, more) = rest.split_at(first.len_utf8() + combining(&rest[first.len_utf8()..])?);
        push(&mut pieces, piece)?;
        rest = more;
    }
    if !rest.is_empty() {
        push(&mut pieces, rest)?;
    }
    Ok(pieces)
}

/// Returns the bytes of the combining characters at the start of a text.
fn combining(text: &str) -> Result<usize> {
    let mut end = 0;
    // None is among the characters of ASCII.
    while text[end..].bytes().next().is_some_and(|byte| !byte.is_ascii()) {
        let window = cut(&text[end..], WINDOW);
        let length = COMBINING.find(window).map_or(0, |found| found.len());
        fuel::spend_bytes(length)?;
        end += length;
        if length < window.len() {
            break;
        }
    }
    Ok(end)
}

/// Returns where something is found in a text that is searched part by part, and takes so many bytes at most.
fn find(text: &str, length: usize, search: impl Fn(&str) -> Option<usize>) -> Result<Option<usize>> {
    let mut start = 0;
    loop {
        // Parts overlap, so that nothing is missed between two of them.
        let part = cut(&text[start..], WINDOW.max(length) + length + 3);
        let found = search(part);
        fuel::spend_bytes(found.unwrap_or(part.len()))?;
        if let Some(at) = found {
            return Ok(Some(start + at));
        }
        if start + part.len() == text.len() {
            return Ok(None);
        }
        start += cut(part, part.len() - length).len();
    }
}

/// Appends a piece. A long list is counted before it grows.
fn push<'a>(pieces: &mut Vec<&'a str>, piece: &'a str) -> Result<()> {
    fuel::spend(1)?;
    if pieces.len() == pieces.capacity() {
        let grown = 2 * pieces.len() * size_of::<&str>();
        if grown > LARGE {
            fuel::keep(grown)?;
        }
    }
    pieces.push(piece);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn splits(text: &str, separator: Option<&str>, limit: Option<usize>, pieces: &[&str]) {
        let separator = separator.map_or(Separator::Whitespace, Separator::Text);
        assert_eq!(split(text, separator, limit.unwrap_or(usize::MAX)).unwrap(), pieces);
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

    #[test]
    fn what_lies_between_two_windows_is_found() {
        for before in WINDOW - 5..WINDOW + 5 {
            let text = format!("{}é  ab{}", "x".repeat(before), "y\u{301}".repeat(WINDOW));
            let (first, second) = text.split_once("  ").unwrap();
            splits(&text, None, None, &[first, second]);
            splits(&text, Some("  "), None, &[first, second]);
            splits(&text, Some("é  a"), None, &[&text[..before], &second[1..]]);
            splits(&text, Some("z"), None, &[&text]);
            let marks = format!("{}\u{301}b", "x\u{301}".repeat(before / 3));
            assert_eq!(split(&marks, Separator::Text(""), usize::MAX).unwrap().len(), before / 3 + 1);
        }
        let marks = format!("e{}b", "\u{301}".repeat(WINDOW));
        splits(&marks, Some(""), None, &[&marks[..marks.len() - 1], "b"]);
    }

    proptest! {
        #[test]
        fn joined_pieces_are_the_text(
            text in "[ab,\\u{301}é]{0,12}",
            separator in "[,a]{0,2}",
            limit in 0_usize..5,
        ) {
            let pieces = split(&text, Separator::Text(&separator), limit).unwrap();
            prop_assert_eq!(pieces.join(&separator), text.as_str());
            prop_assert!(pieces.len() <= limit + 1);
        }
    }
}
