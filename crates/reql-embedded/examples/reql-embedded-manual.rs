//! Writes the manual of the daemon's command line, a page for each tool, into a directory:
//! `reql-embedded-manual DIRECTORY`.

#[path = "../src/flags.rs"]
#[allow(dead_code, unused_imports, reason = "a page says what flags there are, and not what they do")]
mod flags;
#[path = "../src/tools.rs"]
#[allow(dead_code, reason = "as of the flags")]
mod tools;

use clap::CommandFactory;

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    clap_mangen::generate_to(flags::Flags::command(), directory)
}
