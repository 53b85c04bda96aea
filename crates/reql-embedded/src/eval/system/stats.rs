//! `stats`: the load of the server.

use std::sync::atomic::Ordering;

use super::View;
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::Table;

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let mut rows = vec![cluster(view), server(view)];
    for table in view.tables()? {
        rows.push(of_table(view, &table, false));
        rows.push(of_table(view, &table, true));
    }
    Ok(rows)
}

fn id(kind: &str, ids: impl IntoIterator<Item = uuid::Uuid>) -> Datum {
    let ids = ids.into_iter().map(|id| Datum::str(id.to_string()));
    Datum::array(std::iter::once(Datum::str(kind)).chain(ids).collect())
}

/// Returns the row of the load on all servers, which is that on this one.
fn cluster(view: &View<'_>) -> Datum {
    Datum::object([("id", id("cluster", [])), ("query_engine", Datum::object(queries(view)))])
}

fn server(view: &View<'_>) -> Datum {
    let mut engine = queries(view).to_vec();
    engine.push(("queries_total", Datum::from(view.instance.jobs.begun().0)));
    Datum::object([
        ("id", id("server", [view.instance.identity().id])),
        ("query_engine", Datum::object(engine)),
        ("server", view.server()),
    ])
}

fn queries(view: &View<'_>) -> [(&'static str, Datum); 3] {
    let connections =
        view.instance.listening.get().map_or(0, |listening| listening.connections.load(Ordering::Relaxed));
    [
        ("client_connections", Datum::from(connections)),
        ("clients_active", Datum::from(view.instance.jobs.active_clients())),
        ("queries_per_sec", Datum::from(view.instance.jobs.begun().1)),
    ]
}

/// Returns a table's row, or its row on this server.
fn of_table(view: &View<'_>, table: &Table, on_server: bool) -> Datum {
    let meta = table.meta();
    let mut fields = vec![
        ("db", view.identifiers().pick(&meta.database.name, meta.database.id)),
        ("table", view.identifiers().pick(&meta.config.name, meta.id)),
    ];
    if on_server {
        fields.push(("id", id("table_server", [meta.id, view.instance.identity().id])));
        fields.push(("server", view.server()));
    } else {
        fields.push(("id", id("table", [meta.id])));
    }
    Datum::object(fields)
}
