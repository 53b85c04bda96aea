//! Unix sockets.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::timeout;

use super::socket::BACKLOG;

/// The file mode: the service's user and the file's group, such as a proxy's, may connect.
const MODE: u32 = 0o660;
/// The time that the listener of an existing socket has to accept a connection.
const ANSWER: Duration = Duration::from_secs(1);

/// The file of a socket. Dropping this removes the file, unless another one has replaced it.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listens on a path. The socket of a service that is gone is replaced.
///
/// The file is created under another name, gets its mode, and is then renamed, so that nobody can connect
/// before the mode is set.
///
/// # Errors
///
/// If another process listens there, or if the path is a file that isn't a socket. Neither is touched.
pub(super) async fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    make_room(path).await?;
    let making = path.with_extension(format!("{}", std::process::id()));
    let _ = fs::remove_file(&making);
    let socket = UnixSocket::new_stream()?;
    socket.bind(&making)?;
    let listen = || {
        fs::set_permissions(&making, Permissions::from_mode(MODE))?;
        let inode = fs::metadata(&making)?.ino();
        let listener = socket.listen(BACKLOG)?;
        fs::rename(&making, path)?;
        Ok((listener, SocketFile { path: path.to_owned(), inode }))
    };
    listen().inspect_err(|_: &io::Error| drop(fs::remove_file(&making)))
}

/// Checks that there is no file at the path, or only the socket of a service that is gone.
async fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match timeout(ANSWER, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
    }
}

impl SocketFile {
    /// Returns the file's path. The operating system keeps the name under which the socket was created.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("service.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (listener, file) = listen(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_in_use_stays() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("service.sock");
        let (_listener, _file) = listen(&path).await.unwrap();
        let error = listen(&path).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = home.path().join("notes.txt");
        fs::write(&text, "kept").unwrap();
        assert!(listen(&text).await.is_err());
        assert_eq!(fs::read_to_string(&text).unwrap(), "kept");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_stays() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("service.sock");
        let (listener, file) = listen(&path).await.unwrap();
        drop(listener);
        let (_listener, _file) = listen(&path).await.unwrap();
        drop(file);
        assert!(path.exists());
    }
}
