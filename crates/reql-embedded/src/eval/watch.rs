//! The rows that `changes` can follow: those of a table, with the stages that they go through.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::env::Env;
use super::geo_index::{GET_INTERSECTING, GeoIndex};
use super::stream::{Flow, Row, Stage};
use super::system::SystemTable;
use super::table::{Backing, Bounds, Sorting, TableRef, TableSlice};
use crate::datum::{Datum, key};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::feed::{Extent, Feed, Flat, Kind, Options, Polled, Ranges, Transform, Wake, Window};
use crate::geo::Shape;
use crate::storage::{self, Direction, KeyRange};

/// A stream of rows of one table whose changes can be followed.
#[derive(Clone)]
pub struct Watched {
    rows: Rows,
    stages: Vec<Arc<dyn Stage>>,
    limit: Option<u64>,
}

/// A choice of a table's rows.
#[derive(Clone)]
pub enum Rows {
    /// The rows of a range.
    Slice(TableSlice),
    /// The rows with these keys, each as often as its key is given.
    Keys {
        /// The table.
        table: TableRef,
        /// Index that the keys are values of; the primary key if there is none.
        index: Option<Arc<str>>,
        /// The keys.
        keys: Vec<Datum>,
    },
    /// The rows that intersect a shape.
    Intersecting {
        /// The table.
        table: TableRef,
        /// The geospatial index.
        index: Arc<str>,
        /// The shape.
        shape: Shape,
    },
}

impl Rows {
    fn table(&self) -> &TableRef {
        match self {
            Rows::Slice(slice) => &slice.table,
            Rows::Keys { table, .. } => table,
            Rows::Intersecting { table, .. } => table,
        }
    }

    fn sorting(&self) -> Sorting {
        match self {
            Rows::Slice(slice) => slice.sorting,
            Rows::Keys { .. } | Rows::Intersecting { .. } => Sorting::Unordered,
        }
    }

    /// Returns a function from the key of a system table's row to the number of times that it counts.
    fn counts(self) -> Box<dyn Fn(&Datum) -> usize + Send> {
        match self {
            Rows::Slice(TableSlice { bounds: None, .. }) => Box::new(|_| 1),
            Rows::Slice(TableSlice { bounds: Some(bounds), .. }) => {
                Box::new(move |key| usize::from(bounds.contain(key)))
            }
            Rows::Keys { keys, .. } => {
                let mut counts = BTreeMap::new();
                keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
                Box::new(move |key| counts.get(key).copied().unwrap_or_default())
            }
            Rows::Intersecting { .. } => Box::new(|_| 0),
        }
    }

    /// Returns the index by which the rows are found, if it isn't the primary key.
    fn index(&self) -> Option<&str> {
        let index = match self {
            Rows::Slice(slice) => slice.index.as_deref(),
            Rows::Keys { index, .. } => index.as_deref(),
            Rows::Intersecting { .. } => None,
        };
        index.filter(|index| !self.table().is_primary(Some(index)))
    }

    /// Returns true if there can't be any rows.
    fn is_empty(&self) -> bool {
        match self {
            Rows::Slice(slice) => slice.bounds.as_ref().is_some_and(Bounds::is_empty),
            Rows::Keys { keys, .. } => keys.is_empty(),
            Rows::Intersecting { .. } => false,
        }
    }

    /// Fails for values that no primary key could be. A feed that shows each change makes keys of them in
    /// RethinkDB, whatever its index (`range_sub_t` in `changefeed.cc`).
    fn check_keys(&self) -> Result<()> {
        match self {
            Rows::Slice(slice) => {
                slice.bounds.as_ref().map_or(Ok(()), |bounds| bounds.primary_range().map(drop))
            }
            Rows::Keys { keys, .. } => keys.iter().try_for_each(|key| key::primary(key).map(drop)),
            Rows::Intersecting { .. } => Ok(()),
        }
    }

