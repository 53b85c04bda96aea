//! HTTP for the API: reading requests, and making answers.

pub(crate) mod answer;
pub(crate) mod arriving;
pub(crate) mod body;
mod brotli;
pub(crate) mod choices;
mod chunks;
pub(crate) mod client;
pub(crate) mod context;
mod credentials;
pub(crate) mod encoded;
pub(crate) mod etag;
pub(crate) mod guards;
pub(crate) mod headers;
pub(crate) mod negotiate;
pub(crate) mod paced;
pub(crate) mod paths;
pub(crate) mod prefix;
pub(crate) mod strict;
pub(crate) mod ticket;
pub(crate) mod trace;
