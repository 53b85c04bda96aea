//! Rows found by where they are, through a geospatial index.

use std::collections::{HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::env::Env;
use super::func::Func;
use super::stored;
use super::stream::Source;
use super::table::TableRef;
use super::watch::{Rows, Watched};
use crate::accounts::Permission;
use crate::datum::Datum;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::profile::Work;
use crate::geo::nearest::Nearest;
use crate::geo::{Shape, index};
use crate::storage::{Direction, IndexScan, KeyRange, Table};

/// A geospatial index of a table.
#[derive(Clone)]
pub struct GeoIndex {
    table: TableRef,
    stored: Table,
    name: Arc<str>,
    func: Func,
    multi: bool,
    detached: Env,
}

impl GeoIndex {
    /// The index of this name; `term` is who asks.
    pub fn open(env: &Env, table: &TableRef, name: Arc<str>, term: &str) -> Result<Self> {
        env.require(Permission::Read, table.scope())?;
        let (stored, spec) = table.index(&name)?;
        if !spec.geo {
            return Err(Error::logic(format!(
                "Index `{name}` is not a geospatial index.  {term} can only be used with a geospatial index."
            )));
        }
        let func = stored::function(&spec.source)?;
        let (table, stored) = (table.clone(), stored.clone());
        Ok(GeoIndex { table, stored, name, func, multi: spec.multi, detached: Env::detached() })
    }

    /// The rows that intersect the shape: those of a multi index once for each of their geometries that does.
    pub fn intersecting(self, shape: Shape) -> Result<Intersecting> {
        let candidates = self.candidates(&shape)?;
        Ok(Intersecting { candidates, shape, emitted: 0, row: Datum::Null, repeats: 0 })
    }

    /// The nearest rows and their distances in meters, the nearest first.
    pub fn nearest(&self, env: &Env, mut search: Nearest) -> Result<Vec<(f64, Datum)>> {
        let mut results = Vec::new();
        let mut found = HashSet::new();
        loop {
            let shape = search.shape()?;
            let mut candidates = self.candidates(&shape)?;
            let mut step = Vec::new();
            while let Some(Candidate { key, row, geometries }) = candidates.next(env)? {
                for (position, geometry) in geometries.iter().enumerate() {
                    if found.contains(&(key.clone(), position)) || !shape.intersects(geometry) {
                        continue;
                    }
                    if let Some(distance) = search.reach(geometry)? {
                        check_limit(found.len(), env)?;
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

    /// The table.
    pub fn table(&self) -> &TableRef {
        &self.table
    }

    /// How many of a row's geometries intersect the shape.
    pub fn hits(&self, row: &Datum, shape: &Shape) -> usize {
        self.geometries(row).iter().filter(|geometry| shape.intersects(geometry)).count()
    }

    fn candidates(&self, shape: &Shape) -> Result<Candidates> {
        let ranges = index::ranges(shape).into_iter();
        let scans = ranges
            .map(|(first, last)| {
                let range = KeyRange::new(Bound::Included(first), Bound::Included(last));
                self.stored.index_scan(&self.name, range, Direction::Forward)
            })
            .collect::<Result<_>>()?;
        Ok(Candidates { index: self.clone(), scans, seen: HashSet::new() })
    }

    /// The geometries under which the row is found. Whatever else the function gives isn't in the index.
    fn geometries(&self, row: &Datum) -> Vec<Shape> {
        let values = match self.func.call(&self.detached, std::slice::from_ref(row)) {
            Ok(Datum::Array(values)) if self.multi => values.into_vec(),
            Ok(value) => vec![value],
            Err(_) => Vec::new(),
        };
        values.iter().filter_map(|value| Shape::of(value).ok()).collect()
    }
}

/// Rows that may intersect a shape, each once.
struct Candidates {
    index: GeoIndex,
    scans: VecDeque<IndexScan>,
    /// The keys of the rows that came already: a row is in several cells of the index.
    seen: HashSet<Vec<u8>>,
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
                self.seen.insert(key.clone());
                let geometries = self.index.geometries(&row);
                return Ok(Some(Candidate { key, row, geometries }));
            }
        }
        Ok(None)
    }
}

/// The rows that intersect a shape.
pub struct Intersecting {
    candidates: Candidates,
    shape: Shape,
    emitted: usize,
    row: Datum,
    /// How many more times the row is to come.
    repeats: usize,
}

impl Source for Intersecting {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let _told = env.work(Work::Intersecting);
        while self.repeats == 0 {
            let Some(candidate) = self.candidates.next(env)? else { return Ok(None) };
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
        Ok(vec![Watched::new(Rows::Intersecting(self.candidates.index.clone(), self.shape.clone()))])
    }

    fn suspend(&mut self) {
        self.candidates.scans.iter_mut().for_each(IndexScan::suspend);
    }
}

/// Fails when so many rows are as many as an array may have, though there is another one.
fn check_limit(count: usize, env: &Env) -> Result<()> {
    if count < env.limits.array {
        return Ok(());
    }
    Err(Error::new(ErrorKind::ResourceLimit, "Array size limit exceeded during geospatial index traversal."))
}
