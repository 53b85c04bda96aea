//! Backups of this server, and of one in another process.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use super::{DataError, Server};
use crate::error::Error;
use crate::eval::Functions;
use crate::interrupt::{Interrupt, Reason};
pub use crate::storage::Backup;
use crate::storage::{self, Pace};

impl Server {
    /// Writes a copy of all data to a file while the server goes on. The copy is of one moment, and has every
    /// write that was acknowledged before, soft ones included.
    ///
    /// The rate is in bytes a second, at least 64 KiB. Documents and entries of indexes count, and so do the
    /// bytes that are read when the copy is checked. Nobody waits for a backup, but the server's file grows
    /// by the writes that come until the copy is complete. The copy has its name once it is on the disk and
    /// [`Server::check`] has found it sound. Until then, and forever if the process is killed meanwhile, it
    /// is a hidden file beside, whose name ends in `.partial`. An earlier backup of the name is replaced.
    ///
    /// To restore it, copy it to `reql.redb` in the data directory of a server that isn't running. Dropping
    /// the future ends the backup.
    ///
    /// ```no_run
    /// # async fn example(server: &reql_embedded::Server) -> Result<(), reql_embedded::DataError> {
    /// let backup = server.backup("backups/monday.redb", 32 << 20).await?;
    /// println!("{} documents in {} bytes", backup.report.documents, backup.size);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the file can't be written, if a file of its name is no backup or is in use, or if the server's data
    /// can't be read or is damaged.
    pub async fn backup(&self, file: impl AsRef<Path>, rate: u64) -> Result<Backup, DataError> {
        let store = self.activity.engine.upgrade().and_then(|engine| engine.store());
        let store = store.ok_or_else(|| Error::op_failed("The server has no data to back up."))?;
        let ended = Interrupt::default();
        let _ends_with_this = EndedOnDrop(ended.clone());
        let file = file.as_ref().to_owned();
        let (answer, answered) = oneshot::channel();
        // A thread of the runtime would keep the runtime from ending.
        let run = move || {
            // The receiver is gone if the future was dropped.
            let _ = answer.send(store.back_up(&file, Arc::new(Functions), Pace::new(rate, ended)));
        };
        thread::Builder::new()
            .name("reql-backup".into())
            .spawn(run)
            .map_err(|error| Error::internal(format!("No thread could be started: {error}")))?;
        let answer =
            answered.await.unwrap_or_else(|_| Err(Error::internal("The backup failed unexpectedly.")));
        Ok(answer?)
    }

    /// Writes a copy of the data of a server in another process, or of one that doesn't run, to a file. The
    /// source is the data directory, or the socket in it. Otherwise as [`Server::backup`]; blocks.
    ///
    /// A server that has its data in a directory listens there on a Unix socket, `backup.sock`. Only its user
    /// and `root` can connect, who can read the file as well. The server sends the data, and this process
    /// writes the file with its own rights, so that the server needs no rights beyond its own directory.
    ///
    /// ```no_run
    /// let backup = reql_embedded::Server::backup_from("data", "backups/monday.redb", 32 << 20)?;
    /// # Ok::<(), reql_embedded::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Server::backup`], and if the server ends meanwhile, or is busy with another backup.
    pub fn backup_from(
        source: impl AsRef<Path>,
        file: impl AsRef<Path>,
        rate: u64,
    ) -> Result<Backup, DataError> {
        let (source, file) = (source.as_ref(), file.as_ref());
        let (functions, pace) = (Arc::new(Functions), Pace::new(rate, Interrupt::default()));
        #[cfg(unix)]
        if let Some(stream) = super::backup_socket::connect(source)? {
            return Ok(storage::receive(stream, file, functions, pace)?);
        }
        Ok(storage::copy_file(source, file, functions, pace)?)
    }
}

/// Ends a backup whose future was dropped.
struct EndedOnDrop(Interrupt);

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        self.0.raise(Reason::Closed);
    }
}
