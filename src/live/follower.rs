//! Followers: the event stream of one client of a hub.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;
use warp::hyper::body::Bytes;

use super::alive::{Alive, Stalled};
use super::event::{Event, Id, initial};
use super::hub::Hub;
use super::joining::{Joining, lock};
use super::place::{Beginning, End, Place, Portion};
use super::presence::Presence;
use super::row::{Kind, Row};
use super::source::Rows;
use super::task::is_passing;
use super::view::View;
use crate::error::{Code, Error};

/// The event that sets the client's pause before it reconnects, in milliseconds.
pub(crate) const RETRY: &str = "retry:2000\n\n";
/// The last comment of a stream that ends because the service stops.
const STOPPED: &[u8] = b":The service stops.\n\n";
/// The last comment of a stream that ends because the settings have changed, and with them maybe the rules.
const RENEWED: &[u8] = b":The settings have changed.\n\n";
/// The memory for a known document, in bytes.
const WEIGHT: usize = 32;
/// The pause before a follower joins again after failing to, which doubles each time.
const AGAIN: Duration = Duration::from_millis(500);
/// The most times that a follower joins again without being told all.
const ROUNDS: u32 = 6;

/// The options of a client.
pub(crate) struct Wish {
    /// `true` if the client wants the existing documents.
    pub(crate) initial: bool,
    /// The id of the last event that the client has seen, if it reconnects.
    pub(crate) last: Option<String>,
    /// Makes the last event of a stream that fails.
    pub(crate) failure: Box<dyn Fn(&Error) -> Bytes + Send>,
    /// The memory for the documents that it knows while it joins.
    pub(crate) known: Box<dyn Memory>,
    /// The memory for an event that is made for this client alone.
    pub(crate) told: Box<dyn Memory>,
    /// A future that is done, with the reason, when the client's permission ends; `None` if it doesn't end.
    pub(crate) end: Option<BoxFuture<'static, Error>>,
}

/// A count of memory that a client takes. All of it is returned on drop.
pub(crate) trait Memory: Send {
    /// Takes this many more bytes.
    ///
    /// # Errors
    ///
    /// If too little is left.
    fn take(&mut self, bytes: usize) -> Result<(), Error>;

    /// Returns all that was taken.
    fn clear(&mut self);
}

/// The state of one client's stream.
struct Follower {
    hub: Arc<Hub>,
    news: watch::Receiver<u64>,
    ending: watch::Receiver<Option<End>>,
    wish: Wish,
    stage: Stage,
    /// The number of times that it has failed to join since it last knew all.
    rounds: u32,
    /// The parts to be sent next.
    out: VecDeque<Bytes>,
}

/// The beginning for a follower: the documents of a short list, or the rows of a feed of its own.
type First = (Option<Arc<View>>, Option<Rows>);

enum Stage {
    /// The client knows no documents. With `anew`, it has to forget those that it knows.
    Begins {
        anew: bool,
    },
    /// The client gets the documents of a short list.
    Tells {
        view: Arc<View>,
        at: usize,
        place: Place,
    },
    /// The client gets the rows of a feed of its own.
    Reads {
        rows: Rows,
        place: Place,
        joining: Joining,
    },
    Follows(Place),
    Ended,
}

