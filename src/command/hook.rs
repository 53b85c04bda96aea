//! `hook`: the write hook of a table.

use clap::Subcommand;
use reql::Term;
use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use super::name::TableName;
use crate::conn::Conn;
use crate::database::Database;
use crate::language::{self, Fault, Place};

/// The subcommands of `hook`.
#[derive(Debug, Subcommand)]
pub enum Hook {
    /// Print the write hook of a table, if it has one
    Show {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
    },
    /// Set the write hook of a table, replacing any other
    Set {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// A function in JavaScript syntax: `(context, old, next) => next`
        function: String,
    },
    /// Remove the write hook of a table
    Drop {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
    },
}

#[derive(Deserialize)]
struct Described {
    query: String,
}

/// Manages the write hook of a table.
pub(crate) async fn hook(hook: Hook, database: &Database, default: &str) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    match hook {
        Hook::Show { table } => {
            let hook = table.within(default).term().get_write_hook();
            for described in conn.all::<Option<Described>>(hook).await?.into_iter().flatten() {
                println!("{}", described.query);
            }
        }
        Hook::Set { table, function } => {
            let function = parsed(&function)?;
            conn.run(table.within(default).term().set_write_hook(function)).await?;
        }
        Hook::Drop { table } => conn.run(table.within(default).term().set_write_hook(Value::Null)).await?,
    }
    Ok(())
}

/// Reads a function in JavaScript syntax.
fn parsed(text: &str) -> Result<Term, Failure> {
    let node = language::parse(text).map_err(|Fault { message, span }| {
        Failure::Usage(format!("the function can't be read: {message}\n{}", Place::of(span, text).excerpt))
    })?;
    Term::from_wire(&node.to_wire())
        .map_err(|error| Failure::Usage(format!("the function can't be sent: {error}")))
}
