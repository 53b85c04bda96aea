//! Hubs: the state that all followers of a live query share, with its numbered events.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use warp::hyper::body::Bytes;

use super::bounds::Bounds;
use super::counts::Counts;
use super::event::{Event, Id};
use super::joining::{Joining, Joinings, lock};
use super::log::{Log, Total, Trace};
use super::place::{Beginning, End, Place, Portion};
use super::presence::{Held, Presence};
use super::print::Printer;
use super::row::{Change, Side};
use super::source::Source;
use super::view::View;
use crate::error::{Code, Error};

/// The bytes of events that a follower takes at a time. While its client doesn't read, it holds that many,
/// plus the rest of the last event.
const PORTION: usize = 64 << 10;

/// The parts that all hubs share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) total: Total,
    pub(super) counts: Arc<Counts>,
    /// The permits to open a follower's own feed. After an outage, all followers of long lists want one.
    pub(super) joins: Arc<Semaphore>,
}

/// A live query with at least one follower.
pub(crate) struct Hub {
    pub(super) run: u64,
    pub(super) source: Box<dyn Source>,
    pub(super) bounds: Bounds,
    pub(super) common: Common,
    printer: Printer,
    state: Mutex<State>,
    /// The end, once there is one. It is set under the lock of the state.
    end: watch::Sender<Option<End>>,
    /// A counter of changes to the state, for followers to wait for.
    news: watch::Sender<u64>,
}

struct State {
    log: Log,
    /// `true` once the list has been followed.
    live: bool,
    /// The reason why the list isn't followed now, during an outage.
    away: Option<Error>,
    /// The documents of a short list.
    view: Option<Arc<View>>,
    joinings: Joinings,
    /// The number of the last invalid event. A follower at or before it has to start over.
    void: u64,
    followers: HashMap<u64, Weak<Presence>>,
    last_follower: u64,
    lonely_since: Option<Instant>,
}

