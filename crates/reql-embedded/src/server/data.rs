//! Work on the data of a server that isn't running, and errors of data that can't be used.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::error::{self, Unusable};
use crate::eval::Functions;
pub use crate::storage::{Compacted, Report};
use crate::{Server, storage};

/// The reason why a server's data can't be used, or worked on. The data is unchanged.
///
/// ```
/// use reql_embedded::{DataErrorKind, Server};
///
/// let file = std::env::temp_dir().join(format!("foreign-{}.txt", std::process::id()));
/// std::fs::write(&file, "no database, but long enough to look like one: ".repeat(100)).unwrap();
/// let error = Server::check(&file).unwrap_err();
/// assert_eq!(error.kind(), DataErrorKind::Foreign, "{error}");
/// # std::fs::remove_file(file).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct DataError {
    kind: DataErrorKind,
    message: String,
}

/// The kind of such a reason.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::{DataErrorKind, Server};
///
/// # let directory = std::env::temp_dir().join(format!("in-use-{}", std::process::id()));
/// let server = Server::builder().in_process().data_dir(&directory).start().await?;
/// assert_eq!(Server::check(&directory).unwrap_err().kind(), DataErrorKind::InUse);
/// server.shutdown().await;
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataErrorKind {
    /// Another process uses the data, or another server of this one.
    InUse,
    /// The data is damaged; the file was torn or altered.
    Damaged,
    /// A newer version of this crate has written the data.
    Newer,
    /// The file was not written by this crate.
    Foreign,
    /// Anything else: the file can't be read or written, the disk is full, ...
    Other,
}

/// The reason why a server didn't start.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::{Server, StartError};
///
/// let first = Server::builder().start().await?;
/// let second = Server::builder().bind(first.local_addr()).start().await;
/// assert!(matches!(second, Err(StartError::Listen { .. })));
/// # first.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The server's data can't be used.
    Data(DataError),
    /// An address can't be listened on.
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The operating system's error.
        error: io::Error,
    },
    /// A certificate, a key or an authority of [`Builder::tls`](crate::Builder::tls) can't be used. The error
    /// names the file and the reason.
    #[cfg(feature = "tls")]
    Tls(io::Error),
}

impl Server {
    /// Checks the data of a server that isn't running: pages against their checksums, the catalog, that each
    /// document decodes and is under its own key, and that each index holds exactly the entries of a rebuilt
    /// one. Nothing is written. The path is that of the data directory, or of the file in it. Blocks, and
    /// takes some seconds for each gigabyte.
    ///
    /// ```no_run
    /// let report = reql_embedded::Server::check("data")?;
    /// for problem in &report.problems {
    ///     println!("{problem}");
    /// }
    /// # Ok::<(), reql_embedded::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the data could not be read: there is none, it is in use, or it is not this crate's. Damage is in
    /// the report.
    pub fn check(path: impl AsRef<Path>) -> Result<Report, DataError> {
        Ok(storage::check(path.as_ref(), Arc::new(Functions))?)
    }

    /// Makes the file of a server that isn't running as small as its data allows, and returns both sizes.
    /// Ended at any moment, it leaves a file with all its data. Blocks.
    ///
    /// # Errors
    ///
    /// If the file was left unchanged: there is none, it is in use, damaged, or not this crate's.
    pub fn compact(path: impl AsRef<Path>) -> Result<Compacted, DataError> {
        Ok(storage::compact(path.as_ref())?)
    }
}

impl DataError {
    /// Returns the kind of the reason.
    pub fn kind(&self) -> DataErrorKind {
        self.kind
    }
}

impl From<error::Error> for DataError {
    fn from(error: error::Error) -> Self {
        let kind = match error.unusable() {
            Some(Unusable::InUse) => DataErrorKind::InUse,
            Some(Unusable::Damaged) => DataErrorKind::Damaged,
            Some(Unusable::Newer) => DataErrorKind::Newer,
            Some(Unusable::Foreign) => DataErrorKind::Foreign,
            None => DataErrorKind::Other,
        };
        Self { kind, message: error.message().to_owned() }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DataError {}

impl From<DataError> for StartError {
    fn from(error: DataError) -> Self {
        StartError::Data(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Data(error) => error.fmt(f),
            StartError::Listen { addr, error } => write!(f, "Cannot listen on {addr}: {error}"),
            #[cfg(feature = "tls")]
            StartError::Tls(error) => write!(f, "Cannot use TLS: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Data(_) => None,
            StartError::Listen { error, .. } => Some(error),
            #[cfg(feature = "tls")]
            StartError::Tls(error) => Some(error),
        }
    }
}

/// Converts to an I/O error of the nearest kind, for programs whose errors are those of I/O.
impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        let kind = match &error {
            StartError::Listen { error, .. } => error.kind(),
            #[cfg(feature = "tls")]
            StartError::Tls(error) => error.kind(),
            StartError::Data(data) => match data.kind {
                DataErrorKind::InUse => io::ErrorKind::ResourceBusy,
                DataErrorKind::Damaged | DataErrorKind::Newer | DataErrorKind::Foreign => {
                    io::ErrorKind::InvalidData
                }
                DataErrorKind::Other => io::ErrorKind::Other,
            },
        };
        io::Error::new(kind, error)
    }
}
