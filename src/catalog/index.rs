//! Secondary indexes, as the database describes them.

use reql::{args, r};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::definition;
use crate::conn::Conn;
use crate::error::Error;
use crate::query::{self, Kind, Path};

/// An index as the database describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    index: String,
    ready: bool,
    multi: bool,
    geo: bool,
    outdated: bool,
    query: Option<String>,
    progress: Option<f64>,
}

/// An index as an answer describes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// The indexed fields. Absent for an index that was created by other means, over more than plain fields.
    #[schema(nullable = false, value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Path>>,
    multi: bool,
    geo: bool,
    ready: bool,
    pub(crate) outdated: bool,
    /// The part that has been built, from 0 to 1. Absent once the index is ready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
}

/// The indexes of a table.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// The indexes that a list can use: ready, and over plain fields only.
    pub(crate) plain: Vec<query::Index>,
    /// The names of the other indexes.
    other: Vec<String>,
}

impl Indexes {
    pub(super) async fn fetch(table: &str, conn: &mut Conn) -> Result<Self, Error> {
        let mut indexes = Indexes::default();
        for index in Index::fetch_all(table, conn).await? {
            match index.usable().filter(|_| !index.outdated) {
                Some((fields, kind)) => indexes.plain.push(query::Index { name: index.name, fields, kind }),
                None => indexes.other.push(index.name),
            }
        }
        Ok(indexes)
    }

    /// Returns whether there is an index of this name, of any kind.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.plain.iter().any(|index| index.name == name) || self.other.iter().any(|other| other == name)
    }
}

impl Index {
    /// Reads all indexes of a table from the database.
    pub(crate) async fn fetch_all(table: &str, conn: &mut Conn) -> Result<Vec<Index>, Error> {
        let statuses: Vec<Status> = conn.all(r.table(table).index_status(args![])).await?;
        Ok(statuses.into_iter().map(Index::from).collect())
    }

    /// Returns whether the index is over these fields, with these options.
    pub(crate) fn is(&self, fields: &[Path], multi: bool, geo: bool) -> bool {
        self.fields.as_deref() == Some(fields) && (self.multi, self.geo) == (multi, geo)
    }

    /// Returns the fields of an index that is ready, over plain fields only, and has at most one entry for
    /// each document.
    pub(crate) fn plain(&self) -> Option<Vec<Path>> {
        self.usable().filter(|(_, kind)| *kind == Kind::Plain).map(|(fields, _)| fields)
    }

    /// Returns the fields and the kind of an index that is ready and over plain fields only.
    fn usable(&self) -> Option<(Vec<Path>, Kind)> {
        let kind = match (self.multi, self.geo) {
            (false, false) => Kind::Plain,
            (true, false) => Kind::Multi,
            (false, true) => Kind::Geo,
            // An entry for each geometry of an array, which no condition of a list is about.
            (true, true) => return None,
        };
        self.fields.clone().filter(|_| self.ready).map(|fields| (fields, kind))
    }
}

impl From<Status> for Index {
    fn from(status: Status) -> Self {
        Index {
            fields: status.query.as_deref().and_then(definition::fields),
            name: status.index,
            multi: status.multi,
            geo: status.geo,
            ready: status.ready,
            outdated: status.outdated,
            progress: status.progress,
        }
    }
}
