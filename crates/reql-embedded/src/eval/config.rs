//! The configuration of databases and tables as documents, in the form of the tables `db_config` and `table_config`.

use super::env::Env;
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::{Database, Table};

/// A database's configuration.
pub fn database(database: &Database) -> Datum {
    Datum::object([("id", Datum::str(database.id.to_string())), ("name", database.name.clone().into())])
}

/// A table's configuration. There is one server, which holds the only replica of the only shard.
pub fn table(table: &Table, env: &Env) -> Result<Datum> {
    let meta = table.meta();
    let server = Datum::from(env.server_name.clone());
    let shard = Datum::object([
        ("nonvoting_replicas", Datum::empty_array()),
        ("primary_replica", server.clone()),
        ("replicas", Datum::array(vec![server])),
    ]);
    let indexes = table.indexes()?.into_iter().map(|index| Datum::str(index.spec.name)).collect();
    Ok(Datum::object([
        ("db", meta.database.name.clone().into()),
        ("durability", Datum::str(meta.config.durability.name())),
        ("id", Datum::str(meta.id.to_string())),
        ("indexes", Datum::array(indexes)),
        ("name", Datum::str(&meta.config.name)),
        ("primary_key", Datum::str(&meta.config.primary_key)),
        ("shards", Datum::array(vec![shard])),
        ("write_acks", Datum::str("majority")),
        ("write_hook", Datum::Null),
    ]))
}
