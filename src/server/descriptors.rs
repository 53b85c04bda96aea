//! The limit on open file descriptors. Each connection takes one, those of clients and those to the database.

/// Raises the soft limit to the hard one, as servers do. The soft limit is usually 1024, for the sake of
/// programs that use `select`. Returns the limit in force; `None` if there is none, or if the operating
/// system doesn't tell.
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

/// Returns `None`, since the limit is only known on Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn raise() -> Option<u64> {
    None
}
