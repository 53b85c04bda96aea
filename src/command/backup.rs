//! `backup`: a copy of the embedded database's file, while a service uses it or not.

use std::io;
use std::path::PathBuf;

use clap::Args;
use reql_embedded::Server;
use tokio::task::spawn_blocking;

use super::Failure;
use crate::settings::{Hosts, Rdb, Settings, parse_size};

/// The file to write, and the rate.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write; an earlier backup of the name is replaced
    file: PathBuf,
    /// The most that is copied and checked in a second, as 16MiB or 512KiB
    #[arg(long, value_name = "SIZE", value_parser = rate, default_value = "64MiB")]
    rate: u64,
}

/// Writes a copy of the embedded database in `rdb.data_dir`: all that was there at one moment. A service that
/// uses it goes on meanwhile.
///
/// # Errors
///
/// If the database of the settings isn't embedded or keeps nothing, its data can't be read, or the file can't
/// be written.
pub async fn back_up(backup: Backup, settings: Settings) -> io::Result<()> {
    write(backup, settings.rdb).await.map_err(io::Error::other)
}

async fn write(backup: Backup, rdb: Rdb) -> Result<(), Failure> {
    if rdb.host != Hosts::Embedded {
        let reason =
            format!("the database is not embedded but at {}; `dump` writes an archive of it", rdb.host);
        return Err(Failure::Usage(reason));
    }
    if rdb.in_memory() {
        let reason = "the database keeps nothing on disk (rdb.data_dir), so there is nothing to copy";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let copied = spawn_blocking(move || Server::backup_from(rdb.data_dir, backup.file, backup.rate)).await;
    // One that panicked has said so itself.
    let copied = copied.map_err(|error| Failure::Usage(error.to_string()))?;
    let copied = copied.map_err(|error| Failure::File(error.to_string()))?;
    let (report, size) = (copied.report, copied.size as f64 / 1e6);
    let (tables, documents, indexes) = (report.tables, report.documents, report.indexes);
    println!("{size:.1} MB written: {tables} tables, {documents} documents, {indexes} indexes.");
    Ok(())
}

fn rate(text: &str) -> Result<u64, &'static str> {
    let expected = "a number of bytes or a size such as \"16MiB\" is expected, and more than nothing";
    parse_size(text).filter(|rate| *rate > 0).ok_or(expected)
}
