//! A cache with a time to live, by user, database and table.
//!
//! Each user has entries of their own, since another user may not have the right to see them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The largest number of entries.
const MOST: usize = 1024;

/// A cache of one value for each user, database and table.
#[derive(Debug)]
pub(crate) struct TtlCache<T> {
    lasts: Duration,
    known: Mutex<HashMap<(Whose, String), (T, Instant)>>,
}

/// The user that an entry belongs to (`None` for the service's own account), and the database.
type Whose = (Option<String>, String);

impl<T: Clone> TtlCache<T> {
    pub(crate) fn new(lasts: Duration) -> Self {
        TtlCache { lasts, known: Mutex::default() }
    }

    pub(crate) fn get(&self, whose: (Option<&str>, &str), table: &str) -> Option<T> {
        let known = self.known();
        let (value, since) = known.get(&key(whose, table))?;
        (since.elapsed() < self.lasts).then(|| value.clone())
    }

    pub(crate) fn put(&self, whose: (Option<&str>, &str), table: &str, value: T) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key(whose, table), (value, Instant::now()));
    }

    /// Removes the entries of all users for a table, in all databases.
    pub(crate) fn forget(&self, table: &str) {
        self.known().retain(|(_, own), _| own != table);
    }

    /// Does what [`TtlCache::forget`] does for entries that have been there for some time.
    pub(crate) fn forget_aged(&self, table: &str, age: Duration) {
        self.known().retain(|(_, own), (_, since)| own != table || since.elapsed() < age);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(Whose, String), (T, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key((user, database): (Option<&str>, &str), table: &str) -> (Whose, String) {
    ((user.map(str::to_owned), database.to_owned()), table.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_was_told_another_is_not() {
        let recent = TtlCache::new(Duration::from_secs(60));
        let (reader, other, own) = ((Some("reader"), "db"), (Some("other"), "db"), (None, "db"));
        recent.put(reader, "t", 1);
        assert_eq!(recent.get(reader, "t"), Some(1));
        assert_eq!([other, own, (Some("reader"), "another")].map(|it| recent.get(it, "t")), [None; 3]);
        recent.put(own, "t", 2);
        recent.put(own, "u", 3);
        recent.forget_aged("t", Duration::from_secs(60));
        assert_eq!(recent.get(own, "t"), Some(2));
        recent.forget_aged("t", Duration::ZERO);
        assert_eq!([recent.get(reader, "t"), recent.get(own, "u")], [None, Some(3)]);
        recent.put(own, "t", 2);
        recent.forget("t");
        assert_eq!([recent.get(reader, "t"), recent.get(own, "t")], [None, None]);
        assert_eq!(recent.get(own, "u"), Some(3));
    }
}