    fn extent(&self) -> Result<Extent> {
        if self.is_empty() {
            let (table, ranges) = (stored(self.table())?, Ranges::Points(BTreeMap::new()));
            return Ok(Extent { table, index: None, ranges, multiplicity: None });
        }
        match self {
            Rows::Slice(slice) => {
                let bounds = slice.bounds.clone().unwrap_or_default();
                extent(&slice.table, slice.index.as_deref(), |is_primary| {
                    Ok(Ranges::One(if is_primary {
                        bounds.primary_range()?
                    } else {
                        bounds.index_range()?
                    }))
                })
            }
            Rows::Keys { table, index, keys } => extent(table, index.as_deref(), |is_primary| {
                let encode = if is_primary { key::primary } else { key::secondary_bound };
                let mut points = BTreeMap::new();
                for value in keys {
                    *points.entry(encode(value)?).or_default() += 1;
                }
                Ok(Ranges::Points(points))
            }),
            Rows::Intersecting { table, index, shape } => {
                let index = GeoIndex::find(table, index.clone(), GET_INTERSECTING)?;
                let (table, shape) = (stored(table)?, shape.clone());
                // The cells of the index only narrow the search; the shape decides.
                let multiplicity = Arc::new(move |row: &Datum| index.hits(row, &shape));
                let ranges = Ranges::One(KeyRange::all());
                Ok(Extent { table, index: None, ranges, multiplicity: Some(multiplicity) })
            }
        }
    }
}

fn stored(table: &TableRef) -> Result<storage::Table> {
    table.stored().cloned().ok_or_else(|| Error::internal("A system table is followed as one of the store."))
}

fn extent(
    table: &TableRef,
    index: Option<&str>,
    ranges: impl FnOnce(bool) -> Result<Ranges>,
) -> Result<Extent> {
    let stored = stored(table)?;
    let ranges = match index.filter(|_| !table.is_primary(index)) {
        Some(name) => {
            let ranges = table.ordered_index(name, || ranges(false))?.1;
            let index = Some(stored.index_entries(name)?);
            return Ok(Extent { ranges, table: stored, index, multiplicity: None });
        }
        None => ranges(true)?,
    };
    Ok(Extent { ranges, table: stored, index: None, multiplicity: None })
}

impl Watched {
    /// Follows rows as they are in the table.
    pub fn new(rows: Rows) -> Self {
        Watched { rows, stages: Vec::new(), limit: None }
    }

    /// Follows the first row of an order.
    pub fn first(slice: TableSlice) -> Self {
        Watched { limit: Some(1), ..Watched::new(Rows::Slice(slice)) }
    }

    /// Returns the table.
    pub fn table(&self) -> &TableRef {
        self.rows.table()
    }

    /// Adds the stages that follow the rows in a stream.
    pub fn then(mut self, stages: &[Arc<dyn Stage>]) -> Self {
        self.stages.extend(stages.iter().cloned());
        self
    }

    /// Cuts the rows to the first `limit`; `None` if they are cut already, or there can't be any.
    pub fn limited(self, limit: u64) -> Option<Self> {
        let may_be_cut = self.limit.is_none() && !self.is_empty();
        may_be_cut.then_some(Watched { limit: Some(limit), ..self })
    }

    /// Returns true if there can't be any rows of the store among these. In that case their bounds don't
    /// matter.
    fn is_empty(&self) -> bool {
        let is_stored = self.table().stored().is_some();
        is_stored && self.limit.is_none() && self.rows.is_empty()
    }

