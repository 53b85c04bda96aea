//! Places in a text, and how they are shown to people.

use serde::Serialize;

/// A part of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Makes a span of offsets into a text, which is never longer than a `u32` says.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: offset(start), end: offset(end) }
    }

    /// Returns the span from the start of this one to the end of another.
    pub(crate) fn to(self, end: Span) -> Self {
        Span { start: self.start, end: end.end.max(self.end) }
    }

    /// Returns the part of a text; nothing if it isn't of this text.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A part of a text as it is shown: lines and columns count from 1, columns in characters (Unicode scalar
/// values). The end is the place behind the last character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// The line in which the part begins.
    pub(crate) line: usize,
    /// The column of its first character.
    pub(crate) column: usize,
    /// The line in which the part ends.
    pub(crate) end_line: usize,
    /// The column behind its last character.
    pub(crate) end_column: usize,
    /// The line in which the part begins, and a line that underlines the part.
    pub(crate) excerpt: String,
}

/// The number of characters of a line that are shown before and after the part, and how many of the part.
const AROUND: usize = 60;
const PART: usize = 120;

impl Place {
    /// Finds a part in its text.
    pub(crate) fn of(span: Span, text: &str) -> Self {
        let start = text.floor_char_boundary(span.start as usize);
        let end = text.floor_char_boundary(span.end as usize).max(start);
        let (line, column) = position(text, start);
        let (end_line, end_column) = position(text, end);
        Place { line, column, end_line, end_column, excerpt: excerpt(text, start, end) }
    }
}

/// Returns the line and the column of an offset.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Returns the line of a part and its underline, cut to what is near.
fn excerpt(text: &str, start: usize, end: usize) -> String {
    let (before, rest) = text.split_at(start);
    let before: Vec<char> = before.rsplit('\n').next().unwrap_or_default().chars().collect();
    let length = end - start;
    let rest = rest.split(['\n', '\r']).next().unwrap_or_default();
    let (part, after) = rest.split_at(rest.floor_char_boundary(length.min(rest.len())));
    let cut_before = before.len().saturating_sub(AROUND);
    let mut shown = String::from(if cut_before > 0 { "…" } else { "" });
    shown.extend(before.iter().skip(cut_before));
    let indent = shown.chars().count();
    let marks = part.chars().count().clamp(1, PART);
    shown.extend(part.chars().take(PART));
    if part.chars().nth(PART).is_some() {
        shown.push('…');
    } else {
        shown.extend(after.chars().take(AROUND));
        shown.extend(after.chars().nth(AROUND).map(|_| '…'));
    }
    // Characters without a width of their own would put the marks elsewhere.
    let shown: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{}\n{}{}", shown.trim_end(), " ".repeat(indent), "^".repeat(marks))
}
