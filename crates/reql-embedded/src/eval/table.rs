//! Databases and tables as values of a query.

use std::sync::Arc;

use uuid::Uuid;

use super::env::Env;
use super::func::Func;
use super::scan::{KeySource, Known, Path};
use super::slice::Watchable;
use super::stream::Stream;
use super::system::{self, Identifiers, SystemTable};
use super::watch::Rows;
use crate::accounts::{Permission, SYSTEM_DATABASE, Scope};
use crate::datum::{Datum, key};
use crate::error::{At, Bt, Error, Result};
use crate::eval::profile::{Job, Work};
use crate::storage::{self, IndexSpec, IndexStatus};

pub use super::selection::SingleSelection;
pub use super::slice::{Bounds, Sorting, TableSlice};

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Id.
    pub id: Uuid,
    /// Name.
    pub name: Arc<str>,
}

impl Database {
    /// Finds the database of this name.
    pub fn find(env: &Env, name: &str) -> Result<Database> {
        if name == system::DATABASE {
            return Ok(Database::system());
        }
        let storage::Database { id, name } = env.store()?.database(name)?;
        Ok(Database { id, name })
    }

    /// Returns the database that holds the system tables.
    fn system() -> Database {
        Database { id: SYSTEM_DATABASE, name: system::DATABASE.into() }
    }

    /// Returns true if the database holds the system tables.
    pub fn is_system(&self) -> bool {
        self.id == SYSTEM_DATABASE
    }

    /// Fails if the database holds the system tables, with the reason `why` they don't allow the operation.
    pub fn refuse_system(&self, why: &str) -> Result<()> {
        if self.is_system() {
            return Err(Error::op_failed(format!("Database `{}` is special; {why}", self.name)));
        }
        Ok(())
    }

    /// Returns the database's scope for permissions.
    pub fn scope(&self) -> Scope {
        Scope::Database(self.id)
    }
}

/// A table. Cloning shares it.
#[derive(Clone)]
pub struct TableRef(Arc<Parts>);

struct Parts {
    db: Database,
    backing: Backing,
    name: Arc<str>,
    primary_key: Arc<str>,
}

/// The place of a table's rows.
pub enum Backing {
    /// The store.
    Stored(storage::Table),
    /// The server's own state.
    System(SystemTable),
}

impl TableRef {
    /// Makes a table of the store.
    pub fn new(db: Database, stored: storage::Table) -> Self {
        let name = Arc::from(&*stored.config().name);
        let primary_key = Arc::from(stored.primary_key());
        TableRef(Arc::new(Parts { db, backing: Backing::Stored(stored), name, primary_key }))
    }

    /// Makes a system table.
    pub fn system(table: SystemTable) -> Self {
        let name = table.name().into();
        let (db, primary_key) = (Database::system(), "id".into());
        TableRef(Arc::new(Parts { db, backing: Backing::System(table), name, primary_key }))
    }

    /// Finds the table of this name.
    pub fn find(env: &Env, db: Database, name: &str, identifiers: Identifiers) -> Result<Self> {
        if !db.is_system() {
            let stored = env.store()?.table(&db.name, name)?;
            return Ok(TableRef::new(db, stored));
        }
        let found = SystemTable::find(name, identifiers).map(TableRef::system);
        found.ok_or_else(|| Error::op_failed(format!("Table `{}.{name}` does not exist.", db.name)))
    }

    /// Returns the table's database.
    pub fn db(&self) -> &Database {
        &self.0.db
    }

    /// Returns the place of the rows.
    pub fn backing(&self) -> &Backing {
        &self.0.backing
    }

    /// Returns the table in the store, unless it is a system table.
    pub fn stored(&self) -> Option<&storage::Table> {
        match self.backing() {
            Backing::Stored(stored) => Some(stored),
            Backing::System(_) => None,
        }
    }

    /// Returns the table in the store; a system table is refused, with the reason why.
    pub fn ordinary(&self, why: &str) -> Result<&storage::Table> {
        self.0.db.refuse_system(why)?;
        self.stored().ok_or_else(|| Error::internal("A table is neither stored nor a system table."))
    }

    /// Returns the table's id.
    pub fn id(&self) -> Uuid {
        match self.backing() {
            Backing::Stored(stored) => stored.id(),
            Backing::System(table) => table.id(),
        }
    }

    /// Returns the table's scope for permissions.
    pub fn scope(&self) -> Scope {
        Scope::Table { database: self.0.db.id, table: self.id() }
    }

    /// Returns the indexes, in the order of their names.
    pub fn indexes(&self) -> Result<Vec<IndexStatus>> {
        self.stored().map_or_else(|| Ok(Vec::new()), storage::Table::indexes)
    }

    /// Returns the table in the store, and one of its indexes.
    pub fn index(&self, name: &str) -> Result<(&storage::Table, Arc<IndexSpec>)> {
        match self.backing() {
            Backing::Stored(stored) => Ok((stored, stored.index_status(name)?.spec)),
            Backing::System(_) => Err(Error::op_failed(format!(
                "Index `{name}` was not found on table `{}`.",
                self.display_name()
            ))),
        }
    }

    /// Returns the number of rows, without counting if that is possible.
    pub fn len(&self, env: &Env) -> Result<u64> {
        let _told = env.work(Work::Rows).map(Job::besides);
        env.require(Permission::Read, self.scope())?;
        match self.backing() {
            Backing::Stored(stored) => stored.at(env.view())?.len(),
            Backing::System(table) => {
                may_take_long(env)?;
                Ok(table.rows(env)?.len() as u64)
            }
        }
    }

