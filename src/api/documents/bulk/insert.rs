//! Bulk inserts: batch by batch, with a result for each document.
//!
//! An error in the body or in the connection to the database ends the insert. If nothing has been written so
//! far, the error is the answer; so a body of a single batch with a syntax error writes nothing. Otherwise
//! the documents so far stay written, and the error is the last result, at the position of its document.

use reql::Conflict;
use serde_json::{Map, Value};
use warp::reply::Response;

use super::outcomes::{Outcome, Outcomes};
use super::{Documents, Next};
use crate::access::Grant;
use crate::api::documents::change::{Change as Write, Rules};
use crate::api::documents::idempotency::Plan;
use crate::api::documents::insertion::Insertion;
use crate::api::documents::unique::{Fate, Unique};
use crate::api::documents::write::{Target, field, parsed};
use crate::api::permission::may_write;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::with_header;
use crate::http::context::Context;
use crate::http::etag::Conditions;
use crate::http::headers::PREFERENCE_APPLIED;

/// The most documents of one request. Their results are kept in memory until the end.
const MOST: usize = 1_000_000;

/// Inserts all documents of a body, and answers with a result for each.
pub(crate) async fn insert(
    table: &str,
    mut documents: Documents,
    context: &Context,
    conn: &mut Conn,
    (grant, plan): (&Grant, Option<&Plan>),
) -> Result<Response, Error> {
    let conflict = resolution(context);
    let unique = Unique::of(context.app(), conn.database(), table);
    // The database isn't queried if the body is malformed.
    let mut key = None;
    let mut outcomes = Outcomes::default();
    loop {
        let mut batch = conn.awaiting(documents.batch()).await;
        if outcomes.count + batch.documents.len() > MOST {
            batch.documents.truncate(MOST - outcomes.count);
            batch.next =
                Next::Fault(Error::bad_request(format!("A bulk insert has {MOST} documents at most.")));
        }
        if outcomes.count == 0
            && let Next::Fault(error) = batch.next
        {
            conn.awaiting(documents.drain()).await;
            return Err(error);
        }
        if !batch.documents.is_empty() {
            let key = match &key {
                Some(key) => key,
                None => key.insert(context.app().catalog().primary_key(conn, table).await?),
            };
            let rules = Rules { key, schema: context.app().schema(table), unique: unique.as_ref() };
            let insert = Insert { table, key, conflict, grant, plan, rules };
            match insert.batch(batch.documents, outcomes.count, conn).await {
                Ok(told) => outcomes.extend(told)?,
                // A request with a key isn't done before it is done completely, so it has no partial answer.
                Err(error) if outcomes.count == 0 || plan.is_some() => return Err(error),
                Err(error) => batch.next = Next::Fault(error),
            }
        }
        match batch.next {
            Next::More => {}
            Next::End => break,
            Next::Fault(error) => {
                outcomes.push(&Outcome::fault(&error, true))?;
                conn.awaiting(documents.drain()).await;
                break;
            }
        }
    }
    if key.is_none() {
        // An empty insert fails as well if the table is missing or the user may not write it.
        may_write(conn, table).await?;
    }
    let response = outcomes.into_response();
    if conflict.is_none() {
        return Ok(response);
    }
    let applied = format!("resolution={}", context.prefers("resolution").unwrap_or_default());
    Ok(with_header(response, PREFERENCE_APPLIED, &applied))
}

/// Returns the conflict resolution that the request asks for.
pub(crate) fn resolution(context: &Context) -> Option<Conflict> {
    match context.prefers("resolution") {
        Some("merge-duplicates") => Some(Conflict::Update),
        Some("replace-duplicates") => Some(Conflict::Replace),
        _ => None,
    }
}

/// The options for inserting the documents of a body.
#[derive(Clone, Copy)]
struct Insert<'a> {
    table: &'a str,
    key: &'a str,
    conflict: Option<Conflict>,
    grant: &'a Grant,
    plan: Option<&'a Plan>,
    rules: Rules<'a>,
}

/// A document, and its position in the body.
type Placed = (usize, Map<String, Value>);

