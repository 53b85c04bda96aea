//! The environment of a running query, in three parts: the query's, its run's, and the
//! [thread](super::thread)'s.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::func::Func;
#[cfg(feature = "javascript")]
use super::javascript::Runner;
use super::known_tables::KnownTables;
pub use super::limits::Limits;
use super::profile::{Job, Trace, Work};
use super::table::TableRef;
use super::term::Flags;
use super::thread;
use super::val::Val;
use crate::accounts::{Permission, Scope};
use crate::budget::Budget;
use crate::budget::fuel::{self, Place};
use crate::budget::memory::{Pool, Reservation};
use crate::datum::{Datum, pseudo};
use crate::error::{Bt, Error, Result};
use crate::feed::Wake;
use crate::instance::Instance;
use crate::interrupt::Interrupt;
use crate::storage::{Stamp, Store, View};

/// The environment of one query. Cloning shares it.
#[derive(Clone)]
pub struct Env {
    query: Arc<Query>,
    run: Arc<Run>,
}

/// The query's part: the same for every run of it.
#[derive(Clone)]
pub struct Query {
    instance: Option<Arc<Instance>>,
    /// User of the query.
    pub user: Arc<str>,
    /// The query's limits.
    pub limits: Limits,
    optargs: Vec<(Arc<str>, Func)>,
    /// Tables that the query has named.
    tables: Arc<KnownTables>,
    /// Result of `r.now()` throughout the query, once it has been evaluated.
    now: OnceLock<Datum>,
    /// Time at which the query began, since 1970.
    began: Duration,
    /// Record from which the query's profile is made, if the query asks for a profile.
    trace: Option<Arc<Trace>>,
    /// Runner of the query's scripts.
    #[cfg(feature = "javascript")]
    pub javascript: Runner,
}

/// The run's part: its budget, and its permission to wait.
#[derive(Clone)]
struct Run {
    budget: Budget,
    place: Place,
    /// ReadView whose data is read; without one, each read sees the latest data.
    view: Option<View>,
    /// Signal that the query's feeds raise on news.
    wake: Arc<Wake>,
    /// True in the environment in which the cursor reads the feeds.
    is_cursor: bool,
}

/// Counts the work of a run without keeping the query's part.
pub struct Meter(Arc<Run>);

impl Meter {
    /// Does a part of the query's work, and counts it. An error of the budget comes before any other.
    pub fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.0.within(work)
    }

    /// Returns an empty reservation, to be added to.
    pub fn reserve(&self) -> Reservation {
        self.0.budget.reserve()
    }
}

impl Run {
    fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let is_all = !fuel::is_metered();
        let made = fuel::within(&self.budget, self.place, work);
        if is_all {
            thread::tidy_up();
        }
        made
    }
}

/// The options that may be evaluated one inside the other: a table in an option needs the option `db`, which
/// may hold a table again.
const OPTARG_DEPTH: u32 = 8;

impl Env {
    /// Makes the environment of a query that begins now. If it must not wait, a write that would have to
    /// fails with [`ErrorKind::WouldBlock`](crate::error::ErrorKind::WouldBlock), and so does a query that
    /// takes long.
    pub fn new(instance: Arc<Instance>, user: Arc<str>, interrupt: Interrupt, may_wait: bool) -> Env {
        Env::begin(Some(instance), user, interrupt, may_wait)
    }

    /// Makes an environment without data, for functions that may only use their arguments.
    pub fn detached() -> Env {
        Env::begin(None, Arc::default(), Interrupt::default(), true)
    }

    pub(super) fn begin(
        instance: Option<Arc<Instance>>,
        user: Arc<str>,
        interrupt: Interrupt,
        may_wait: bool,
    ) -> Env {
        let budget = match &instance {
            Some(instance) => Budget::of_query(interrupt, instance.memory.clone()),
            None => Budget::new(interrupt, Pool::default()),
        };
        let query = Query {
            instance,
            user,
            limits: Limits::default(),
            optargs: Vec::new(),
            tables: Arc::default(),
            now: OnceLock::new(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            trace: None,
            #[cfg(feature = "javascript")]
            javascript: Runner::default(),
        };
        let run = Run {
            budget,
            place: if may_wait { Place::Worker } else { Place::Inline },
            view: None,
            wake: Arc::default(),
            is_cursor: false,
        };
        Env { query: Arc::new(query), run: Arc::new(run) }
    }

    /// Returns this environment with the options of the query.
    pub fn with_optargs(mut self, optargs: Vec<(Arc<str>, Func)>) -> Env {
        let query = Arc::make_mut(&mut self.query);
        query.tables = Arc::new(KnownTables::of(&optargs));
        query.optargs = optargs;
        self
    }

    /// Returns this environment with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Env {
        Arc::make_mut(&mut self.query).limits = limits;
        self
    }

    /// Returns the environment of stored functions. The query's options have no effect on them, and they have
    /// no access to data.
    pub fn for_stored(&self) -> Env {
        let mut query = Query::clone(&self.query);
        (query.instance, query.optargs, query.limits) = (None, Vec::new(), Limits::default());
        query.tables = Arc::default();
        query.trace = None;
        Env { query: Arc::new(query), run: self.run.clone() }
    }

