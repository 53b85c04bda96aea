//! The threads on which sessions are opened. They serve no requests.
//!
//! A handshake hashes the password without a pause. As a rule that takes a millisecond or two, but the server
//! decides how many rounds it takes, and the driver has no bound on that. A request that waits for a session
//! still stops waiting in time, since its timeout runs on other threads.
//!
//! A runtime with one thread, such as that of a test whose clock is paused, opens sessions on its own thread.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use log::warn;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// The number of standby sessions that are opened at once.
pub(super) const ASIDE: usize = 4;
/// The least number of threads that open the sessions that requests wait for.
const FEWEST: usize = 4;
/// The niceness, on the scale of `nice(1)`, of the threads that open sessions nobody waits for. It leaves
/// them a tenth of a busy processor rather than nothing, since a request may be waiting for the permit that
/// is held meanwhile.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads that open sessions which no request waits for, such as those that stand by. They give way to
/// all other threads.
pub(super) fn aside() -> Handle {
    static THREADS: LazyLock<Option<Runtime>> =
        LazyLock::new(|| start(processors().min(ASIDE), "standby", give_way));
    handle(&THREADS)
}

/// The threads that open the sessions that requests wait for.
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

/// Lets other threads have the processors first. Only Linux has a priority for each thread. Where it can't be
/// set, all threads are alike, which is slower but does no other harm.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
