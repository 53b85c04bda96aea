//! The elements of an array in the text of JSON, found one after the other.
//!
//! Nothing is kept for each of them: an answer may have many millions.

use std::ops::Range;

/// The place of the rest of an array. The text has been read as JSON before, so that only brackets and quotes
/// matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Elements {
    next: usize,
    end: usize,
}

impl Elements {
    /// Takes the array in this place; any other value has no elements.
    pub(crate) fn of(text: &[u8], place: Range<usize>) -> Option<Self> {
        match text.get(place.clone())? {
            [b'[', .., b']'] => Some(Elements { next: place.start + 1, end: place.end - 1 }),
            _ => None,
        }
    }

    /// Returns the place of the next element.
    pub(crate) fn next(&mut self, text: &[u8]) -> Option<Range<usize>> {
        let rest = text.get(self.next..self.end)?;
        let gap = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b','))?;
        let start = self.next + gap;
        self.next = start + value_len(rest.get(gap..)?);
        Some(start..self.next)
    }

    /// Returns true once half of the array's text, or more, has been passed.
    pub(crate) fn is_half_read(self) -> bool {
        self.next >= self.end / 2
    }

    /// Returns true once the last element has been passed.
    pub(crate) fn is_read(self) -> bool {
        self.next >= self.end
    }

    /// Returns the place of the first element.
    pub(crate) fn first(mut self, text: &[u8]) -> Option<Range<usize>> {
        self.next(text)
    }
}

/// Returns the length of the value that a text begins with.
fn value_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += text_len(text.get(at + 1..).unwrap_or_default()),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b']' | b'}') {
            return at;
        }
    }
    text.len()
}

/// Returns the length of the rest of a string, with its quote.
fn text_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    text.len()
}