    /// Returns the table's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns `db.table`, as error messages name the table.
    pub fn display_name(&self) -> String {
        format!("{}.{}", self.0.db.name, self.0.name)
    }

    /// Returns the field that is the key of the rows.
    pub fn primary_key(&self) -> &Arc<str> {
        &self.0.primary_key
    }

    /// Returns the row with this key, or `null`.
    pub fn get(&self, env: &Env, key: &Datum) -> Result<Datum> {
        let _told = env.work(Work::Row);
        let row = match self.backing() {
            Backing::Stored(stored) => {
                let key = key::primary(key)?;
                env.require(Permission::Read, self.scope())?;
                stored.at(env.view())?.get(&key)
            }
            Backing::System(table) => {
                env.require(Permission::Read, self.scope())?;
                may_take_long(env)?;
                table.row(env, key)
            }
        };
        Ok(row?.unwrap_or_default())
    }

    /// Returns the rows with these keys, through an index or the primary key. Each row comes as often as its
    /// key is given. `bt` is the term to blame for errors while the rows are read.
    pub fn get_all(&self, env: &Env, keys: Vec<Datum>, index: Option<&str>, bt: Bt) -> Result<Stream> {
        let Some(path) = self.path(index) else {
            let rows = self.system_rows(env, index, |_| true)?;
            let mut found = Vec::new();
            for key in &keys {
                found.extend(
                    rows.iter().filter(|row| row.get(self.primary_key()).as_ref() == Some(key)).cloned(),
                );
            }
            let watched = Rows::Keys { table: self.clone(), index: None, keys };
            return Ok(Stream::new(Watchable { rows: Known::new(found), watched }, bt));
        };
        let watched = Rows::Keys { table: self.clone(), index: path.index.clone(), keys: keys.clone() };
        if keys.is_empty() {
            return Ok(Stream::new(Watchable { rows: Known::new(Vec::new()), watched }, bt));
        }
        if path.index.is_none() {
            // Unlike a bound, a key has to be one that a row can have.
            keys.iter().try_for_each(|key| key::primary(key).map(drop))?;
        }
        Ok(Stream::new(Watchable { rows: KeySource::new(path, keys), watched }, bt))
    }

    /// Returns true if an index's name, or none, means the primary key.
    pub fn is_primary(&self, index: Option<&str>) -> bool {
        index.is_none_or(|name| *name == **self.primary_key())
    }

    /// Returns the way to the rows through an index or the primary key; `None` for a system table, which has
    /// neither.
    pub(super) fn path(&self, index: Option<&str>) -> Option<Path> {
        let stored = self.stored()?.clone();
        let index = index.filter(|_| !self.is_primary(index)).map(Arc::from);
        Some(Path { table: self.clone(), stored, index })
    }

    /// Returns the rows of a system table with certain keys, in the order of the keys. Unlike in other
    /// tables, the index is looked up and the rows are read at once.
    pub(super) fn system_rows(
        &self,
        env: &Env,
        index: Option<&str>,
        is_wanted: impl Fn(&Datum) -> bool,
    ) -> Result<Vec<Datum>> {
        env.require(Permission::Read, self.scope())?;
        if let Some(name) = index.filter(|_| !self.is_primary(index)) {
            self.index(name)?;
        }
        let Backing::System(table) = self.backing() else {
            return Err(Error::internal("A table of the store is read as a system table."));
        };
        may_take_long(env)?;
        let mut rows = table.rows(env)?;
        let key = |row: &Datum| row.get(self.primary_key()).unwrap_or_default();
        rows.retain(|row| is_wanted(&key(row)));
        rows.sort_by_cached_key(key);
        Ok(rows)
    }

    /// Returns the write hook, if there is one.
    pub fn write_hook(&self) -> Result<Option<Func>> {
        let hook = self.stored().and_then(|stored| stored.config().write_hook.as_deref());
        hook.map(super::stored::function).transpose()
    }

    /// Finds an index that orders the rows, and evaluates its arguments by `asked`. RethinkDB does that on
    /// the servers of the data, so errors blame the whole query.
    pub fn open_index<T>(
        &self,
        env: &Env,
        name: &str,
        asked: impl FnOnce() -> Result<T>,
    ) -> Result<(Arc<IndexSpec>, T)> {
        env.require(Permission::Read, self.scope())?;
        self.ordered_index(name, asked).at(Bt::default())
    }

    /// Finds an index that orders the rows, and evaluates its arguments by `asked`.
    pub fn ordered_index<T>(
        &self,
        name: &str,
        asked: impl FnOnce() -> Result<T>,
    ) -> Result<(Arc<IndexSpec>, T)> {
        let (_, spec) = self.index(name)?;
        let asked = asked()?;
        if spec.geo {
            return Err(Error::logic(format!(
                "Index `{name}` is a geospatial index.  Only get_nearest and get_intersecting can use a \
                 geospatial index."
            )));
        }
        Ok((spec, asked))
    }
}

/// Gives the work up if it runs where it must not wait. All rows of a system table are made to find one, and
/// what that takes depends on the state of the server.
fn may_take_long(env: &Env) -> Result<()> {
    if env.may_wait() { Ok(()) } else { Err(Error::would_block()) }
}