    /// Returns this environment with a profile of its work.
    pub fn with_trace(mut self) -> Env {
        Arc::make_mut(&mut self.query).trace = Some(Arc::new(Trace::new()));
        self
    }

    /// Returns the record from which the query's profile is made, if the query asks for a profile.
    #[inline]
    pub fn trace(&self) -> Option<&Trace> {
        self.query.trace.as_deref()
    }

    /// Records some work in the profile until the result is dropped.
    #[inline]
    pub fn work(&self, work: Work) -> Option<Job<'_>> {
        self.trace().and_then(|trace| trace.work(work))
    }

    /// Returns this environment for the cursor, which alone may wait for feeds.
    pub fn for_cursor(mut self) -> Env {
        Arc::make_mut(&mut self.run).is_cursor = true;
        self
    }

    /// Returns this environment with all data read as it is at this moment.
    pub fn at_this_moment(&self) -> Result<Env> {
        let view = self.store()?.view()?;
        let mut env = self.clone();
        Arc::make_mut(&mut env.run).view = Some(view);
        Ok(env)
    }

    /// Returns the moment whose data is read, if it is a certain one.
    pub fn view(&self) -> Option<&View> {
        self.run.view.as_ref()
    }

    /// Returns true if a write may wait here for the disk and for other writes.
    #[inline]
    pub fn may_wait(&self) -> bool {
        self.run.place == Place::Worker
    }

    /// Returns this environment with the permission to wait for writes.
    pub fn where_it_may_wait(mut self) -> Env {
        if !self.may_wait() {
            Arc::make_mut(&mut self.run).place = Place::Worker;
        }
        self
    }

    /// Returns the query's budget, with its use so far.
    pub fn budget(&self) -> &Budget {
        &self.run.budget
    }

    /// Returns an empty reservation, for a holder of rows.
    pub fn reserve(&self) -> Reservation {
        self.run.budget.reserve()
    }

    /// Does a part of the query's work, and counts it. An error of the budget comes before any other.
    pub fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run.within(work)
    }

    /// Returns the meter of the run, for a caller that gives the environment away to the work.
    pub fn meter(&self) -> Meter {
        Meter(self.run.clone())
    }

    /// Returns the result of `r.now()` throughout the query.
    pub fn now(&self) -> Result<Datum> {
        if let Some(now) = self.query.now.get() {
            return Ok(now.clone());
        }
        let now = pseudo::time::at(self.query.began)?;
        Ok(self.query.now.get_or_init(|| now).clone())
    }

    /// Returns the signal that the query's feeds raise on news.
    pub fn wake(&self) -> &Arc<Wake> {
        &self.run.wake
    }

    /// Returns the signal that a new feed raises on news. A feed that is opened while rows are read isn't the
    /// cursor's to wait for.
    pub fn wake_for_feed(&self) -> Arc<Wake> {
        if self.run.is_cursor { Arc::default() } else { self.run.wake.clone() }
    }

    /// Returns true if feeds that raise the signal `wake` may be read here.
    pub fn reads_feeds(&self, wake: &Arc<Wake>) -> bool {
        self.run.is_cursor && Arc::ptr_eq(&self.run.wake, wake)
    }

    /// Evaluates an option of the whole query. Fails if the option uses terms that need it again.
    pub fn optarg(&self, name: &str) -> Result<Option<Val>> {
        let Some((_, func)) = self.query.optargs.iter().find(|(key, _)| **key == *name) else {
            return Ok(None);
        };
        thread::deeper(|depth| {
            if depth <= OPTARG_DEPTH {
                return func.call_val(self, &[], Flags::NONE).map(Some);
            }
            let message = format!("The global optional argument `{name}` depends on itself.");
            Err(Error::logic(message).at(Bt::default()))
        })
    }

    /// Returns a table of the query's database, if the query has named it before and nothing about tables has
    /// changed since.
    pub fn known_table(&self, name: &str) -> Option<TableRef> {
        self.query.tables.find(self.store().ok()?, name)
    }

    /// Notes a table of the query's database that the query has named. `stamp` is older than the table.
    pub fn note_table(&self, stamp: Stamp, table: &TableRef) {
        self.query.tables.add(stamp, table);
    }

    /// Returns the server.
    pub fn instance(&self) -> Result<&Arc<Instance>> {
        self.query.instance.as_ref().ok_or_else(|| Error::internal("There are no tables here."))
    }

    /// Returns the store with the data.
    pub fn store(&self) -> Result<&Store> {
        self.instance().map(|instance| &instance.store)
    }

    /// Fails unless the user has the permission at the scope.
    pub fn require(&self, permission: Permission, scope: Scope) -> Result<()> {
        match &self.query.instance {
            Some(instance) => instance.accounts.require(&self.query.user, permission, scope),
            None => Ok(()),
        }
    }

    /// Fails if the answer is no longer wanted.
    pub fn check_interrupt(&self) -> Result<()> {
        self.run.budget.check_interrupt()
    }

    /// Fails if the answer is no longer wanted, where the query waits for something else and doesn't compute.
    pub fn check_wanted(&self) -> Result<()> {
        self.run.budget.check_wanted()
    }
}

impl Deref for Env {
    type Target = Query;

    fn deref(&self) -> &Query {
        &self.query
    }
}
