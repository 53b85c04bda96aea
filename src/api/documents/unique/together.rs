//! Claims for many documents that are inserted together, by one query for all.

use std::collections::HashSet;

use reql::{ReturnChanges, Term, args, r};
use serde_json::Value;
use tokio::time::Instant;

use super::{Held, TABLE, UNTIL, Unique, Wanted};
use crate::api::documents::own::{make_table, misconfigured};
use crate::api::permission::may_write;
use crate::conn::Conn;
use crate::digest::hex;
use crate::error::{Code, Error};

/// The outcome of the claims for one of several documents.
#[derive(Debug)]
pub(crate) enum Fate {
    /// May be written.
    Claimed,
    /// Has to wait for another document of these, or for another write.
    Later,
    /// Can't be written.
    Refused(Error),
}

/// A value that the document at this position is to have.
type Placed<'a> = (usize, Wanted<'a>);

impl Unique {
    /// Claims the values that new documents are to have. Those that have one value between them are left for
    /// later, but for the first.
    ///
    /// # Errors
    ///
    /// The errors of queries. Then nothing is claimed.
    pub(crate) async fn claim_together(
        &self,
        conn: &mut Conn,
        key: &str,
        documents: &[Value],
    ) -> Result<(Held, Vec<Fate>), Error> {
        if conn.user().is_some() {
            // Who may not write the table learns nothing about its values.
            may_write(conn, &self.table).await?;
        }
        let (wanted, mut fates) = self.sorted(documents);
        if wanted.is_empty() {
            return Ok((Held::default(), fates));
        }
        let owner = hex(&fastrand::u128(..).to_be_bytes());
        let held = Held { owner, claims: wanted.iter().map(|(_, wanted)| wanted.claim.clone()).collect() };
        let ids: Vec<_> = documents.iter().map(|document| document.get(key).map(|id| (key, id))).collect();
        conn.make_way();
        match self.decide(&ids, &wanted, &held.owner, &mut fates).await {
            Ok(()) => Ok((held, fates)),
            Err(error) => {
                // Some claims may have been made.
                self.release(held, conn).await;
                Err(error)
            }
        }
    }

    /// Returns the values that may be claimed at once, and the fates of the documents if they are.
    fn sorted<'a>(&'a self, documents: &'a [Value]) -> (Vec<Placed<'a>>, Vec<Fate>) {
        let (mut all, mut fates, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (at, document) in documents.iter().enumerate() {
            fates.push(match self.wanted(document, None) {
                Ok(wanted) => {
                    let new = wanted.iter().filter(|wanted| seen.insert(wanted.claim.clone())).count();
                    let is_first = new == wanted.len();
                    all.extend(wanted.into_iter().filter(|_| is_first).map(|wanted| (at, wanted)));
                    if is_first { Fate::Claimed } else { Fate::Later }
                }
                Err(error) => Fate::Refused(error),
            });
        }
        (all, fates)
    }

    /// Makes the claims, and decides by them and by the documents that are there.
    async fn decide(
        &self,
        ids: &[Option<(&str, &Value)>],
        wanted: &[Placed<'_>],
        owner: &str,
        fates: &mut [Fate],
    ) -> Result<(), Error> {
        let mut conn = Conn::new(self.database.clone());
        let since = Instant::now();
        let records = wanted.iter().map(|(at, wanted)| self.record(ids[*at], wanted, owner)).collect();
        for ((at, _), made) in wanted.iter().zip(self.make(&mut conn, records, owner).await?) {
            if !made {
                fates[*at] = Fate::Later;
            }
        }
        let claimed: Vec<_> = wanted.iter().filter(|(at, _)| matches!(fates[*at], Fate::Claimed)).collect();
        let asked = claimed.iter().map(|(at, wanted)| (ids[*at], wanted));
        let taken = self.taken(&mut conn, asked).await?;
        let in_time = since.elapsed() <= self.longest();
        for ((at, wanted), taken) in claimed.into_iter().zip(taken) {
            match fates[*at] {
                Fate::Claimed if taken => fates[*at] = Fate::Refused(wanted.not_unique()),
                // The claims may have ended.
                Fate::Claimed if !in_time => fates[*at] = Fate::Later,
                _ => {}
            }
        }
        self.clear_sometimes(&mut conn).await;
        Ok(())
    }

    /// Makes claims of these records, but for those that other writes have. Creates the table if it is
    /// missing. Returns of each whether it was made.
    pub(super) async fn make(
        &self,
        conn: &mut Conn,
        records: Vec<Term>,
        owner: &str,
    ) -> Result<Vec<bool>, Error> {
        let mut made = self.insert(conn, &records, owner).await;
        if made.as_ref().is_err_and(|error| error.is(&[Code::NoSuchTable, Code::NoSuchDatabase])) {
            make_table(conn, TABLE, UNTIL).await.map_err(misconfigured)?;
            made = self.insert(conn, &records, owner).await;
        }
        made.map_err(misconfigured)
    }

    async fn insert(&self, conn: &mut Conn, records: &[Term], owner: &str) -> Result<Vec<bool>, Error> {
        let kept = |_: Term, old: Term, new: Term| {
            r.branch(args![old.g(UNTIL).lt(r.now().to_epoch_time()), new, old])
        };
        let query =
            self.claims().insert(records.to_vec()).conflict(kept).return_changes(ReturnChanges::Always);
        let written = conn.write_all(query).await?;
        if let Some(error) = written.first_error {
            return Err(Error::internal(error));
        }
        let made = |claim: Value| claim["owner"] == owner;
        let made: Vec<_> =
            written.changes.into_iter().map(|change| change.new_val.is_some_and(made)).collect();
        if made.len() != records.len() {
            return Err(Error::internal("claims of unique values told of others"));
        }
        Ok(made)
    }
}
