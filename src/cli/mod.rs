//! The service as a program: arguments, settings, exit codes.

mod arguments;

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::arguments::{Cli, Command, Rules};
use crate::server::{self, Inherited, Service};
use crate::settings::{LoadOptions, Loaded, Origin, Settings};
use crate::{command, health, logger, trial};

/// The exit code for wrong settings; clap uses the same one for wrong arguments.
const USAGE: u8 = 2;

/// Returns the command line of the service, as manuals are made of it.
///
/// ```
/// let mut command = warp_reql::cli::command();
/// assert!(command.render_long_help().to_string().contains("--profile"));
/// ```
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the arguments of this process ask for: serves until a signal, or runs another command. Returns
/// the exit code of the process. A service takes over the log, SIGTERM, SIGINT and SIGHUP.
///
/// ```no_run
/// let code: std::process::ExitCode = warp_reql::cli::run();
/// # let _ = code;
/// ```
pub fn run() -> ExitCode {
    let Cli { profile, settings, command } = Cli::parse();
    if let Some(Command::Completions { shell }) = command {
        return done(shell.write(&mut io::stdout().lock()));
    }
    let file = match &command {
        Some(Command::Config { check: Some(Some(file)) }) => Some(file.clone()),
        _ => settings,
    };
    let options = LoadOptions { profile, file };
    let loaded = match Settings::load(&options) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error, ExitCode::from(USAGE)),
    };
    done(match command {
        None => serve(loaded, options),
        Some(Command::Config { check: None }) => print(&loaded),
        Some(Command::Config { check: Some(file) }) => return check(&loaded, &options, file.is_some()),
        Some(Command::Health) => block_on(health::check(&loaded.settings)),
        Some(Command::Database(command)) => block_on(command::run(command, loaded.settings)),
        Some(Command::Backup(backup)) => block_on(command::back_up(backup, loaded.settings)),
        Some(Command::Rules(Rules::Test { file })) => block_on(try_rules(loaded.settings, file)),
        Some(Command::Completions { .. }) => Ok(()),
    })
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn serve(loaded: Loaded, options: LoadOptions) -> io::Result<()> {
    // Done while there is only one thread, so that no socket is taken from the environment twice.
    let inherited = Inherited::take()?;
    logger::init(loaded.settings.log_level, loaded.settings.log_format);
    for warning in warnings(&loaded) {
        log::warn!("{warning}");
    }
    let load = move || Settings::load(&options).map(|loaded| loaded.settings);
    let served = block_on(async {
        let (stop, hangups) = (server::stop_signal()?, server::reload_signal()?);
        let service = Service::on(inherited, loaded.settings).await?;
        service.reloading(hangups, load).run(stop).await
    });
    logger::finish();
    served
}

fn print(loaded: &Loaded) -> io::Result<()> {
    warn(loaded);
    io::stdout().write_all(loaded.to_string().as_bytes())
}

/// Checks the settings, and the files that they name, as far as that is possible without serving. Those of a
/// file are checked for all of its profiles, unless one is named: the file may be for another machine.
fn check(loaded: &Loaded, options: &LoadOptions, is_of_file: bool) -> ExitCode {
    warn(loaded);
    let chosen = &loaded.settings.profile;
    let mut usable = report(chosen, server::check(&loaded.settings));
    let is_named = loaded.origin("profile") != Origin::BuiltIn;
    let others = if is_of_file && !is_named { loaded.profiles() } else { Vec::new() };
    for profile in others.iter().filter(|profile| *profile != chosen) {
        let options = LoadOptions { profile: Some(profile.clone()), ..options.clone() };
        let checked = Settings::load(&options).map_err(io::Error::other);
        usable &= report(profile, checked.and_then(|loaded| server::check(&loaded.settings)));
    }
    if usable { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}

/// Tells the result for a profile. Returns whether its settings can be used.
fn report(profile: &str, checked: io::Result<()>) -> bool {
    match &checked {
        Ok(()) => println!("The settings for the profile {profile} can be used."),
        Err(error) => eprintln!("warp-reql: The settings for the profile {profile} can't be used: {error}"),
    }
    checked.is_ok()
}

fn warn(loaded: &Loaded) {
    for warning in warnings(loaded) {
        eprintln!("warp-reql: {warning}");
    }
}

/// Returns what is hardly meant, though the settings can be used.
fn warnings(loaded: &Loaded) -> impl Iterator<Item = String> {
    let level =
        logger::is_overridden().then_some("RUST_LOG decides what is logged, and `log_level` doesn't.");
    let told = [level, health::warning(&loaded.settings)];
    loaded.warning().into_iter().chain(told.into_iter().flatten().map(str::to_owned))
}

async fn try_rules(settings: Settings, file: PathBuf) -> io::Result<()> {
    let outcomes = trial::run(settings, &file).await?;
    let mut out = io::stdout().lock();
    for outcome in &outcomes {
        let mark = if outcome.faults.is_empty() { "ok  " } else { "FAIL" };
        writeln!(out, "{mark} {}", outcome.name)?;
        for fault in &outcome.faults {
            writeln!(out, "     {fault}")?;
        }
    }
    match outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).count() {
        0 => Ok(()),
        failed => Err(io::Error::other(format!("{failed} of {} cases failed", outcomes.len()))),
    }
}

/// Runs the future on a runtime, and ends the runtime without waiting for tasks that are left.
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
