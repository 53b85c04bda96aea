//! Rows found by their geometry, through a geospatial index.

use std::collections::{HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::env::Env;
use super::func::Func;
use super::scan::Permitted;
use super::stored;
use super::stream::Source;
use super::table::TableRef;
use super::watch::{Rows, Watched};
use crate::accounts::Permission;
use crate::budget::fuel;
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::profile::Work;
use crate::geo::nearest::Nearest;
use crate::geo::{Shape, index};
use crate::storage::{Direction, IndexScan, KeyRange, Table};

/// A geospatial index of a table.
#[derive(Clone)]
pub struct GeoIndex {
    stored: Table,
    name: Arc<str>,
    func: Func,
    multi: bool,
    detached: Env,
}

impl GeoIndex {
    /// Opens the index of this name, to be read by the term `term`.
    pub fn open(env: &Env, table: &TableRef, name: Arc<str>, term: &str) -> Result<Self> {
        env.require(Permission::Read, table.scope())?;
        if table.stored().is_none() {
            table.index(&name)?;
        }
        // RethinkDB evaluates the index on the servers of the data, so its errors blame the whole query.
        GeoIndex::find(table, name, term).at(Bt::default())
    }

    /// Finds the index of this name, to be followed by the term `term`.
    pub fn find(table: &TableRef, name: Arc<str>, term: &str) -> Result<Self> {
        let (stored, spec) = table.index(&name)?;
        if !spec.geo {
            return Err(Error::logic(format!(
                "Index `{name}` is not a geospatial index.  {term} can only be used with a geospatial index."
            )));
        }
        let func = stored::function(&spec.source)?;
        Ok(GeoIndex { stored: stored.clone(), name, func, multi: spec.multi, detached: Env::detached() })
    }

    /// Returns the nearest rows and their distances in meters, the nearest first.
    pub fn nearest(&self, env: &Env, mut search: Nearest) -> Result<Vec<(f64, Datum)>> {
        let mut results = Vec::new();
        let (mut found, mut held) = (HashSet::new(), env.reserve());
        loop {
            let shape = search.shape()?;
            let mut candidates = self.clone().candidates(&shape)?;
            let mut step = Vec::new();
            while let Some(Candidate { key, row, geometries }) = candidates.next(env)? {
                for (position, geometry) in geometries.iter().enumerate() {
                    if found.contains(&(key.clone(), position)) || !shape.intersects(geometry) {
                        continue;
                    }
                    if let Some(distance) = search.reach(geometry)? {
                        check_limit(found.len(), env)?;
                        held.add(&row)?;
                        found.insert((key.clone(), position));
                        step.push((distance, row.clone()));
                    }
                }
            }
            step.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let count = step.len();
            results.extend(step);
            if !search.advance(count) {
                results.truncate(search.max_results());
                return Ok(results);
            }
        }
    }

    /// Counts the geometries of a row that intersect the shape.
    pub fn hits(&self, row: &Datum, shape: &Shape) -> usize {
        self.geometries(row).iter().filter(|geometry| shape.intersects(geometry)).count()
    }

    fn candidates(self, shape: &Shape) -> Result<Candidates> {
        let ranges = index::ranges(shape).into_iter();
        let scans = ranges
            .map(|(first, last)| {
                let range = KeyRange::new(Bound::Included(first), Bound::Included(last));
                self.stored.index_scan(&self.name, range, Direction::Forward)
            })
            .collect::<Result<_>>()?;
        Ok(Candidates { index: self, scans, seen: HashSet::new(), held: None })
    }

    /// Returns the geometries under which the row is found. Other results of the function aren't in the
    /// index.
    fn geometries(&self, row: &Datum) -> Vec<Shape> {
        // As for the index itself: a want of memory doesn't make a row one that isn't found.
        fuel::uncounted(|| {
            let values = match self.func.call(&self.detached, std::slice::from_ref(row)) {
                Ok(Datum::Array(values)) if self.multi => values.into_vec(),
                Ok(value) => vec![value],
                Err(_) => Vec::new(),
            };
            values.iter().filter_map(|value| Shape::of(value).ok()).collect()
        })
    }
}

/// Rows that may intersect a shape, each once.
struct Candidates {
    index: GeoIndex,
    scans: VecDeque<IndexScan>,
    /// Keys of the rows that came already: a row is in several cells of the index.
    seen: HashSet<Vec<u8>>,
    /// Memory of these keys.
    held: Option<Reservation>,
}

struct Candidate {
    key: Vec<u8>,
    row: Datum,
    geometries: Vec<Shape>,
}

impl Candidates {
    fn next(&mut self, env: &Env) -> Result<Option<Candidate>> {
        while let Some(scan) = self.scans.front_mut() {
            env.check_interrupt()?;
            env.view().map_or(Ok(()), |view| scan.keep_to(view))?;
            if !scan.advance()? {
                self.scans.pop_front();
            } else if !self.seen.contains(scan.key()) {
                let (key, row) = (scan.key().to_vec(), scan.document()?);
                /// The memory that a key takes besides its bytes.
                const ENTRY: usize = 64;
                self.held.get_or_insert_with(|| env.reserve()).add_bytes(ENTRY + key.len())?;
                self.seen.insert(key.clone());
                let geometries = self.index.geometries(&row);
                return Ok(Some(Candidate { key, row, geometries }));
            }
        }
        Ok(None)
    }
}

/// The name of the term that finds rows by a shape.
pub const GET_INTERSECTING: &str = "get_intersecting";

/// The rows that intersect a shape. In a multi index, a row comes once for each of its geometries that
/// intersects the shape. The index is looked up when the first row is read.
pub struct Intersecting {
    table: TableRef,
    index: Arc<str>,
    shape: Shape,
    candidates: Option<Candidates>,
    permitted: Permitted,
    emitted: usize,
    row: Datum,
    /// Number of further times that the row is to come.
    repeats: usize,
}

impl Intersecting {
    /// Makes the source of a table's rows by one of its indexes. A system table has none, and fails at once.
    pub fn new(env: &Env, table: TableRef, index: Arc<str>, shape: Shape) -> Result<Self> {
        if table.stored().is_none() {
            GeoIndex::open(env, &table, index.clone(), GET_INTERSECTING)?;
        }
        let (permitted, row) = (Permitted::default(), Datum::Null);
        Ok(Intersecting { table, index, shape, candidates: None, permitted, emitted: 0, row, repeats: 0 })
    }

    fn candidates(&mut self, env: &Env) -> Result<&mut Candidates> {
        let candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None => {
                let index = GeoIndex::open(env, &self.table, self.index.clone(), GET_INTERSECTING)?;
                index.candidates(&self.shape).at(Bt::default())?
            }
        };
        Ok(self.candidates.insert(candidates))
    }
}

