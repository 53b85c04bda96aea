//! Searching for a pattern in a long text, or for one that has many states.
//!
//! The searches of the `regex` crate go on to their end. For most, that is soon. The others are made here,
//! byte by byte, and check now and then if they are to go on. Automata, whose states are made as they are
//! needed, find the place of a match. Its groups, if they take long too, are found by all threads of the
//! pattern in step (Pike's algorithm).

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input, MatchKind, Span, util::syntax};

use super::SIZE_LIMIT;
use crate::budget::fuel;
use crate::error::{Error, Result};

/// The bytes that are searched between two looks whether to go on: making a state can take a millisecond.
const STRIDE: usize = 16;

/// A pattern that is searched for with patience.
#[derive(Debug)]
pub(super) struct Patient {
    nfa: NFA,
    forward: DFA,
    /// For the text read backwards.
    backward: DFA,
}

impl Patient {
    /// Compiles a pattern that is known to be one.
    pub(super) fn compile(pattern: &str, syntax: syntax::Config) -> Result<Self> {
        let failed = |_| Error::internal("A pattern was compiled once, and not again.");
        let config = || NFA::config().utf8(false).nfa_size_limit(Some(SIZE_LIMIT));
        let compile =
            |config| NFA::compiler().configure(config).syntax(syntax).build(pattern).map_err(failed);
        let nfa = compile(config())?;
        let reverse = compile(
            config().reverse(true).which_captures(regex_automata::nfa::thompson::WhichCaptures::None),
        )?;
        let lazy = |nfa, kind| {
            let config = DFA::config().match_kind(kind).skip_cache_capacity_check(true);
            let failed = |_| Error::internal("A pattern has no automaton.");
            DFA::builder().configure(config).build_from_nfa(nfa).map_err(failed)
        };
        let forward = lazy(nfa.clone(), MatchKind::LeftmostFirst)?;
        let backward = lazy(reverse, MatchKind::All)?;
        Ok(Patient { nfa, forward, backward })
    }

    /// Returns the bytes of memory that it takes, with its searches.
    pub(super) fn size(&self) -> usize {
        /// The states that an automaton remembers: what the crate allows it, and then some.
        const STATES: usize = 3 << 20;
        self.nfa.memory_usage() + self.forward.memory_usage() + self.backward.memory_usage() + 2 * STATES
    }

    /// Returns where the leftmost match is.
    pub(super) fn find(&self, text: &[u8]) -> Result<Option<Span>> {
        let Some(end) = self.end(text)? else { return Ok(None) };
        Ok(Some(Span { start: self.start(text, end)?, end }))
    }

    /// Returns the end of the leftmost match.
    fn end(&self, text: &[u8]) -> Result<Option<usize>> {
        let (dfa, mut cache) = (&self.forward, self.forward.create_cache());
        let mut state = dfa.start_state_forward(&mut cache, &Input::new(text)).map_err(gave_up)?;
        let mut end = None;
        for (number, part) in text.chunks(STRIDE).enumerate() {
            fuel::spend(1)?;
            for (offset, byte) in part.iter().enumerate() {
                state = next(dfa, &mut cache, state, Some(*byte))?;
                if state.is_match() {
                    // States tell of matches a byte late.
                    end = Some(number * STRIDE + offset);
                } else if state.is_dead() {
                    return Ok(end);
                }
            }
        }
        let last = next(dfa, &mut cache, state, None)?;
        Ok(if last.is_match() { Some(text.len()) } else { end })
    }

    /// Returns the start of the leftmost match, which ends at `end`.
    fn start(&self, text: &[u8], end: usize) -> Result<usize> {
        let (dfa, mut cache) = (&self.backward, self.backward.create_cache());
        let input = Input::new(text).range(..end).anchored(Anchored::Yes);
        let mut state = dfa.start_state_reverse(&mut cache, &input).map_err(gave_up)?;
        let mut start = end;
        for at in (0..end).rev() {
            if at.is_multiple_of(STRIDE) {
                fuel::spend(1)?;
            }
            state = next(dfa, &mut cache, state, Some(text[at]))?;
            if state.is_match() {
                start = at + 1;
            } else if state.is_dead() {
                return Ok(start);
            }
        }
        let last = next(dfa, &mut cache, state, None)?;
        Ok(if last.is_match() { 0 } else { start })
    }

    /// Returns the number of groups, the whole match included.
    pub(super) fn groups(&self) -> usize {
        self.nfa.group_info().all_group_len()
    }

