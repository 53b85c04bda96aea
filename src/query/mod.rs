//! From the parameters of a URL to ReQL: which documents, in what order, which of their fields, how many.

mod filter;
mod listing;
mod order;
mod page;
mod parameters;
mod path;
pub(crate) mod term;

pub(crate) use listing::{Bounds, Listing, Live, Row, initial};
pub(crate) use parameters::{Parameters, decode, value};
pub(crate) use path::Path;