impl Source for Intersecting {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let _told = env.work(Work::Intersecting);
        self.permitted.check(env, &self.table)?;
        while self.repeats == 0 {
            let Some(candidate) = self.candidates(env)?.next(env)? else { return Ok(None) };
            let hits = candidate.geometries.iter().filter(|geometry| self.shape.intersects(geometry));
            self.repeats = hits.count();
            self.row = candidate.row;
        }
        check_limit(self.emitted, env)?;
        self.repeats -= 1;
        self.emitted += 1;
        Ok(Some(self.row.clone()))
    }

    fn is_lazy(&self) -> bool {
        true
    }

    fn work(&self) -> Option<Work> {
        Some(Work::Intersecting)
    }

    fn watch(&self) -> Result<Vec<Watched>> {
        let (table, index, shape) = (self.table.clone(), self.index.clone(), self.shape.clone());
        Ok(vec![Watched::new(Rows::Intersecting { table, index, shape })])
    }

    fn suspend(&mut self) {
        self.permitted.pause();
        if let Some(candidates) = &mut self.candidates {
            candidates.scans.iter_mut().for_each(IndexScan::suspend);
        }
    }
}

/// Fails if `count` rows are as many as an array may have, and there is one more.
fn check_limit(count: usize, env: &Env) -> Result<()> {
    if count < env.limits.array {
        return Ok(());
    }
    let message = "Array size limit exceeded during geospatial index traversal.";
    Err(Error::new(ErrorKind::ResourceLimit, message).at(Bt::default()))
}
