//! `reql-embedded`: the server as a daemon, with rethinkdb's flags, and the tools for its file.

mod flags;
mod tools;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use reql_embedded::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::flags::Flags;

#[tokio::main]
async fn main() -> ExitCode {
    let flags = match flags::arguments(std::env::args_os()) {
        Ok(arguments) => Flags::parse_from(arguments),
        Err(error) => return failure(&error),
    };
    if let Some(tool) = &flags.tool {
        return tool.run();
    }
    match serve(flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
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
