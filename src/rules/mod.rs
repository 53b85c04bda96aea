//! Rules for documents: as the settings define them, and as they are applied to callers.

mod applied;
mod caller;
mod grant;
mod written;

pub(crate) use applied::Rules;
pub(crate) use caller::{ANONYMOUS, Caller};
pub(crate) use grant::Grant;
pub(crate) use written::ALL;
pub use written::{AccessRule, Allowed, Names};
