//! `reql-embedded`: the server as a daemon, with rethinkdb's flags, and the tools for its file.

mod flags;
mod tools;

use std::io;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use reql_embedded::Server;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::flags::Flags;

fn main() -> ExitCode {
    let flags = match flags::arguments(std::env::args_os()) {
        Ok(arguments) => Flags::parse_from(arguments),
        Err(error) => return failure(&error),
    };
    if let Some(tool) = &flags.tool {
        return tool.run();
    }
    match runtime().and_then(|runtime| runtime.block_on(serve(flags))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

/// Sessions share half of the processors, rounded up. The rest is for what has threads of its own, heavy queries and the writer of
/// the file, and for the clients, which as a rule run on the same machine: more threads for light queries would spend
/// it on waking each other up to see that there is nothing to do.
fn runtime() -> io::Result<Runtime> {
    let processors = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread().worker_threads(processors.div_ceil(2)).enable_all().build()
}

fn failure(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn serve(flags: Flags) -> io::Result<()> {
    flags.start_logger()?;
    let password = flags.password();
    if let Some(password) = password.generated() {
        println!("The password of `admin`, if the database is new: {password}");
    }
    let addrs = flags.addrs()?;
    let server = flags.builder(&addrs, password.text()).start().await?;
    announce(&server);
    let received = stop_signal().await?;
    println!("Server got {received}; shutting down...");
    println!("Shutting down client connections...");
    server.shutdown().await;
    println!("All client connections closed.");
    Ok(())
}

/// The lines that scripts around rethinkdb wait for.
fn announce(server: &Server) {
    let addrs: Vec<String> = server.local_addrs().iter().map(|addr| addr.ip().to_string()).collect();
    let plural = if addrs.len() == 1 { "" } else { "es" };
    println!("Listening for client driver connections on port {}", server.local_addr().port());
    println!("Listening on driver address{plural}: {}", addrs.join(", "));
    println!("Server ready, \"{}\" {}", server.info().name, server.info().id);
}

async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
