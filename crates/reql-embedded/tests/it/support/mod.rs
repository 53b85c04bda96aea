//! A client that speaks raw frames, an engine whose queries the tests control, feeds, golden scripts, and
//! shortcuts into the storage.

// Each test file uses its own part of this module.
#![allow(dead_code, unused_imports)]

pub mod asking;
pub mod client;
pub mod engine;
pub mod feed;
pub mod fuzz;
pub mod reql;
pub mod script;
pub mod storage;
pub mod values;
pub mod writes;

pub use storage::*;
