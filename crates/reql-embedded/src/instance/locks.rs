//! Locks of the system tables: a row is read, decided on and written by one query at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;

/// The time between two looks of a query that waits if it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// State that is shown as rows, and replaced a row at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// The databases.
    Databases,
    /// The tables' settings.
    Tables,
    /// The users.
    Users,
    /// The users' permissions.
    Permissions,
    /// The server's settings, which two tables show.
    Server,
    /// The rows of `_debug_scratch`.
    Scratch,
}

/// The locks of a server. A query holds one at most, since no function may write.
#[derive(Debug, Default)]
pub struct Locks {
    /// The locks that are held.
    held: Mutex<Vec<Guarded>>,
    freed: Condvar,
}

/// A lock, until it is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    locks: &'a Locks,
    what: Guarded,
}

impl Locks {
    /// Waits until the lock is free, and takes it. While it isn't, `go_on` is called now and then; its error
    /// ends the wait.
    pub fn lock(&self, what: Guarded, mut go_on: impl FnMut() -> Result<()>) -> Result<Locked<'_>> {
        let mut held = self.held();
        while held.contains(&what) {
            let waited = self.freed.wait_timeout(held, LOOK).unwrap_or_else(PoisonError::into_inner);
            drop(waited);
            go_on()?;
            held = self.held();
        }
        held.push(what);
        Ok(Locked { locks: self, what })
    }

    fn held(&self) -> MutexGuard<'_, Vec<Guarded>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.locks.held().retain(|held| *held != self.what);
        self.locks.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_lock_is_held_by_one_and_others_may_give_up() {
        let locks = Locks::default();
        let held = locks.lock(Guarded::Users, || Ok(())).expect("free");
        drop(locks.lock(Guarded::Server, || Ok(())).expect("another lock"));
        assert!(locks.lock(Guarded::Users, || Err(Error::would_block())).is_err());
        let mut looks = 0;
        let mut held = Some(held);
        let lock = locks.lock(Guarded::Users, || {
            looks += 1;
            held.take();
            Ok(())
        });
        assert!(lock.is_ok() && looks == 1);
    }
}
