//! A changefeed as the source of a stream.
//!
//! Only the query's cursor reads feeds: a term that has to see the end of its rows would wait for ever. If a
//! feed has no news, the reading ends with [`ErrorKind::WouldBlock`](crate::error::ErrorKind) and is tried
//! again after the feed's [`Wake`] has woken the cursor.

use std::sync::Arc;

use super::Source;
use crate::accounts::{Permission, Scope};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};
use crate::eval::env::Env;
use crate::feed::{Feed, Kind, Wake};

/// The properties of a stream of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedTraits {
    /// Kind of the feed.
    pub kind: Kind,
    /// True if the feed reports its states too.
    pub has_states: bool,
}

impl FeedTraits {
    /// Returns the traits of a stream that is made of a feed. Its notes don't tell of states, though its rows
    /// may.
    pub fn remade(self) -> FeedTraits {
        FeedTraits { has_states: false, ..self }
    }
}

/// The rows of a feed.
pub struct Changes {
    feed: Box<dyn Feed>,
    traits: FeedTraits,
    scope: Scope,
    wake: Arc<Wake>,
    bt: Bt,
}

impl Changes {
    /// Makes the rows of a feed. `scope` is the table's, which the user must be allowed to read all the time;
    /// `wake` is the signal that the feed raises on news.
    pub fn new(feed: Box<dyn Feed>, traits: FeedTraits, scope: Scope, wake: Arc<Wake>, bt: Bt) -> Self {
        Changes { feed, traits, scope, wake, bt }
    }

    fn endless(&self) -> Error {
        let message =
            "Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed).";
        Error::logic(message).at(self.bt)
    }
}

impl Source for Changes {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        if !env.reads_feeds(&self.wake) {
            return Err(self.endless());
        }
        env.require(Permission::Read, self.scope).at(self.bt)?;
        match self.feed.next().at(self.bt)? {
            Some(row) => Ok(Some(row)),
            None => Err(Error::would_block()),
        }
    }

    fn blame(&mut self, bt: Bt) {
        self.bt = bt;
    }

    fn is_infinite(&self) -> bool {
        true
    }

    fn check_finite(&self) -> Result<()> {
        Err(self.endless())
    }

    fn feed(&self) -> Option<FeedTraits> {
        Some(self.traits)
    }

    fn is_light(&self) -> bool {
        self.feed.is_light()
    }
}

/// Several feeds that report their states as one: the beginning of the first, the readiness of the last.
pub struct UnionStates {
    feeds: super::Chain,
    has_begun: bool,
    unready: usize,
}

impl UnionStates {
    /// Joins `count` feeds that all report states.
    pub fn new(feeds: super::Chain, count: usize) -> Self {
        UnionStates { feeds, has_begun: false, unready: count }
    }

    /// Returns true if a row is a state that not all feeds have reached.
    fn is_premature(&mut self, row: &Datum) -> bool {
        let Some(Datum::Str(state)) = row.get("state") else { return false };
        if &*state == "initializing" {
            return std::mem::replace(&mut self.has_begun, true);
        }
        self.unready -= 1;
        self.unready > 0
    }
}

impl Source for UnionStates {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        loop {
            match self.feeds.next(env)? {
                Some(row) if self.unready > 0 && self.is_premature(&row) => {}
                row => return Ok(row),
            }
        }
    }

    fn blame(&mut self, bt: Bt) {
        self.feeds.blame(bt);
    }

    fn place(&self) -> Option<Bt> {
        self.feeds.place()
    }

    fn is_infinite(&self) -> bool {
        true
    }

    fn check_finite(&self) -> Result<()> {
        self.feeds.check_finite()
    }

    fn feed(&self) -> Option<FeedTraits> {
        self.feeds.feed()
    }
}
