//! The commands that manage the database instead of serving it: users, permissions, databases, tables,
//! indexes, write hooks, archives in the format of RethinkDB's own tools, and backups of an embedded
//! database.

mod accounts;
mod archive;
mod backup;
mod bounded;
mod dump;
mod hook;
mod name;
mod progress;
mod restore;
mod rows;
mod schema;
mod unpack;

use std::fmt;
use std::io;
use std::path::Path;

use clap::Subcommand;
use reql::ErrorKind;

pub use self::backup::{Backup, back_up};
use crate::settings::Settings;
use crate::{Error, server};

/// The commands that manage the database.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Manage the database's users
    #[command(subcommand)]
    User(accounts::User),
    /// Grant permissions to a user, deny them, or reset them to those of the level above
    Grant(accounts::Grant),
    /// Manage databases
    #[command(subcommand)]
    Db(schema::Db),
    /// Manage tables
    #[command(subcommand)]
    Table(schema::Table),
    /// Manage the indexes of a table
    #[command(subcommand)]
    Index(schema::Index),
    /// Manage the write hook of a table
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Write tables, their indexes and write hooks to an archive that `rethinkdb restore` can read
    Dump(dump::Dump),
    /// Create the tables of an archive that `dump` or `rethinkdb dump` wrote
    Restore(restore::Restore),
}

/// The reason why a command failed, shown to the user by `Display`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database refused something, or can't be reached.
    Database(Error),
    /// A file could not be read or written; says which and why.
    File(String),
    /// The command can't be carried out as it is; says why.
    Usage(String),
}

/// Carries out a command on the database of the settings. An embedded database is opened for it, which fails
/// while a service uses it.
///
/// # Errors
///
/// If the database can't be reached or refuses something, or a file can't be read or written.
pub async fn run(command: Command, mut settings: Settings) -> io::Result<()> {
    let (database, embedded) = server::open(&mut settings).await?;
    let default = settings.rdb.db.as_str();
    let done = match command {
        Command::User(user) => accounts::user(user, &database).await,
        Command::Grant(grant) => accounts::grant(grant, &database).await,
        Command::Db(db) => schema::db(db, &database).await,
        Command::Table(table) => schema::table(table, &database, default).await,
        Command::Index(index) => schema::index(index, &database, default).await,
        Command::Hook(hook) => hook::hook(hook, &database, default).await,
        Command::Dump(dump) => dump::dump(dump, &database).await,
        Command::Restore(restore) => restore::restore(restore, &database).await,
    };
    drop(database);
    if let Some(server) = embedded {
        server.shutdown().await;
    }
    done.map_err(io::Error::other)
}

impl Failure {
    /// Makes the error of a file that could not be read or written.
    fn file(path: &Path, error: impl fmt::Display) -> Failure {
        Failure::File(format!("{}: {error}", path.display()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Database(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Database(error) => f.write_str(&in_a_line(&told(error))),
            Failure::File(reason) | Failure::Usage(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}

/// Returns what the database itself says, if it refused a query: that names what the command is about. The
/// place in the query means nothing to whoever hasn't written it.
fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<reql::Error>());
    match source.map(|source| (source.kind(), source.message())) {
        Some((ErrorKind::Compile | ErrorKind::Runtime(_), message)) => message.to_owned(),
        _ => error.to_string(),
    }
}

/// Returns a text with its white space, line breaks included, as single spaces.
fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
        let line =
            Line::try_parse_from(["warp-reql", "dump", "a.tar.gz", "--only", "shop", "--only", "blog.posts"]);
        assert!(matches!(line.map(|line| line.command), Ok(Command::Dump(_))));
    }
}
