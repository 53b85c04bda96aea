//! A database inside this process: for development, for tests, and for services with little data.
//!
//! ```no_run
//! use warp::Filter;
//! use warp_reql::{Conn, Error, embedded, recover, reql::r, with_conn};
//!
//! async fn heroes(mut conn: Conn) -> Result<impl warp::Reply, Error> {
//!     let heroes: Vec<serde_json::Value> = conn.all(r.table("heroes")).await?;
//!     Ok(warp::reply::json(&heroes))
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let db = embedded().await?.with_table("heroes").await?;
//! let routes = warp::path!("heroes").and(with_conn(&db)).then(heroes).recover(recover);
//! # let _ = routes;
//! # Ok(())
//! # }
//! ```

use std::io;
use std::ops::Deref;

use reql_embedded::{Server, memory};

use crate::database::Credentials;
use crate::error::Code;
use crate::settings::{Rdb, TableSpec};
use crate::{Conn, Database, bootstrap};

/// The user of a new database.
const ADMIN: &str = "admin";
/// The default of the memory for pages of the file, in bytes: half of what a server by itself has, since the
/// service needs memory, too.
const PAGE_CACHE: u64 = 32 << 20;
/// The memory for changes that wait for live queries, in bytes: half of what a server by itself has. They are
/// read at once, whether clients read their events or not.
const FEED_BACKLOG: u64 = 32 << 20;

/// A database in this process. It is shut down on drop, and dereferences to a [`Database`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::embedded::Embedded;
/// use warp_reql::settings::Rdb;
/// use warp_reql::{Conn, reql::r};
///
/// let settings = Rdb { data_dir: ":memory:".into(), db: "heroes".into(), ..Rdb::default() };
/// let db = Embedded::start(settings).await?.with_table("people").await?;
/// let mut conn = Conn::new(db.database().clone());
/// let tables: Vec<String> = conn.all(r.table_list()).await?;
/// assert_eq!(tables, ["people"]);
/// db.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Embedded {
    database: Database,
    server: Server,
}

/// Starts a database in this process that keeps everything in memory.
///
/// # Errors
///
/// If the operating system has no thread for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::{Conn, embedded, reql::r};
///
/// let db = embedded().await?;
/// let two: Option<u8> = Conn::new(db.database().clone()).first(r.expr(1) + 1).await?;
/// assert_eq!(two, Some(2));
/// # Ok(())
/// # }
/// ```
pub async fn embedded() -> io::Result<Embedded> {
    Embedded::start(Rdb { data_dir: ":memory:".into(), ..Rdb::default() }).await
}

impl Embedded {
    /// Starts a database that keeps its data in `settings.data_dir`, or in memory if that is `":memory:"`.
    ///
    /// # Errors
    ///
    /// If it can't open its data, or the data has another password than the settings.
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use warp_reql::embedded::Embedded;
    /// use warp_reql::settings::Rdb;
    ///
    /// let db = Embedded::start(Rdb { data_dir: "heroes".into(), ..Rdb::default() }).await?;
    /// # let _ = db;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(mut settings: Rdb) -> io::Result<Self> {
        let (server, database) = start(&mut settings).await?;
        Ok(Embedded { database, server })
    }

    /// Creates a table with the primary key `id`, if it is missing.
    ///
    /// # Errors
    ///
    /// The errors of queries, see [`Conn`].
    pub async fn with_table(self, name: &str) -> io::Result<Self> {
        bootstrap::once(&self.database, &[TableSpec::new(name)]).await.map_err(io::Error::other)?;
        Ok(self)
    }

    /// Returns the database, for handlers that keep it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Shuts it down once all writes are on disk.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

impl Deref for Embedded {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// Starts the embedded database. Unless the settings say where it listens, only this process can connect.
///
/// Other users of the machine may be able to reach a listening database. So if neither its data nor the
/// settings have a password for `admin`, a random one is set for the lifetime of the process, and logged.
///
/// # Errors
///
/// If it can't listen there or open its data, or the data has another password than the settings.
pub(crate) async fn start(rdb: &mut Rdb) -> io::Result<(Server, Database)> {
    let builder = Server::builder().initial_password(rdb.password.expose());
    let builder = match rdb.listen.0 {
        None => builder.in_process(),
        Some(addr) if rdb.password.expose().is_empty() => builder.bind(addr).locked(),
        Some(addr) => builder.bind(addr),
    };
    let builder = if rdb.in_memory() { builder.in_memory() } else { builder.data_dir(&rdb.data_dir) };
    let builder = match rdb.memory_limit {
        0 => builder,
        limit => builder.memory_limit(limit),
    };
    let fitting = |bytes: u64| memory::limit().map_or(bytes, |limit| bytes.min(limit / 8));
    let builder = builder.feed_backlog(fitting(FEED_BACKLOG)).page_cache(match rdb.page_cache {
        0 => fitting(PAGE_CACHE),
        bytes => bytes,
    });
    let server = builder.start().await.map_err(|error| {
        let (place, error) = (rdb.data_dir.display(), io::Error::from(error));
        io::Error::new(error.kind(), format!("can't start the embedded database in {place}: {error}"))
    })?;
    if let Some(addr) = server.local_addrs().first() {
        let proof = match server.password() {
            Some(password) => {
                format!(" as `{ADMIN}` with the password {password}, which is valid until this process ends")
            }
            None => String::new(),
        };
        log::info!("Drivers can connect to the database at {addr}{proof}.");
    }
    if let Some(password) = server.password()
        && rdb.user == ADMIN
    {
        rdb.password = password.into();
    }
    check_password(rdb, &server).await?;
    let database = Database::embedded(rdb.clone(), server.connector());
    Ok((server, database))
}

/// Checks that the password of the settings is right for the data, which keeps the password it was created
/// with. With a wrong one the service would try to connect for ever.
async fn check_password(rdb: &Rdb, server: &Server) -> io::Result<()> {
    let once = Database::embedded(Rdb { standby: 0, ..rdb.clone() }, server.connector());
    let who = Credentials::new(&rdb.user, rdb.password.clone());
    match Conn::with_credentials(once, who).admitted().await {
        Err(error) if error.code() == Code::Unauthorized => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the data in {} has another password for the user `{}` than `rdb.password` (RDB_PASSWORD)",
                rdb.data_dir.display(),
                rdb.user,
            ),
        )),
        // Other errors may be temporary, and show up again when the service runs.
        _ => Ok(()),
    }
}
