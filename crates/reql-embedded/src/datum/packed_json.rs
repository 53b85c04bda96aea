//! Packed values as JSON text, straight from their bytes: the fast way from the file to a client.

use super::json::{check_length, check_room, is_plain, write_binary, write_str, write_unescaped};
use super::packed::{ARRAY, OBJECT, Scalar, layout, read_bytes, read_scalar, text};
use super::{damaged, number};
use crate::budget::fuel;
use crate::error::{Error, Result};

/// The length of text after which the budget is checked.
const LOOK: usize = 64 << 10;

/// Appends the value at `at` as JSON text without spaces. Fails if it is damaged, or the text is longer than
/// a value may be.
pub(super) fn write(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Result<()> {
    let mark = out.len() + LOOK;
    let mut writer = Writer { bytes, at, out, mark, refusal: None };
    let written = writer.value();
    let Writer { mark, refusal, .. } = writer;
    match (written, refusal) {
        (_, Some(refusal)) => return Err(refusal),
        (None, None) => return Err(damaged()),
        (Some(()), None) => {}
    }
    fuel::spend_bytes((out.len() + LOOK).saturating_sub(mark))?;
    check_length(out)
}

/// Writes packed bytes from a place on. What returns `None` has come upon damaged bytes, or has a refusal.
struct Writer<'a> {
    bytes: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// Length at which to check the budget next.
    mark: usize,
    refusal: Option<Error>,
}

impl<'a> Writer<'a> {
    fn value(&mut self) -> Option<()> {
        match *self.bytes.get(self.at)? {
            tag @ (ARRAY | OBJECT) => {
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.container(tag == OBJECT))
            }
            _ => self.scalar(),
        }
    }

    /// Writes the items, which follow each other.
    fn container(&mut self, is_object: bool) -> Option<()> {
        let layout = layout(self.bytes, self.at)?;
        self.at = layout.body;
        self.out.push(if is_object { b'{' } else { b'[' });
        for index in 0..layout.count {
            if index > 0 {
                self.out.push(b',');
            }
            if is_object {
                self.key()?;
            }
            self.value()?;
        }
        self.out.push(if is_object { b'}' } else { b']' });
        Some(())
    }

    #[inline]
    fn key(&mut self) -> Option<()> {
        let key = read_bytes(self.bytes, &mut self.at)?;
        self.text(key)?;
        self.out.push(b':');
        Some(())
    }

    #[inline]
    fn scalar(&mut self) -> Option<()> {
        if self.out.len() > self.mark {
            self.look()?;
        }
        match read_scalar(self.bytes, &mut self.at)? {
            Scalar::Null => self.out.extend_from_slice(b"null"),
            Scalar::Bool(true) => self.out.extend_from_slice(b"true"),
            Scalar::Bool(false) => self.out.extend_from_slice(b"false"),
            Scalar::Int(value) => number::write_integer(value, self.out),
            Scalar::Double(value) => number::write_json(value, self.out),
            Scalar::Str(bytes) => self.text(bytes)?,
            Scalar::Binary(bytes) => write_binary(bytes, self.out),
        }
        Some(())
    }

    /// Appends a JSON string. Plain ASCII, which most text is, needs no check for being UTF-8.
    #[inline]
    fn text(&mut self, bytes: &'a [u8]) -> Option<()> {
        if is_plain(bytes) {
            write_unescaped(bytes, self.out);
            return Some(());
        }
        self.odd_text(bytes)
    }

    #[inline(never)]
    fn odd_text(&mut self, bytes: &'a [u8]) -> Option<()> {
        let text = text(bytes)?;
        let room = check_room(bytes, self.out);
        self.unless_refused(room)?;
        write_str(text, self.out);
        Some(())
    }

    #[cold]
    fn look(&mut self) -> Option<()> {
        self.mark = self.out.len() + LOOK;
        let checked = check_length(self.out).and_then(|()| fuel::spend_bytes(LOOK));
        self.unless_refused(checked)
    }

    fn unless_refused(&mut self, result: Result<()>) -> Option<()> {
        result.map_err(|error| self.refusal = Some(error)).ok()
    }
}
