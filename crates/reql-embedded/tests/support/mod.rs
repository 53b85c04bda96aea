//! A client that speaks raw frames, an engine whose queries the tests hold in their hands, and golden scripts.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod client;
pub mod engine;
pub mod reql;
pub mod script;
