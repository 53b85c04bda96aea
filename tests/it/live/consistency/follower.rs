//! A client that joins, leaves, stalls, loses its link and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{sleep, timeout, timeout_at};

use super::replay::{Form, List, Replay};
use super::{LISTS, World};
use crate::support::PATIENCE;
use crate::support::events::{Event, Events};

/// The longest time for which a link is lost.
const LOST: u64 = 3000;
/// The longest time in which a client doesn't read.
const STALL: u64 = 1500;
/// The time in which nothing comes any more once all is known.
const QUIET: Duration = Duration::from_millis(300);

pub struct Follower {
    world: Arc<World>,
    chance: fastrand::Rng,
    at: usize,
    replay: Replay,
    /// The time at which it knew all for the last time.
    knew: Instant,
}

/// The next step of a client after it has read for a while.
enum Next {
    Reads,
    Leaves,
    Stalls,
    LosesItsLink,
}

impl Follower {
    pub fn new(world: Arc<World>, seed: u64) -> Follower {
        let mut chance = fastrand::Rng::with_seed(seed);
        let at = chance.usize(..LISTS.len());
        Follower { world, chance, at, replay: Replay::new(LISTS[at].form), knew: Instant::now() }
    }

    fn list(&self) -> List {
        LISTS[self.at]
    }

    /// Follows until all is over, and then knows just what there is.
    pub async fn run(mut self) -> Result<(), String> {
        let outcome = self.follow().await;
        outcome.map_err(|wrong| format!("{}: {wrong}", self.list().url))
    }

    async fn follow(&mut self) -> Result<(), String> {
        loop {
            let Some(mut events) = self.connect().await? else {
                sleep(Duration::from_millis(self.chance.u64(20..300))).await;
                continue;
            };
            if self.world.is_over() {
                let end = timeout(PATIENCE, self.finish(&mut events)).await;
                match end.unwrap_or_else(|_| Err(format!("it isn't told all: {}", self.missing()))) {
                    // The stream has ended with an outage.
                    Ok(false) => continue,
                    Ok(true) => return Ok(()),
                    Err(wrong) => return Err(wrong),
                }
            }
            self.stay(events).await?;
        }
    }

    /// Asks for the events; `None` if there are none just now.
    async fn connect(&mut self) -> Result<Option<Events>, String> {
        let url = self.list().url;
        let last = self.replay.last.clone();
        let events = match &last {
            None => Events::open(self.world.addr, url).await,
            Some(id) if self.chance.bool() => {
                Events::open_with(self.world.addr, url, &[("last-event-id", id)]).await
            }
            Some(id) => {
                let joint = if url.contains('?') { '&' } else { '?' };
                Events::open(self.world.addr, &format!("{url}{joint}last_event_id={id}")).await
            }
        };
        match events.status {
            200 => {
                self.world.count(&self.world.resumed, last.is_some_and(|id| id != "incomplete"));
                Ok(Some(events))
            }
            503 | 504 if self.world.is_troubled_since(Instant::now()) => Ok(None),
            status => Err(format!("it is answered with {status}: {}", events.problem().await)),
        }
    }

    /// Reads for a while, and does something else.
    async fn stay(&mut self, mut events: Events) -> Result<(), String> {
        loop {
            let until = tokio::time::Instant::now() + Duration::from_millis(self.chance.u64(50..1500));
            while let Ok(event) = timeout_at(until, events.any()).await {
                if !self.take(event)? {
                    return Ok(());
                }
            }
            if self.world.is_over() {
                return Ok(());
            }
            match self.next() {
                Next::Reads => {}
                Next::Stalls => sleep(Duration::from_millis(self.chance.u64(..STALL))).await,
                Next::LosesItsLink => {
                    // What has been sent and not been read is lost, too.
                    drop(events);
                    sleep(Duration::from_millis(self.chance.u64(..LOST))).await;
                    return Ok(());
                }
                Next::Leaves => {
                    self.at = self.chance.usize(..LISTS.len());
                    self.replay = Replay::new(self.list().form);
                    return Ok(());
                }
            }
        }
    }

    fn next(&mut self) -> Next {
        match self.chance.u8(..10) {
            0 => Next::Leaves,
            1 | 2 => Next::Stalls,
            3..=5 => Next::LosesItsLink,
            _ => Next::Reads,
        }
    }

    /// Takes an event, or the end. Returns whether the stream goes on.
    fn take(&mut self, event: Option<Event>) -> Result<bool, String> {
        let Some(event) = event else {
            let told = || format!("the stream has ended\n{}", self.replay.told());
            return if self.troubled() { Ok(false) } else { Err(told()) };
        };
        match event.name.as_str() {
            "" => return Ok(true),
            "error" if self.troubled() => return Ok(false),
            "reset" if !self.may_reset() => {
                return Err(format!("it is told to begin anew\n{}", self.replay.told()));
            }
            "reset" => self.world.count(&self.world.resets, true),
            _ => self.world.count(&self.world.events, true),
        }
        self.replay.take(&event)?;
        if event.name == "ready" {
            self.knew = Instant::now();
        }
        Ok(true)
    }

    fn troubled(&self) -> bool {
        self.world.is_troubled_since(self.knew.min(Instant::now()))
    }

    /// Returns whether there is a reason to begin anew: the client has seen nothing that others build on, or
    /// an outage has taken away what it did.
    fn may_reset(&self) -> bool {
        let has_begun = self.replay.last.as_deref().is_none_or(|id| id == "incomplete");
        has_begun || (self.list().form == Form::Set && self.troubled())
    }

    /// Reads until it knows all, and nothing more comes. Returns `false` if the stream ends before. A client
    /// that is behind may come by the last state earlier, so that there may be more; whatever comes has to
    /// be the next event, and to begin with what is known.
    async fn finish(&mut self, events: &mut Events) -> Result<bool, String> {
        loop {
            let is_all = self.replay.is_ready && self.replay.is(self.expected());
            let event = match is_all {
                false => events.any().await,
                true => match timeout(QUIET, events.any()).await {
                    Ok(event) => event,
                    Err(_) => return Ok(true),
                },
            };
            if !self.take(event)? {
                return Ok(false);
            }
        }
    }

    fn expected(&self) -> &[Value] {
        self.world.expected(self.at)
    }

    fn missing(&self) -> String {
        format!("{:?} is there\n{}", self.expected(), self.replay.told())
    }
}
