//! The number of file descriptors that the process may have open. Each connection takes one, of clients and
//! to the database.

/// Raises the soft limit to the hard one, as servers do. The soft one is usually 1024, for the sake of
/// programs that can't deal with more. Returns the limit that holds; `None` if there is none, or the
/// operating system doesn't tell.
#[cfg(target_os = "linux")]
pub(super) fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            log::debug!("The limit on file descriptors stays as it is: {error}");
            current
        }
    }
}

/// Returns `None`: here the process has no limit that this module knows of.
#[cfg(not(target_os = "linux"))]
pub(super) fn raise() -> Option<u64> {
    None
}
