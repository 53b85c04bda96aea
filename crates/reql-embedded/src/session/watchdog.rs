//! A watchdog over the threads that sessions share: it reports work that holds one of them for long.
//!
//! Each session marks the beginning and the end of its turns on a thread, with one store each. A thread of
//! the watchdog's own reads the marks now and then, as long as there are sessions.

use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The length from which on a turn is reported.
const STALL: Duration = Duration::from_millis(200);

/// The interval between two reads of the marks.
const PERIOD: Duration = Duration::from_millis(100);

/// The interval between two lines in the log.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The bytes of a query's text that are shown.
const EXCERPT: usize = 300;

/// Returns the beginning of a query's text that may be shown, and a byte more if there is more.
pub(super) fn excerpt(text: &[u8]) -> &[u8] {
    &text[..text.len().min(EXCERPT + 1)]
}

/// Reads the marks of a server's sessions until it is dropped.
pub(crate) struct Watchdog(Arc<Marks>);

/// All marks, and the number of stalls.
struct Marks {
    state: Mutex<State>,
    called: Condvar,
    stalls: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    watched: Vec<Watched>,
    is_closed: bool,
}

/// A mark, and its last state.
struct Watched {
    mark: Weak<Mark>,
    turn: u64,
    since: Instant,
    is_told: bool,
}

/// A task's mark of its turns.
pub(crate) struct Mark {
    /// Count of beginnings and ends, so it is odd as long as a turn takes.
    turn: AtomicU64,
    excerpt: Mutex<Excerpt>,
}

/// The beginning of the query that a task works on.
struct Excerpt {
    bytes: [u8; EXCERPT],
    len: usize,
    is_cut: bool,
}

/// A turn that takes long.
#[derive(Debug, PartialEq, Eq)]
struct Stall {
    time: Duration,
    text: String,
}

/// Reports stalls, many of them in one line.
#[derive(Default)]
struct Teller {
    last: Option<Instant>,
    untold: u64,
}

impl Watchdog {
    /// Begins to read marks, and counts stalls in `stalls`.
    pub(crate) fn new(stalls: Arc<AtomicU64>) -> Self {
        let marks = Arc::new(Marks { state: Mutex::default(), called: Condvar::new(), stalls });
        let watching = marks.clone();
        let started = thread::Builder::new().name("reql-watchdog".into()).spawn(move || watching.watch());
        if let Err(error) = started {
            log::warn!("Nothing watches the threads of sessions: {error}");
        }
        Self(marks)
    }

    /// Returns a new mark, for a task whose first work is `what`.
    pub(crate) fn mark(&self, what: &[u8]) -> Arc<Mark> {
        let mark = Arc::new(Mark::new(what));
        let mut state = self.0.lock();
        state.watched.push(Watched::new(&mark));
        if state.watched.len() == 1 {
            self.0.called.notify_one();
        }
        mark
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.called.notify_one();
    }
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut teller = Teller::default();
        let mut state = self.lock();
        while !state.is_closed {
            state = if state.watched.is_empty() {
                self.called.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.called.wait_timeout(state, PERIOD).unwrap_or_else(PoisonError::into_inner).0
            };
            let now = Instant::now();
            let stalls = state.look(now);
            self.stalls.fetch_add(stalls.len() as u64, Ordering::Relaxed);
            for line in stalls.iter().filter_map(|stall| teller.line(stall, now)) {
                log::warn!("{line}");
            }
        }
    }
}

impl State {
    /// Forgets marks that are gone, and returns the turns that have become long since the last call.
    fn look(&mut self, now: Instant) -> Vec<Stall> {
        let mut stalls = Vec::new();
        self.watched.retain_mut(|watched| {
            let Some(mark) = watched.mark.upgrade() else { return false };
            stalls.extend(watched.look(&mark, now));
            true
        });
        stalls
    }
}

impl Watched {
    fn new(mark: &Arc<Mark>) -> Self {
        Watched { mark: Arc::downgrade(mark), turn: 0, since: Instant::now(), is_told: false }
    }

    fn look(&mut self, mark: &Mark, now: Instant) -> Option<Stall> {
        let turn = mark.turn.load(Ordering::Acquire);
        if turn != self.turn {
            (self.turn, self.since, self.is_told) = (turn, now, false);
        }
        let time = now.saturating_duration_since(self.since);
        if turn.is_multiple_of(2) || self.is_told || time < STALL {
            return None;
        }
        self.is_told = true;
        Some(Stall { time, text: mark.excerpt().to_string() })
    }
}

impl Mark {
    fn new(what: &[u8]) -> Self {
        Mark { turn: AtomicU64::new(0), excerpt: Mutex::new(Excerpt::of(what)) }
    }

    fn excerpt(&self) -> MutexGuard<'_, Excerpt> {
        self.excerpt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the query that the task works on from now on.
    pub(crate) fn about(&self, query: &[u8]) {
        self.excerpt().set(query);
    }

