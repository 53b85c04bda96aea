//! Lists of an answer that aren't kept as a whole: an element of a byte or two takes many times as much in
//! memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::error::Frame;
use crate::term::MAX_DEPTH;

/// The notes of `Response.ResponseNote` that belong to changefeeds: of a sequence, of one document, of
/// `order_by` and `limit`, of a union.
const FEEDS: [i64; 4] = [1, 2, 3, 4];

/// The notes of an answer.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) is_feed: bool,
}

/// The steps to the part of a query that is to blame. There are no more than a query has levels.
#[derive(Default)]
pub(super) struct Way(pub(super) Vec<Frame>);

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Notes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut notes: A) -> Result<Notes, A::Error> {
                let mut is_feed = false;
                while let Some(note) = notes.next_element()? {
                    is_feed |= FEEDS.contains(&note);
                }
                Ok(Notes { is_feed })
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Way;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of numbers and names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut steps: A) -> Result<Way, A::Error> {
                let mut way = Vec::new();
                while way.len() < usize::from(MAX_DEPTH) {
                    match steps.next_element()? {
                        Some(step) => way.push(step),
                        None => return Ok(Way(way)),
                    }
                }
                while steps.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Way(way))
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}
