//! The state of a thread that evaluates: compiled regular expressions, and the depth of options in options.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::budget::fuel;
use crate::datum::Datum;
use crate::datum::text::regexp::Pattern;
use crate::error::Result;

/// The bytes of compiled regular expressions that all threads keep, unless those of one thread take more.
const REGEX_CACHE: usize = 32 << 20;
/// The bytes of them that it keeps from one query to the next.
const IDLE_CACHE: usize = 1 << 20;

/// The bytes of all threads.
static REGEX_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static REGEXES: RefCell<Cache> = RefCell::default();
    static OPTION_DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[derive(Default)]
struct Cache {
    patterns: HashMap<Arc<str>, Pattern>,
    bytes: usize,
}

impl Cache {
    fn add(&mut self, text: Arc<str>, pattern: Pattern) {
        let size = pattern.size();
        if REGEX_BYTES.fetch_add(size, Ordering::Relaxed) + size > REGEX_CACHE {
            self.clear();
        }
        self.bytes += size;
        self.patterns.insert(text, pattern);
    }

    fn take(&mut self, text: &str) -> Option<(Arc<str>, Pattern)> {
        let found = self.patterns.remove_entry(text);
        self.forget(found.as_ref().map_or(0, |(_, pattern)| pattern.size()));
        found
    }

    fn clear(&mut self) {
        self.patterns = HashMap::new();
        self.forget(self.bytes);
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        REGEX_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.forget(self.bytes);
    }
}

/// Searches a text for a pattern; `compile` makes that unless the thread has it still.
pub fn find(pattern: &Arc<str>, text: &str, compile: impl FnOnce(&str) -> Result<Pattern>) -> Result<Datum> {
    let kept = REGEXES.with_borrow_mut(|cache| cache.take(pattern));
    let (name, mut compiled) = match kept {
        Some(kept) => kept,
        None => (pattern.clone(), compile(pattern)?),
    };
    let _size = fuel::aside(compiled.size())?;
    let found = compiled.find(text);
    REGEXES.with_borrow_mut(|cache| cache.add(name, compiled));
    found
}

/// Frees the part of the cache that is too large for an idle thread.
pub fn tidy_up() {
    REGEXES.with_borrow_mut(|cache| {
        if cache.bytes > IDLE_CACHE {
            cache.clear();
        }
    });
}

/// Evaluates an option. `work` gets the number of options that are being evaluated, one inside the other.
pub fn deeper<T>(work: impl FnOnce(u32) -> T) -> T {
    let _left = Left(OPTION_DEPTH.get());
    OPTION_DEPTH.set(OPTION_DEPTH.get() + 1);
    work(OPTION_DEPTH.get())
}

/// Restores the depth when it is dropped, also if the evaluation panics.
struct Left(u32);

impl Drop for Left {
    fn drop(&mut self) {
        OPTION_DEPTH.set(self.0);
    }
}
