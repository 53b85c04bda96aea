//! `reql-embedded`: the server as a daemon, with rethinkdb's flags, and the tools for its file.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    reql_embedded::daemon::run()
}
