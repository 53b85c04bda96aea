//! The service over the embedded server, or over whatever `RDB_TEST_HOST` names: one binary, a module for
//! each subject. What needs an environment of its own is in `tests/settings`.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod access;
mod auth;
mod backup;
mod bad_input;
mod bootstrap;
mod bulk;
mod changing;
mod choices;
mod commands;
mod conn;
mod crowds;
mod csv;
mod databases;
mod differential;
mod documents;
mod expand;
mod expiry;
mod faults;
mod feeds;
#[cfg(feature = "reql-0-11")]
mod former;
mod forms;
mod home;
mod house;
mod http;
mod keys;
mod large;
mod limits;
mod lists;
mod live;
mod openapi;
mod operators;
mod pace;
mod poison;
mod problems;
mod rates;
mod rdb_tls;
mod reload;
mod reql;
mod server;
mod storage;
mod support;
mod tables;
mod tls;
mod unique;
mod urls;