    /// Starts to follow the changes. `bt` is the place of `changes`.
    pub fn open(self, env: &Env, options: Options, wake: Arc<Wake>, bt: Bt) -> Result<(Kind, Box<dyn Feed>)> {
        let is_empty = self.is_empty();
        if !is_empty {
            self.stages.iter().try_for_each(|stage| stage.check_watchable()).at(bt)?;
        }
        let Watched { rows, stages, limit } = self;
        let through: Box<dyn Transform> = Box::new(StagePipeline { env: env.clone(), stages });
        let system = match rows.table().backing() {
            Backing::System(system) => Some(*system),
            Backing::Stored(_) => None,
        };
        if system.is_some() && limit.is_some() {
            return Err(Error::op_failed("System tables don't support changefeeds on `.limit()`.").at(bt));
        }
        let Some(limit) = limit else {
            if options.form.offsets {
                let rows = if is_empty { "empty" } else { "range" };
                return Err(no_offsets(rows, system.is_some()).at(bt));
            }
            if let Some(system) = system {
                if let Some(index) = rows.index() {
                    rows.table().index(index).at(bt)?;
                }
                let count = rows.counts();
                let feed = open_system(system, env, count, (through, options, wake), false).at(bt)?;
                return Ok((Kind::Sequence, feed));
            }
            if !is_empty {
                rows.check_keys().at(bt)?;
            }
            let feed = Flat::open(rows.extent().at(bt)?, through, options, wake, false).at(bt)?;
            return Ok((Kind::Sequence, Box::new(feed)));
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        check_limit(limit, env).at(bt)?;
        let direction = match rows.sorting() {
            Sorting::Ascending => Direction::Forward,
            Sorting::Descending => Direction::Backward,
            Sorting::Unordered => {
                let message = "Cannot get changes on the first elements of an unordered stream.";
                return Err(Error::logic(message).at(Bt::default()));
            }
        };
        let feed = Window::open(rows.extent().at(bt)?, through, options, wake, (direction, limit)).at(bt)?;
        Ok((Kind::Window, Box::new(feed)))
    }
}

/// The documents that a feed of the first ones shows at most, whatever the query's limit of arrays.
const LONGEST_WINDOW: usize = 100_000;

fn check_limit(limit: usize, env: &Env) -> Result<()> {
    let most = env.limits.array.min(LONGEST_WINDOW);
    if limit <= most {
        return Ok(());
    }
    let message = format!(
        "Array size limit `{most}` exceeded.  (`.limit(X).changes()` is illegal if X is larger than the \
         array size limit.)"
    );
    Err(Error::new(ErrorKind::ResourceLimit, message))
}

/// Returns the error for positions of rows that have none. RethinkDB takes each error of a system table's
/// feed for one of the operation (`cfeed_backend.cc`).
fn no_offsets(rows: &str, is_system: bool) -> Error {
    let kind = if is_system { ErrorKind::OpFailed } else { ErrorKind::QueryLogic };
    Error::new(kind, format!("Cannot include offsets for {rows} subs."))
}

/// Starts to follow the changes of one row.
pub fn open_point(
    table: &TableRef,
    key: &Datum,
    env: &Env,
    options: Options,
    wake: Arc<Wake>,
) -> Result<Box<dyn Feed>> {
    if options.form.offsets {
        return Err(no_offsets("point", table.stored().is_none()));
    }
    let through = Box::new(StagePipeline { env: env.clone(), stages: Vec::new() });
    if let Backing::System(system) = table.backing() {
        let key = key.clone();
        let count = move |other: &Datum| usize::from(*other == key);
        return open_system(*system, env, count, (through, options, wake), true);
    }
    let extent = Extent {
        table: stored(table)?,
        index: None,
        ranges: Ranges::Points(BTreeMap::from([(key::primary(key)?, 1)])),
        multiplicity: None,
    };
    Ok(Box::new(Flat::open(extent, through, options, wake, true)?))
}

/// Starts to follow rows of a system table: those whose keys count.
fn open_system(
    table: SystemTable,
    env: &Env,
    count: impl Fn(&Datum) -> usize + Send + 'static,
    (through, options, wake): (Box<dyn Transform>, Options, Arc<Wake>),
    is_point: bool,
) -> Result<Box<dyn Feed>> {
    let bell = env.instance()?.bell.clone();
    let env = env.clone();
    let read = move || {
        let rows = table.rows(&env)?.into_iter().map(|row| {
            let key = row.get("id").unwrap_or_default();
            let count = count(&key);
            (key, (row, count))
        });
        Ok(rows.filter(|(_, (_, count))| *count > 0).collect())
    };
    Ok(Box::new(Polled::open(Box::new(read), through, options, (bell, wake), is_point)?))
}

/// The stages between the table and `changes`.
struct StagePipeline {
    env: Env,
    stages: Vec<Arc<dyn Stage>>,
}

impl Transform for StagePipeline {
    fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        self.env.check_interrupt()?;
        let mut row = Row { group: None, value: document.clone() };
        for stage in &self.stages {
            row = match stage.apply(&self.env, row)? {
                Flow::Keep(row) => row,
                Flow::Drop | Flow::Expand(_) => return Ok(None),
            };
        }
        Ok(Some(row.value))
    }
}
