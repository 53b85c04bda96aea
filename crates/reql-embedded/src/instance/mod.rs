//! A running server as its queries see it: the data, the users, the server's identity, and its running
//! queries.

mod identity;
mod jobs;
mod locks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

pub use identity::{Identities, Identity};
pub use jobs::{Job, Jobs, Running};
pub use locks::{Guarded, Locked, Locks};

use crate::accounts::Accounts;
use crate::budget::memory::Pool;
use crate::datum::Datum;
use crate::engine::Listening;
use crate::error::Result;
use crate::feed::ChangeSignal;
use crate::storage::Store;

/// State that all queries of a server share.
pub struct Instance {
    /// Databases, tables and their documents.
    pub store: Store,
    /// Memory that the store uses for pages, in bytes.
    pub cache_bytes: usize,
    /// Memory that queries may hold.
    pub memory: Pool,
    /// Users and their permissions.
    pub accounts: Accounts,
    /// The server's name and its other settings.
    pub identities: Identities,
    /// The queries that run.
    pub jobs: Jobs,
    /// Time at which the server was started.
    pub started: SystemTime,
    /// The server's addresses; unset before it listens.
    pub listening: OnceLock<Listening>,
    /// Locks of the system tables.
    pub locks: Locks,
    /// The rows of the table `_debug_scratch`, by key.
    pub scratch: Mutex<BTreeMap<Datum, Datum>>,
    /// Signal that rings when a system table was written to.
    pub bell: Arc<ChangeSignal>,
}

impl Instance {
    /// Makes the server of a store that uses `cache_bytes` of memory. The name and the password of `admin`
    /// are for a new one.
    pub fn new(
        store: Store,
        cache_bytes: usize,
        initial_password: &str,
        name: Option<String>,
    ) -> Result<Instance> {
        Ok(Instance {
            accounts: Accounts::open(store.clone(), initial_password)?,
            identities: Identities::open(store.clone(), name)?,
            store,
            cache_bytes,
            memory: Pool::of_half_the_memory(),
            locks: Locks::default(),
            jobs: Jobs::default(),
            started: SystemTime::now(),
            listening: OnceLock::new(),
            scratch: Mutex::default(),
            bell: Arc::default(),
        })
    }

    /// Sets the limit of the memory that queries may hold, in bytes. The default is half of the memory that
    /// the process may use.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory = Pool::new(bytes);
        self
    }

    /// Returns the server's identity as it is now.
    pub fn identity(&self) -> Arc<Identity> {
        self.identities.current()
    }
}
