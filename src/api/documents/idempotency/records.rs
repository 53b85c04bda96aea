//! The records of keys, in the service's own database.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reql::commands::Table;
use reql::{ReturnChanges, Term, args, r};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::answer::Answer;
use super::plan::Plan;
use crate::api::documents::own::{make_table, misconfigured as own};
use crate::conn::Conn;
use crate::database::Database;
use crate::digest::hex;
use crate::error::{Code, Error};
use crate::reserved::database_beside;

/// The table of records, which is created when it is first needed.
const TABLE: &str = "idempotency_keys";
/// The field and the index for finding expired keys.
const EXPIRES: &str = "expires";
/// The time for which a record is kept.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);
/// The time after which a claim expires unless it is renewed. If the process of an attempt dies, the next
/// attempt has to wait for this.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// The time between two renewals of a claim.
const RENEWED: Duration = Duration::from_secs(5);
/// The most expired records that each request with a key deletes.
const CLEARED: usize = 20;

/// The records, accessed with the service's own account.
pub(crate) struct Records {
    database: Database,
}

/// The record of a key. Times are in seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    id: String,
    fingerprint: String,
    /// The seed of the ids for the request's documents.
    seed: String,
    /// The attempt that runs the request.
    owner: String,
    /// The time until which no other attempt may run the request.
    lease: f64,
    expires: f64,
    answer: Option<Answer>,
}

/// The claim of an attempt to run a request.
pub(crate) struct Hold {
    id: String,
    owner: String,
}

/// The result of claiming a key.
pub(crate) enum Claim {
    /// The request has to be run.
    Made(Hold, Plan),
    /// The request has been done.
    Answered(Answer),
}

impl Records {
    pub(crate) fn new(database: Database) -> Self {
        Records { database }
    }

    /// Claims a key for a request, in one atomic write, unless it is taken.
    pub(crate) async fn claim(&self, id: String, fingerprint: String) -> Result<Claim, Error> {
        let mut conn = Conn::new(self.database.clone());
        let now = now();
        let mine = Record {
            id: id.clone(),
            fingerprint: fingerprint.clone(),
            seed: random(),
            owner: random(),
            lease: now + LEASE.as_secs_f64(),
            expires: now + LASTS.as_secs_f64(),
            answer: None,
        };
        let hold = Hold { id, owner: mine.owner.clone() };
        let found = match self.replace_claimed(&mut conn, &mine, now).await {
            Err(error) if error.is(&[Code::NoSuchTable, Code::NoSuchDatabase]) => {
                make_table(&mut conn, TABLE, EXPIRES).await.map_err(own)?;
                self.replace_claimed(&mut conn, &mine, now).await
            }
            found => found,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                drop(conn);
                // The claim may have been written although the query failed.
                self.leave(&hold).await;
                return Err(own(error));
            }
        };
        self.clear(&mut conn, now).await;
        match found {
            found if found.owner == mine.owner => {
                let resumed = found.seed != mine.seed;
                Ok(Claim::Made(hold, Plan::new(found.seed, resumed)))
            }
            found if found.fingerprint != fingerprint => Err(Error::from(Code::KeyReused)),
            Record { answer: Some(answer), .. } => Ok(Claim::Answered(answer)),
            _ => Err(Error::from(Code::KeyInUse)),
        }
    }

    /// Renews a claim for as long as this is awaited.
    pub(crate) async fn renew(&self, hold: &Hold) -> Infallible {
        loop {
            sleep(RENEWED).await;
            let lease = now() + LEASE.as_secs_f64();
            self.change(hold, "could not be renewed", |row| row.merge(json!({ "lease": lease }))).await;
        }
    }

    /// Stores the answer. If that fails, the request has still been done, which the next attempt will find
    /// out.
    pub(crate) async fn answered(&self, hold: &Hold, answer: Answer) {
        let expires = now() + LASTS.as_secs_f64();
        let kept = |row: Term| row.merge(json!({ "answer": answer, "lease": 0, EXPIRES: expires }));
        self.change(hold, "could not be answered", kept).await;
    }

    /// Deletes the record, since nothing has been written.
    pub(crate) async fn release(&self, hold: &Hold) {
        self.change(hold, "could not be given up", |_| r.expr(())).await;
    }

    /// Ends the claim, so that the next attempt can take over at once.
    pub(crate) async fn leave(&self, hold: &Hold) {
        self.change(hold, "could not be left", |row| row.merge(json!({ "lease": 0 }))).await;
    }

    /// Changes a record, unless another attempt has taken over.
    async fn change(&self, hold: &Hold, failure: &str, new: impl FnOnce(Term) -> Term) {
        let mine = |row: Term| {
            let others = row.eq(()) | row.g("owner").ne(&hold.owner);
            r.branch(args![others, &row, new(row.clone())])
        };
        let query = self.table().get(&hold.id).replace(mine);
        if let Err(error) = Conn::new(self.database.clone()).write(query).await {
            log::warn!("An idempotency key {failure}: {error}");
        }
    }

    /// Writes the record if there is none or the existing one has expired. Takes over the record of the same
    /// request if its claim has expired. Returns the record after that.
    async fn replace_claimed(&self, conn: &mut Conn, mine: &Record, now: f64) -> Result<Record, Error> {
        let claimed = |row: Term| {
            let past = |name: &str| row.g(name).le(now);
            let same = row.g("fingerprint").eq(&mine.fingerprint);
            let left = r.and(args![same, row.g("answer").eq(()), past("lease")]);
            let taken_over = json!({ "owner": mine.owner, "lease": mine.lease, EXPIRES: mine.expires });
            let free = row.eq(()) | past(EXPIRES);
            r.branch(args![free, mine, left, row.merge(taken_over), &row])
        };
        let query = self.table().get(&mine.id).replace(claimed).return_changes(ReturnChanges::Always);
        let lost = || Error::internal("a write of an idempotency key told of nothing");
        let written = conn.write_all(query).await?;
        if let Some(error) = written.first_error {
            return Err(Error::internal(error));
        }
        let kept = written.changes.into_iter().next().and_then(|change| change.new_val).ok_or_else(lost)?;
        serde_json::from_value(kept)
            .map_err(|error| Error::internal(format!("a record of an idempotency key is none: {error}")))
    }

    /// Deletes some expired records, in the background.
    async fn clear(&self, conn: &mut Conn, now: f64) {
        let expired = self.table().between(0, now).index(EXPIRES).limit(CLEARED);
        if let Err(error) = conn.noreply(expired.delete()).await {
            log::debug!("Expired idempotency keys could not be cleared: {error}");
        }
    }

    fn db(&self) -> Term {
        r.db(database_beside(self.database.name()))
    }

    fn table(&self) -> Table {
        self.db().table(TABLE)
    }
}

fn random() -> String {
    hex(&fastrand::u128(..).to_be_bytes())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
