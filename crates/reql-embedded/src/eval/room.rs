//! The room for what the answer of a write shows: changes, and keys that the server generated.
//!
//! A write that is done has to be told of, with its counts at least. So what is shown takes no more than half
//! of the memory that is left when a part of the write begins: the other half is for the documents that are
//! still to be written. Where the room ends, the answer shows no more, with a warning.

use super::env::{Env, Limits};
use crate::budget::memory::{Pool, Reservation};
use crate::datum::{Datum, MAX_VALUE};
use crate::error::Result;

/// The room for items of an answer.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that further items may take, as values and as text.
    left: usize,
    /// Packed bytes that they may take, so that the answer, and its text, are values that may be.
    packed: usize,
    /// Memory of the items so far, as values.
    held: Reservation,
}

/// The times that text is longer than packed values, mostly at most.
const TEXT: usize = 2;

impl Room {
    /// Makes the room for the answer of a write, or of a part of one, that begins now.
    pub(super) fn new(env: &Env) -> Self {
        let free = |pool: &Pool| pool.limit().saturating_sub(pool.used());
        let of_server = env.instance().map_or(u64::MAX, |instance| free(&instance.memory));
        let left = free(env.budget().memory()).min(of_server) / 2;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        Room { left, packed: MAX_VALUE / TEXT, held: env.reserve() }
    }

    /// Takes room for an item. Returns false, and takes nothing, if there isn't enough.
    pub(super) fn take(&mut self, item: &Datum) -> bool {
        let (value, packed) = (footprint(item), item.size());
        let all = value.saturating_add(TEXT.saturating_mul(packed));
        let is_taken = all <= self.left && packed <= self.packed && self.held.add_bytes(value).is_ok();
        if is_taken {
            self.left -= all;
            self.packed -= packed;
        }
        is_taken
    }

    /// Takes memory for something that the answer can't do without.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<()> {
        self.held.add_bytes(bytes)
    }

    /// Has the items counted on as the value of the term. They are there, whether or not there is room.
    pub(super) fn keep(self) {
        self.held.keep().unwrap_or_default();
    }
}

/// Items of an answer, as many as there is room for.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The items, in order.
    pub(super) list: Vec<Datum>,
    /// True if there are more.
    pub(super) is_cut: bool,
}

impl Items {
    /// Adds items, up to the longest array, unless some were left out before.
    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = Datum>, room: &mut Room, limits: Limits) {
        if self.list.len() > limits.array {
            self.list.truncate(limits.array);
            self.is_cut = true;
        }
        for item in more {
            if self.is_cut || self.list.len() >= limits.array || !room.take(&item) {
                self.is_cut = true;
                break;
            }
            self.list.push(item);
        }
    }

    /// Returns the warning that some were left out, if that is so.
    pub(super) fn warning(&self) -> Option<String> {
        self.is_cut.then(|| format!("Too many changes, array truncated to {}.", self.list.len()))
    }
}

/// Returns about the bytes of memory that an item takes. Those of a change are documents, which mostly are as
/// they are stored.
fn footprint(item: &Datum) -> usize {
    /// The fields of a change, at most.
    const FEW: usize = 3;
    /// The bytes of a change besides its documents.
    const CHANGE: usize = 128;
    match item {
        Datum::Object(fields) if fields.len() <= FEW => {
            CHANGE + fields.iter().map(|(_, value)| value.footprint()).sum::<usize>()
        }
        item => item.footprint(),
    }
}
