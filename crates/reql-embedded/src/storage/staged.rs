//! A file under redb whose writes are held back until they are released.
//!
//! Opening a database writes: the mark that it is in use, and the recovery after a crash. All of this stays
//! in memory until it is known that the file is this server's and sound. A file that is refused, or only
//! read, is never changed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use super::backup::Pace;

/// The unit in which held writes are kept for reading.
const PAGE: u64 = 4096;

/// The access to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Writing, once the writes are released.
    Write,
    /// Reading only; other processes may read the file too.
    Look,
}

/// The backend. Clones share it: redb has one, and the other decides when to write.
#[derive(Clone)]
pub(super) struct Staged(Arc<Inner>);

struct Inner {
    file: Box<dyn StorageBackend>,
    access: Access,
    /// Pace at which the file is read before the writes are released.
    pace: Option<Arc<Pace>>,
    is_released: AtomicBool,
    held: Mutex<Held>,
}

/// The writes so far: for readers, and in the order in which the file has to get them.
#[derive(Default)]
struct Held {
    length: Option<u64>,
    /// Bytes of the file that still show: less than all of it once it was cut off.
    visible: Option<u64>,
    pages: BTreeMap<u64, Box<[u8]>>,
    log: Vec<Operation>,
}

enum Operation {
    Write(u64, Box<[u8]>),
    SetLength(u64),
    Sync,
}

impl Staged {
    pub(super) fn new(file: impl StorageBackend, access: Access, pace: Option<Arc<Pace>>) -> Self {
        let (is_released, held) = (AtomicBool::new(false), Mutex::default());
        Staged(Arc::new(Inner { file: Box::new(file), access, pace, is_released, held }))
    }

    /// Writes the held writes, and from here on every write at once.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.0.held();
        for operation in std::mem::take(&mut *held).log {
            match operation {
                Operation::Write(offset, data) => self.0.file.write(offset, &data)?,
                Operation::SetLength(length) => self.0.file.set_len(length)?,
                Operation::Sync => self.0.file.sync_data()?,
            }
        }
        self.0.is_released.store(true, Ordering::Release);
        Ok(())
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the held writes, unless they have been released.
    fn holding(&self) -> Option<MutexGuard<'_, Held>> {
        if self.is_released.load(Ordering::Acquire) {
            return None;
        }
        // The release may have come between the check and the lock.
        let held = self.held();
        (!self.is_released.load(Ordering::Acquire)).then_some(held)
    }

    fn length(&self, held: &Held) -> io::Result<u64> {
        held.length.map_or_else(|| self.file.len(), Ok)
    }

    /// Fills `out` from the file alone; bytes behind its end are zero.
    fn read_file(&self, held: &Held, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let visible = held.visible.map_or_else(|| self.file.len(), Ok)?;
        let there = visible.saturating_sub(offset).min(out.len() as u64) as usize;
        let (inside, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if let Some(pace) = &self.pace {
            pace.moved(inside.len()).map_err(|error| io::Error::other(error.message().to_owned()))?;
        }
        if inside.is_empty() { Ok(()) } else { self.file.read(offset, inside) }
    }

    fn read(&self, held: &Held, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.length(held)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(held, offset, out)?;
        for (number, page) in held.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = number * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let part = &page[(from - start) as usize..(to - start) as usize];
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
        }
        Ok(())
    }

    fn write(&self, held: &mut Held, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        for number in offset / PAGE..end.div_ceil(PAGE) {
            let start = number * PAGE;
            let mut page = match held.pages.remove(&number) {
                Some(page) => page,
                None => {
                    let mut page = vec![0; PAGE as usize].into_boxed_slice();
                    self.read_file(held, start, &mut page)?;
                    page
                }
            };
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let part = &data[(from - offset) as usize..(to - offset) as usize];
            page[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
            held.pages.insert(number, page);
        }
        held.log.push(Operation::Write(offset, data.into()));
        Ok(())
    }

    fn set_length(&self, held: &mut Held, length: u64) -> io::Result<()> {
        let visible = held.visible.map_or_else(|| self.file.len(), Ok)?;
        held.visible = Some(visible.min(length));
        drop(held.pages.split_off(&length.div_ceil(PAGE)));
        if let Some(page) = held.pages.get_mut(&(length / PAGE)) {
            page[(length % PAGE) as usize..].fill(0);
        }
        held.length = Some(length);
        held.log.push(Operation::SetLength(length));
        Ok(())
    }
}

impl StorageBackend for Staged {
    fn len(&self) -> io::Result<u64> {
        match self.0.holding() {
            Some(held) => self.0.length(&held),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.0.holding() {
            Some(held) => self.0.read(&held, offset, out),
            None => self.0.file.read(offset, out),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match self.0.holding() {
            Some(mut held) => self.0.set_length(&mut held, length),
            None => self.0.file.set_len(length),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.0.holding() {
            Some(mut held) => {
                held.log.push(Operation::Sync);
                Ok(())
            }
            None => self.0.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.0.holding() {
            Some(mut held) => self.0.write(&mut held, offset, data),
            None => self.0.file.write(offset, data),
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match self.0.access {
            Access::Write => self.0.file.try_lock_range(start, end),
            Access::Look => self.0.file.try_lock_shared_range(start, end),
        }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match self.0.access {
            Access::Write => self.0.file.lock_range(start, end),
            Access::Look => self.0.file.lock_shared_range(start, end),
        }
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staged({:?}, {:?})", self.0.file, self.0.access)
    }
}
