//! Joining a live query: which of the hub's events a follower has seen already in its own feed.
//!
//! A follower that joins reads the existing documents from a changefeed of its own, until that is `ready`.
//! Then it continues with the hub's events after the one that was the last when it began to read. Everything
//! committed after that comes as an event with a higher number, so nothing is missed. But the follower may
//! have read some of it already, and must not get it twice.
//!
//! The changes of one document form a chain: each begins with the state that the one before ended with. The
//! hub's feed has the whole chain, from the state at the time when the hub's number was taken. The state that
//! the follower has read is one of the chain. So the hub's changes of the document are skipped until one
//! begins with that state, and sent from there on. If the state occurs twice in the chain, and the follower
//! has read the later one, it gets some changes that it wouldn't have needed. They lead from its state back
//! to its state, so it still ends with the chain.
//!
//! Only fingerprints of documents are kept, and only for a while. The hub's feed has caught up with the
//! follower's when the database has answered a query on the connection of the hub's feed, sent some seconds
//! after the follower's feed was `ready`. From then on every event is sent. RethinkDB doesn't promise how
//! soon after a commit a feed has the change. If it takes longer than those seconds, a follower gets an old
//! change of a document, and then all later ones, so it still ends with the right state.
//!
//! A client may reconnect in the middle of that. So its event ids name its joining, whose decisions the hub
//! keeps as long as they are needed.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::log::{Log, Trace};

/// A follower's joining. Each decision is made once, and doesn't depend on the time at which it is made.
#[derive(Debug)]
pub(crate) struct Splice {
    /// The fingerprints of the documents that the follower knows, by the fingerprints of their primary keys.
    told: HashMap<u64, u64>,
    /// Documents whose changes have all been skipped so far, with the state that the last of them ended with.
    behind: HashMap<u64, Option<u64>>,
    /// The number of the last event with a decision.
    decided: u64,
    /// The numbers of skipped events.
    skipped: Vec<u64>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The follower still reads the existing documents.
    Reads,
    /// Some of the hub's events may still be old.
    Decides,
    /// No event after those with a decision is old.
    Settled,
    /// A state that the follower knows isn't in its chain, so the follower has to start over.
    Broken,
}

impl Splice {
    /// Starts a joining. `last` is the number of the last event.
    pub(crate) fn new(last: u64) -> Self {
        let (told, behind) = (HashMap::new(), HashMap::new());
        Splice { told, behind, decided: last, skipped: Vec::new(), stage: Stage::Reads }
    }

    /// Notes a row of the follower's own feed. Returns `true` if it is a new document.
    pub(crate) fn tell(&mut self, trace: Trace) -> bool {
        match trace.new {
            Some(print) => self.told.insert(trace.key, print).is_none(),
            None => {
                self.told.remove(&trace.key);
                false
            }
        }
    }

    /// Drops the fingerprints, since they are too many. The follower may get events that it has seen already.
    pub(crate) fn give_up(&mut self) {
        self.settle();
    }

    /// Notes that the follower has read all existing documents.
    pub(crate) fn ready(&mut self) {
        if self.stage == Stage::Reads {
            self.stage = Stage::Decides;
        }
    }

    /// Returns whether the follower gets the event with this number. Call it for all events in their order.
    pub(crate) fn passes(&mut self, number: u64, trace: Option<Trace>) -> bool {
        if number > self.decided {
            if self.stage != Stage::Decides {
                return true;
            }
            self.decided = number;
            if trace.is_some_and(|trace| !self.fits(trace)) {
                self.skipped.push(number);
            }
        }
        self.skipped.binary_search(&number).is_err()
    }

    /// Returns whether a change begins with the state that the follower knows, and notes its new state.
    fn fits(&mut self, trace: Trace) -> bool {
        let slot = self.told.entry(trace.key);
        let known = match &slot {
            Slot::Occupied(told) => Some(*told.get()),
            Slot::Vacant(_) => None,
        };
        if known != trace.old {
            self.behind.insert(trace.key, trace.new);
            return false;
        }
        match (slot, trace.new) {
            (Slot::Occupied(mut told), Some(new)) => *told.get_mut() = new,
            (Slot::Occupied(told), None) => drop(told.remove()),
            (Slot::Vacant(told), Some(new)) => drop(told.insert(new)),
            (Slot::Vacant(_), None) => {}
        }
        self.behind.remove(&trace.key);
        true
    }

    /// Decides about all events so far. Later ones aren't old.
    pub(crate) fn settle_at(&mut self, log: &Log) {
        if self.stage != Stage::Decides {
            return;
        }
        if log.first() > self.decided + 1 {
            self.stage = Stage::Broken;
        }
        for number in self.decided + 1..=log.last() {
            if let Some(entry) = log.get(number) {
                self.passes(number, entry.trace);
            }
        }
        // The last skipped change of a document must end with the state that the follower knows.
        if self.behind.iter().any(|(key, new)| self.told.get(key) != new.as_ref()) {
            self.stage = Stage::Broken;
        }
        self.settle();
    }

    fn settle(&mut self) {
        if self.stage != Stage::Broken {
            self.stage = Stage::Settled;
        }
        (self.told, self.behind) = (HashMap::new(), HashMap::new());
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.stage == Stage::Broken
    }

    /// Returns the number of the first event without a decision.
    pub(crate) fn next(&self) -> u64 {
        self.decided + 1
    }

    /// Returns whether a client may resume after the event with this number: it can have been told of that.
    /// An id is only what a client says, and decisions must be made about all events in their order.
    pub(crate) fn has_told(&self, number: u64) -> bool {
        match self.stage {
            Stage::Reads | Stage::Broken => false,
            Stage::Decides => number <= self.decided,
            Stage::Settled => true,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled | Stage::Broken)
    }

