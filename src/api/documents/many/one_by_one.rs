//! Changes of many documents in tables with rules that the database can't check.

use futures_util::StreamExt;
use reql::{Term, args, r};
use serde_json::Value;
use serde_json::value::RawValue;
use warp::reply::Response;

use super::told::{Counts, Representation};
use super::{Change, Rules, Wanted};
use crate::api::documents::changes::undone;
use crate::api::documents::write::{Target, parsed};
use crate::conn::Conn;
use crate::error::{Code, Error};

/// The most documents of one change in a table with a schema or of unique fields.
const MOST: usize = 10_000;

impl Wanted<'_> {
    /// Changes the documents of a table with a schema, or none if one of the results would violate it. Those
    /// that the caller may not change don't count for that: the schema sees their hidden fields.
    pub(super) async fn one_by_one(
        &self,
        rows: &Term,
        change: &Change,
        rules: Rules<'_>,
        conn: &mut Conn,
    ) -> Result<Response, Error> {
        let most = self.most.unwrap_or(MOST).min(MOST);
        let made = rows.limit(most + 1).map(|row: Term| {
            let allowed = self.made(&row, Some(change)).do_(|made: Term| {
                let may = self.may(&row, &made, Some(change));
                r.branch(args![may, made, ()])
            });
            r.expr([row.g(rules.key), allowed])
        });
        if let Some(explanation) = self.explained(&made, conn).await? {
            return Ok(explanation);
        }
        conn.make_way();
        let mut made =
            conn.sibling().into_stream::<(Value, Option<Box<RawValue>>)>(made).await.map_err(undone)?;
        let mut ids = Vec::new();
        while let Some(row) = made.next().await {
            let (id, new) = row.map_err(undone)?;
            if let Some(new) = new {
                rules.check(&parsed(&new)?)?;
            }
            ids.push(id);
        }
        drop(made);
        if ids.len() > most {
            return Err(Error::about(Code::TooManyAffected, most));
        }
        if self.rollback {
            return self.shown(rows, Some(change), conn).await;
        }
        self.each(&ids, change, rules, conn).await
    }

    /// Changes the documents with these ids.
    async fn each(
        &self,
        ids: &[Value],
        change: &Change,
        rules: Rules<'_>,
        conn: &mut Conn,
    ) -> Result<Response, Error> {
        let mut counts = Counts::default();
        let mut told = self.told.then(|| Representation::new(self.scale(conn)));
        for id in ids {
            let target = Target { table: &self.table, id, grant: self.grant };
            match target.change_if(conn, &self.filter, change, rules).await {
                Ok(Some(written)) if written.has_replaced() => {
                    counts.replaced += 1.0;
                    // Beyond the limits of answers, none is told.
                    let exceeds = |told: &mut Representation| {
                        written.told().is_some_and(|document| told.add(document).is_err())
                    };
                    drop(told.take_if(exceeds));
                }
                Ok(Some(_)) => counts.unchanged += 1.0,
                Ok(None) => counts.skipped += 1.0,
                Err(error) if error.status().is_client_error() => {
                    counts.errors += 1.0;
                    let is_refused = error.is(&[Code::Forbidden]);
                    counts.fault.get_or_insert(if is_refused { self.grant.refusal() } else { error });
                }
                Err(error) => return Err(error),
            }
        }
        self.answered(&counts, told)
    }
}
