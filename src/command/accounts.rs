//! `user` and `grant`: who may use the database, and for what
//! (<https://rethinkdb.com/docs/permissions-and-accounts/>).

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use reql::types::Written;
use reql::{Conflict, Term, obj, r};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::name::Place;
use super::{Failure, in_a_line};
use crate::conn::Conn;
use crate::database::Database;
use crate::error::DUPLICATE;
use crate::reserved::SYSTEM;
use crate::settings::bounded;

/// The subcommands of `user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List the users
    List,
    /// Create a user; the password is asked for, or read from standard input
    Add {
        /// The user's name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Change a user's password; it is asked for, or read from standard input
    Password {
        /// The user's name
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Delete a user
    Drop {
        /// The user's name
        name: String,
    },
}

/// The source of a password. It is never an argument, since all users of the machine can see those.
#[derive(Debug, Args)]
pub struct NewPassword {
    /// Read the password from the first line of this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Let the user connect without a password
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
}

/// The arguments of `grant`.
#[derive(Debug, Args)]
pub struct Grant {
    /// The user's name
    name: String,
    /// Permissions to grant
    #[arg(value_name = "PERMISSION")]
    allow: Vec<Permission>,
    /// Permissions to deny
    #[arg(long, value_name = "PERMISSION")]
    deny: Vec<Permission>,
    /// Permissions to reset, so that the database's apply to a table, and the global ones to a database
    #[arg(long, value_name = "PERMISSION")]
    inherit: Vec<Permission>,
    /// Set the permissions on this database or table only [default: globally]
    #[arg(long, value_name = "DB[.TABLE]")]
    on: Option<Place>,
}

/// The permissions of RethinkDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Permission {
    /// Read documents
    Read,
    /// Write documents
    Write,
    /// Create, change and drop databases, tables and indexes
    Config,
    /// Open connections to other servers with `r.http`; can only be set globally
    Connect,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    password: bool,
}

/// Manages users.
pub(crate) async fn user(user: User, database: &Database) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    let users = r.db(SYSTEM).table("users");
    match user {
        User::List => {
            for account in conn.all::<Account>(users.order_by("id")).await? {
                let note = if account.password { "" } else { " (no password)" };
                println!("{}{note}", account.id);
            }
        }
        User::Add { name, password } => {
            let account = obj! { "id": &name, "password": password.read()? };
            let written = conn.write_all(users.insert(account).conflict(Conflict::Error)).await?;
            if written.first_error.as_ref().is_some_and(|error| error.starts_with(DUPLICATE)) {
                return Err(Failure::Usage(format!("there is a user `{name}` already")));
            }
            checked(written)?;
        }
        User::Password { name, password } => {
            let password = password.read()?;
            let change = users.get(&name).update(obj! { "password": password });
            found(conn.write_all(change).await?, &name)?;
        }
        User::Drop { name } => found(conn.write_all(users.get(&name).delete()).await?, &name)?,
    }
    Ok(())
}

/// Sets permissions of a user, and leaves those that aren't named as they are.
pub(crate) async fn grant(grant: Grant, database: &Database) -> Result<(), Failure> {
    let permissions = grant.permissions()?;
    let mut conn = Conn::new(database.clone());
    conn.run(granted(&grant, permissions)).await?;
    Ok(())
}

fn granted(grant: &Grant, permissions: Value) -> Term {
    match &grant.on {
        None => r.grant(&grant.name, permissions),
        Some(Place { db, table: None }) => r.db(db).grant(&grant.name, permissions),
        Some(Place { db, table: Some(table) }) => r.db(db).table(table).grant(&grant.name, permissions),
    }
}

impl Grant {
    fn permissions(&self) -> Result<Value, Failure> {
        let mut all = Map::new();
        let given = [(&self.allow, json!(true)), (&self.deny, json!(false)), (&self.inherit, Value::Null)];
        for (permissions, value) in given {
            for permission in permissions {
                let name = permission.name();
                if all.insert(name.to_owned(), value.clone()).is_some() {
                    return Err(Failure::Usage(format!("`{name}` is there twice")));
                }
            }
        }
        if all.is_empty() {
            return Err(Failure::Usage("name a permission: read, write, config, connect".to_owned()));
        }
        Ok(all.into())
    }
}

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Config => "config",
            Permission::Connect => "connect",
        }
    }
}

impl NewPassword {
    /// Reads the password. RethinkDB takes `false` for none.
    fn read(&self) -> Result<Value, Failure> {
        if self.no_password {
            return Ok(json!(false));
        }
        let text = match &self.password_file {
            Some(file) => bounded::read_text(file).map_err(|error| Failure::file(file, error))?,
            None if io::stdin().is_terminal() => asked()?,
            None => bounded::read_stdin().map_err(unread)?,
        };
        match text.lines().next() {
            Some(password) if !password.is_empty() => Ok(json!(password)),
            _ => Err(Failure::Usage("the password is empty; --no-password is for none".to_owned())),
        }
    }
}

fn asked() -> Result<String, Failure> {
    let first = rpassword::prompt_password("Password: ").map_err(unread)?;
    let second = rpassword::prompt_password("Repeat the password: ").map_err(unread)?;
    if first == second { Ok(first) } else { Err(Failure::Usage("the passwords differ".to_owned())) }
}

fn unread(error: io::Error) -> Failure {
    Failure::File(format!("the password can't be read: {error}"))
}

/// Checks that a write found its user.
fn found(written: Written, name: &str) -> Result<(), Failure> {
    let skipped = written.skipped > 0;
    checked(written)?;
    if skipped { Err(Failure::Usage(format!("there is no user `{name}`"))) } else { Ok(()) }
}

/// Checks that a write has no errors.
pub(super) fn checked(written: Written) -> Result<(), Failure> {
    match written.first_error {
        Some(reason) if written.errors > 0 => Err(Failure::Usage(in_a_line(&reason))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        grant: Grant,
    }

    fn query(line: &str) -> Result<String, String> {
        let line = ["grant"].into_iter().chain(line.split(' '));
        let grant = Line::try_parse_from(line).map_err(|error| error.to_string())?.grant;
        let permissions = grant.permissions().map_err(|error| error.to_string())?;
        Ok(granted(&grant, permissions).to_string())
    }

    #[test]
    fn grants_are_queries() {
        for (line, expected) in [
            ("ada read", r#"r.grant("ada", {read: true})"#),
            ("ada read write --on blog", r#"r.db("blog").grant("ada", {read: true, write: true})"#),
            (
                "ada read --deny write --inherit config --on blog.posts",
                r#"r.db("blog").table("posts").grant("ada", {read: true, write: false, config: null})"#,
            ),
        ] {
            assert_eq!(query(line).as_deref(), Ok(expected), "{line}");
        }
        assert_eq!(query("ada read --deny read"), Err("`read` is there twice".to_owned()));
        assert!(query("ada").is_err() && query("ada fly").is_err());
    }
}
