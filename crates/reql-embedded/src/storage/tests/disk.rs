//! A disk that may be full, be away, or fail to sync.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redb::StorageBackend;

use super::Fields;
use crate::storage::Store;
use crate::storage::backlog::BACKLOG_BYTES;
use crate::storage::file::{File, cache_bytes};

/// A disk. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Platter>);

#[derive(Debug)]
struct Platter {
    bytes: Mutex<Vec<u8>>,
    /// Length up to which bytes can be written.
    room: AtomicUsize,
    is_gone: AtomicBool,
    /// True if the next sync fails, after it has kept everything.
    fails_to_sync: AtomicBool,
    /// True if the next opening panics.
    panics: AtomicBool,
    /// True if openings wait.
    holds: AtomicBool,
    openings: AtomicUsize,
}

impl Disk {
    pub(super) fn new() -> Self {
        Disk(Arc::new(Platter {
            bytes: Mutex::default(),
            room: AtomicUsize::new(usize::MAX),
            is_gone: AtomicBool::new(false),
            fails_to_sync: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            openings: AtomicUsize::new(0),
        }))
    }

    /// Opens a file on the disk, which can be opened again after a failure.
    pub(super) fn file(&self) -> File {
        let disk = self.clone();
        File::over_each(move || disk.opened(), cache_bytes()).unwrap().0
    }

    /// Opens a store on the disk.
    pub(super) fn open(&self) -> Store {
        Store::start(self.file(), true, Arc::new(Fields), BACKLOG_BYTES).unwrap()
    }

    fn opened(&self) -> Disk {
        self.0.openings.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        while self.0.holds.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(60) {
            thread::yield_now();
        }
        assert!(!self.0.panics.swap(false, Ordering::SeqCst), "as the test wants it");
        self.clone()
    }

    /// Returns the number of times that the disk was opened.
    pub(super) fn openings(&self) -> usize {
        self.0.openings.load(Ordering::SeqCst)
    }

    /// Leaves room for nothing more.
    pub(super) fn fill(&self) {
        let length = self.0.bytes.lock().unwrap().len();
        self.0.room.store(length, Ordering::SeqCst);
    }

    pub(super) fn make_room(&self) {
        self.0.room.store(usize::MAX, Ordering::SeqCst);
    }

    pub(super) fn set_gone(&self, is_gone: bool) {
        self.0.is_gone.store(is_gone, Ordering::SeqCst);
    }

    pub(super) fn fail_to_sync(&self) {
        self.0.fails_to_sync.store(true, Ordering::SeqCst);
    }

    pub(super) fn panic_once(&self) {
        self.0.panics.store(true, Ordering::SeqCst);
    }

    /// Lets openings wait or go on.
    pub(super) fn hold(&self, holds: bool) {
        self.0.holds.store(holds, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        let is_gone = self.0.is_gone.load(Ordering::SeqCst);
        if is_gone { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        let (bytes, start) = (self.0.bytes.lock().unwrap(), offset as usize);
        let part = bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check()?;
        self.0.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        let fails = self.0.fails_to_sync.swap(false, Ordering::SeqCst);
        if fails { Err(io::Error::other("who knows what is on the disk")) } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let (mut bytes, start) = (self.0.bytes.lock().unwrap(), offset as usize);
        if start + data.len() > self.0.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let end = bytes.len().max(start + data.len());
        bytes.resize(end, 0);
        bytes[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}
