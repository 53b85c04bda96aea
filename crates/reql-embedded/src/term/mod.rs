//! Queries as trees of terms: from JSON to a checked tree in which every term knows its place.

mod backtrace;
mod display;
mod kind;
mod query;
mod raw;
mod weight;
mod wire;

pub use backtrace::{Backtraces, Frame};
pub use display::{as_javascript, function_as_javascript, parameter_names};
pub use kind::TermType;
pub use query::{Query, static_flag};
pub use raw::RawTerm;
pub use wire::Written;

/// The release of RethinkDB whose language this is.
pub const RETHINKDB_VERSION: &str = "2.4.4";