    /// Marks the turns of a task. A mark is for one task.
    pub(crate) async fn watch<T>(self: Arc<Self>, task: impl Future<Output = T>) -> T {
        let mut task = pin!(task);
        poll_fn(|cx| {
            let _turn = Turn::begin(&self.turn);
            task.as_mut().poll(cx)
        })
        .await
    }
}

/// A turn, which ends when it is dropped: also by a panic.
struct Turn<'a>(&'a AtomicU64);

impl<'a> Turn<'a> {
    fn begin(turn: &'a AtomicU64) -> Self {
        turn.store(turn.load(Ordering::Relaxed) + 1, Ordering::Release);
        Turn(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

impl Excerpt {
    fn of(text: &[u8]) -> Self {
        let mut excerpt = Excerpt { bytes: [0; EXCERPT], len: 0, is_cut: false };
        excerpt.set(text);
        excerpt
    }

    fn set(&mut self, text: &[u8]) {
        self.len = text.len().min(EXCERPT);
        self.is_cut = text.len() > EXCERPT;
        self.bytes[..self.len].copy_from_slice(&text[..self.len]);
    }
}

/// Shows the excerpt on one line, whatever a client has put into it.
impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in String::from_utf8_lossy(&self.bytes[..self.len]).chars() {
            if char.is_control() { write!(f, "{}", char.escape_default())? } else { f.write_char(char)? }
        }
        f.write_str(if self.is_cut { "..." } else { "" })
    }
}

impl Teller {
    fn line(&mut self, stall: &Stall, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < LINE_EVERY) {
            self.untold += 1;
            return None;
        }
        self.last = Some(now);
        let Stall { time, text } = stall;
        let mut line = format!("A thread of sessions has been held for {} ms by: {text}", time.as_millis());
        match std::mem::take(&mut self.untold) {
            0 => {}
            untold => line.push_str(&format!(" (and {untold} times that were not logged)")),
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(what: &[u8]) -> (Arc<Mark>, State, Instant) {
        let mark = Arc::new(Mark::new(what));
        let state = State { watched: vec![Watched::new(&mark)], is_closed: false };
        (mark, state, Instant::now())
    }

    #[test]
    fn a_turn_that_takes_long_is_told_of_once() {
        let (mark, mut state, now) = watched(b"a handshake");
        let turn = Turn::begin(&mark.turn);
        mark.about(b"[1,2]");
        assert_eq!(state.look(now), []);
        assert_eq!(state.look(now + STALL / 2), []);
        assert_eq!(state.look(now + STALL), [Stall { time: STALL, text: "[1,2]".into() }]);
        assert_eq!(state.look(now + 2 * STALL), []);
        drop(turn);
        assert_eq!(state.look(now + 3 * STALL), []);
        assert_eq!(state.look(now + 9 * STALL), [], "nothing runs");
    }

    #[test]
    fn short_turns_are_not_one_long_turn() {
        let (mark, mut state, now) = watched(b"");
        for n in 0..10 {
            let _turn = Turn::begin(&mark.turn);
            assert_eq!(state.look(now + n * STALL * 3 / 4), []);
        }
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let (mark, mut state, now) = watched(b"");
        drop(mark);
        state.look(now);
        assert!(state.watched.is_empty());
    }

    #[test]
    fn texts_are_cut_and_stay_on_their_line() {
        assert_eq!(Excerpt::of(b"a\n\x1b[2J\r\xff").to_string(), "a\\n\\u{1b}[2J\\r\u{fffd}");
        let long = "\u{e9}".repeat(EXCERPT);
        let shown = Excerpt::of(long.as_bytes()).to_string();
        assert!(shown.ends_with("\u{e9}...") && shown.len() == EXCERPT + 3, "{shown}");
    }

    #[test]
    fn there_is_one_line_a_second() {
        let (mut teller, now) = (Teller::default(), Instant::now());
        let stall = Stall { time: STALL, text: "x".into() };
        let line = teller.line(&stall, now);
        assert_eq!(line.as_deref(), Some("A thread of sessions has been held for 200 ms by: x"));
        assert_eq!(teller.line(&stall, now + LINE_EVERY / 2), None);
        assert_eq!(teller.line(&stall, now + LINE_EVERY / 2), None);
        let line = teller.line(&stall, now + LINE_EVERY).expect("a line");
        assert!(line.ends_with("by: x (and 2 times that were not logged)"), "{line}");
    }

    #[tokio::test]
    async fn a_watched_task_gives_what_it_gives() {
        let mark = Arc::new(Mark::new(b""));
        let turn = mark.clone();
        let seen = mark.clone().watch(async move {
            tokio::task::yield_now().await;
            turn.turn.load(Ordering::Relaxed)
        });
        assert_eq!(seen.await % 2, 1, "it is its turn");
        assert_eq!(mark.turn.load(Ordering::Relaxed) % 2, 0);
    }
}
