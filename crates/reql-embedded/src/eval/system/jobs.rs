//! `jobs`: the server's running work; deleting the row of a query ends it.

use uuid::{Uuid, uuid};

use super::fields;
use super::{View, Write};
use crate::accounts::ADMIN;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::instance::Job;
use crate::term::as_javascript;

/// The type of a query's row.
const QUERY: &str = "query";

/// The namespace of the ids of index constructions.
const BASE_INDEX: Uuid = uuid!("74d855a5-0c40-4930-a451-d1ce508ef2d2");

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let jobs = view.instance.jobs.all();
    let visible = jobs.iter().filter(|job| is_visible(view, job));
    let mut rows: Vec<Datum> = visible.map(|job| query_row(view, job)).collect();
    if *view.env.user == *ADMIN {
        rows.extend(index_rows(view)?);
    }
    Ok(rows)
}

/// Returns true if the user may see a job. Users see their own queries; `admin` sees all.
fn is_visible(view: &View<'_>, job: &Job) -> bool {
    *view.env.user == *ADMIN || *view.env.user == *job.client.user
}

fn query_row(view: &View<'_>, job: &Job) -> Datum {
    let text = match &job.query.term {
        Some(Ok(term)) => as_javascript(term),
        _ => String::new(),
    };
    let info = Datum::object([
        ("client_address", Datum::from(job.client.peer.address())),
        ("client_port", Datum::Num(job.client.peer.port() as f64)),
        ("query", Datum::from(text)),
        ("user", Datum::str(&job.client.user)),
    ]);
    row(view, QUERY, job.id, Datum::Num(job.started.elapsed().as_secs_f64()), info)
}

fn index_rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let mut rows = Vec::new();
    for table in view.tables()? {
        let meta = table.meta();
        for index in table.indexes()?.into_iter().filter(|index| !index.ready) {
            let name = &index.spec.name;
            let id = Uuid::new_v5(&BASE_INDEX, format!("{}{name}", meta.id).as_bytes());
            let info = Datum::object([
                ("db", view.identifiers().pick(&meta.database.name, meta.database.id)),
                ("index", Datum::str(name)),
                ("progress", Datum::Num(index.processed as f64 / (index.total as f64).max(1.0))),
                ("table", view.identifiers().pick(&meta.config.name, meta.id)),
            ]);
            rows.push(row(view, "index_construction", id, Datum::Null, info));
        }
    }
    Ok(rows)
}

fn row(view: &View<'_>, kind: &str, id: Uuid, duration: Datum, info: Datum) -> Datum {
    Datum::object([
        ("duration_sec", duration),
        ("id", Datum::array(vec![Datum::str(kind), Datum::str(id.to_string())])),
        ("info", info),
        ("servers", Datum::array(vec![view.server()])),
        ("type", Datum::str(kind)),
    ])
}

pub(super) fn write(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    if !write.new.is_null() {
        return Err(Error::op_failed(
            "The `rethinkdb.jobs` system table only allows deletions, not inserts or updates.",
        ));
    }
    let Some((kind, id)) = parse_key(write.key) else { return Ok(write.new) };
    if kind != QUERY {
        return Err(Error::op_failed(format!("Jobs of type `{kind}` cannot be interrupted.")));
    }
    let jobs = view.instance.jobs.all();
    for job in jobs.iter().filter(|job| job.id == id && is_visible(view, job)) {
        job.kill();
    }
    Ok(write.new)
}

fn parse_key(key: &Datum) -> Option<(String, Uuid)> {
    let Datum::Array(items) = key else { return None };
    match (items.get(0)?, items.get(1)?, items.len()) {
        (Datum::Str(kind), id, 2) => Some((kind.to_string(), fields::as_id(&id)?)),
        _ => None,
    }
}
