//! Values as JSON text, both ways.

use std::borrow::Cow;
use std::sync::Arc;

use super::pseudo::{self, Literals, binary};
use super::syntax::{self, Arena, Json};
use super::text::cut;
use super::{Datum, MAX_VALUE, ObjectBuilder, damaged, number, too_large};
use crate::budget::fuel;
use crate::error::{Error, Result};

/// Parses JSON text into a value, as `r.json` does: pseudo-types become the values that they stand for.
pub fn parse(text: &str) -> Result<Datum> {
    if text.contains('\0') {
        return Err(Error::logic("Encountered unescaped null byte in JSON string."));
    }
    let arena = Arena::new();
    let tree = syntax::parse(text.as_bytes(), &arena).map_err(|error| {
        let shown = if text.len() > 40 { Cow::Owned(format!("{}...", cut(text, 37))) } else { text.into() };
        Error::logic(format!("Failed to parse \"{shown}\" as JSON: {error}"))
    })?;
    from_tree(tree, Literals::Allowed)
}

/// Turns parsed JSON into a value.
pub fn from_tree(tree: Json<'_>, literals: Literals) -> Result<Datum> {
    fuel::spend(1)?;
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || match tree {
        Json::Null => Ok(Datum::Null),
        Json::Bool(value) => Ok(Datum::Bool(value)),
        Json::Num(value, _) => Datum::num(value),
        Json::Str(text) => Ok(Datum::Str(Arc::from(text))),
        Json::Array(items) => {
            Ok(Datum::array(items.iter().map(|item| from_tree(*item, literals)).collect::<Result<_>>()?))
        }
        Json::Object(fields) => {
            let mut object = ObjectBuilder::with_capacity(fields.len());
            for &(key, value) in fields {
                if object.insert(key, from_tree(value, literals)?).is_some() {
                    return Err(Error::logic(format!("Duplicate key {} in JSON.", Datum::str(key).print())));
                }
            }
            pseudo::sanitize(object.build(), literals)
        }
    })
}

/// Returns the value as JSON text without spaces, keys in order. Fails for `minval` and `maxval`.
pub fn to_string(datum: &Datum) -> Result<String> {
    let mut out = Vec::new();
    write(datum, &mut out)?;
    // Only text went in.
    String::from_utf8(out).map_err(|_| Error::internal("JSON text is not UTF-8."))
}

/// Appends the value as JSON text without spaces. Fails for `minval` and `maxval`, and if the text is longer
/// than a value may be.
pub fn write(datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match datum {
        Datum::MinVal => Err(Error::logic("Cannot convert `r.minval` to JSON.")),
        Datum::MaxVal => Err(Error::logic("Cannot convert `r.maxval` to JSON.")),
        Datum::Damaged => Err(damaged()),
        Datum::Null => put(out, b"null"),
        Datum::Bool(true) => put(out, b"true"),
        Datum::Bool(false) => put(out, b"false"),
        Datum::Num(value) => {
            number::write_json(*value, out);
            Ok(())
        }
        Datum::Str(text) => {
            fuel::spend_bytes(text.len())?;
            check_room(text.as_bytes(), out)?;
            write_str(text, out);
            check_length(out)
        }
        Datum::Binary(bytes) => {
            fuel::spend_bytes(bytes.len())?;
            write_binary(bytes, out);
            check_length(out)
        }
        Datum::Array(items) => match items.as_packed() {
            Some(view) => view.write_json(out),
            None => write_list(out, *b"[]", items.iter(), |item, out| write(&item, out)),
        },
        Datum::Object(object) => match object.as_packed() {
            Some(view) => view.write_json(out),
            None => write_list(out, *b"{}", object.iter(), |(key, value), out| {
                write_str(key, out);
                out.push(b':');
                write(&value, out)
            }),
        },
    }
}

fn put(out: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    out.extend_from_slice(text);
    Ok(())
}

fn write_list<T>(
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl Iterator<Item = T>,
    mut write_item: impl FnMut(T, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    out.push(open);
    for (index, item) in items.enumerate() {
        fuel::spend(1)?;
        if index > 0 {
            out.push(b',');
        }
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || write_item(item, out))?;
        check_length(out)?;
    }
    out.push(close);
    Ok(())
}

/// Fails if the text is longer than a value may be.
pub(super) fn check_length(out: &[u8]) -> Result<()> {
    if out.len() > MAX_VALUE { Err(too_large()) } else { Ok(()) }
}

/// Fails if a text will not fit. Each of its bytes may become six, so short texts are checked afterwards.
pub(super) fn check_room(text: &[u8], out: &[u8]) -> Result<()> {
    const SHORT: usize = 1 << 20;
    let escapes =
        || text.iter().filter(|byte| is_escaped(**byte)).map(|byte| if *byte < 0x20 { 5 } else { 1 });
    if text.len() <= SHORT {
        return Ok(());
    }
    let escapes = escapes().sum::<usize>();
    if out.len() + text.len() + escapes > MAX_VALUE {
        return Err(too_large());
    }
    if escapes > SHORT { fuel::keep(escapes) } else { Ok(()) }
}

