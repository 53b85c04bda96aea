//! A check that bytes are a packed value as the encoder makes it, without trusting any of them.

use super::packed::{ARRAY, BINARY, DOUBLE, FALSE, INT, NULL, OBJECT, STR, TRUE};

/// Returns true if these bytes are exactly one packed value.
pub(crate) fn is_well_formed(bytes: &[u8]) -> bool {
    let mut reader = Reader { rest: bytes };
    reader.value().is_some() && reader.rest.is_empty()
}

/// The bytes that are still to be read. A method returns `None` if they are wrong.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<()> {
        match self.byte()? {
            NULL | FALSE | TRUE => Some(()),
            INT => self.take(4).map(drop),
            DOUBLE => {
                let bytes = self.take(8)?.try_into().ok()?;
                f64::from_le_bytes(bytes).is_finite().then_some(())
            }
            STR => self.text().map(drop),
            BINARY => {
                let length = self.length()?;
                self.take(length).map(drop)
            }
            tag @ (ARRAY | OBJECT) => {
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.container(tag == OBJECT))
            }
            _ => None,
        }
    }

    /// Checks a container. Its items have to be at their offsets, one after the other, and its keys in order.
    fn container(&mut self, is_object: bool) -> Option<()> {
        let width = usize::from(self.byte()?);
        if !matches!(width, 1 | 2 | 4) {
            return None;
        }
        let (count, length) = (self.length()?, self.length()?);
        let mut offsets = self.take(count.checked_mul(width)?)?.chunks_exact(width);
        let mut body = Reader { rest: self.take(length)? };
        let mut last_key: Option<&str> = None;
        for _ in 0..count {
            let mut offset = [0; 4];
            offset.get_mut(..width)?.copy_from_slice(offsets.next()?);
            if u32::from_le_bytes(offset) as usize != length - body.rest.len() {
                return None;
            }
            if is_object {
                let key = body.text()?;
                if last_key.is_some_and(|last| last >= key) {
                    return None;
                }
                last_key = Some(key);
            }
            body.value()?;
        }
        body.rest.is_empty().then_some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(length);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Datum, pack};
    use super::*;

    #[test]
    fn whatever_is_packed_is_well_formed_and_nothing_else_is() {
        let nested = Datum::array(vec![Datum::Null, Datum::Bool(true), Datum::Num(1.5), Datum::str("ß\0")]);
        let document = Datum::object([
            ("binary", Datum::Binary([0, 255].as_slice().into())),
            ("long", Datum::str("x".repeat(70_000))),
            ("nested", nested),
            ("small", Datum::object([("n", Datum::from(-7_i64))])),
        ]);
        let bytes = pack::value(&document).expect("a document that can be stored");
        assert!(is_well_formed(&bytes));
        assert!(!is_well_formed(&[]));
        assert!(!is_well_formed(&[bytes.as_slice(), &[NULL]].concat()));
        (0..bytes.len()).step_by(97).for_each(|end| assert!(!is_well_formed(&bytes[..end]), "{end} bytes"));
        // A wrong tag, width, count, length or offset shows; a wrong byte inside a string may not.
        for at in 0..15 {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x80;
            assert!(!is_well_formed(&wrong), "byte {at}");
        }
    }
}