    /// Returns the groups of a match.
    pub(super) fn captures(&self, text: &[u8], found: Span) -> Result<Vec<Option<Span>>> {
        let width = self.nfa.group_info().slot_len();
        let states = self.nfa.states().len();
        let _threads = fuel::aside(states.saturating_mul(width + 2).saturating_mul(2 * size_of::<Slot>()))?;
        let (mut now, mut then) = (Threads::new(states, width), Threads::new(states, width));
        let (mut slots, mut matched) = (vec![None; width], vec![None; width]);
        now.follow(&self.nfa, self.nfa.start_anchored(), text, found.start, &mut slots)?;
        for at in found.start..=found.end {
            fuel::spend(1 + now.order.len() * width / 64)?;
            for thread in 0..now.order.len() {
                let id = now.order[thread];
                let byte = text.get(at).copied().filter(|_| at < found.end);
                let target = match (self.nfa.state(id), byte) {
                    (State::Match { .. }, _) => {
                        matched.copy_from_slice(now.slots(id));
                        // Those behind it matter less.
                        break;
                    }
                    (State::ByteRange { trans }, Some(byte)) if trans.matches_byte(byte) => Some(trans.next),
                    (State::Sparse(trans), Some(byte)) => trans.matches_byte(byte),
                    (State::Dense(trans), Some(byte)) => trans.matches_byte(byte),
                    _ => None,
                };
                if let Some(target) = target {
                    slots.copy_from_slice(now.slots(id));
                    then.follow(&self.nfa, target, text, at + 1, &mut slots)?;
                }
            }
            std::mem::swap(&mut now, &mut then);
            then.clear();
        }
        Ok(matched.chunks(2).map(|pair| Some(Span { start: pair[0]?, end: pair[1]? })).collect())
    }
}

/// Returns the state after a byte, or after the end.
fn next(dfa: &DFA, cache: &mut Cache, state: LazyStateID, byte: Option<u8>) -> Result<LazyStateID> {
    let next = match byte {
        Some(byte) => dfa.next_state(cache, state, byte),
        None => dfa.next_eoi_state(cache, state),
    };
    next.map_err(gave_up)
}

/// Returns the error of an automaton that gave up, which nothing tells it to do.
fn gave_up<E>(_: E) -> Error {
    Error::internal("A search was given up.")
}

/// A place in the text.
type Slot = Option<usize>;

/// The threads of a pattern at one place in the text, each at a state of its own.
struct Threads {
    /// The states with a thread, the one that matters most first.
    order: Vec<StateID>,
    is_in: Vec<bool>,
    /// The groups so far of the thread at each state.
    slots: Vec<Slot>,
    width: usize,
}

/// A step left to do when states that take no byte are followed.
enum Step {
    To(StateID),
    /// Back to what a slot was before.
    Restore(usize, Slot),
}

impl Threads {
    fn new(states: usize, width: usize) -> Self {
        Threads { order: Vec::new(), is_in: vec![false; states], slots: vec![None; states * width], width }
    }

    fn clear(&mut self) {
        for id in self.order.drain(..) {
            self.is_in[id.as_usize()] = false;
        }
    }

    fn slots(&self, id: StateID) -> &[Slot] {
        &self.slots[id.as_usize() * self.width..][..self.width]
    }

    /// Adds the states that can be reached without a byte.
    fn follow(&mut self, nfa: &NFA, from: StateID, text: &[u8], at: usize, slots: &mut [Slot]) -> Result<()> {
        let mut steps = vec![Step::To(from)];
        while let Some(step) = steps.pop() {
            let id = match step {
                Step::To(id) => id,
                Step::Restore(slot, before) => {
                    slots[slot] = before;
                    continue;
                }
            };
            if std::mem::replace(&mut self.is_in[id.as_usize()], true) {
                continue;
            }
            fuel::spend(1 + self.width / 64)?;
            // All that were met are cleared, whether they wait for a byte or not.
            self.order.push(id);
            self.slots[id.as_usize() * self.width..][..self.width].copy_from_slice(slots);
            match nfa.state(id) {
                State::Look { look, next } if nfa.look_matcher().matches(*look, text, at) => {
                    steps.push(Step::To(*next));
                }
                State::Union { alternates } => steps.extend(alternates.iter().rev().map(|id| Step::To(*id))),
                State::BinaryUnion { alt1, alt2 } => steps.extend([Step::To(*alt2), Step::To(*alt1)]),
                State::Capture { next, slot, .. } => {
                    let slot = slot.as_usize();
                    steps.push(Step::Restore(slot, slots[slot]));
                    slots[slot] = Some(at);
                    steps.push(Step::To(*next));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
