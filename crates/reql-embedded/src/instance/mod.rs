//! A running server as its queries see it: the data, the users, the server itself, and what it is doing.

mod identity;
mod jobs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

pub use identity::{Identities, Identity};
pub use jobs::{Job, Jobs, Running};

use crate::accounts::Accounts;
use crate::budget::memory::Pool;
use crate::datum::Datum;
use crate::engine::Listening;
use crate::error::Result;
use crate::feed::Bell;
use crate::storage::Store;

/// What all queries of a server share.
pub struct Instance {
    /// Where the data is.
    pub store: Store,
    /// How much memory the store uses for pages, in bytes.
    pub cache_bytes: usize,
    /// How much memory queries may hold.
    pub memory: Pool,
    /// Who may do what.
    pub accounts: Accounts,
    /// The server's name and what else can be set about it.
    pub identities: Identities,
    /// The queries that run.
    pub jobs: Jobs,
    /// When it was started.
    pub started: SystemTime,
    /// Where it listens; unknown before it does.
    pub listening: OnceLock<Listening>,
    /// The rows of the table `_debug_scratch`, by key.
    pub scratch: Mutex<BTreeMap<Datum, Datum>>,
    /// Rings when a system table was written to.
    pub bell: Arc<Bell>,
}

impl Instance {
    /// The server of a store that uses so much memory; the name and the password of `admin` are for a new
    /// one.
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
            jobs: Jobs::default(),
            started: SystemTime::now(),
            listening: OnceLock::new(),
            scratch: Mutex::default(),
            bell: Arc::default(),
        })
    }

    /// The server with another limit of the memory that queries may hold, in bytes. It is half of what there
    /// is otherwise.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory = Pool::new(bytes);
        self
    }

    /// The server's identity as it is now.
    pub fn identity(&self) -> Arc<Identity> {
        self.identities.current()
    }
}
