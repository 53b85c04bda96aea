//! Power failures: a disk that keeps any part of the writes since the last sync, whole or torn.
//!
//! Each round opens the store on the remains of the last failure, checks it, works on, and loses power after
//! a random number of the disk's operations: also while the store opens, recovers, is compacted, or closes.
//! Everything is generated from one seed, which a failure shows.
//!
//! `REQL_TORN_SEED` repeats one, as far as the threads of the store allow; `REQL_TORN_ROUNDS` sets how many
//! failures there are (default 150).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

use super::Fields;
use crate::datum::{Datum, key};
use crate::error::Result;
use crate::storage::backlog::BACKLOG_BYTES;
use crate::storage::file::File;
use crate::storage::{
    Change, Direction, Durability, IndexSpec, KeyRange, Mutation, Store, Table, TableOptions,
};

const SECTOR: usize = 512;
/// Small, so that redb reads its own writes back from the disk.
const CACHE_BYTES: usize = 256 << 10;

/// A disk, with the state that a power failure would leave.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// Bytes that readers see.
    seen: Vec<u8>,
    /// Bytes that are surely kept.
    synced: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<Operation>,
    /// Operations that are left before the power fails. Then nothing works any more.
    left: usize,
}

#[derive(Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    SetLength(usize),
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl Platter {
    fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
        match operation {
            Operation::Write(offset, data) => put(bytes, *offset, data),
            Operation::SetLength(length) => bytes.resize(*length, 0),
        }
    }

    /// Returns the disk after the failure: of the writes that were not synced, any, and any of their sectors.
    fn remains(&self, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][random.random_range(0..5)];
        // Some disks write in order.
        let is_prefix = random.random::<bool>();
        let end = if is_prefix { (self.unsynced.len() as f64 * kept) as usize } else { self.unsynced.len() };
        for (number, operation) in self.unsynced.iter().take(end).enumerate() {
            let is_torn = if is_prefix { number + 1 == end } else { random.random_ratio(1, 4) };
            match operation {
                _ if !is_prefix && !random.random_bool(kept) => {}
                Operation::Write(offset, data) if is_torn => {
                    for (sector, part) in data.chunks(SECTOR).enumerate().filter(|_| random.random::<bool>())
                    {
                        put(&mut bytes, offset + sector * SECTOR, part);
                    }
                }
                operation => Platter::apply(&mut bytes, operation),
            }
        }
        bytes
    }
}

