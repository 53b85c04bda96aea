//! What lies around the endpoints: limits before them, and what is observed of every request.

mod cors;
pub(crate) mod gate;
pub(crate) mod observe;
mod origin;
