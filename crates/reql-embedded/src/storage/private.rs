//! Files and directories that only the server may access. They hold all data, and the credentials of users.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Has a file that is made be its owner's alone.
pub(super) fn file(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Takes a file that is there already, such as one that an earlier version made, away from all but its owner.
pub(super) fn close(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = file.metadata()?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(permissions.mode() & !0o077);
            match file.set_permissions(permissions) {
                // Whoever may use the file without owning it was let do so on purpose.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                done => return done,
            }
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Makes a directory, and those around it, its owner's alone. One that is there stays as it is.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
