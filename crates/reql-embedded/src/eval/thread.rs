//! The state of a thread that evaluates: compiled regular expressions, and the depth of options in options.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::datum::text::regexp::Pattern;
use crate::error::Result;

/// The bytes of compiled regular expressions that a thread keeps, unless a single one takes more.
const REGEX_CACHE: usize = 16 << 20;
/// The bytes of compiled regular expressions that a thread keeps from one query to the next.
const IDLE_CACHE: usize = 1 << 20;

thread_local! {
    static REGEXES: RefCell<Cache> = RefCell::default();
    static OPTION_DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[derive(Default)]
struct Cache {
    patterns: HashMap<Arc<str>, Pattern>,
    bytes: usize,
}

/// Returns the compiled regular expression for a text. Calls `compile` unless the thread has it still.
pub fn regex(text: &Arc<str>, compile: impl FnOnce(&str) -> Result<Pattern>) -> Result<Pattern> {
    if let Some(pattern) = REGEXES.with_borrow(|cache| cache.patterns.get(text).cloned()) {
        return Ok(pattern);
    }
    let pattern = compile(text)?;
    REGEXES.with_borrow_mut(|cache| {
        cache.bytes += pattern.size();
        if cache.bytes > REGEX_CACHE {
            cache.patterns.clear();
            cache.bytes = pattern.size();
        }
        cache.patterns.insert(text.clone(), pattern.clone());
    });
    Ok(pattern)
}

/// Frees the part of the cache that is too large for an idle thread.
pub fn tidy_up() {
    REGEXES.with_borrow_mut(|cache| {
        if cache.bytes > IDLE_CACHE {
            *cache = Cache::default();
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
