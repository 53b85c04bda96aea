//! From the parameters of a URL to ReQL: filter, order, fields, page, choice of an index, groups.

mod distinct;
mod document;
mod expiry;
mod filter;
mod grouping;
mod listing;
mod order;
mod page;
mod parameters;
mod path;
mod permit;
mod plan;
mod syntax;
mod time;

pub(crate) use distinct::Distinct;
pub(crate) use document::is_document;
pub(crate) use expiry::Expiry;
pub(crate) use filter::{Filter, Template, placed};
pub(crate) use grouping::Grouping;
pub(crate) use listing::{Bounds, Fields, Listing, Live, Row, expanded};
pub(crate) use listing::{Expansion, Relation, Told, USUAL, Wish, size};
pub(crate) use page::PageLimits;
pub(crate) use parameters::{Parameters, decode, value};
pub(crate) use path::Path;
pub(crate) use permit::{Permit, Readable};
pub(crate) use plan::{Index, Kind, Plan};
pub(crate) use time::{iso8601, time_of};
