//! Joining a list that goes on: which of the hub's events a follower has been told already.
//!
//! A follower that joins takes what is there from a changefeed of its own, until that says `ready`. Then it
//! goes on with the hub's events from the number on that was the last one when it began to read. All that is
//! committed after that comes as an event of a higher number, so nothing is missed. But some of it may have
//! been in what was read, and must not be told twice.
//!
//! Changes of one document form a chain: each begins with what the one before ended with. The hub's feed
//! tells the whole chain, from what the document was when the hub's number was taken. The follower's own feed
//! has told a state of the document, and that is one of the chain. So the hub's changes of a document are
//! passed over until one comes that begins with what the follower knows, and all are passed on from there. A
//! state may be in the chain twice, and the follower's may have been the later one. Then it is told some
//! changes that it had no need of, but they lead from what it knows to what it knows, and it ends where the
//! chain ends.
//!
//! No state of documents is kept but their prints, and those only for a while: the hub's feed is as far as
//! the follower's was when the database has answered, on the connection of the hub's feed, a question that
//! was asked some seconds after the follower's feed had said `ready`. From then on every event is passed on.
//! RethinkDB doesn't promise how soon after a commit a feed tells of it. If it should take longer than those
//! seconds, a follower is told an old change of a document, and then all that came after it: it is right in
//! the end all the same.
//!
//! A client that comes back resumes in the middle of that. So its ids name its joining, whose decisions the
//! hub keeps as long as they can matter.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::log::{Log, Trace};

/// A follower's joining. Its decisions don't depend on when they are made, and each is made once.
#[derive(Debug)]
pub(crate) struct Splice {
    /// The prints of the documents that the follower knows, by those of their primary keys.
    told: HashMap<u64, u64>,
    /// Documents whose changes have been passed over so far, with what the last of these ended with.
    behind: HashMap<u64, Option<u64>>,
    /// The number of the last event that was decided about.
    decided: u64,
    /// The numbers of those that were passed over.
    skipped: Vec<u64>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The follower still reads what is there.
    Reads,
    /// Some of the hub's events may still be old.
    Decides,
    /// No event after those that were decided about is old.
    Settled,
    /// What the follower knows fits no chain: it has to begin anew.
    Broken,
}

impl Splice {
    /// Begins when this was the number of the last event.
    pub(crate) fn new(last: u64) -> Self {
        let (told, behind) = (HashMap::new(), HashMap::new());
        Splice { told, behind, decided: last, skipped: Vec::new(), stage: Stage::Reads }
    }

    /// Notes what the follower's own feed tells. Returns `true` if the document is one more.
    pub(crate) fn tell(&mut self, trace: Trace) -> bool {
        match trace.new {
            Some(print) => self.told.insert(trace.key, print).is_none(),
            None => {
                self.told.remove(&trace.key);
                false
            }
        }
    }

    /// Forgets what was told, since it is too much. Events that the follower knows already are told again.
    pub(crate) fn give_up(&mut self) {
        self.settle();
    }

    /// The follower knows all that was there.
    pub(crate) fn ready(&mut self) {
        if self.stage == Stage::Reads {
            self.stage = Stage::Decides;
        }
    }

    /// Returns whether the follower gets the event of this number, of all that come one after another.
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

    /// Follows the chain of a document, if it begins with what the follower knows.
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

    /// Decides about all that there is, since none of what comes is old.
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
        // What was passed over last has to lead to what the follower knows.
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

    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled | Stage::Broken)
    }

    /// Returns whether it bears on no event of this number and after it.
    pub(crate) fn is_over(&self, number: u64) -> bool {
        self.stage == Stage::Settled && self.skipped.last().is_none_or(|last| *last < number)
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

    /// The numbers of the events that pass.
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
    }

    /// Chains of few documents and states, of which the follower has read any point.
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
