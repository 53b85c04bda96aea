//! The log of the binary: one line on standard error for each record. Clients can't forge lines, and no
//! request waits for a line to be written.
//!
//! Text from clients and databases gets into the log in many places, but is written only here. Control
//! characters are escaped, so that each record is one line whatever it holds. A thread of its own writes the
//! lines. When nobody reads them, they wait in a bounded queue, and further lines are dropped and counted.

mod escape;
mod fields;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, SystemTime};

use log::{LevelFilter, Log, Metadata, Record};
use pretty_env_logger::env_logger::{Logger, Target, WriteStyle};

use crate::settings::LogFormat;
use escape::escaped;

/// The number of lines that may wait to be written.
const LINES: usize = 4096;
/// The time that the process waits at its end for the queue to be written.
const LAST: Duration = Duration::from_millis(500);
/// The variable that overrides the level.
const FILTERS: &str = "RUST_LOG";

static QUEUE: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LOG: OnceLock<OneLine> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Entry {
    Line(Vec<u8>),
    /// A request for a reply once all entries before it have been written.
    End(SyncSender<()>),
}

/// Installs the logger. `level` is the level of this service and of its libraries, but those log at `info`
/// at most. `RUST_LOG` overrides both.
///
/// ```no_run
/// use log::LevelFilter;
/// use warp_reql::logger;
/// use warp_reql::settings::LogFormat;
///
/// logger::init(LevelFilter::Info, LogFormat::Json);
/// log::info!("Serving.");
/// logger::finish();
/// ```
pub fn init(level: LevelFilter, format: LogFormat) {
    let (queue, entries) = sync_channel(LINES);
    if thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries)).is_err()
        || QUEUE.set(queue.clone()).is_err()
    {
        return;
    }
    let log = LOG.get_or_init(|| OneLine(RwLock::new(Present::new(queue, level, format))));
    if log::set_logger(log).is_ok() {
        log::set_max_level(log.present().pretty.filter());
        // The default hook writes to standard error itself, which would block a thread that serves requests.
        panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

/// Changes the level and the format. Does nothing before [`init`].
///
/// ```no_run
/// use log::LevelFilter;
/// use warp_reql::logger;
/// use warp_reql::settings::LogFormat;
///
/// logger::change(LevelFilter::Debug, LogFormat::Pretty);
/// ```
pub fn change(level: LevelFilter, format: LogFormat) {
    let (Some(queue), Some(log)) = (QUEUE.get(), LOG.get()) else { return };
    let present = Present::new(queue.clone(), level, format);
    log::set_max_level(present.pretty.filter());
    *log.0.write().unwrap_or_else(PoisonError::into_inner) = present;
}

/// Waits for the queue to be written, for half a second at most.
///
/// ```no_run
/// log::error!("The disk is full.");
/// warp_reql::logger::finish();
/// std::process::exit(1);
/// ```
pub fn finish() {
    let Some(queue) = QUEUE.get() else { return };
    let (written, wait) = sync_channel(1);
    if queue.try_send(Entry::End(written)).is_ok() {
        let _ = wait.recv_timeout(LAST);
    }
}

/// Returns whether the environment decides on the level.
pub(crate) fn is_overridden() -> bool {
    std::env::var(FILTERS).is_ok()
}

/// Returns the number of lines that were dropped because the queue was full.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

fn write_all(entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            // An error means that standard error is closed, so there is nowhere to report it.
            Entry::Line(line) => drop(io::stderr().write_all(&line)),
            Entry::End(written) => drop(written.try_send(())),
        }
    }
}

fn send(queue: &SyncSender<Entry>, line: Vec<u8>) {
    if let Err(TrySendError::Full(_)) = queue.try_send(Entry::Line(line)) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The output of the pretty logger.
struct Lines(SyncSender<Entry>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        send(&self.0, line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A logger that makes each record one line, of bounded length.
struct OneLine(RwLock<Present>);

/// The current level and format.
struct Present {
    lines: SyncSender<Entry>,
    format: LogFormat,
    /// The pretty logger, whose filter applies to all formats.
    pretty: Logger,
}

impl Present {
    fn new(lines: SyncSender<Entry>, level: LevelFilter, format: LogFormat) -> Present {
        let mut builder = pretty_env_logger::formatted_builder();
        match std::env::var(FILTERS) {
            Ok(filters) => builder.parse_filters(&filters),
            Err(_) => builder
                .filter_level(level.min(LevelFilter::Info))
                .filter_module("warp_reql", level)
                .filter_module("reql_embedded", level),
        };
        let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.write_style(if colours { WriteStyle::Always } else { WriteStyle::Never });
        let target = Target::Pipe(Box::new(Lines(lines.clone())));
        Present { lines, format, pretty: builder.target(target).build() }
    }

    fn write(&self, record: &Record<'_>) {
        let text =
            record.args().as_str().map_or_else(|| Cow::Owned(record.args().to_string()), Cow::Borrowed);
        let line = match self.format {
            LogFormat::Pretty => return self.write_pretty(record, &text),
            LogFormat::Json => fields::json(SystemTime::now(), record, &text),
            LogFormat::Logfmt => fields::logfmt(SystemTime::now(), record, &text),
        };
        send(&self.lines, line.into_bytes());
    }

    fn write_pretty(&self, record: &Record<'_>, text: &str) {
        let mut line = Record::builder();
        line.metadata(record.metadata().clone()).module_path(record.module_path());
        line.file(record.file()).line(record.line());
        self.pretty.log(&line.args(format_args!("{}", escaped(text))).build());
    }
}

impl OneLine {
    fn present(&self) -> std::sync::RwLockReadGuard<'_, Present> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for OneLine {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.present().pretty.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let present = self.present();
        if present.pretty.matches(record) {
            present.write(record);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (queue, entries) = sync_channel(2);
        let mut lines = Lines(queue);
        let before = dropped();
        for _ in 0..5 {
            assert_eq!(lines.write(b"x\n").unwrap(), 2);
        }
        assert_eq!((dropped() - before, entries.try_iter().count()), (3, 2));
    }
}
