//! The plan of the writes of a request with a key, so that another attempt writes the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::api::documents::same;
use crate::digest::{digest, hex};

/// The ids for the documents of a request that have none.
#[derive(Debug)]
pub(crate) struct Plan {
    seed: String,
    resumed: bool,
    progress: Progress,
}

/// The progress of a request, which its plan and its claim share.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<AtomicBool>);

impl Progress {
    /// Returns whether a part of the request may have been done.
    pub(super) fn may_have_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Plan {
    /// Creates a plan from its seed. `resumed` says that an earlier attempt may have done a part of it.
    pub(crate) fn new(seed: String, resumed: bool) -> Self {
        Plan { seed, resumed, progress: Progress(Arc::new(AtomicBool::new(resumed))) }
    }

    /// Returns the progress, which goes on after the plan is given away.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Notes that a part of the request has been done.
    pub(crate) fn note_begun(&self) {
        self.progress.0.store(true, Ordering::Release);
    }

    /// Adds an id to the request's document at this position, unless it has one. Returns whether it had one.
    pub(crate) fn identify(
        &self,
        document: &mut Map<String, Value>,
        primary_key: &str,
        position: usize,
    ) -> bool {
        let had = document.contains_key(primary_key);
        if !had {
            document.insert(primary_key.to_owned(), Value::String(self.id(position)));
        }
        had
    }

    /// Returns whether an existing document was written by an earlier attempt at this request. The ids of
    /// this plan are unique to it. A document with an id of the client can only be from an earlier attempt if
    /// there was one.
    pub(crate) fn wrote(&self, document: &Map<String, Value>, had_id: bool, stored: &Value) -> bool {
        let is_as_sent = || same(stored, &Value::Object(document.clone()));
        !had_id || self.resumed && is_as_sent()
    }

    /// Returns a UUID (RFC 9562) that is as random as the seed.
    fn id(&self, position: usize) -> String {
        let digest = digest(&[self.seed.as_bytes(), &(position as u64).to_be_bytes()]);
        let mut bytes: [u8; 16] = std::array::from_fn(|at| digest[at]);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let text = hex(&bytes);
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_attempt_gives_the_same_ids() {
        let ids = |seed: &str| {
            let plan = Plan::new(seed.to_owned(), false);
            [0, 1].map(|at| {
                let mut new = document(json!({"a": 1}));
                assert!(!plan.identify(&mut new, "key", at));
                new["key"].as_str().unwrap().to_owned()
            })
        };
        let [one, other] = ids("seed");
        assert_eq!(ids("seed"), [one.clone(), other.clone()]);
        assert_ne!(one, other);
        assert_ne!(ids("another")[0], one);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!((lengths, &one[14..15]), (vec![8, 4, 4, 4, 12], "4"));
        let mut given = document(json!({"id": 1}));
        assert!(Plan::new("seed".to_owned(), false).identify(&mut given, "id", 0));
        assert_eq!(given["id"], 1);
    }

    #[test]
    fn what_is_there_was_written_by_this_request_or_not() {
        let new = document(json!({"id": 1, "a": {"b": 2.0}}));
        let stored = json!({"a": {"b": 2}, "id": 1});
        let [fresh, resumed] = [false, true].map(|resumed| Plan::new("seed".to_owned(), resumed));
        assert!(fresh.wrote(&new, false, &stored), "its id is its own");
        assert!(!fresh.wrote(&new, true, &stored), "it was there before");
        assert!(resumed.wrote(&new, true, &stored));
        for other in [json!({"id": 1}), json!({"id": 1, "a": {"b": 2}, "c": 3}), json!({"id": 1, "a": 2})] {
            assert!(!resumed.wrote(&new, true, &other), "{other}");
        }
    }
}
