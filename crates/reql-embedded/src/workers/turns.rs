//! Turns on the processors: of the work that goes on for long, as much runs at once as there are processors.
//!
//! Work that computes comes to a [`checkpoint`] now and then, and may be kept waiting there. A thread that
//! doesn't come to one waits for something else already, and uses no processor. Work that is soon done is
//! never kept waiting.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// The length of a turn.
pub(super) const TURN: Duration = Duration::from_millis(10);

/// The turns that a piece of work has before it has to share the processors with others.
const GRACE: u64 = 5;

/// The longest time that work is kept waiting. A thread that holds what others wait for goes on after that.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The interval at which work that is kept waiting checks if it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

thread_local! {
    static OWN: OnceCell<Arc<Turn>> = const { OnceCell::new() };
}

/// Keeps the current thread waiting while it is others' turn, until it is interrupted. To be called now and
/// then by work that computes, and not while it holds a lock that others need.
#[inline]
pub(crate) fn checkpoint(interrupt: &Interrupt) {
    OWN.with(|own| {
        if let Some(turn) = own.get() {
            turn.checkpoint(interrupt);
        }
    });
}

/// Returns true if work comes to a checkpoint, as work that takes turns does.
#[cfg(test)]
pub(crate) fn comes_to_a_checkpoint(work: impl FnOnce()) -> bool {
    let turn = Turn::of_this_thread();
    turn.has_checked.store(false, Ordering::Relaxed);
    work();
    turn.has_checked.load(Ordering::Relaxed)
}

/// The state of a thread's turn.
#[derive(Debug)]
pub(super) struct Turn {
    thread: Thread,
    /// The lane whose work the thread does; [`NOBODY`] without work.
    lane: AtomicU64,
    /// The number of the turn in which the work began.
    began: AtomicU64,
    /// The time of the thread's last turn, in an order of its own: several have one at once.
    last: AtomicU64,
    /// True if the thread came to a checkpoint since the last query of this flag.
    has_checked: AtomicBool,
    /// True if the thread is to wait at its next checkpoint.
    is_held: AtomicBool,
    /// True while the thread waits.
    is_waiting: AtomicBool,
}

const NOBODY: u64 = u64::MAX;

impl Turn {
    /// Makes the turn of the current thread.
    pub(super) fn of_this_thread() -> Arc<Turn> {
        let turn = Arc::new(Turn::of(thread::current()));
        OWN.with(|own| own.get_or_init(|| turn).clone())
    }

    fn of(thread: Thread) -> Turn {
        Turn {
            thread,
            lane: AtomicU64::new(NOBODY),
            began: AtomicU64::new(0),
            last: AtomicU64::new(0),
            has_checked: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
        }
    }

    /// Notes that work of this lane begins.
    pub(super) fn begin(&self, lane: u64, number: u64) {
        self.began.store(number, Ordering::Relaxed);
        self.last.store(0, Ordering::Relaxed);
        self.lane.store(lane, Ordering::Release);
    }

    /// Notes that the work is done.
    pub(super) fn end(&self) {
        self.lane.store(NOBODY, Ordering::Release);
        self.is_held.store(false, Ordering::Relaxed);
    }

    fn checkpoint(&self, interrupt: &Interrupt) {
        self.has_checked.store(true, Ordering::Relaxed);
        if self.is_held.load(Ordering::Acquire) {
            self.wait(interrupt);
        }
    }