    /// Returns whether its decisions aren't needed for events from this number on.
    pub(crate) fn is_over(&self, number: u64) -> bool {
        match self.stage {
            Stage::Settled => self.skipped.last().is_none_or(|last| *last < number),
            // No client has an id of one of these events, so none can resume.
            Stage::Broken => self.decided + 1 < number,
            Stage::Reads | Stage::Decides => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::event::Event;
    use super::super::log::{Keep, Total};
    use super::*;

    const KEEP: Keep = Keep { events: 10_000, bytes: 1 << 30, time: Duration::from_secs(60) };

    fn log(traces: &[Trace]) -> Log {
        let mut log = Log::new(KEEP, Total::default());
        for trace in traces {
            log.push(Event::named("x", &(), None), Some(*trace));
        }
        log
    }

    fn trace(key: u64, old: Option<u64>, new: Option<u64>) -> Trace {
        Trace { key, old, new }
    }

    /// Returns the numbers of the events that the follower gets.
    fn passed(told: &[(u64, u64)], traces: &[Trace]) -> (Vec<u64>, Splice) {
        let mut splice = Splice::new(0);
        for (key, new) in told {
            splice.tell(trace(*key, None, Some(*new)));
        }
        splice.ready();
        let log = log(traces);
        let passed = (1..=log.last()).filter(|n| splice.passes(*n, log.get(*n).unwrap().trace)).collect();
        splice.settle_at(&log);
        (passed, splice)
    }

    #[test]
    fn what_was_read_is_not_told_again() {
        let chain = [
            trace(1, None, Some(10)),
            trace(2, Some(20), Some(21)),
            trace(1, Some(10), Some(11)),
            trace(2, Some(21), None),
            trace(1, Some(11), None),
        ];
        for (told, expected) in [
            (&[(2, 20)][..], &[1, 2, 3, 4, 5][..]),
            (&[(1, 10), (2, 21)], &[3, 4, 5]),
            (&[(1, 11), (2, 20)], &[2, 4, 5]),
            (&[(1, 11)], &[5]),
        ] {
            let (passed, splice) = passed(told, &chain);
            assert_eq!(passed, expected, "{told:?}");
            assert!(!splice.is_broken() && splice.is_settled(), "{told:?}");
            assert!(splice.told.is_empty() && splice.behind.is_empty());
            assert_eq!(splice.is_over(1), passed.len() == 5);
            assert!(splice.is_over(5));
        }
    }

    #[test]
    fn a_state_that_comes_twice_leads_to_the_same_end() {
        let chain = [trace(1, Some(1), Some(2)), trace(1, Some(2), Some(1)), trace(1, Some(1), Some(3))];
        assert_eq!(passed(&[(1, 1)], &chain).0, [1, 2, 3]);
        assert_eq!(passed(&[(1, 2)], &chain).0, [2, 3]);
        assert_eq!(passed(&[(1, 3)], &chain).0, [0; 0]);
    }

    #[test]
    fn decisions_are_made_once() {
        let chain = [trace(1, None, Some(10)), trace(1, Some(10), Some(11)), trace(1, Some(11), Some(12))];
        let (first, mut splice) = passed(&[(1, 11)], &chain);
        assert_eq!(first, [3]);
        let again: Vec<_> = (1..=3).filter(|number| splice.passes(*number, None)).collect();
        assert_eq!(again, first);
        assert!(splice.passes(4, Some(trace(1, Some(77), None))), "it is settled");
    }

    #[test]
    fn what_fits_no_chain_is_broken() {
        let (_, splice) = passed(&[(1, 5)], &[trace(1, Some(10), Some(11))]);
        assert!(splice.is_broken());
        let mut late = Splice::new(0);
        late.ready();
        let mut log = log(&[trace(1, None, Some(1)), trace(2, None, Some(1))]);
        log.clear();
        late.settle_at(&log);
        assert!(late.is_broken(), "what it had to decide about is gone");
        assert!(!late.is_over(1) && late.is_over(2), "it matters as long as its clients may come back");
    }

    #[test]
    fn only_what_it_has_told_can_be_resumed_after() {
        let mut splice = Splice::new(7);
        assert!(!splice.has_told(7), "it has told nothing yet");
        splice.ready();
        assert!(splice.has_told(7) && !splice.has_told(8));
        splice.passes(8, None);
        assert!(splice.has_told(8) && !splice.has_told(9));
        splice.give_up();
        assert!(splice.has_told(9));
    }

    /// Tests random chains of few documents and states, which the follower joins at random points.
    #[test]
    fn a_follower_ends_where_the_chain_ends() {
        for seed in 0..2000 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut state = [None, None, Some(1)];
            let mut points = vec![state];
            let mut chain = Vec::new();
            for _ in 0..chance.usize(0..20) {
                let key = chance.usize(0..state.len());
                let new = Some(chance.u64(0..3)).filter(|new| *new > 0);
                if new != state[key] {
                    chain.push(trace(key as u64, state[key], new));
                    state[key] = new;
                    points.push(state);
                }
            }
            // Each document is read at a point of its own.
            let mut known: Vec<_> =
                (0..state.len()).map(|key| points[chance.usize(0..points.len())][key]).collect();
            let told: Vec<_> =
                known.iter().enumerate().filter_map(|(key, new)| Some((key as u64, (*new)?))).collect();
            let (passed, splice) = passed(&told, &chain);
            assert!(!splice.is_broken(), "seed {seed}");
            for number in passed {
                let trace = chain[number as usize - 1];
                let known = &mut known[trace.key as usize];
                assert_eq!(*known, trace.old, "seed {seed}: {trace:?}");
                *known = trace.new;
            }
            assert_eq!(known, state, "seed {seed}");
        }
    }
}
