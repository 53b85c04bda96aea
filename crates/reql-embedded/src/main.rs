//! `reql-embedded`: the server as a daemon, with rethinkdb's flags.

fn main() {}