pub(super) fn write_binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"$reql_type$\":\"BINARY\",\"data\":");
    write_str(&binary::encode(bytes), out);
    out.push(b'}');
}

/// Appends a JSON string; control characters are escaped as rapidjson does.
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    // Checking all of the text, rather than stopping at the first such byte, lets the compiler check many
    // bytes at once.
    if is_plain(bytes) || !bytes.iter().fold(false, |found, byte| found | is_escaped(*byte)) {
        write_unescaped(bytes, out);
    } else {
        out.push(b'"');
        write_escaped(bytes, out);
        out.push(b'"');
    }
}

#[inline]
pub(super) fn write_unescaped(bytes: &[u8], out: &mut Vec<u8>) {
    // With room for what follows, which would otherwise double a long text.
    out.reserve(bytes.len() + bytes.len() / 16 + 3);
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

/// Returns true if all bytes are ASCII that needs no escape, as in most texts. They are looked at eight at a
/// time, since most are short.
#[inline]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    if !words.iter().fold(true, |plain, word| plain & is_plain_word(*word)) {
        return false;
    }
    match (words.last(), bytes.last_chunk::<8>()) {
        (Some(_), Some(last)) => rest.is_empty() || is_plain_word(*last),
        _ => rest.iter().all(|byte| byte.is_ascii() && !is_escaped(*byte)),
    }
}

/// Returns true if none of the bytes is a control character, a quote, a backslash or part of a character
/// beyond ASCII. Each of the subtractions leaves a highest bit where there is one, and only there or above.
#[inline]
fn is_plain_word(word: [u8; 8]) -> bool {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(word);
    let control = word.wrapping_sub(all(b' '));
    let quote = (word ^ all(b'"')).wrapping_sub(all(1));
    let backslash = (word ^ all(b'\\')).wrapping_sub(all(1));
    (word | control | quote | backslash) & all(0x80) == 0
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut start = 0;
    out.reserve(bytes.len() + bytes.len() / 8);
    for (at, &byte) in bytes.iter().enumerate().filter(|(_, byte)| is_escaped(**byte)) {
        out.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let digit = |half: u8| HEX[usize::from(half & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(other >> 4), digit(other)]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
}

/// Returns the bytes as text, or RethinkDB's error about the first byte that is no UTF-8 (`parsing/utf8.cc`).
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let (position, explanation) = utf8_reason(bytes, start);
        let shown = String::from_utf8_lossy(&bytes[..position.min(20)]);
        Error::logic(format!(
            "String `{shown}` (truncated) is not a UTF-8 string; {explanation} at position {position}."
        ))
    })
}

fn utf8_reason(bytes: &[u8], start: usize) -> (usize, &'static str) {
    let first = bytes[start];
    let length = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return (start, "Invalid initial byte seen"),
    };
    for at in start + 1..start + length {
        match bytes.get(at) {
            None => return (bytes.len() - 1, "Expected continuation byte, saw end of string"),
            Some(byte) if byte & 0xc0 != 0x80 => {
                return (at, "Expected continuation byte, saw something else");
            }
            Some(_) => {}
        }
    }
    let lead = u32::from(first) & (0xff >> (length + 1));
    let code =
        bytes[start + 1..start + length].iter().fold(lead, |code, byte| code << 6 | u32::from(byte & 0x3f));
    let reason = if code > 0x10_ffff {
        "Non-Unicode character encoded (beyond U+10FFFF)"
    } else if (0xd800..0xe000).contains(&code) {
        "Surrogate code point encoded"
    } else {
        "Overlong encoding seen"
    };
    (start + length - 1, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_as_rapidjson_does() {
        let text = "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \"\\/ß\u{7f}";
        let expected = "\"\\u0000\\u0001\\b\\t\\n\\u000B\\f\\r\\u001F \\\"\\\\/ß\u{7f}\"";
        assert_eq!(to_string(&Datum::str(text)).expect("a short text"), expected);
    }

    #[test]
    fn plain_text_is_told_from_what_is_escaped() {
        for length in 0..40 {
            let plain = vec![b'~'; length];
            assert!(is_plain(&plain), "{length}");
            for (at, byte) in (0..length).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
                let mut text = plain.clone();
                text[at] = byte;
                assert_eq!(
                    is_plain(&text),
                    byte.is_ascii() && !is_escaped(byte),
                    "{byte} at {at} of {length}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_gets_too_long_is_refused_before_it_is_written() {
        // Each of these characters takes six.
        let long = Datum::str("\u{1}".repeat(MAX_VALUE / 6 + 1));
        let packed = Datum::from_bytes(long.to_bytes().expect("a text that can be packed").into());
        let around = Datum::array(vec![Datum::Null, long.clone()]);
        let packed_around = Datum::from_bytes(around.to_bytes().expect("an array that can be packed").into());
        for value in [long, packed, around, packed_around] {
            let mut out = Vec::new();
            assert_eq!(write(&value, &mut out).expect_err("too long").message(), too_large().message());
            assert!(out.len() < 100, "{} bytes were written", out.len());
        }
    }
}
