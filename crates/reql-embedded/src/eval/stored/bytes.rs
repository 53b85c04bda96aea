//! The bytes that RethinkDB stores, piece by piece: little-endian numbers, and lengths of variable width.

/// The fault of malformed bytes, with RethinkDB's name for it in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The bytes end too early.
    End,
    /// A number in the bytes is out of its range.
    Range,
}

impl Broken {
    /// Returns the fault's name in error messages.
    pub fn name(self) -> &'static str {
        match self {
            Broken::End => "archive_result_t::SOCK_EOF",
            Broken::Range => "archive_result_t::RANGE_ERROR",
        }
    }
}

/// Bytes that are being read.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Returns true if all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the number of bytes that are left to read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads `count` bytes.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Broken> {
        let count = usize::try_from(count).map_err(|_| Broken::End)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Broken::End)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads an array of bytes, for a number.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Broken::End)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads a byte.
    pub fn byte(&mut self) -> Result<u8, Broken> {
        self.array().map(u8::from_le_bytes)
    }

    /// Reads a flag.
    pub fn flag(&mut self) -> Result<bool, Broken> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Broken::Range),
        }
    }

    /// Reads a number of variable width, seven bits to a byte.
    pub fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..=63).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Broken::Range);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken::Range)
    }

    /// Reads bytes with their number before them.
    pub fn counted(&mut self) -> Result<&'a [u8], Broken> {
        let count = self.varint()?;
        self.take(count)
    }
}

/// Returns the bytes of a number of variable width.
pub fn varint(mut value: u64) -> impl DoubleEndedIterator<Item = u8> + ExactSizeIterator {
    let mut bytes = [0; 10];
    let mut count = 0;
    while value >= 0x80 {
        bytes[count] = value as u8 & 0x7f | 0x80;
        value >>= 7;
        count += 1;
    }
    bytes[count] = value as u8;
    bytes.into_iter().take(count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_variable_width_come_back() {
        for value in [0, 1, 127, 128, 138, 300, 1 << 53, u64::MAX] {
            let bytes: Vec<u8> = varint(value).collect();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint(), Ok(value));
            assert!(reader.is_empty());
            assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).varint(), Err(Broken::End));
        }
        assert_eq!(varint(138).collect::<Vec<_>>(), [0x8a, 1]);
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Broken::Range));
    }
}
