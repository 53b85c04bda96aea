//! Writes the manual of the daemon's command line, a page for each tool, into a directory:
//! `reql-embedded-manual DIRECTORY`.

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    clap_mangen::generate_to(reql_embedded::daemon::command(), directory)
}
