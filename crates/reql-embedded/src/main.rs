//! `reql-embedded`: the server as a daemon, with rethinkdb's flags, and the tools for its file.

use std::process::ExitCode;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    reql_embedded::daemon::run()
}