/// Returns the event stream of a client. It ends with an error if the client doesn't read.
pub(super) fn events(
    hub: Arc<Hub>,
    presence: Arc<Presence>,
    wish: Wish,
) -> impl Stream<Item = Result<Bytes, Stalled>> + Send + Sync + 'static {
    let (news, ending) = (hub.news(), hub.ending());
    let stage = match &wish.last {
        None => Stage::Begins { anew: false },
        Some(last) => match Id::read(last).and_then(|id| hub.resume(id)) {
            Some(place) => Stage::Follows(place),
            None => Stage::Begins { anew: true },
        },
    };
    let out = VecDeque::from([Bytes::from_static(RETRY.as_bytes())]);
    let follower = Follower { hub, news, ending, wish, stage, rounds: 0, out };
    let parts = stream::unfold(follower, |mut follower| async move {
        let part = follower.next().await?;
        Some((part, follower))
    });
    Alive::new(parts, presence)
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(part) = self.out.pop_front() {
                return Some(part);
            }
            // Whoever always has something to read never waits.
            if let Some(end) = self.is_over() {
                self.end(end);
                continue;
            }
            match &mut self.stage {
                Stage::Begins { anew } => {
                    let anew = *anew;
                    self.begin(anew).await;
                }
                Stage::Tells { .. } => self.tell(),
                Stage::Reads { .. } => self.read().await,
                Stage::Follows(_) => self.follow().await,
                Stage::Ended => return None,
            }
        }
    }

    /// Returns the reason why the client may be told no more. While it follows, that of the hub comes after
    /// its events, see [`Hub::portion`].
    fn is_over(&mut self) -> Option<End> {
        match self.stage {
            Stage::Ended => None,
            Stage::Follows(_) => expired(&mut self.wish.end).now_or_never().map(End::Failed),
            _ => over(&mut self.wish.end, &mut self.ending).now_or_never(),
        }
    }

    async fn begin(&mut self, anew: bool) {
        // A client that reconnects has lost its documents with the `reset`, so it needs all of them.
        let wants_all = self.wish.initial || self.wish.last.is_some() || anew;
        self.wish.known.clear();
        self.news.mark_unchanged();
        let (view, place, joining) = match self.hub.begin(wants_all) {
            Beginning::Wait => return self.wait().await,
            Beginning::End(end) => return self.end(end),
            Beginning::Short(view, place) => (Some(view), place, None),
            Beginning::Long(place, joining) => (None, place, Some(joining)),
        };
        let first = tokio::select! {
            biased;
            end = over(&mut self.wish.end, &mut self.ending) => return self.end(end),
            first = begun(&self.hub, view) => first,
        };
        let (view, rows) = match first {
            Ok(first) => first,
            Err(error) => {
                drop(joining);
                return self.lost(error, anew).await;
            }
        };
        if anew {
            self.hub.common.counts.reset();
            self.out.push_back(Event::named("reset", &json!({}), None).bytes());
        }
        let is_missing = view.as_ref().is_some_and(|view| view.is_empty());
        if is_missing && wants_all && self.hub.source.is_single() {
            self.out.push_back(initial(None, None, false).bytes());
        }
        self.stage = match (rows, joining) {
            (Some(rows), Some(joining)) => Stage::Reads { rows, place, joining },
            _ => Stage::Tells { view: view.unwrap_or_default(), at: 0, place },
        };
    }

    /// Sends the next document of a short list.
    fn tell(&mut self) {
        let placed = self.hub.source.is_placed();
        let Stage::Tells { view, at, .. } = &mut self.stage else { return };
        match view.get(*at) {
            Some(side) => {
                let event = initial(Some(side), Some(*at), placed).bytes();
                *at += 1;
                self.send_own(event);
            }
            None => self.ready(),
        }
    }

    /// Sends the next row of the follower's own feed.
    async fn read(&mut self) {
        let Stage::Reads { rows, place, .. } = &mut self.stage else { return };
        let row = tokio::select! {
            biased;
            end = over(&mut self.wish.end, &mut self.ending) => return self.end(end),
            row = rows.next() => row,
        };
        let row = match row {
            Some(Ok(row)) => row,
            Some(Err(error)) => return self.lost(error, true).await,
            None => {
                let error = Error::from(Code::OutcomeUnknown).caused_by("a feed has ended");
                return self.lost(error, true).await;
            }
        };
        match Row::read(row.get(), self.hub.source.shape()) {
            Ok(Row::Change(change)) => {
                if let (Some((_, splice)), Some(trace)) = (&place.joining, self.hub.trace(&change)) {
                    let is_more = lock(splice).tell(trace);
                    if is_more && self.wish.known.take(WEIGHT).is_err() {
                        lock(splice).give_up();
                    }
                }
                let event = match change.kind {
                    Kind::Initial => initial(change.new, None, false),
                    _ => Event::of(&change, false, None),
                };
                self.send_own(event.bytes());
            }
            Ok(Row::Ready) => self.ready(),
            // It isn't known which changes the feed has lost.
            Ok(Row::Gap(_)) => self.join_again(too_slow(), true).await,
            Ok(Row::Nothing) => {}
            Err(error) => self.fail(&error),
        }
    }

    /// Sends an event that no other follower shares. While the client doesn't read it, it counts.
    fn send_own(&mut self, event: Bytes) {
        self.wish.told.clear();
        match self.wish.told.take(event.len()) {
            Ok(()) => self.out.push_back(event),
            Err(error) => self.fail(&error),
        }
    }

    /// Ends the initial phase, after all existing documents have been sent.
    fn ready(&mut self) {
        let (place, joining) = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Tells { place, .. } => (place, None),
            Stage::Reads { place, joining, .. } => (place, Some(joining)),
            _ => return,
        };
        // The known documents are dropped within a few seconds.
        self.wish.known.clear();
        if let Some(joining) = &joining {
            self.hub.joined(joining.number);
        }
        let id = self.hub.id(place.next - 1, joining.map(|joining| joining.number));
        self.send_own(Event::named("ready", &json!({}), Some(id)).bytes());
        self.stage = Stage::Follows(place);
    }

    async fn follow(&mut self) {
        self.news.mark_unchanged();
        let Stage::Follows(place) = &mut self.stage else { return };
        let portion = self.hub.portion(place, &mut self.out);
        if place.joining.is_none() && matches!(portion, Portion::Events | Portion::Wait) {
            self.rounds = 0;
        }
        match portion {
            Portion::Events => {}
            Portion::Gap(skipped) => {
                self.hub.common.counts.gap();
                let id = self.hub.id(place.next - 1, None);
                self.out.push_back(Event::named("gap", &json!({ "skipped": skipped }), Some(id)).bytes());
            }
            Portion::Void => self.stage = Stage::Begins { anew: true },
            Portion::Missed => self.join_again(too_slow(), true).await,
            Portion::End(end) => self.end(end),
            Portion::Wait => self.wait().await,
        }
    }

    /// Waits for news of the hub, or for the end of the client's permission.
    async fn wait(&mut self) {
        let over = tokio::select! {
            biased;
            error = expired(&mut self.wish.end) => Some(error),
            // It fails only if the hub is gone, but this follower keeps it alive.
            _ = self.news.changed() => None,
        };
        if let Some(error) = over {
            self.fail(&error);
        }
    }

    /// Starts over after the follower's own feed was lost, as long as the hub retries as well.
    async fn lost(&mut self, error: Error, anew: bool) {
        if !is_passing(&error) {
            return self.fail(&error);
        }
        log::debug!("A follower has lost its feed: {error}");
        self.join_again(error, anew).await;
    }

    /// Starts over after a pause, unless it has failed too often for this reason.
    async fn join_again(&mut self, error: Error, anew: bool) {
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return self.fail(&error);
        }
        self.stage = Stage::Begins { anew };
        let end = tokio::select! {
            biased;
            end = over(&mut self.wish.end, &mut self.ending) => end,
            () = sleep(AGAIN * (1 << (self.rounds - 1))) => return,
        };
        self.end(end);
    }

    fn end(&mut self, end: End) {
        match end {
            End::Failed(error) => self.fail(&error),
            End::Stopped | End::Lonely | End::Renewed => {
                let last = if matches!(end, End::Renewed) { RENEWED } else { STOPPED };
                self.out.push_back(Bytes::from_static(last));
                self.stage = Stage::Ended;
            }
        }
    }

    fn fail(&mut self, error: &Error) {
        self.out.push_back((self.wish.failure)(error));
        self.stage = Stage::Ended;
    }
}

