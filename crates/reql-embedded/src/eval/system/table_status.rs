//! `table_status`: the readiness of tables. With one server, those that exist are ready.

use super::View;
use super::layout::Layout;
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::Table;

/// Returns a table's row.
pub(super) fn row(view: &View<'_>, table: &Table) -> Datum {
    let meta = table.meta();
    let server = view.server();
    let replica = Datum::object([("server", server.clone()), ("state", Datum::str("ready"))]);
    let shard = Datum::object([
        ("primary_replicas", Datum::array(vec![server.clone()])),
        ("replicas", Datum::array(vec![replica])),
    ]);
    let shards = (0..Layout::of(&meta.config).shards).map(|_| shard.clone()).collect();
    let readiness = ["all_replicas_ready", "ready_for_outdated_reads", "ready_for_reads", "ready_for_writes"];
    Datum::object([
        ("db", view.identifiers().pick(&meta.database.name, meta.database.id)),
        ("id", Datum::str(meta.id.to_string())),
        ("name", Datum::str(&meta.config.name)),
        ("raft_leader", server),
        ("shards", Datum::array(shards)),
        ("status", Datum::object(readiness.map(|what| (what, Datum::Bool(true))))),
    ])
}

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    Ok(view.tables()?.iter().map(|table| row(view, table)).collect())
}
