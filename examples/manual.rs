//! Writes the manual of the command line, a page for each command, into a directory: `manual DIRECTORY`.

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    clap_mangen::generate_to(warp_reql::cli::command(), directory)
}