/// Returns the error of a client that can't be told all documents before too much has changed.
fn too_slow() -> Error {
    Error::new(Code::Contended, "The list changes faster than this client reads it.")
}

/// Returns the documents of a short list, or a feed of the follower's own.
async fn begun(hub: &Hub, view: Option<Arc<View>>) -> Result<First, Error> {
    let Some(view) = view else {
        // It is never closed.
        let _permit = hub.common.joins.acquire().await;
        return Ok((None, Some(hub.source.join().await?)));
    };
    // What belongs to the documents may have changed since the hub was told of them.
    match hub.source.related(view.keys()) {
        Some(related) => Ok((Some(Arc::new(view.expanded(&related.await?)?)), None)),
        None => Ok((Some(view), None)),
    }
}

/// Waits until a client may be told no more: its right ends, or its hub.
async fn over(right: &mut Option<BoxFuture<'static, Error>>, hub: &mut watch::Receiver<Option<End>>) -> End {
    tokio::select! {
        biased;
        error = expired(right) => End::Failed(error),
        // It fails only if the hub is gone, but its follower keeps it alive.
        end = hub.wait_for(Option::is_some) => end.ok().and_then(|end| end.clone()).unwrap_or(End::Lonely),
    }
}

/// Waits for the end of a client's right, if that is known, and else without end.
async fn expired(end: &mut Option<BoxFuture<'static, Error>>) -> Error {
    let Some(future) = end else { return pending().await };
    let error = future.await;
    // It must not be asked again.
    *end = None;
    error
}