impl Hub {
    pub(super) fn new(source: Box<dyn Source>, bounds: Bounds, common: Common) -> Self {
        let state = State {
            log: Log::new(bounds.keep, common.total.clone()),
            live: false,
            away: None,
            view: None,
            joinings: Joinings::default(),
            void: 0,
            followers: HashMap::new(),
            last_follower: 0,
            lonely_since: Some(Instant::now()),
        };
        Hub {
            run: fastrand::u64(..),
            source,
            bounds,
            common,
            printer: Printer::default(),
            state: Mutex::new(state),
            end: watch::Sender::new(None),
            news: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self, number: u64, joining: Option<u64>) -> Id {
        Id { run: self.run, number, joining }
    }

    /// Returns a receiver that is notified of changes.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Returns a receiver of the end.
    pub(super) fn ending(&self) -> watch::Receiver<Option<End>> {
        self.end.subscribe()
    }

    fn ended(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Adds a follower, which keeps `held` as long as it is served. Returns `None` if the hub has ended.
    pub(super) fn enter(self: &Arc<Self>, held: &mut Option<Held>) -> Option<Arc<Presence>> {
        let mut state = self.state();
        if self.ended().is_some() {
            return None;
        }
        state.last_follower += 1;
        let number = state.last_follower;
        let hub = Arc::downgrade(self);
        let left = move || {
            if let Some(hub) = hub.upgrade() {
                hub.left(number);
            }
        };
        let presence = Arc::new(Presence::new(held.take(), left));
        state.followers.insert(number, Arc::downgrade(&presence));
        state.lonely_since = None;
        Some(presence)
    }

    /// Returns `Ok` if the list is followed, or the reason why it isn't; `None` if that isn't known yet. `Ok`
    /// as well if the service stops, since the stream itself tells that.
    pub(super) fn is_live(&self) -> Option<Result<(), Error>> {
        let state = self.state();
        match (self.ended(), &state.away) {
            (Some(End::Failed(error)), _) => Some(Err(error)),
            (None, Some(error)) => Some(Err(error.clone())),
            (Some(_), _) => Some(Ok(())),
            (None, None) => state.live.then_some(Ok(())),
        }
    }

    /// Notes an outage.
    pub(super) fn is_away(&self, error: Error) {
        self.state().away = Some(error);
    }

    /// Starts a follower that knows no documents. With `initial`, it wants the existing ones.
    pub(super) fn begin(self: &Arc<Self>, initial: bool) -> Beginning {
        let mut state = self.state();
        if let Some(end) = self.ended() {
            return Beginning::End(end);
        }
        if !state.live || state.away.is_some() {
            return Beginning::Wait;
        }
        let last = state.log.last();
        let here = Place { next: last + 1, joining: None };
        match (&state.view, initial) {
            (_, false) => Beginning::Short(Arc::default(), here),
            (Some(view), true) => Beginning::Short(Arc::clone(view), here),
            (None, true) => {
                let (number, splice) = state.joinings.begin(last);
                let hub = Arc::clone(self);
                let joining = Joining::new(number, move || hub.leaves(number));
                Beginning::Long(Place { joining: Some((number, splice)), ..here }, joining)
            }
        }
    }

    /// Notes that the feed of a joining follower has become `ready`.
    pub(super) fn joined(&self, joining: u64) {
        self.state().joinings.ready(joining);
    }

    /// Notes that a follower doesn't join any more.
    fn leaves(&self, joining: u64) {
        self.state().joinings.leave(joining);
    }

    /// Returns the place after an event that a client has seen; `None` if the next event is no longer stored.
    pub(super) fn resume(&self, id: Id) -> Option<Place> {
        let state = self.state();
        // A client may send any number.
        let next = id.number.saturating_add(1);
        let is_known = id.run == self.run && id.number <= state.log.last();
        if !is_known || next < state.log.first() || next <= state.void || self.ended().is_some() {
            return None;
        }
        let joining = id.joining.and_then(|number| Some((number, state.joinings.find(number)?)));
        if joining.as_ref().is_some_and(|(_, splice)| !lock(splice).has_told(id.number)) {
            return None;
        }
        self.common.counts.replayed(state.log.last() - id.number);
        Some(Place { next, joining })
    }

    /// Adds the next events for a follower to `out`, and moves its place after them.
    pub(super) fn portion(&self, place: &mut Place, out: &mut VecDeque<Bytes>) -> Portion {
        let state = self.state();
        let end = self.ended();
        if let Some(end) = end.as_ref().filter(|end| end.is_at_once()) {
            return Portion::End(end.clone());
        }
        if place.next <= state.void {
            return Portion::Void;
        }
        let mut splice = place.joining.as_ref().map(|(joining, splice)| (*joining, lock(splice)));
        let first = state.log.first();
        if place.next < first {
            let lost = first - place.next;
            place.next = first;
            // Later places in an order build on those that were missed, and a page has no event's number.
            let joins = splice.is_some_and(|(_, splice)| splice.is_broken() || !splice.is_over(first));
            let needs_all = joins || self.source.is_short();
            return if needs_all { Portion::Missed } else { Portion::Gap(lost) };
        }
        let mut length = 0;
        while let Some(entry) = state.log.get(place.next).filter(|_| length < PORTION) {
            let number = place.next;
            place.next += 1;
            match &mut splice {
                None => out.push_back(entry.event.bytes()),
                Some((joining, splice)) => match splice.passes(number, entry.trace) {
                    true => {
                        let (bytes, line) = entry.event.bytes_with(self.id(number, Some(*joining)));
                        out.push_back(bytes);
                        out.extend(line);
                    }
                    false => continue,
                },
            }
            length += entry.event.len();
        }
        let (broken, over) = splice
            .as_ref()
            .map_or((false, false), |(_, splice)| (splice.is_broken(), splice.is_over(place.next)));
        drop(splice);
        if broken {
            out.clear();
            return Portion::Missed;
        }
        if over {
            place.joining = None;
        }
        match end {
            _ if length > 0 => Portion::Events,
            Some(end) => Portion::End(end),
            None => Portion::Wait,
        }
    }

    /// Adds the event of lost changes.
    pub(super) fn push_gap(&self, skipped: Option<u64>) {
        let mut state = self.state();
        let id = self.id(state.log.last() + 1, None);
        state.log.push(Event::named("gap", &serde_json::json!({ "skipped": skipped }), Some(id)), None);
        self.common.counts.event();
        drop(state);
        self.tell();
    }

    /// Adds the event of a change. Returns `false` if the change doesn't fit the documents of a short list.
    ///
    /// # Errors
    ///
    /// [`Code::AnswerTooLarge`] if the event, or the list, is too large.
    pub(super) fn push(&self, change: &Change<'_>) -> Result<bool, Error> {
        let limit = self.bounds.bytes;
        let length = |side: Option<Side<'_>>| side.map_or(0, |side| side.len() as u64);
        if length(change.old) + length(change.new) > limit {
            return Err(Error::beyond(Code::AnswerTooLarge, limit));
        }
        let mut state = self.state();
        if let Some(view) = &mut state.view
            && !Arc::make_mut(view).apply(change, limit)?
        {
            return Ok(false);
        }
        self.push_to(&mut state, change);
        drop(state);
        self.tell();
        Ok(true)
    }

    fn push_to(&self, state: &mut State, change: &Change<'_>) {
        let trace = (!state.joinings.is_empty()).then(|| self.trace(change)).flatten();
        let id = self.id(state.log.last() + 1, None);
        state.log.push(Event::of(change, self.source.is_placed(), Some(id)), trace);
        self.common.counts.event();
    }

    /// Returns the fingerprints of a change.
    pub(super) fn trace(&self, change: &Change<'_>) -> Option<Trace> {
        let key = change.new.or(change.old)?.key;
        let print = |side: Option<Side<'_>>| side.map(|side| self.printer.side(side));
        Some(Trace { key: self.printer.print(key), old: print(change.old), new: print(change.new) })
    }

    /// Notes that the list is followed, with its documents if it is short. After an outage, followers of a
    /// short list get the changes since, and followers of another list have to start over.
    pub(super) fn is_followed(&self, view: Option<View>) {
        let mut state = self.state();
        let before = state.view.take();
        match (before, &view) {
            (Some(before), Some(view)) => {
                Arc::unwrap_or_clone(before).compare(view, |change| self.push_to(&mut state, change));
            }
            _ if state.live => {
                state.void = state.log.last() + 1;
                // An additional event, so that followers at the end of the log are before it and see it.
                state.log.push(Event::named("reset", &(), None), None);
                state.log.clear();
                state.joinings.clear();
            }
            _ => {}
        }
        state.view = view.map(Arc::new);
        state.live = true;
        state.away = None;
        drop(state);
        self.tell();
    }

    /// Notes that a query sent at this time was answered, and that all rows sent before the answer have been
    /// read.
    pub(super) fn settle(&self, asked: Instant) {
        let mut state = self.state();
        let State { log, joinings, .. } = &mut *state;
        let is_news = joinings.settle(log, self.bounds.settle, asked);
        drop(state);
        if is_news {
            self.tell();
        }
    }

    /// Drops old events and stalled followers, and ends the hub if it has been without followers for too
    /// long. Returns whether it has ended.
    pub(super) fn tidy(&self) -> bool {
        let mut state = self.state();
        let needed = state.joinings.first_needed();
        state.log.forget_old(needed);
        let stall = self.bounds.stall;
        let stalled: Vec<_> = state.followers.values().filter_map(Weak::upgrade).collect();
        if state.lonely_since.is_some_and(|since| since.elapsed() >= self.bounds.linger) {
            self.set_end(&state, End::Lonely);
        }
        let ended = self.ended().is_some();
        drop(state);
        // Outside of the lock, since dropping a follower takes it.
        stalled
            .into_iter()
            .filter(|presence| presence.is_idle_for(stall))
            .for_each(|presence| presence.give_up());
        ended
    }

    /// Ends the hub for all followers.
    pub(super) fn end(&self, end: End) {
        let state = self.state();
        self.set_end(&state, end);
        drop(state);
        self.tell();
    }

    /// Sets the end, unless there is one.
    fn set_end(&self, _locked: &State, end: End) {
        self.end.send_if_modified(|now| {
            let is_first = now.is_none();
            now.get_or_insert(end);
            is_first
        });
    }

    /// Returns the number of followers.
    pub(super) fn followers(&self) -> u64 {
        self.state().followers.len() as u64
    }

    #[cfg(test)]
    pub(super) fn joinings(&self) -> usize {
        self.state().joinings.len()
    }

    fn left(&self, number: u64) {
        let mut state = self.state();
        if state.followers.remove(&number).is_some() && state.followers.is_empty() {
            state.lonely_since = Some(Instant::now());
        }
    }
}
