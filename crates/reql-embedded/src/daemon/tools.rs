//! `check`, `compact` and `backup`: the tools for the data of a server; and what completes the command line.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Subcommand, ValueEnum};
use clap_complete::aot::{Bash, Fish, Zsh, generate};

use super::flags::{Flags, size};
use crate::{DataError, Report, Server};

/// The commands on the data besides serving it.
#[derive(Debug, Subcommand)]
pub(super) enum Tool {
    /// Check the data for damage: pages, catalog, documents, indexes. Nothing is written.
    ///
    /// Ends with 0 if all is well, 1 if there is damage, 2 if the file could not be checked.
    Check {
        /// The file, or the directory that it is in.
        file: PathBuf,
    },
    /// Write a copy of the data of a server, which may be running.
    ///
    /// It is checked, and has its name once it is complete; an earlier backup of the name is replaced. To
    /// restore it, copy it to `reql.redb` in the data directory of a server that isn't running. Ends with 0
    /// if it worked, 2 if nothing was written.
    Backup {
        /// The data directory of the server, or the socket `backup.sock` in it.
        #[arg(value_name = "DIRECTORY | SOCKET")]
        source: PathBuf,
        /// The file to write.
        file: PathBuf,
        /// Bytes that are copied and checked in a second, in MiB or with a unit: 16, 512KiB.
        #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64MiB")]
        rate: u64,
    },
    /// Make the file as small as its data allows.
    ///
    /// Ends with 0 if it worked, 2 if the file was left as it is.
    Compact {
        /// The file, or the directory that it is in.
        file: PathBuf,
    },
    /// Print what completes this command line in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A shell whose command lines can be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The exit code for a file in which damage was found.
const DAMAGED: u8 = 1;
/// The exit code for a command that did nothing; clap's for a wrong command line, too.
const NOT_DONE: u8 = 2;

impl Tool {
    pub(super) fn run(&self) -> ExitCode {
        // The storage reports a panic over damaged bytes itself.
        std::panic::set_hook(Box::new(|_| {}));
        let done = match self {
            Tool::Completions { shell } => return shell.print(),
            Tool::Check { file } => Server::check(file).map(|report| tell(&report)),
            Tool::Backup { source, file, rate } => Server::backup_from(source, file, *rate).map(|backup| {
                let Report { tables, documents, indexes, .. } = backup.report;
                let size = Bytes(backup.size);
                println!("{size} written: {tables} tables, {documents} documents, {indexes} indexes.");
                ExitCode::SUCCESS
            }),
            Tool::Compact { file } => Server::compact(file).map(|sizes| {
                println!("{} before, {} now.", Bytes(sizes.before), Bytes(sizes.after));
                ExitCode::SUCCESS
            }),
        };
        done.unwrap_or_else(|error: DataError| {
            eprintln!("error: {error}");
            ExitCode::from(NOT_DONE)
        })
    }
}

impl Shell {
    fn print(self) -> ExitCode {
        let (mut command, mut script) = (Flags::command(), Vec::new());
        let name = command.get_name().to_owned();
        match self {
            Shell::Bash => generate(Bash, &mut command, name, &mut script),
            Shell::Zsh => generate(Zsh, &mut command, name, &mut script),
            Shell::Fish => generate(Fish, &mut command, name, &mut script),
        }
        match io::stdout().write_all(&script) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}

fn tell(report: &Report) -> ExitCode {
    let Report { problems, tables, documents, indexes, was_recovered } = report;
    for problem in problems {
        println!("{problem}");
    }
    if *was_recovered {
        println!("The file was not closed cleanly; the next start will recover it.");
    }
    let looked_at = format!("{tables} tables, {documents} documents, {indexes} indexes");
    match problems.len() {
        0 => {
            println!("No damage found: {looked_at}.");
            ExitCode::SUCCESS
        }
        count => {
            println!("Damage found: {count} problems; {looked_at}.");
            ExitCode::from(DAMAGED)
        }
    }
}

/// A size in the form that people read.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MB", self.0 as f64 / 1e6)
    }
}
