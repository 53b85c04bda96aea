//! The threads on which sessions are opened, which are none of those that serve.
//!
//! A handshake hashes the password in one go: for a millisecond or two, as a rule, but as often as the server asks for,
//! and the driver has no bound on that. Whoever waits for a session stops waiting in time, since no thread that has to see
//! to that is one of these.
//!
//! A runtime with one thread, as of a test whose clock stands still, keeps its tasks to itself.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use log::warn;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// How many sessions that shall stand by are opened at once.
pub(super) const ASIDE: usize = 4;
/// How many threads open the sessions that requests wait for, at least.
const FEWEST: usize = 4;
/// How much opening gives way that nobody waits for, on the scale of `nice(1)`: to a tenth of a busy processor, not to
/// nothing, since the permit that is held meanwhile may be one that a request waits for.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Where sessions are opened that shall stand by: on threads that give way to all others.
pub(super) fn aside() -> Handle {
    static THREADS: LazyLock<Option<Runtime>> =
        LazyLock::new(|| start(processors().min(ASIDE), "standby", give_way));
    handle(&THREADS)
}

/// Where sessions are opened that requests wait for.
pub(super) fn dialling() -> Handle {
    static THREADS: LazyLock<Option<Runtime>> =
        LazyLock::new(|| start(processors().max(FEWEST), "dial", || {}));
    handle(&THREADS)
}

fn handle(threads: &LazyLock<Option<Runtime>>) -> Handle {
    let here = Handle::current();
    match here.runtime_flavor() {
        RuntimeFlavor::MultiThread => threads.as_ref().map_or(here, |runtime| runtime.handle().clone()),
        _ => here,
    }
}

fn start(threads: usize, name: &str, begin: fn()) -> Option<Runtime> {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(threads).thread_name(name).on_thread_start(begin).enable_time();
    runtime
        .build()
        .inspect_err(|error| warn!("No threads of their own could be started to dial: {error}"))
        .ok()
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Lets the others have the processors first. Only Linux has a priority for each thread; where it can't be had, all are
/// alike, which is no more than slower.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
