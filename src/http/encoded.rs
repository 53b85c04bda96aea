//! Bodies that come compressed, by gzip or brotli: decoded as they arrive, and bounded in what becomes of
//! them.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::MultiGzDecoder;
use futures_util::{StreamExt, stream};
use warp::http::HeaderMap;
use warp::http::header::CONTENT_ENCODING;

use super::body::Chunks;
use crate::error::{Code, Error};

/// The encodings that bodies may have.
pub(crate) const ENCODINGS: &str = "gzip, br";
/// The most that a decoded body may be longer than the encoded one, as a factor.
const RATIO: u64 = 200;
/// The bytes that any body may become.
const FREE: u64 = 1 << 20;
/// The bytes that brotli decodes at once.
const BUFFER: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Brotli,
}

impl Encoding {
    /// Returns the encoding that a body is said to have; `Err` if it is one that can't be undone.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, ()> {
        let mut found = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().map_err(drop)?.split(',') {
                let encoding = match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Encoding::Gzip,
                    "br" => Encoding::Brotli,
                    _ => return Err(()),
                };
                if found.replace(encoding).is_some() {
                    return Err(());
                }
            }
        }
        Ok(found)
    }
}

/// Returns the body as it was before it was encoded, if it is; of at most `limit` bytes.
pub(crate) fn decoded(chunks: Chunks, headers: &HeaderMap, limit: u64) -> Chunks {
    // What has another encoding is refused by its type.
    let Ok(Some(encoding)) = Encoding::of(headers) else { return chunks };
    let begun = (chunks, Some(Decoder::new(encoding, limit)));
    Box::pin(stream::try_unfold(begun, async |(mut chunks, decoder)| {
        let Some(mut decoder) = decoder else { return Ok(None) };
        match chunks.next().await {
            Some(chunk) => {
                let part = decoder.push(&chunk?)?;
                Ok(Some((part, (chunks, Some(decoder)))))
            }
            None => Ok(Some((decoder.finish()?, (chunks, None)))),
        }
    }))
}

/// Decoded bytes that aren't taken yet, and the number of bytes that may still come.
struct Sink {
    decoded: Vec<u8>,
    room: u64,
    /// `true` once there was more than that.
    full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(room) = self.room.checked_sub(bytes.len() as u64) else {
            self.full = true;
            return Err(io::Error::other("too much"));
        };
        self.room = room;
        self.decoded.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Codec {
    Gzip(Box<MultiGzDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
}

struct Decoder {
    codec: Codec,
    limit: u64,
    /// The most bytes that it may have become by now.
    most: u64,
    arrived: u64,
    told: u64,
}

impl Decoder {
    fn new(encoding: Encoding, limit: u64) -> Self {
        let sink = Sink { decoded: Vec::new(), room: 0, full: false };
        let codec = match encoding {
            Encoding::Gzip => Codec::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Brotli => Codec::Brotli(Box::new(DecompressorWriter::new(sink, BUFFER))),
        };
        Decoder { codec, limit, most: 0, arrived: 0, told: 0 }
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.codec {
            Codec::Gzip(codec) => codec.get_mut(),
            Codec::Brotli(codec) => codec.get_mut(),
        }
    }

    /// Decodes what has arrived.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.arrived += bytes.len() as u64;
        self.most = self.arrived.saturating_mul(RATIO).max(FREE).min(self.limit);
        self.sink().room = self.most.saturating_sub(self.told);
        let written = match &mut self.codec {
            Codec::Gzip(codec) => codec.write_all(bytes),
            Codec::Brotli(codec) => codec.write_all(bytes),
        };
        let flushed = written.and_then(|()| self.flushed());
        self.taken(flushed)
    }

    /// Has a codec give out all that it can.
    fn flushed(&mut self) -> io::Result<()> {
        match &mut self.codec {
            Codec::Gzip(codec) => codec.flush(),
            Codec::Brotli(codec) => codec.flush(),
        }
    }

    /// Checks that the body has come to its end.
    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        if self.arrived == 0 {
            return Ok(Vec::new());
        }
        let finished = match &mut self.codec {
            Codec::Gzip(codec) => codec.try_finish(),
            Codec::Brotli(codec) => codec.close(),
        };
        self.taken(finished)
    }

    fn taken(&mut self, outcome: io::Result<()>) -> Result<Vec<u8>, Error> {
        let (limit, name) = (self.limit, self.name());
        let is_whole = self.most == limit;
        let sink = self.sink();
        match outcome {
            _ if sink.full && is_whole => Err(Error::beyond(Code::BodyTooLarge, limit)),
            _ if sink.full => {
                let reason = format!("The body becomes more than {RATIO} times as long when it is decoded.");
                Err(Error::bad_request(reason))
            }
            Err(_) => {
                Err(Error::bad_request(format!("The body is not what {name} writes, or not all of it.")))
            }
            Ok(()) => {
                let decoded = std::mem::take(&mut sink.decoded);
                self.told += decoded.len() as u64;
                Ok(decoded)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self.codec {
            Codec::Gzip(_) => "gzip",
            Codec::Brotli(_) => "brotli",
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LIMIT: u64 = 8 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoding: Encoding, bytes: &[u8], step: usize) -> Result<Vec<u8>, Error> {
        let mut decoder = Decoder::new(encoding, LIMIT);
        let mut all = Vec::new();
        for part in bytes.chunks(step) {
            all.extend(decoder.push(part)?);
        }
        all.extend(decoder.finish()?);
        Ok(all)
    }

    #[test]
    fn bodies_are_decoded_wherever_they_are_cut() {
        let text = br#"{"a": "some text, some text, some text"}"#.repeat(100);
        for step in [1, 7, 1 << 20] {
            assert_eq!(decode(Encoding::Gzip, &gzip(&text), step).unwrap(), text);
        }
        // Brotli's form of text that isn't compressed: "hello".
        let brotli = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        for step in [1, 4, 9] {
            assert_eq!(decode(Encoding::Brotli, &brotli, step).unwrap(), b"hello");
        }
        for encoding in [Encoding::Gzip, Encoding::Brotli] {
            assert_eq!(decode(encoding, b"", 1).unwrap(), b"");
            assert!(decode(encoding, b"{\"id\": 1}", 3).is_err());
        }
        let cut = gzip(&text);
        assert!(decode(Encoding::Gzip, &cut[..cut.len() - 9], 64).is_err());
        assert!(decode(Encoding::Brotli, &brotli[..6], 64).is_err());
    }

    #[test]
    fn bombs_do_not_go_off() {
        let code = |size: usize| {
            decode(Encoding::Gzip, &gzip(&vec![b' '; size]), 4096)
                .map(|all| all.len())
                .map_err(|it| it.code())
        };
        assert_eq!(code(1 << 20), Ok(1 << 20));
        assert_eq!(code(4 << 20), Err(Code::BadRequest));
        let random: Vec<_> = std::iter::repeat_with(|| fastrand::u8(..)).take(9 << 20).collect();
        let all = decode(Encoding::Gzip, &gzip(&random), 4096);
        assert!(all.is_err_and(|error| error.code() == Code::BodyTooLarge));
    }
}