impl Disk {
    fn new(bytes: Vec<u8>, left: usize) -> Self {
        Disk(Arc::new(Mutex::new(Platter { seen: bytes.clone(), synced: bytes, unsynced: Vec::new(), left })))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// Returns the platter, for one more operation that writes.
    fn work(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.platter();
        platter.left = platter.left.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
        Ok(platter)
    }

    fn write(&self, operation: Operation) -> io::Result<()> {
        let mut platter = self.work()?;
        Platter::apply(&mut platter.seen, &operation);
        platter.unsynced.push(operation);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter();
        let start = offset as usize;
        let part = platter.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.write(Operation::SetLength(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.work()?;
        let Platter { synced, unsynced, .. } = &mut *platter;
        unsynced.drain(..).for_each(|operation| Platter::apply(synced, &operation));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write(Operation::Write(offset as usize, data.to_vec()))
    }
}

/// The contents that a store should have: versions of documents, indexes, and further tables beside the one
/// that has them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Contents {
    documents: BTreeMap<i64, i64>,
    indexes: BTreeSet<String>,
    tables: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Step {
    Put(i64, i64),
    Delete(i64),
    ToggleIndex(String),
    ToggleTable(String),
}

impl Step {
    fn random(random: &mut StdRng) -> Step {
        let id = random.random_range(0..40);
        match random.random_range(0..20) {
            0 => Step::ToggleIndex(["a", "b"][random.random_range(0..2)].to_owned()),
            1 => Step::ToggleTable(["u", "v"][random.random_range(0..2)].to_owned()),
            2..6 => Step::Delete(id),
            _ => Step::Put(id, random.random::<u32>().into()),
        }
    }

    fn apply_to(&self, contents: &mut Contents) {
        let toggle = |names: &mut BTreeSet<String>, name: &String| {
            if !names.remove(name) {
                names.insert(name.clone());
            }
        };
        match self {
            Step::Put(id, version) => drop(contents.documents.insert(*id, *version)),
            Step::Delete(id) => drop(contents.documents.remove(id)),
            Step::ToggleIndex(name) => toggle(&mut contents.indexes, name),
            Step::ToggleTable(name) => toggle(&mut contents.tables, name),
        }
    }

    /// Applies the step to the store, whose contents are `before`.
    fn run(&self, store: &Store, before: &Contents, durability: Durability) -> Result<()> {
        let table = store.table("test", "t")?;
        let write = |id: &i64, change: Change| {
            let mutation = Mutation::new(key::primary(&Datum::from(*id))?, move |_| Ok(change.clone()));
            table
                .write(vec![mutation], durability)?
                .into_iter()
                .try_for_each(|result| result.map(drop).map_err(|failed| failed.error))
        };
        match self {
            Step::Put(id, version) => write(id, Change::Put(document(*id, *version))),
            Step::Delete(id) => write(id, Change::Delete),
            Step::ToggleIndex(name) if before.indexes.contains(name) => table.drop_index(name),
            Step::ToggleIndex(name) => table.create_index(
                IndexSpec { name: name.clone(), source: name.clone(), multi: false, geo: false },
                false,
            ),
            Step::ToggleTable(name) if before.tables.contains(name) => {
                let table = store.table("test", name)?;
                store.drop_table(table.id()).map(drop)
            }
            Step::ToggleTable(name) => store.create_table("test", name, TableOptions::default()).map(drop),
        }
    }
}

/// Returns a document of some hundred bytes, sometimes of many.
fn document(id: i64, version: i64) -> Datum {
    let length = if version % 10 == 0 { version % 20_000 } else { version % 600 };
    Datum::object([
        ("id", Datum::from(id)),
        ("a", Datum::from(version % 9)),
        ("b", Datum::from(version)),
        ("pad", Datum::str("x".repeat(length as usize))),
    ])
}

/// Returns the id and the version of a document, all of which has to be there.
fn version(found: Datum) -> (i64, i64) {
    let number = |field| found.get(field).unwrap().as_int().unwrap();
    let (id, version) = (number("id"), number("b"));
    assert_eq!(found, document(id, version));
    (id, version)
}

/// Returns the contents of the store; an error if the power fails under a background job before all is read.
fn contents(store: &Store) -> Result<Contents> {
    let table: Table = store.table("test", "t")?;
    let mut scan = table.scan(KeyRange::all(), Direction::Forward);
    let mut documents = BTreeMap::new();
    while let Some(document) = scan.next()? {
        documents.extend([version(document)]);
    }
    let tables = store.tables("test")?.into_iter().map(|meta| meta.config.name);
    Ok(Contents {
        documents,
        indexes: table.indexes()?.into_iter().map(|index| index.spec.name.clone()).collect(),
        tables: tables.filter(|name| name != "t").collect(),
    })
}

fn open(disk: &Disk) -> Result<Store> {
    // It is opened anew after a failure as a real file is, or else readers would go on with what isn't on it.
    let disk = disk.clone();
    let (file, is_new) = File::over_each(move || disk.clone(), CACHE_BYTES)?;
    Store::start(file, is_new, Arc::new(Fields), BACKLOG_BYTES)
}

/// The contents that may be found after a failure, from those that were on the disk for sure to those of all
/// steps that were begun.
struct Known {
    possible: Vec<Contents>,
}

impl Known {
    fn now(&self) -> &Contents {
        self.possible.last().unwrap()
    }

    /// Notes that a step was begun.
    fn begin(&mut self, step: &Step) {
        let mut next = self.now().clone();
        step.apply_to(&mut next);
        self.possible.push(next);
    }

    /// Notes that all steps that were begun are on the disk.
    fn settle(&mut self) {
        self.possible.drain(..self.possible.len() - 1);
    }

    fn found(&mut self, contents: Contents, seed: u64) {
        let is_possible = self.possible.contains(&contents);
        let (first, last) = (self.possible.first(), self.possible.last());
        assert!(
            is_possible,
            "seed {seed}: found {contents:?}, which is none of the {} from {first:?} to {last:?}",
            self.possible.len()
        );
        self.possible = vec![contents];
    }
}

/// Works until the power fails, or for `steps` steps.
fn work(disk: &Disk, known: &mut Known, steps: usize, random: &mut StdRng, seed: u64) -> Result<()> {
    let store = open(disk)?;
    known.found(contents(&store)?, seed);
    let report = store.check()?;
    assert_eq!(report.problems, Vec::<String>::new(), "seed {seed}");
    for _ in 0..steps {
        if random.random_ratio(1, 30) {
            store.compact()?;
        }
        let step = Step::random(random);
        let is_soft = random.random_ratio(1, 2) && matches!(step, Step::Put(..) | Step::Delete(_));
        let before = known.now().clone();
        known.begin(&step);
        step.run(&store, &before, if is_soft { Durability::Soft } else { Durability::Hard })?;
        // Even if it changes nothing: what it found may be the work of a soft one.
        if !is_soft {
            known.settle();
        }
    }
    if random.random::<bool>() {
        store.sync()?;
        known.settle();
    }
    store.close();
    Ok(())
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn whatever_a_power_failure_leaves_holds_what_was_acknowledged() {
    let seed = from_environment("REQL_TORN_SEED").unwrap_or_else(rand::random);
    let rounds = from_environment("REQL_TORN_ROUNDS").unwrap_or(150);
    let mut random = StdRng::seed_from_u64(seed);
    let mut known = Known { possible: vec![Contents::default()] };

    let disk = Disk::new(Vec::new(), usize::MAX);
    let store = open(&disk).unwrap();
    store.create_database("test").unwrap();
    store.create_table("test", "t", TableOptions::default()).unwrap();
    store.close();
    let mut bytes = disk.platter().synced.clone();

    let mut failures = 0;
    for _ in 0..rounds {
        let disk = Disk::new(bytes, random.random_range(0..400));
        failures += usize::from(work(&disk, &mut known, 60, &mut random, seed).is_err());
        bytes = disk.platter().remains(&mut random);
    }
    let disk = Disk::new(bytes, usize::MAX);
    work(&disk, &mut known, 0, &mut random, seed).unwrap();
    assert!(failures > rounds / 2, "the power hardly ever failed: {failures} of {rounds}");
}
