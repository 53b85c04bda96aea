//! What a running query knows: its options, its limits, its user, the store, and whether it has been told to stop.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regex::bytes::Regex;

use super::func::Func;
#[cfg(feature = "javascript")]
use super::javascript::Runner;
use super::profile::{Job, Trace, Work};
use super::val::Val;
use crate::accounts::{Permission, Scope};
use crate::datum::{Datum, pseudo};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::feed::Wake;
use crate::instance::Instance;
use crate::interrupt::Interrupt;
use crate::storage::{Store, View};

/// The environment of one query. Cloning shares it.
#[derive(Clone)]
pub struct Env(Arc<Inner>);

/// The parts of an environment.
pub struct Inner {
    instance: Option<Arc<Instance>>,
    /// Who asks.
    pub user: Arc<str>,
    /// The query's limits.
    pub limits: Limits,
    /// The time that `r.now()` gives throughout the query, once it has been asked for.
    now: OnceLock<Datum>,
    /// When the query began, since 1970.
    began: Duration,
    /// Set when nobody waits for the answer any more.
    pub interrupt: Interrupt,
    /// Whether this is a place where a write may wait for the disk and for others.
    pub may_wait: bool,
    /// What runs its scripts.
    #[cfg(feature = "javascript")]
    pub javascript: Runner,
    optargs: Vec<(Arc<str>, Func)>,
    /// The moment whose data is read; otherwise each read sees what is there then.
    view: Option<View>,
    /// How many options are being evaluated, one inside the other.
    optarg_depth: AtomicU32,
    /// What the query's feeds tell their news.
    wake: Arc<Wake>,
    /// Whether this is the environment in which the cursor reads them.
    is_cursor: bool,
    /// The record from which the query's profile is made, if the query asks for a profile.
    trace: Option<Arc<Trace>>,
    regexes: Mutex<HashMap<Arc<str>, Regex>>,
}

/// The limits of a query.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest array: 100,000 unless the option `array_limit` says otherwise.
    pub array: usize,
    /// How many changes a feed keeps for a slow reader: 100,000 unless `changefeed_queue_size` says otherwise.
    pub changefeed_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { array: 100_000, changefeed_queue: 100_000 }
    }
}

impl Limits {
    /// No limits, for values that come from the store.
    pub const NONE: Limits = Limits { array: usize::MAX, changefeed_queue: usize::MAX };

    /// An array, unless it is too long.
    pub fn array(self, items: Vec<Datum>) -> Result<Datum> {
        self.check_array(items.len())?;
        Ok(Datum::array(items))
    }

    /// Fails when an array would be too long.
    pub fn check_array(self, len: usize) -> Result<()> {
        if len <= self.array {
            return Ok(());
        }
        let message = format!(
            "Array over size limit `{}`.  To raise the number of allowed elements, modify the `array_limit` option \
             to `.run` (not available in the Data Explorer), or use an index.",
            self.array
        );
        Err(Error::new(ErrorKind::ResourceLimit, message))
    }
}

/// How many options may be evaluated one inside the other: a table in one asks for the database, and that may hold another.
const OPTARG_DEPTH: u32 = 8;

/// How many compiled regular expressions a query keeps.
const REGEX_CACHE: usize = 1_000;

impl Env {
    /// The environment of a query that begins now. Where it must not wait, a write that would have to fails with
    /// [`ErrorKind::WouldBlock`].
    pub fn new(instance: Arc<Instance>, user: Arc<str>, interrupt: Interrupt, may_wait: bool) -> Env {
        Env::begin(Some(instance), user, interrupt, may_wait)
    }

    /// An environment without data, for functions that may only look at their arguments.
    pub fn detached() -> Env {
        Env::begin(None, Arc::default(), Interrupt::default(), true)
    }

    pub(super) fn begin(
        instance: Option<Arc<Instance>>,
        user: Arc<str>,
        interrupt: Interrupt,
        may_wait: bool,
    ) -> Env {
        Env(Arc::new(Inner {
            instance,
            user,
            limits: Limits::default(),
            now: OnceLock::new(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            interrupt,
            may_wait,
            #[cfg(feature = "javascript")]
            javascript: Runner::default(),
            optargs: Vec::new(),
            view: None,
            optarg_depth: AtomicU32::new(0),
            wake: Arc::default(),
            is_cursor: false,
            trace: None,
            regexes: Mutex::default(),
        }))
    }

    /// The same environment with the options of the query.
    pub fn with_optargs(mut self, optargs: Vec<(Arc<str>, Func)>) -> Env {
        Arc::make_mut(&mut self.0).optargs = optargs;
        self
    }

    /// The same environment with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Env {
        Arc::make_mut(&mut self.0).limits = limits;
        self
    }

    /// Returns the environment of stored functions. They do the same whatever the options of the query are,
    /// and they find no data.
    pub fn for_stored(&self) -> Env {
        let mut inner = Inner::clone(self);
        (inner.instance, inner.optargs, inner.limits) = (None, Vec::new(), Limits::default());
        inner.trace = None;
        Env(Arc::new(inner))
    }

