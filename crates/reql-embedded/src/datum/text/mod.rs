//! Text: splitting it, searching it, filling it in.

pub mod regexp;
mod split;
pub mod template;

pub use split::{Separator, split};
