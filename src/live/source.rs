//! The source of a hub's events.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::row::Shape;
use crate::error::Error;

/// The rows, as JSON, of a changefeed with `include_types` and `include_states`.
pub(crate) type Rows = Pin<Box<dyn Stream<Item = Result<Box<RawValue>, Error>> + Send>>;

/// The related documents of documents: by the JSON of their keys, and then by the names of the relations.
pub(crate) type Related = HashMap<String, BTreeMap<String, Box<RawValue>>>;

/// A live query of a database.
pub(crate) trait Source: Send + Sync + 'static {
    /// Returns the form of its rows.
    fn shape(&self) -> &Shape;

    /// Returns whether the list has an order, so that documents have places.
    fn is_placed(&self) -> bool;

    /// Returns whether it is a single document, which may be missing.
    fn is_single(&self) -> bool {
        false
    }

    /// Returns whether the list is a single document, or bounded by a limit.
    fn is_short(&self) -> bool {
        self.is_placed() || self.is_single()
    }

    /// Opens the changefeed that followers share. It begins with the existing documents if the list is short.
    fn follow(&self) -> BoxFuture<'_, Result<Rows, Error>>;

    /// Opens a changefeed for a follower that joins a list which isn't short. It begins with the existing
    /// documents.
    fn join(&self) -> BoxFuture<'_, Result<Rows, Error>>;

    /// Reads what is told beside the documents with these keys; `None` if that is always nothing.
    fn related(&self, _keys: Vec<String>) -> Option<BoxFuture<'_, Result<Related, Error>>> {
        None
    }

    /// Returns whether the shared feed has rows that it hasn't handed out, since it is still reading what
    /// belongs to them.
    fn is_behind(&self) -> bool {
        false
    }

    /// Runs a cheap query on the connection of the shared feed, which needs the permission to follow the
    /// list.
    fn ask(&self) -> BoxFuture<'_, Result<(), Error>>;
}
