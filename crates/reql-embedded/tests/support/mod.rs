//! A client that speaks raw frames, and an engine whose queries the tests hold in their hands.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod client;
pub mod engine;
