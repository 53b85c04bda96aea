//! The Unix socket in the data directory over which other processes get backups.
//!
//! Every client gets a copy of all data, so the socket is its user's alone, and the user of each client is
//! checked besides. A client sends nothing: connecting is the request.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, Reason};
use crate::storage::{self, Pace, Store};

/// The socket's name in the data directory.
const NAME: &str = "backup.sock";

/// The time that either side waits for the other. A server keeps the pages of the snapshot that it sends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time for a backup to say that it was ended, when the server ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The longest path of a socket that every Unix takes.
const MAX_PATH: usize = 100;

/// A listening socket. Its file is removed with it.
pub(super) struct BackupSocket {
    listener: UnixListener,
    store: Store,
    path: PathBuf,
    /// The user who runs the server.
    user: u32,
}

impl BackupSocket {
    /// Listens in the directory of a store, which this server has for itself; `None` if the store is in
    /// memory. A server works without backups, so errors are only logged.
    pub(super) fn of(store: Store) -> Option<Self> {
        let directory = store.directory()?.to_owned();
        Self::listen(&directory, store)
            .inspect_err(|error| {
                let directory = directory.display();
                log::warn!("No other process can have a backup of `{directory}` while it is served: {error}");
            })
            .ok()
    }

    fn listen(directory: &Path, store: Store) -> io::Result<Self> {
        let path = directory.join(NAME);
        // A server that was killed has left its own.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made where no other user has access, so that there is no moment in which others could connect.
        let hidden = directory.join(format!(".{NAME}.{}", std::process::id()));
        // A server that was killed while it made its own, and had the same number: in a container, all have.
        let _ = fs::remove_dir_all(&hidden);
        DirBuilder::new().mode(0o700).create(&hidden)?;
        let made = Self::make(&hidden, &path, store);
        let _ = fs::remove_dir_all(&hidden);
        made
    }

    fn make(hidden: &Path, path: &Path, store: Store) -> io::Result<Self> {
        let user = fs::metadata(hidden)?.uid();
        let short = Short::new(hidden)?;
        let listener = UnixListener::bind(short.path.join(NAME))?;
        let made = hidden.join(NAME);
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        Ok(Self { listener, store, path: path.to_owned(), user })
    }

    /// Sends backups, one at a time, until the server ends.
    pub(super) async fn serve(self, stopped: watch::Receiver<bool>) {
        let (turn, ended) = (Arc::new(Semaphore::new(1)), Interrupt::default());
        let mut stopped = pin!(super::accept::is_set(stopped));
        let mut current = None;
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        if let Some(begun) = self.admit(stream, &turn, &ended) {
                            current = Some(begun);
                        }
                    }
                    Err(error) => {
                        log::warn!("Could not accept a connection for a backup: {error}");
                        tokio::time::sleep(super::accept::ACCEPT_RETRY).await;
                    }
                },
            }
        }
        // Another server may have the directory as soon as the storage is closed.
        drop(self);
        ended.raise(Reason::Shutdown);
        if tokio::time::timeout(LAST_WORDS, turn.acquire()).await.is_err()
            && let Some(stream) = current
        {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Begins a backup for a client, if it may have one, and returns the client's stream.
    fn admit(&self, stream: UnixStream, turn: &Arc<Semaphore>, ended: &Interrupt) -> Option<BlockingStream> {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.user || peer.uid() == 0 => {}
            Ok(peer) => {
                log::warn!("User {} wanted a backup and may not have one.", peer.uid());
                return None;
            }
            Err(error) => {
                log::warn!("A backup was refused, since nobody knows to whom it would go: {error}");
                return None;
            }
        }
        let Ok(turn) = turn.clone().try_acquire_owned() else {
            // It fits into any socket's buffer.
            let _ = stream.try_write(&storage::no_backup("Another backup is under way."));
            return None;
        };
        match begin(stream, turn, self.store.clone(), ended.clone()) {
            Ok(stream) => Some(stream),
            Err(error) => {
                log::error!("A backup could not begin: {error}");
                None
            }
        }
    }
}

impl Drop for BackupSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Sends a backup on a thread of its own.
fn begin(
    stream: UnixStream,
    turn: OwnedSemaphorePermit,
    store: Store,
    ended: Interrupt,
) -> io::Result<BlockingStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let other = stream.try_clone()?;
    thread::Builder::new().name("reql-backup".into()).spawn(move || {
        // The receiver sets the pace.
        if let Err(error) = store.send_backup(stream, &Pace::new(u64::MAX, ended)) {
            log::warn!("A backup failed: {}", error.message());
        }
        drop(turn);
    })?;
    Ok(other)
}

/// Connects to the server that has its data in this directory; `None` if no server listens.
pub(super) fn connect(source: &Path) -> Result<Option<BlockingStream>> {
    let cannot = |error: io::Error| {
        Error::op_failed(format!("The server of `{}` can't be asked: {error}.", source.display()))
    };
    let is_socket = |path: &Path| fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let socket = if source.is_dir() { source.join(NAME) } else { source.to_owned() };
    if !is_socket(&socket) {
        return Ok(None);
    }
    let (directory, name) = (socket.parent().unwrap_or(Path::new(".")), socket.file_name());
    let short = Short::new(directory).map_err(cannot)?;
    let stream = match BlockingStream::connect(short.path.join(name.unwrap_or_default())) {
        Ok(stream) => stream,
        // Left by a server that was killed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && source.is_dir() => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    stream.set_read_timeout(Some(PATIENCE)).map_err(cannot)?;
    Ok(Some(stream))
}

/// A directory by a path that is short enough for the socket in it.
struct Short {
    path: PathBuf,
    _open: Option<File>,
}

impl Short {
    fn new(directory: &Path) -> io::Result<Self> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        if !cfg!(target_os = "linux") || directory.as_os_str().len() + 1 + NAME.len() <= MAX_PATH {
            return Ok(Self { path: directory.to_owned(), _open: None });
        }
        // Linux has another name for every open file.
        let open = File::open(directory)?;
        Ok(Self { path: PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())), _open: Some(open) })
    }
}
