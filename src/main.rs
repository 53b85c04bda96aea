//! The service's binary: arguments, settings, exit codes.

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use warp_reql::server::{self, Service};
use warp_reql::settings::{LoadOptions, Loaded, Settings};
use warp_reql::{command, health, logger};

/// The exit code of wrong settings, as of wrong arguments.
const USAGE: u8 = 2;

/// A JSON service over RethinkDB.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// The profile whose settings to use [default: development, or APP_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The settings file [default: Settings.toml here or in a parent directory]
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the effective settings and where each came from
    Config,
    /// Ask the running service whether it is ready; the exit code tells
    Health,
    #[command(flatten)]
    Database(command::Command),
}

fn main() -> ExitCode {
    let Cli { profile, settings: file, command } = Cli::parse();
    let loaded = match Settings::load(&LoadOptions { profile, file }) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error, ExitCode::from(USAGE)),
    };
    let done = match command {
        None => serve(loaded.settings),
        Some(Command::Config) => print(&loaded),
        Some(Command::Health) => block_on(health::check(&loaded.settings)),
        Some(Command::Database(command)) => block_on(command::run(command, loaded.settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn serve(settings: Settings) -> io::Result<()> {
    logger::init(settings.log_level);
    let served = block_on(async {
        let stop = server::stop_signal()?;
        Service::bind(settings).await?.run(stop).await
    });
    logger::finish();
    served
}

fn print(loaded: &Loaded) -> io::Result<()> {
    io::stdout().write_all(loaded.to_string().as_bytes())
}

/// Runs on a runtime that is left behind at the end: what still runs then had its time.
fn block_on(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    eprintln!("warp-reql: {error}");
    code
}
