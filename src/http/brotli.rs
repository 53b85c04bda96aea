//! A decoder of brotli ([RFC 7932](https://www.rfc-editor.org/rfc/rfc7932)) that tells how much memory it
//! holds: up to 16 MiB of what it has decoded, and a few megabytes of tables, whatever it is told to need.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, StandardAlloc,
};

/// The number of bytes that are decoded at once.
const PART: usize = 4096;

/// An allocator that counts the bytes it has given out. Clones share the count.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl<T: Clone + Default> Allocator<T> for Counting {
    type AllocatedMemory = <StandardAlloc as Allocator<T>>::AllocatedMemory;

    fn alloc_cell(&mut self, length: usize) -> Self::AllocatedMemory {
        self.0.fetch_add(length * size_of::<T>(), Ordering::Relaxed);
        StandardAlloc::default().alloc_cell(length)
    }

    fn free_cell(&mut self, cell: Self::AllocatedMemory) {
        self.0.fetch_sub(size_of_val(cell.slice()), Ordering::Relaxed);
    }
}

type State = BrotliState<Counting, Counting, Counting>;

/// A decoder that writes to `W`.
pub(super) struct Decoder<W> {
    state: Box<State>,
    allocated: Counting,
    ended: bool,
    sink: W,
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(sink: W) -> Self {
        let allocated = Counting::default();
        // Windows of up to a gigabyte are no part of the encoding `br`, so they are an error.
        let state = State::new_strict(allocated.clone(), allocated.clone(), allocated.clone());
        Decoder { state: Box::new(state), allocated, ended: false, sink }
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Returns the number of bytes that it holds.
    pub(super) fn held(&self) -> usize {
        size_of::<State>() + self.allocated.0.load(Ordering::Relaxed)
    }

    /// Decodes what has arrived, and writes all that has become of it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut buffer = [0; PART];
        let (mut left, mut read, mut told) = (bytes.len(), 0, 0);
        loop {
            let (mut room, mut decoded) = (PART, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                bytes,
                &mut room,
                &mut decoded,
                &mut buffer,
                &mut told,
                &mut self.state,
            );
            self.sink.write_all(buffer.get(..decoded).unwrap_or_default())?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(()),
                // Nothing follows the end.
                BrotliResult::ResultSuccess if left == 0 => {
                    self.ended = true;
                    return Ok(());
                }
                BrotliResult::ResultSuccess | BrotliResult::ResultFailure => {
                    return Err(ErrorKind::InvalidData.into());
                }
            }
        }
    }

    /// Checks that all has arrived.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self.ended {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of 16 MiB of bytes as they are, in a window of 16 MiB.
    const LARGEST: [u8; 4] = [0xcf, 0xff, 0xff, 0xff];

    #[test]
    fn what_is_held_is_known() {
        let mut decoder = Decoder::new(Vec::new());
        let none = decoder.held();
        assert!((1 << 10..100 << 10).contains(&none), "{none}");
        decoder.push(&LARGEST).unwrap();
        decoder.push(b"x").unwrap();
        assert!((16 << 20..17 << 20).contains(&decoder.held()), "{}", decoder.held());
        assert_eq!(decoder.get_mut(), b"x");
        assert!(decoder.finish().is_err());
        let allocated = decoder.allocated.clone();
        drop(decoder);
        assert_eq!(allocated.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn windows_beyond_the_standard_are_refused() {
        let mut decoder = Decoder::new(Vec::new());
        // A window of a gigabyte.
        assert!(decoder.push(&[0x11, 30, 0, 0]).is_err());
    }

    #[test]
    fn nothing_follows_the_end() {
        // "hello", as it is.
        let whole = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        let mut decoder = Decoder::new(Vec::new());
        decoder.push(&whole).unwrap();
        decoder.push(b"").unwrap();
        assert!(decoder.finish().is_ok() && decoder.push(b"x").is_err());
        assert!(Decoder::new(Vec::new()).push(&[&whole[..], b"x"].concat()).is_err());
    }
}