    /// Returns this environment with a profile of what is done in it.
    pub fn with_trace(mut self) -> Env {
        Arc::make_mut(&mut self.0).trace = Some(Arc::new(Trace::new()));
        self
    }

    /// Returns the record from which the query's profile is made, if the query asks for a profile.
    #[inline]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// Tells of some work until the result is dropped.
    #[inline]
    pub fn work(&self, work: Work) -> Option<Job<'_>> {
        self.trace().and_then(|trace| trace.work(work))
    }

    /// The same environment for the cursor, which alone may wait for feeds.
    pub fn for_cursor(mut self) -> Env {
        Arc::make_mut(&mut self.0).is_cursor = true;
        self
    }

    /// Returns this environment with all data read as it is at this moment.
    pub fn at_this_moment(&self) -> Result<Env> {
        let view = self.store()?.view()?;
        let mut env = self.clone();
        Arc::make_mut(&mut env.0).view = Some(view);
        Ok(env)
    }

    /// The moment whose data is read, if it is a certain one.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// The same environment in a place where a write may wait.
    pub fn where_it_may_wait(mut self) -> Env {
        if !self.may_wait {
            Arc::make_mut(&mut self.0).may_wait = true;
        }
        self
    }

    /// The time that `r.now()` gives throughout the query.
    pub fn now(&self) -> Result<Datum> {
        if let Some(now) = self.now.get() {
            return Ok(now.clone());
        }
        let now = pseudo::time::at(self.began)?;
        Ok(self.now.get_or_init(|| now).clone())
    }

    /// What the query's feeds tell their news.
    pub fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// What a new feed tells its news. One that is opened while rows are read isn't the cursor's to wait for.
    pub fn wake_for_feed(&self) -> Arc<Wake> {
        if self.is_cursor { Arc::default() } else { self.wake.clone() }
    }

    /// Whether the feeds that tell their news to `wake` may be read here.
    pub fn reads_feeds(&self, wake: &Arc<Wake>) -> bool {
        self.is_cursor && Arc::ptr_eq(&self.wake, wake)
    }

    /// Evaluates an option of the whole query. One that uses terms which ask for it again fails.
    pub fn optarg(&self, name: &str) -> Result<Option<Val>> {
        let Some((_, func)) = self.optargs.iter().find(|(key, _)| **key == *name) else { return Ok(None) };
        let depth = self.optarg_depth.fetch_add(1, Ordering::Relaxed);
        let value = if depth < OPTARG_DEPTH {
            func.call_val(self, &[], super::term::Flags::NONE).map(Some)
        } else {
            Err(Error::logic(format!("The global optional argument `{name}` depends on itself."))
                .at(Bt::default()))
        };
        self.optarg_depth.fetch_sub(1, Ordering::Relaxed);
        value
    }

    /// The server.
    pub fn instance(&self) -> Result<&Arc<Instance>> {
        self.instance.as_ref().ok_or_else(|| Error::internal("There are no tables here."))
    }

    /// Where the data is.
    pub fn store(&self) -> Result<&Store> {
        self.instance().map(|instance| &instance.store)
    }

    /// Fails unless the user may do this there.
    pub fn require(&self, permission: Permission, scope: Scope) -> Result<()> {
        match &self.instance {
            Some(instance) => instance.accounts.require(&self.user, permission, scope),
            None => Ok(()),
        }
    }

    /// Fails when nobody waits for the answer any more.
    pub fn check_interrupt(&self) -> Result<()> {
        if self.interrupt.is_raised() {
            return Err(Error::new(ErrorKind::Interrupted, "Query interrupted.").at(Bt::default()));
        }
        Ok(())
    }

    /// A compiled regular expression; `compile` makes it when the query hasn't used it before.
    pub fn regex(&self, pattern: &Arc<str>, compile: impl FnOnce(&str) -> Result<Regex>) -> Result<Regex> {
        let mut regexes = self.regexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = regexes.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = compile(pattern)?;
        if regexes.len() >= REGEX_CACHE {
            regexes.clear();
        }
        regexes.insert(pattern.clone(), regex.clone());
        Ok(regex)
    }
}

/// What an environment shares with another that differs in one part; compiled expressions aside, which each collects for itself.
impl Clone for Inner {
    fn clone(&self) -> Self {
        Inner {
            instance: self.instance.clone(),
            user: self.user.clone(),
            limits: self.limits,
            now: self.now.clone(),
            began: self.began,
            interrupt: self.interrupt.clone(),
            may_wait: self.may_wait,
            #[cfg(feature = "javascript")]
            javascript: self.javascript.clone(),
            optargs: self.optargs.clone(),
            view: self.view.clone(),
            optarg_depth: AtomicU32::new(self.optarg_depth.load(Ordering::Relaxed)),
            wake: self.wake.clone(),
            is_cursor: self.is_cursor,
            trace: self.trace.clone(),
            regexes: Mutex::default(),
        }
    }
}

impl Deref for Env {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
