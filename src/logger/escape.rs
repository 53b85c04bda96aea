//! Escaping of untrusted text, so that it can't end a line, move a cursor, or fill the log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest text, in bytes. Longer ones are cut.
pub(super) const LENGTH_MAX: usize = 4096;

/// Returns true for characters that don't end a line, move a cursor, or change the direction of text.
pub(super) fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes the characters that aren't plain, for people to read.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if text.len() <= LENGTH_MAX && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().min(LENGTH_MAX) + 16);
    for c in text.chars() {
        if escaped.len() >= LENGTH_MAX {
            let _ = write!(escaped, "... ({} bytes)", text.len());
            break;
        }
        match is_plain(c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_default()),
        }
    }
    Cow::Owned(escaped)
}

/// Returns a text as a JSON string. Programs get the exact text back, unless it was cut.
pub(super) fn quoted(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(LENGTH_MAX)];
    let mut quoted = String::with_capacity(cut.len() + 16);
    quoted.push('"');
    for c in cut.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if is_plain(c) => quoted.push(c),
            c => {
                // A character beyond the Basic Multilingual Plane takes two escapes (RFC 8259, section 7).
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    if cut.len() < text.len() {
        let _ = write!(quoted, "... ({} bytes)", text.len());
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGED: &str = "x\n INFO  > DELETE /tables/payroll 204\r\u{1b}[2J\u{9b}\u{2028}\u{202e}\0";

    #[test]
    fn nothing_ends_a_line_or_moves_the_cursor() {
        assert_eq!(escaped("héllo → \"x\" \\n"), "héllo → \"x\" \\n");
        let expected = "x\\n INFO  > DELETE /tables/payroll 204\\r\\u{1b}[2J\\u{9b}\\u{2028}\\u{202e}\\u{0}";
        assert_eq!(escaped(FORGED), expected);
    }

    #[test]
    fn a_line_has_an_end() {
        let long = escaped(&"é".repeat(1 << 20)).into_owned();
        assert!(long.len() < LENGTH_MAX + 32 && long.ends_with("é... (2097152 bytes)"), "{}", long.len());
        let long = quoted(&"é".repeat(1 << 20));
        assert!(long.len() < LENGTH_MAX + 32 && long.ends_with("é... (2097152 bytes)\""), "{}", long.len());
    }

    #[test]
    fn a_program_reads_what_was_there() {
        for text in [FORGED, "", "\"a\\b\"", "h\u{e9}llo \u{1f600}\u{e0001}\u{85}"] {
            let quoted = quoted(text);
            assert!(quoted.chars().all(is_plain), "{quoted}");
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }
}
