//! The arguments of the binary, and the scripts that complete them in a shell.

use std::io;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::aot::{Bash, Fish, Zsh};

use crate::command;

/// Serves the tables of a RethinkDB, or of an embedded database, as a JSON API over HTTP
#[derive(Debug, Parser)]
#[command(version)]
pub(super) struct Cli {
    /// Use the settings of this profile [default: APP_PROFILE, else development]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Read this settings file [default: Settings.toml in this or a parent directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) settings: Option<PathBuf>,
    /// The command; without one it serves
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Commands besides serving.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the effective settings and where each came from
    Config {
        /// Only check the settings; with FILE, those in that file, for each profile that it has settings of
        /// unless one is named
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        check: Option<Option<PathBuf>>,
    },
    /// Check that the running service is ready; exit with 0 if it is
    Health,
    /// Manage the database
    #[command(flatten)]
    Database(command::Command),
    /// Write a copy of the embedded database, which a service may be using
    Backup(command::Backup),
    /// Test the access rules
    #[command(subcommand)]
    Rules(Rules),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A shell that completions can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

impl Shell {
    /// Writes the shell's script for the whole command line.
    pub(super) fn write(self, out: &mut impl io::Write) -> io::Result<()> {
        let (mut command, mut script) = (Cli::command(), Vec::new());
        let name = command.get_name().to_owned();
        match self {
            Shell::Bash => clap_complete::generate(Bash, &mut command, name, &mut script),
            Shell::Zsh => clap_complete::generate(Zsh, &mut command, name, &mut script),
            Shell::Fish => clap_complete::generate(Fish, &mut command, name, &mut script),
        }
        out.write_all(&script)
    }
}

/// Commands on rules.
#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// Run the test cases of a file against the rules of the settings, with a database in memory; exit with
    /// 0 if all pass
    Test {
        /// Test cases in TOML, as described in docs/access.md
        file: PathBuf,
    },
}
