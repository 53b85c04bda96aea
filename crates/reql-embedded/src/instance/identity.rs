//! The identity of a server: its permanent id, and its name and tags, which can be changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use crate::datum::Datum;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::Store;

/// The key of the record in the store.
const RECORD: &str = "server";

/// The tag that servers have unless they are given others.
pub const DEFAULT_TAG: &str = "default";

/// A server's identity and settings: its row of the table `server_config`.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The id, which never changes.
    pub id: Uuid,
    /// The name.
    pub name: Arc<str>,
    /// Tags by which replicas can be assigned.
    pub tags: BTreeSet<String>,
    /// Memory for pages, in megabytes; `None` leaves it to the server.
    pub cache_size_mb: Option<f64>,
    /// Time in seconds that servers wait for each other. It matters in clusters only, and is kept for tools
    /// that set it.
    pub heartbeat_timeout_secs: f64,
}

impl Identity {
    fn new(name: Option<String>) -> Identity {
        let id = Uuid::new_v4();
        let suffix: String = id.simple().to_string().chars().take(3).collect();
        Identity {
            id,
            name: name.unwrap_or_else(|| format!("embedded_{suffix}")).into(),
            tags: BTreeSet::from([DEFAULT_TAG.to_owned()]),
            cache_size_mb: None,
            heartbeat_timeout_secs: 10.0,
        }
    }

    fn to_record(&self) -> Datum {
        Datum::object([
            ("id", Datum::str(self.id.to_string())),
            ("name", self.name.clone().into()),
            ("tags", Datum::array(self.tags.iter().map(Datum::str).collect())),
            ("cache_size_mb", self.cache_size_mb.map_or(Datum::Null, Datum::Num)),
            ("heartbeat_timeout_secs", Datum::Num(self.heartbeat_timeout_secs)),
        ])
    }

    fn from_record(record: &Datum) -> Result<Identity> {
        let id = Uuid::try_parse(record.field("id")?.as_str()?);
        let tags = record.field("tags")?;
        Ok(Identity {
            id: id.map_err(|_| Error::internal("The record of the server is damaged."))?,
            name: record.field("name")?.as_str()?.clone(),
            tags: tags.as_array()?.iter().map(|tag| Ok(tag.as_str()?.to_string())).collect::<Result<_>>()?,
            cache_size_mb: record.field("cache_size_mb")?.as_num().ok(),
            heartbeat_timeout_secs: record.field("heartbeat_timeout_secs")?.as_num()?,
        })
    }
}

/// The identity, which can be changed and read at the same time.
pub struct Identities {
    store: Store,
    current: RwLock<Arc<Identity>>,
    /// Lock that is held while the identity is changed.
    writing: Mutex<()>,
}

impl Identities {
    /// Reads the identity. A new server gets one, with this name if one is given.
    pub(super) fn open(store: Store, name: Option<String>) -> Result<Identities> {
        let record = store.meta_get(RECORD)?;
        let identity = match &record {
            Some(record) => Identity::from_record(record)?,
            None => Identity::new(name),
        };
        if record.is_none() {
            store.meta_put(RECORD, &identity.to_record())?;
        }
        Ok(Identities { store, current: RwLock::new(Arc::new(identity)), writing: Mutex::new(()) })
    }

    /// Returns the identity now.
    pub fn current(&self) -> Arc<Identity> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the identity by the closure's result, durably.
    pub fn change(&self, change: impl FnOnce(&Identity) -> Identity) -> Result<()> {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = change(&self.current());
        let stored = self.store.meta_put(RECORD, &identity.to_record());
        match &stored {
            Ok(()) => self.publish(identity),
            // The file may have the change or not.
            Err(error) if error.kind() == ErrorKind::OpIndeterminate => {
                if let Ok(Some(record)) = self.store.meta_get(RECORD) {
                    self.publish(Identity::from_record(&record)?);
                }
            }
            Err(_) => {}
        }
        stored
    }

    fn publish(&self, identity: Identity) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }
}
