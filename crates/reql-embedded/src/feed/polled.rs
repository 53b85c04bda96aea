//! Feeds of rows that no writer announces: the server's own state, read again and compared.
//!
//! A [`ChangeSignal`] tells that the state was written to, so that this is noticed at once. Other changes are
//! noticed at the next reading, after a second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::followed::told;
use super::row::Side;
use super::{Feed, Options, Transform, Wake};
use crate::datum::Datum;
use crate::error::Result;

/// The longest time for which a change goes unnoticed that rings no bell.
const INTERVAL: Duration = Duration::from_secs(1);

/// A signal to feeds that there may be something new.
#[derive(Default)]
pub struct ChangeSignal {
    rung: AtomicU64,
    heard_by: Mutex<Vec<Weak<Wake>>>,
}

impl ChangeSignal {
    /// Tells the feeds that something was written.
    pub fn ring(&self) {
        self.rung.fetch_add(1, Ordering::AcqRel);
        let mut listeners = self.heard_by.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| match listener.upgrade() {
            Some(wake) => {
                wake.wake();
                true
            }
            None => false,
        });
    }

    fn count(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    fn tell(&self, wake: &Arc<Wake>) {
        let mut listeners = self.heard_by.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(wake));
    }
}

/// All rows by their keys, each with the number of times that it counts.
pub type Rows = BTreeMap<Datum, (Datum, usize)>;

/// A function that reads the rows as they are now.
pub type Read = Box<dyn Fn() -> Result<Rows> + Send>;

/// A feed of rows that are read again and again.
pub struct Polled {
    read: Read,
    transform: Box<dyn Transform>,
    options: Options,
    bell: Arc<ChangeSignal>,
    wake: Arc<Wake>,
    known: Rows,
    rows: VecDeque<Datum>,
    /// Number of rings at the last reading, and its time.
    looked: (u64, Instant),
}

impl Polled {
    /// Starts to listen, and reads the rows. A feed of a single row also shows that the row doesn't exist.
    pub fn open(
        read: Read,
        transform: Box<dyn Transform>,
        options: Options,
        (bell, wake): (Arc<ChangeSignal>, Arc<Wake>),
        is_point: bool,
    ) -> Result<Self> {
        bell.tell(&wake);
        let looked = (bell.count(), Instant::now());
        let known = read()?;
        let rows = VecDeque::new();
        let mut feed = Polled { read, transform, options, bell, wake, known, rows, looked };
        feed.show_initial(is_point)?;
        Ok(feed)
    }

    fn show_initial(&mut self, is_point: bool) -> Result<()> {
        let form = self.options.form;
        if self.options.include_initial {
            self.rows.extend(form.state("initializing"));
            let before = self.rows.len();
            for (row, copies) in self.known.values() {
                if let Some(value) = self.transform.apply(row)?.filter(|value| !value.is_null()) {
                    self.rows.extend(std::iter::repeat_n(form.initial(value, None), *copies));
                }
            }
            if is_point && self.rows.len() == before {
                self.rows.push_back(form.initial(Datum::Null, None));
            }
        }
        self.rows.extend(form.state("ready"));
        Ok(())
    }

    /// Returns the time until the next reading; `None` if it is due.
    fn wait(&self) -> Option<Duration> {
        let (rung, at) = self.looked;
        if self.bell.count() != rung {
            return None;
        }
        INTERVAL.checked_sub(at.elapsed()).filter(|left| !left.is_zero())
    }

    fn look(&mut self) -> Result<()> {
        self.looked = (self.bell.count(), Instant::now());
        let before = std::mem::replace(&mut self.known, (self.read)()?);
        let keys: BTreeSet<_> = before.keys().chain(self.known.keys()).collect();
        for key in keys {
            let (was, is) = (before.get(key), self.known.get(key));
            let copies = was.or(is).map_or(0, |(_, copies)| *copies);
            let side = |row: Option<&(Datum, usize)>| told(&*self.transform, row.map(|(row, _)| row));
            let (old, new) = (side(was)?, side(is)?);
            if old != new {
                let row = self.options.form.change(Side::value(old), Side::value(new));
                self.rows.extend(row.into_iter().flat_map(|row| std::iter::repeat_n(row, copies)));
            }
        }
        Ok(())
    }
}

impl Feed for Polled {
    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            if let Some(left) = self.wait() {
                self.wake.wake_in(left);
                return Ok(None);
            }
            self.look()?;
        }
    }
}
