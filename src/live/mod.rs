//! Live queries with many followers: one changefeed, one sequence of events, any number of clients.
//!
//! - A [`Source`] is a live query of a database.
//! - A [hub](hub) follows it, and makes a numbered [event](event) of each change. Its [log] stores the last
//!   events, limited in number, bytes and age.
//! - A [follower](follower) is a position in that sequence. It costs nothing at the database.
//! - A client that joins gets the existing documents first. The hub [knows](view) the documents of short
//!   lists, which are single documents and lists with an order and a limit. The documents of other lists are
//!   read for each follower, and [`splice`] describes how it continues with the hub's events without missing
//!   one or getting one twice.
//! - A client that reconnects with the id of its last event resumes there, if the next event is still stored.
//!   Otherwise it gets `reset`, and all documents again.
//! - After an outage, the hub follows its list again. It knows the changes of a short list. The followers of
//!   another list get `reset`.

mod alive;
mod bounds;
mod counts;
mod event;
mod follower;
mod hub;
mod hubs;
mod joining;
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
mod joining_tests;
#[cfg(test)]
mod tests;

pub(crate) use bounds::Bounds;
pub(crate) use counts::Figures;
pub(crate) use event::Event;
pub(crate) use follower::{Memory, RETRY, Wish};
pub(crate) use hubs::Hubs;
pub(crate) use log::Keep;
pub(crate) use row::Shape;
pub(crate) use source::{Related, Rows, Source};
