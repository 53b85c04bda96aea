//! The log of the binary: one line on standard error for each record. Nobody can forge a line, and nobody
//! waits for one to be written.
//!
//! Text from clients and databases gets into the log in many places, but is written only here. Control
//! characters are escaped, so that each record is one line whatever it holds. A thread of its own writes the
//! lines. When nobody reads them, they queue up to a bound, and further lines are dropped and counted. The
//! rest of the service is not held up.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use pretty_env_logger::env_logger::{Logger, Target, WriteStyle};

/// The number of lines that may wait to be written.
const LINES: usize = 4096;
/// The longest text of a record, in bytes; what is longer is cut.
const LENGTH_MAX: usize = 4096;
/// The time that the process waits at its end for lines that are still to be written.
const LAST: Duration = Duration::from_millis(500);

static QUEUE: OnceLock<SyncSender<Entry>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Entry {
    Line(Vec<u8>),
    /// Everything before it has been written when this is answered.
    End(SyncSender<()>),
}

/// Begins to log. `level` is the level of this service; its libraries log at that level too, but at no more
/// than `info`. `RUST_LOG` overrides both.
pub fn init(level: LevelFilter) {
    let mut builder = pretty_env_logger::formatted_builder();
    match std::env::var("RUST_LOG") {
        Ok(filters) => builder.parse_filters(&filters),
        Err(_) => builder
            .filter_level(level.min(LevelFilter::Info))
            // This module logs an error when the reader of a stream leaves, which is how live queries end.
            .filter_module("warp::server::run", LevelFilter::Off)
            .filter_module("warp_reql", level)
            .filter_module("reql_embedded", level),
    };
    let (queue, entries) = sync_channel(LINES);
    if thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries)).is_err()
        || QUEUE.set(queue.clone()).is_err()
    {
        return;
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    builder.write_style(if colours { WriteStyle::Always } else { WriteStyle::Never });
    let logger = OneLine(builder.target(Target::Pipe(Box::new(Lines(queue)))).build());
    log::set_max_level(logger.0.filter());
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        // It would be written to standard error by whoever panics, who may serve others.
        panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

/// Waits for the lines that are still to be written, if somebody reads them.
pub fn finish() {
    let Some(queue) = QUEUE.get() else { return };
    let (written, wait) = sync_channel(1);
    if queue.try_send(Entry::End(written)).is_ok() {
        let _ = wait.recv_timeout(LAST);
    }
}

/// The number of lines that were dropped since too many waited to be written.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

fn write_all(entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            // An error says that nobody can read it any more.
            Entry::Line(line) => drop(io::stderr().write_all(&line)),
            Entry::End(written) => drop(written.try_send(())),
        }
    }
}

/// Where the logger writes to.
struct Lines(SyncSender<Entry>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Entry::Line(line.to_vec())) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A logger that makes each record one line, of bounded length.
struct OneLine(Logger);

impl Log for OneLine {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.0.matches(record) {
            return;
        }
        let text =
            record.args().as_str().map_or_else(|| Cow::Owned(record.args().to_string()), Cow::Borrowed);
        let mut line = Record::builder();
        line.metadata(record.metadata().clone()).module_path(record.module_path());
        line.file(record.file()).line(record.line());
        self.0.log(&line.args(format_args!("{}", escaped(&text))).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// A text without anything that would end a line, move a cursor or turn the direction of what follows.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain =
        |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.len() <= LENGTH_MAX && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().min(LENGTH_MAX) + 16);
    for c in text.chars() {
        if escaped.len() >= LENGTH_MAX {
            let _ = write!(escaped, "... ({} bytes)", text.len());
            break;
        }
        match is_plain(c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_default()),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_or_moves_the_cursor() {
        assert_eq!(escaped("héllo → \"x\" \\n"), "héllo → \"x\" \\n");
        let forged = "x\n INFO  > DELETE /tables/payroll 204\r\u{1b}[2J\u{9b}\u{2028}\u{202e}\0";
        let expected = "x\\n INFO  > DELETE /tables/payroll 204\\r\\u{1b}[2J\\u{9b}\\u{2028}\\u{202e}\\u{0}";
        assert_eq!(escaped(forged), expected);
    }

    #[test]
    fn a_line_has_an_end() {
        let long = escaped(&"é".repeat(1 << 20)).into_owned();
        assert!(long.len() < LENGTH_MAX + 32 && long.ends_with("é... (2097152 bytes)"), "{}", long.len());
    }

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