impl Insert<'_> {
    /// Inserts documents, the first of which is at this position in the body.
    async fn batch(
        self,
        batch: Vec<Map<String, Value>>,
        first: usize,
        conn: &mut Conn,
    ) -> Result<Vec<Outcome>, Error> {
        let (mut sound, mut outcomes) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        // A document that replaces another may free a value that a later one is to have.
        let replaces = self.conflict.is_some();
        for (place, mut document) in (first..).zip(batch) {
            if let Err(error) = self.grant.complete(&mut document) {
                outcomes.push((place, Outcome::fault(&error, true)));
                continue;
            }
            match document.get(self.key).filter(|_| self.adds_to_rules()) {
                // The merged document has to be checked against the rules before it is written.
                Some(id) => {
                    let target = Target { table: self.table, id, grant: self.grant };
                    let add = Write::add(document.clone());
                    let added = target.change(conn, &Conditions::default(), &add, self.rules).await;
                    if added.is_ok() {
                        self.note_begun();
                    }
                    outcomes.push((place, Outcome::of_one(added, id)));
                }
                None => match self.rules.check(&Value::Object(document.clone())) {
                    Ok(()) if replaces && self.rules.unique.is_some_and(|it| it.is_in(&document)) => {
                        outcomes.extend(self.claimed((place, document), conn).await?);
                        self.note_begun();
                    }
                    Ok(()) => sound.push((place, document)),
                    Err(error) => outcomes.push((place, Outcome::fault(&error, true))),
                },
            }
        }
        outcomes.extend(match self.rules.unique.filter(|_| !replaces) {
            Some(unique) => self.claimed_together(unique, sound, conn).await?,
            None => self.inserted(sound, conn).await?,
        });
        self.note_begun();
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Notes that a document may have been written, so that the request's key stays claimed.
    fn note_begun(self) {
        if let Some(plan) = self.plan {
            plan.note_begun();
        }
    }

    /// Inserts documents, with claims of their unique values that are made by one query.
    async fn claimed_together(
        self,
        unique: &Unique,
        batch: Vec<Placed>,
        conn: &mut Conn,
    ) -> Result<Vec<(usize, Outcome)>, Error> {
        let (batch, mut outcomes) = match self.grant.is_open() {
            true => (batch, Vec::new()),
            false => self.allowed(batch, conn).await?,
        };
        let named: Vec<_> = batch.iter().map(|placed| self.named(placed)).collect();
        let (held, fates) = unique.claim_together(conn, self.key, &named).await?;
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for ((placed, named), fate) in batch.into_iter().zip(named).zip(fates) {
            match fate {
                Fate::Claimed => now.push(placed),
                Fate::Later => later.push(placed),
                Fate::Refused(error) => {
                    let id = named.get(self.key).cloned();
                    outcomes.push((placed.0, Outcome::fault(&error, true).with_id(id)));
                }
            }
        }
        let written = self.inserted(now, conn).await;
        unique.finish(held, &written, conn).await;
        outcomes.extend(written?);
        for placed in later {
            outcomes.extend(self.claimed(placed, conn).await?);
        }
        Ok(outcomes)
    }

    /// Returns a document with the id that it is to have, if that is known.
    fn named(self, (place, document): &Placed) -> Value {
        let mut named = document.clone();
        if let Some(plan) = self.plan {
            plan.identify(&mut named, self.key, *place);
        }
        Value::Object(named)
    }

    /// Separates the documents that the insert would refuse, before it is told which values are taken.
    async fn allowed(
        self,
        batch: Vec<Placed>,
        conn: &mut Conn,
    ) -> Result<(Vec<Placed>, Vec<(usize, Outcome)>), Error> {
        let (mut allowed, mut refused) = (Vec::with_capacity(batch.len()), Vec::new());
        let named: Vec<_> = batch.iter().map(|placed| self.named(placed)).collect();
        let insertion = Insertion { table: self.table, grant: self.grant, conflict: None };
        let refusals = insertion.refusals(conn, &named, self.key).await?;
        for (placed, refusal) in batch.into_iter().zip(refusals) {
            match refusal {
                None => allowed.push(placed),
                Some(error) => refused.push((placed.0, Outcome::fault(&error, false))),
            }
        }
        Ok((allowed, refused))
    }

    /// Inserts a document by itself, with claims of its unique values.
    async fn claimed(self, placed: Placed, conn: &mut Conn) -> Result<Vec<(usize, Outcome)>, Error> {
        let named = self.named(&placed);
        let (place, id) = (placed.0, named.get(self.key).cloned());
        // An id of the plan is that of an earlier attempt, which isn't written again.
        let conflict = self.conflict.filter(|_| self.plan.is_none() || placed.1.contains_key(self.key));
        let insertion = Insertion { table: self.table, grant: self.grant, conflict };
        let permission = insertion.permission(&named, id.as_ref());
        let outcome = match self.rules.claim(conn, id.as_ref(), &named, None, permission).await {
            Ok(held) => {
                let outcome = self.inserted(vec![placed], conn).await;
                self.rules.finish(held, &outcome, conn).await;
                outcome
            }
            Err(error) => Err(error),
        };
        match outcome {
            // A request with a key isn't done before it is done completely.
            Err(error) if self.plan.is_some() && error.status().is_server_error() => Err(error),
            // As the insert itself would tell it.
            Err(error) if error.is(&[Code::Conflict, Code::Forbidden]) => {
                Ok(vec![(place, Outcome::fault(&error, false))])
            }
            Err(error) => Ok(vec![(place, Outcome::fault(&error, true).with_id(id))]),
            outcome => outcome,
        }
    }

    /// Returns whether documents are merged into existing ones, in a table that has rules.
    fn adds_to_rules(self) -> bool {
        self.rules.has_any() && self.conflict == Some(Conflict::Update)
    }

    async fn inserted(self, mut batch: Vec<Placed>, conn: &mut Conn) -> Result<Vec<(usize, Outcome)>, Error> {
        let had_id = |(place, document): &mut Placed| match self.plan {
            Some(plan) => plan.identify(document, self.key, *place),
            None => true,
        };
        let had_id: Vec<bool> = batch.iter_mut().map(had_id).collect();
        // If a document with an id of the plan exists, an earlier attempt has written it, and it must not be
        // written again.
        let (others, own): (Vec<_>, Vec<_>) = (0..batch.len()).partition(|at| had_id[*at]);
        let mut outcomes = Vec::with_capacity(batch.len());
        for (places, conflict) in [(own, None), (others, self.conflict)] {
            let documents: Vec<_> = places.iter().map(|at| &batch[*at].1).collect();
            let insertion = Insertion { table: self.table, grant: self.grant, conflict };
            let changes = match documents.is_empty() {
                true => Vec::new(),
                false => insertion.all(conn, &documents).await?,
            };
            outcomes.extend(places.into_iter().zip(changes).map(|(at, change)| {
                let (place, document) = &batch[at];
                let old = change.old_val.as_deref();
                let wrote = |plan: &Plan| {
                    let old = old.and_then(|old| parsed(old).ok());
                    old.is_some_and(|old| old.is_object() && plan.wrote(document, had_id[at], &old))
                };
                let done = change.error.is_some() && self.plan.is_some_and(wrote);
                let created = || Outcome::created(old.and_then(|old| field(old, self.key)));
                (*place, if done { created() } else { change.outcome(self.key, document) })
            }));
        }
        Ok(outcomes)
    }
}
