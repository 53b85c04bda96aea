//! Live queries that many follow: one changefeed, one sequence of events, any number of followers.
//!
//! - A [`Source`] is a live query of a database.
//! - A [hub](hub) follows it and gives each change a number and its [bytes](event). The last events are in
//!   its [log], bounded in number, bytes and time.
//! - A [follower](follower) is a place in that sequence. It costs what it is sent, nothing at the database.
//! - Whoever joins is told what is there first. Short lists, which are single documents and lists with an
//!   order and a limit, are [known](view) to the hub. The documents of others are read for the follower
//!   alone, and [`splice`] says how it goes on with the hub's events without missing one or hearing one
//!   twice.
//! - Whoever comes back with the id of the last event that it saw goes on there, if the hub still has the
//!   next one. Whoever can't is told `reset`, and everything anew.
//! - After an outage the hub follows its list anew. It knows what has changed of a short list. The followers
//!   of another one are told `reset`.

mod bounds;
mod counts;
mod event;
mod follower;
mod hub;
mod hubs;
mod log;
mod place;
mod presence;
mod print;
mod row;
mod source;
mod splice;
mod task;
mod view;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub(crate) use bounds::Bounds;
pub(crate) use counts::Figures;
pub(crate) use event::Event;
pub(crate) use follower::{RETRY, Wish};
pub(crate) use hubs::Hubs;
pub(crate) use log::Keep;
pub(crate) use row::Shape;
pub(crate) use source::{Rows, Source};
