//! Previews of changes of many documents (`Prefer: tx=rollback`).

use futures_util::TryStreamExt;
use reql::{Term, args, r};
use serde_json::value::RawValue;
use warp::reply::Response;

use super::told::{Counts, Representation};
use super::{Change, Wanted};
use crate::api::documents::changes::undone;
use crate::conn::Conn;
use crate::error::{Code, Error};

impl Wanted<'_> {
    /// Answers with the result of a change, or of a deletion, without making it.
    pub(super) async fn shown(
        &self,
        rows: &Term,
        change: Option<&Change>,
        conn: &mut Conn,
    ) -> Result<Response, Error> {
        if self.told
            && let Some(shown) = self.shown_documents(rows, change, conn).await?
        {
            return Ok(shown);
        }
        let may = |row: &Term| self.may(row, &self.made(row, change), change);
        let told = |rows: Term| {
            let done = rows.filter(|row: Term| may(&row) & self.made(&row, change).ne(&row)).count();
            r.expr([done, rows.count(), rows.filter(|row: Term| !may(&row)).count()])
        };
        let query = self.guarded(rows, told);
        if let Some(explanation) = self.explained(&query, conn).await? {
            return Ok(explanation);
        }
        let told: Option<(f64, f64, f64)> =
            conn.first(query).await.map_err(|error| self.too_many(undone(error)))?;
        let (done, all, refused) = told.ok_or_else(|| Error::internal("a preview told of nothing"))?;
        let counts = match change {
            Some(_) => Counts { replaced: done, unchanged: all - refused - done, ..Counts::default() },
            None => Counts { deleted: done, ..Counts::default() },
        };
        let fault = (refused > 0.0).then(|| self.grant.refusal());
        self.answered(&Counts { errors: refused, fault, ..counts }, None)
    }

    /// Answers with the documents, one by one as they come from the database; returns `None` if some would be
    /// refused.
    async fn shown_documents(
        &self,
        rows: &Term,
        change: Option<&Change>,
        conn: &mut Conn,
    ) -> Result<Option<Response>, Error> {
        let most = self.most.unwrap_or_default();
        let query = rows.limit(most.saturating_add(1)).map(|row: Term| {
            self.made(&row, change).do_(|made: Term| {
                let shown = self.seen(&made).default(self.seen(&row));
                r.branch(args![self.may(&row, &made, change), shown, ()])
            })
        });
        if let Some(explanation) = self.explained(&query, conn).await? {
            return Ok(Some(explanation));
        }
        let mut told = Representation::new(self.scale(conn));
        let (mut all, mut refused) = (0, 0);
        let mut arriving = conn.stream_in_time::<Option<Box<RawValue>>>(query).await.map_err(undone)?;
        while let Some(document) = arriving.try_next().await.map_err(undone)? {
            all += 1;
            match document {
                Some(document) if refused == 0 => told.add(&document)?,
                Some(_) => {}
                None => refused += 1,
            }
            told.in_turn().await;
        }
        if all > most {
            return Err(Error::about(Code::TooManyAffected, most));
        }
        match refused {
            0 => self.answered(&Counts::default(), Some(told)).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the document that would be stored in the place of a row; null for a deletion.
    pub(super) fn made(&self, row: &Term, change: Option<&Change>) -> Term {
        match change {
            Some(change) => self.grant.made(row, &change.apply(&self.seen(row))),
            None => r.expr(()),
        }
    }

    /// Returns whether a row may become what is made of it.
    pub(super) fn may(&self, row: &Term, made: &Term, change: Option<&Change>) -> Term {
        let may = match change {
            Some(_) => self.grant.may_change(row, made),
            None => self.grant.may_delete(row),
        };
        may.unwrap_or_else(|| r.expr(true))
    }
}
