//! Bodies that come compressed, by gzip or brotli: decoded as they arrive, and bounded in what becomes of
//! them. The memory that a decoder holds counts like that of a body.

use std::io::{self, Write};

use flate2::GzHeader;
use flate2::write::MultiGzDecoder;
use warp::http::HeaderMap;
use warp::http::header::CONTENT_ENCODING;

use super::brotli;
use crate::app::scale::Arrived;
use crate::error::{Code, Error};

/// The encodings that bodies may have.
pub(crate) const ENCODINGS: &str = "gzip, br";
/// The most that a decoded body may be longer than the encoded one, as a factor.
const RATIO: u64 = 200;
/// The bytes that any body may become.
const FREE: u64 = 1 << 20;
/// The memory that gzip takes, in bytes: its window, tables, and a buffer of 32 KiB.
const GZIP: usize = 80 << 10;
/// The most bytes of the texts in the head of a gzip.
const HEAD_MAX: u64 = 3 << 16;

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

    fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Brotli => "brotli",
        }
    }
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
    Brotli(brotli::Decoder<Sink>),
}

impl Codec {
    fn new(encoding: Encoding) -> Self {
        let sink = Sink { decoded: Vec::new(), room: 0, full: false };
        match encoding {
            Encoding::Gzip => Codec::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Brotli => Codec::Brotli(brotli::Decoder::new(sink)),
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Codec::Gzip(codec) => codec.get_mut(),
            Codec::Brotli(codec) => codec.get_mut(),
        }
    }

    /// Returns the number of bytes that it holds, of `arrived` ones.
    fn held(&self, arrived: u64) -> usize {
        match self {
            // A head that isn't whole may be all that has arrived.
            Codec::Gzip(codec) => GZIP + codec.header().map_or(arrived.min(HEAD_MAX) as usize, length),
            Codec::Brotli(codec) => codec.held(),
        }
    }

    /// Decodes what has arrived, and gives out all that it can.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Codec::Gzip(codec) => codec.write_all(bytes).and_then(|()| codec.flush()),
            Codec::Brotli(codec) => codec.push(bytes),
        }
    }

    /// Checks that all has arrived.
    fn finish(&mut self) -> io::Result<()> {
        match self {
            Codec::Gzip(codec) => codec.try_finish(),
            Codec::Brotli(codec) => codec.finish(),
        }
    }
}

/// Returns the length of the texts in the head of a gzip.
fn length(head: &GzHeader) -> usize {
    [head.extra(), head.filename(), head.comment()].into_iter().flatten().map(<[u8]>::len).sum()
}

/// A decoder of a body, which bounds what becomes of that and counts the memory that it holds itself.
pub(crate) struct Decoder {
    encoding: Encoding,
    /// `None` as long as nothing has arrived.
    codec: Option<Codec>,
    /// The most bytes that the body may become.
    limit: u64,
    /// The most bytes that it may have become by now.
    most: u64,
    arrived: u64,
    told: u64,
    weight: Arrived,
}

impl Decoder {
    /// Returns the decoder of a body of at most `limit` bytes, if it is encoded. Its memory counts in
    /// `weight`.
    pub(crate) fn of(headers: &HeaderMap, limit: u64, weight: impl FnOnce() -> Arrived) -> Option<Self> {
        // What has another encoding is refused by its type.
        let encoding = Encoding::of(headers).ok()??;
        Some(Decoder { encoding, codec: None, limit, most: 0, arrived: 0, told: 0, weight: weight() })
    }

    /// Decodes what has arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        self.arrived += bytes.len() as u64;
        self.most = self.arrived.saturating_mul(RATIO).max(FREE).min(self.limit);
        let codec = self.codec.get_or_insert_with(|| Codec::new(self.encoding));
        codec.sink().room = self.most.saturating_sub(self.told);
        let pushed = codec.push(bytes);
        let held = codec.held(self.arrived);
        let decoded = self.taken(pushed)?;
        self.weight.reach(held)?;
        Ok(decoded)
    }

    /// Checks that the body has come to its end.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Error> {
        match &mut self.codec {
            Some(codec) => {
                let finished = codec.finish();
                self.taken(finished)
            }
            None => Ok(Vec::new()),
        }
    }

    fn taken(&mut self, outcome: io::Result<()>) -> Result<Vec<u8>, Error> {
        let (limit, name) = (self.limit, self.encoding.name());
        let is_whole = self.most == limit;
        let Some(codec) = &mut self.codec else { return Ok(Vec::new()) };
        let sink = codec.sink();
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
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::settings::Limits;
    use crate::shares::{Percent, Shares};

    const LIMIT: u64 = 8 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoding: Encoding, bytes: &[u8], step: usize) -> Result<Vec<u8>, Error> {
        let name = if encoding == Encoding::Gzip { "gzip" } else { "br" };
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, name.parse().unwrap())]);
        let bodies = Shares::new(64 << 10, Percent { client: 100, user: 100 });
        let weight = || Arrived::new(bodies.nothing(None), &Limits::default());
        let mut decoder = Decoder::of(&headers, LIMIT, weight).unwrap();
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