    #[cold]
    fn wait(&self, interrupt: &Interrupt) {
        let until = Instant::now() + LONGEST_WAIT;
        self.is_waiting.store(true, Ordering::Release);
        while self.is_held.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || interrupt.is_raised() {
                self.is_held.store(false, Ordering::Release);
            } else {
                thread::park_timeout(left.min(LOOK_EVERY));
            }
        }
        self.is_waiting.store(false, Ordering::Release);
    }

    fn hold(&self) {
        self.is_held.store(true, Ordering::Release);
    }

    fn release(&self) {
        if self.is_held.swap(false, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    /// Returns true if the work has gone on for a while.
    fn is_old(&self, number: u64) -> bool {
        let began = self.began.load(Ordering::Relaxed);
        self.lane.load(Ordering::Acquire) != NOBODY && number.saturating_sub(began) > GRACE
    }

    /// Returns true if the work computes, or would if it weren't kept waiting, and has done so for a while.
    fn competes(&self, number: u64) -> bool {
        let has_checked = self.has_checked.swap(false, Ordering::Relaxed);
        self.is_old(number) && (has_checked || self.is_waiting.load(Ordering::Acquire))
    }
}

/// Lets all threads go on.
pub(super) fn release_all(turns: &[Arc<Turn>]) {
    turns.iter().for_each(|turn| turn.release());
}

/// Gives the processors to the threads whose turn it is.
pub(super) fn give(turns: &[Arc<Turn>], number: u64, processors: usize) {
    let (competing, others): (Vec<_>, Vec<_>) = turns.iter().partition(|turn| turn.competes(number));
    // Who is to wait does so at the next checkpoint, however late that comes: there may be too many to get
    // there at once.
    others.iter().filter(|turn| !turn.is_old(number)).for_each(|turn| turn.release());
    let wishes: Vec<_> = competing
        .iter()
        .map(|turn| (turn.lane.load(Ordering::Acquire), turn.last.load(Ordering::Relaxed)))
        .collect();
    let chosen = choose(&wishes, processors);
    for (at, turn) in competing.iter().enumerate() {
        match chosen.iter().position(|chosen| *chosen == at) {
            Some(place) => {
                turn.last.store(in_order(number, processors, place), Ordering::Relaxed);
                turn.release();
            }
            None => turn.hold(),
        }
    }
}

/// Returns the position of a place of a turn in the order of all places.
fn in_order(number: u64, places: usize, place: usize) -> u64 {
    number * places as u64 + place as u64
}

/// Chooses the work whose turn it is, by its lane and its last place: one lane after the other, and within
/// each lane one piece of work after the other. Returns the positions of the chosen work.
fn choose(wishes: &[(u64, u64)], places: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::with_capacity(places);
    // The number of places that a lane has got now, and the last one that it had before.
    let mut lanes: HashMap<u64, (usize, u64)> = HashMap::new();
    for (lane, last) in wishes {
        let (_, had) = lanes.entry(*lane).or_default();
        *had = (*had).max(*last);
    }
    while chosen.len() < places {
        let left = wishes.iter().enumerate().filter(|(at, _)| !chosen.contains(at));
        let next = left.min_by_key(|(_, (lane, last))| (lanes.get(lane).copied(), *lane, *last));
        let Some((at, (lane, _))) = next else { break };
        chosen.push(at);
        lanes.entry(*lane).or_default().0 += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Reason;

    /// Counts the turns that each piece of work gets of `turns`, if each always wants one.
    fn shares(lanes: &[u64], places: usize, turns: u64) -> Vec<u64> {
        let mut wishes: Vec<(u64, u64)> = lanes.iter().map(|lane| (*lane, 0)).collect();
        let mut shares = vec![0; lanes.len()];
        for number in 1..=turns {
            for (place, at) in choose(&wishes, places).into_iter().enumerate() {
                wishes[at].1 = in_order(number, places, place);
                shares[at] += 1;
            }
        }
        shares
    }

    #[test]
    fn lanes_have_the_same_however_much_they_want() {
        let shares = shares(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 2], 2, 900);
        assert_eq!(shares[9], 900, "one processor for each lane");
        assert!(shares[..9].iter().all(|share| *share == 100), "{shares:?}");
    }

    #[test]
    fn more_lanes_than_processors_take_turns() {
        assert_eq!(shares(&[1, 2, 3], 2, 300), [200; 3]);
        assert_eq!(shares(&[1, 2, 3, 4, 5], 1, 500), [100; 5]);
    }

    #[test]
    fn a_lane_alone_has_all_processors() {
        assert_eq!(shares(&[1, 1, 1, 1], 2, 100), [50; 4]);
        assert_eq!(choose(&[(1, 0)], 4), [0]);
        assert!(choose(&[], 2).is_empty());
    }

    #[test]
    fn who_is_held_waits_at_the_checkpoint_and_goes_on_when_let() {
        let (tell, turn) = std::sync::mpsc::channel();
        let worker = thread::spawn(move || {
            let turn = Turn::of_this_thread();
            turn.hold();
            turn.begin(1, 0);
            tell.send(turn.clone()).unwrap();
            let began = Instant::now();
            checkpoint(&Interrupt::default());
            (turn.is_held.load(Ordering::Acquire), began.elapsed())
        });
        let turn = turn.recv().unwrap();
        while !turn.is_waiting.load(Ordering::Acquire) && !worker.is_finished() {
            thread::yield_now();
        }
        turn.release();
        assert!(!worker.join().unwrap().0);
    }

    #[test]
    fn nobody_is_held_for_ever() {
        let worker = thread::spawn(|| {
            let turn = Turn::of_this_thread();
            turn.hold();
            let began = Instant::now();
            checkpoint(&Interrupt::default());
            began.elapsed()
        });
        assert!(worker.join().unwrap() >= LONGEST_WAIT);
    }

    #[test]
    fn who_is_interrupted_is_held_no_longer() {
        let interrupt = Interrupt::default();
        interrupt.raise(Reason::Stopped);
        let turn = Turn::of(thread::current());
        turn.hold();
        turn.checkpoint(&interrupt);
        assert!(!turn.is_held.load(Ordering::Acquire));
    }

    #[test]
    fn what_is_new_or_waits_for_something_else_does_not_compete() {
        let turn = Turn::of(thread::current());
        assert!(!turn.competes(100), "it does nothing");
        turn.begin(1, 100);
        turn.has_checked.store(true, Ordering::Relaxed);
        assert!(!turn.competes(100 + GRACE), "it is new");
        turn.has_checked.store(true, Ordering::Relaxed);
        assert!(turn.competes(101 + GRACE));
        assert!(!turn.competes(102 + GRACE), "it hasn't come to a checkpoint since");
        turn.end();
        turn.has_checked.store(true, Ordering::Relaxed);
        assert!(!turn.competes(200));
    }
}
