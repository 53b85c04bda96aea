//! Progress of a command: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Interval between progress lines where there is no bar.
const PAUSE: Duration = Duration::from_secs(10);

/// Progress of a command, in documents or bytes. It goes to standard error, so that standard output holds
/// nothing but results.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    done: u64,
    told: Instant,
}

impl Progress {
    /// Starts to report. `total` may be an estimate.
    pub(super) fn new(what: &'static str, total: u64) -> Progress {
        let style =
            ProgressStyle::with_template("{bar:30} {percent:>3} % {human_pos} {prefix} {elapsed} {wide_msg}");
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total.max(1)).with_prefix(what);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        // On a terminal that can't move its cursor (`TERM=dumb`) it would swallow the lines, too.
        let bar = bar.filter(|bar| !bar.is_hidden());
        Progress { bar, what, done: 0, told: Instant::now() }
    }

    /// Reports that `by` more are done.
    pub(super) fn advance(&mut self, by: u64) {
        self.done += by;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.told.elapsed() >= PAUSE => {
                self.told = Instant::now();
                self.line(&format!("{} {}", self.done, self.what));
            }
            None => {}
        }
    }

    /// Prints a line that stays on the screen.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // A closed standard error must not stop the command.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
