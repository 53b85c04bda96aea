//! Bodies of requests as they arrive: part by part, and decoded if they come compressed.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};

use super::encoded::Decoder;
use crate::error::Error;

/// The number of bytes that are read of a body that is refused, so that the client gets to see the answer.
const DRAIN_MAX: usize = 16 << 20;

/// The parts of a body as they arrive.
pub(crate) struct Chunks {
    parts: Pin<Box<dyn Stream<Item = Result<Vec<u8>, Error>> + Send>>,
    /// `None` if the parts are what they are, and once the body has ended.
    decoder: Option<Box<Decoder>>,
}

impl Chunks {
    pub(crate) fn new(parts: impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static) -> Self {
        Chunks { parts: Box::pin(parts.fuse()), decoder: None }
    }

    /// Has its parts decoded.
    pub(crate) fn decoded_by(self, decoder: Option<Decoder>) -> Self {
        Chunks { decoder: decoder.map(Box::new), ..self }
    }

    /// Waits for the next part.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        let part = self.parts.next().await;
        let Some(decoder) = &mut self.decoder else { return part };
        let decoded = match part {
            Some(Ok(part)) => decoder.push(&part),
            Some(Err(error)) => Err(error),
            None => self.decoder.take()?.finish(),
        };
        if decoded.is_err() {
            self.decoder = None;
        }
        Some(decoded)
    }

    /// Reads the rest of a body that is refused, up to a limit. It isn't decoded any more, so it costs no
    /// memory.
    pub(crate) async fn drain(&mut self) {
        self.decoder = None;
        let mut drained = 0;
        while let Some(Ok(part)) = self.parts.next().await {
            drained += part.len();
            if drained > DRAIN_MAX {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use warp::http::HeaderMap;
    use warp::http::header::CONTENT_ENCODING;

    use super::*;
    use crate::app::scale::Arrived;
    use crate::error::Code;
    use crate::settings::Limits;
    use crate::shares::{Percent, Shares};

    /// A part of brotli that needs 16 MiB, and its first byte.
    const LARGEST: [u8; 5] = [0xcf, 0xff, 0xff, 0xff, b'x'];

    fn chunks(bodies: &Shares, encoding: &'static str, parts: Vec<Vec<u8>>) -> Chunks {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())]);
        let arrived = || Arrived::new(bodies.nothing(None), &Limits::default());
        let decoder = Decoder::of(&headers, 1 << 30, arrived);
        Chunks::new(stream::iter(parts.into_iter().map(Ok))).decoded_by(decoder)
    }

    fn bodies(kib: usize) -> Shares {
        Shares::new(kib, Percent { client: 100, user: 100 })
    }

    #[tokio::test]
    async fn a_decoder_counts_as_long_as_it_is_there() {
        let all = bodies(64 << 10);
        let mut body = chunks(&all, "br", vec![LARGEST.to_vec(), vec![b'x'; 100], vec![b'x'; 100]]);
        assert_eq!(all.held(), 0);
        assert_eq!(body.next().await.unwrap().unwrap(), b"x");
        assert!(all.held() >= 16 << 10, "{}", all.held());
        assert_eq!(body.next().await.unwrap().unwrap().len(), 100);
        body.drain().await;
        assert_eq!(all.held(), 0);
        assert!(body.next().await.is_none());
        // One that doesn't end well.
        let mut body = chunks(&all, "br", vec![LARGEST.to_vec()]);
        body.next().await.unwrap().unwrap();
        assert_eq!(body.next().await.unwrap().unwrap_err().code(), Code::BadRequest);
        assert_eq!(all.held(), 0);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn no_decoder_takes_more_than_there_is() {
        let all = bodies(20 << 10);
        let mut one = chunks(&all, "br", vec![LARGEST.to_vec()]);
        one.next().await.unwrap().unwrap();
        let mut other = chunks(&all, "br", vec![LARGEST.to_vec()]);
        assert_eq!(other.next().await.unwrap().unwrap_err().code(), Code::BodiesExhausted);
        // The head of gzip that is in front of a name without an end.
        let mut head = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0];
        head.resize(60_000, b'n');
        let held = all.held();
        let mut name = chunks(&all, "gzip", vec![head]);
        assert!(name.next().await.unwrap().unwrap().is_empty());
        assert!(all.held() - held > 100, "{}", all.held());
    }
}
