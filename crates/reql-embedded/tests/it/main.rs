//! The engine and its server: one binary, a module for each subject. Tests that measure the sharing of
//! processors have binaries of their own, beside which nothing else runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
#[cfg(unix)]
mod backup;
#[cfg(all(unix, feature = "daemon"))]
mod backup_rounds;
mod bounded;
mod bounded_cursors;
mod bounded_work;
mod bounded_writes;
mod crash;
#[cfg(all(unix, feature = "daemon"))]
mod daemon;
mod datum;
mod feeds;
mod feeds_bounded;
mod feeds_consistent;
mod feeds_steps;
mod feeds_system;
mod file_format;
mod functions;
mod fuzz;
mod geo;
mod laws;
mod local;
mod opening;
mod portions;
mod profile;
mod scripts;
mod shutdown;
mod storage;
mod storage_catalog;
mod storage_feed;
mod storage_file;
mod storage_index;
mod storage_model;
mod support;
mod system_tables;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "daemon")]
mod tools;
mod wire;
mod writes;
mod writes_model;
