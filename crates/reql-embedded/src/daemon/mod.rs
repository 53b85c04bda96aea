//! The daemon `reql-embedded`: the server with rethinkdb's flags, and the tools for its file.

mod flags;
mod signals;
mod tools;

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Command, CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};

use self::flags::Flags;
use self::signals::Signals;
use crate::Server;

/// The wait for the threads of sessions once the server has ended.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// Prints a line. A daemon goes on even if its output is no longer read.
macro_rules! say {
    ($($said:tt)*) => {
        drop(writeln!(io::stdout(), $($said)*))
    };
}

/// Returns the command line of the daemon, as manuals and completions are made of it.
///
/// ```
/// let mut command = reql_embedded::daemon::command();
/// assert!(command.render_long_help().to_string().contains("--driver-port"));
/// ```
pub fn command() -> Command {
    Flags::command()
}

/// Runs the daemon with the arguments of this process until a signal ends it, or one of its tools. Takes
/// over the log, SIGTERM and SIGINT.
///
/// ```no_run
/// let code: std::process::ExitCode = reql_embedded::daemon::run();
/// # let _ = code;
/// ```
pub fn run() -> ExitCode {
    let flags = match flags::arguments(std::env::args_os()) {
        Ok(arguments) => Flags::parse_from(arguments),
        Err(error) => return failure(&error),
    };
    if let Some(tool) = &flags.tool {
        return tool.run();
    }
    match serve(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

/// Builds the runtime of sessions, on half of the processors, rounded up. The rest is for heavy queries, for
/// the writer of the file, and for the clients, which as a rule run on the same machine. With more threads
/// for light queries, they would wake each other up only to find that there is nothing to do.
fn sessions() -> io::Result<Runtime> {
    let processors = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread().worker_threads(processors.div_ceil(2)).enable_all().build()
}

/// Builds the runtime of signals and of shutdown's deadlines, on the main thread: they are met even if all
/// threads of the sessions are held.
fn control() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn failure(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Serves until a signal.
fn serve(flags: &Flags) -> io::Result<()> {
    flags.start_logger()?;
    let password = flags.password();
    if let Some(password) = password.generated() {
        say!("The password of `admin`, if the database is new: {password}");
    }
    let addrs = flags.addrs()?;
    let (sessions, control) = (sessions()?, control()?);
    let server = sessions.block_on(flags.builder(&addrs, password.text()).start())?;
    control.block_on(until_signal(server))?;
    sessions.shutdown_timeout(LAST_MOMENT);
    Ok(())
}

/// Lets the server run until a signal ends it in order, and a second one at once.
async fn until_signal(server: Server) -> io::Result<()> {
    let mut signals = Signals::new()?;
    announce(&server);
    let received = signals.next().await;
    say!("Server got {}; shutting down...", received.name);
    say!("Shutting down client connections...");
    tokio::select! {
        () = server.shutdown() => say!("All client connections closed."),
        again = signals.next() => {
            say!("Server got {} while shutting down; ending at once.", again.name);
            std::process::exit(again.exit_code());
        }
    }
    Ok(())
}

/// Prints the lines that scripts around rethinkdb wait for.
fn announce(server: &Server) {
    let addrs: Vec<String> = server.local_addrs().iter().map(|addr| addr.ip().to_string()).collect();
    let plural = if addrs.len() == 1 { "" } else { "es" };
    say!("Listening for client driver connections on port {}", server.local_addr().port());
    say!("Listening on driver address{plural}: {}", addrs.join(", "));
    say!("Server ready, \"{}\" {}", server.info().name, server.info().id);
}
