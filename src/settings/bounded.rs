//! Files of bounded length.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::size;

/// The longest file, in bytes. It's far more than settings, keys or certificates need.
const FILE_MAX: u64 = 4 << 20;

/// Reads a file that may have 4 MiB, also if it has no length, as a pipe or a device.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_most(path, FILE_MAX)
}

/// Reads a file that may have `most` bytes, as [`read`].
pub(crate) fn read_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    within(&mut File::open(path)?, most)
}

/// Reads a file of text in UTF-8, as [`read`].
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// Reads standard input, as [`read_text`].
#[cfg(feature = "server")]
pub(crate) fn read_stdin() -> io::Result<String> {
    text(within(&mut io::stdin().lock(), FILE_MAX)?)
}

fn within(file: &mut dyn Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {}", size(most))));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_soon() {
        let limit = FILE_MAX as usize;
        for (length, is_read) in [(0, true), (limit, true), (limit + 1, false)] {
            assert_eq!(within(&mut vec![b'x'; length].as_slice(), FILE_MAX).is_ok(), is_read, "{length}");
        }
        #[cfg(unix)]
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(text(vec![0xff]).is_err());
    }
}
