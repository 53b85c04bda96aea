//! Inserts, each a single query that returns a result for each document.
//!
//! Documents that the caller may not create are filtered out before the insert, in the same query, since that
//! depends on the document only. Conflicts with existing documents are resolved inside of the insert.

use reql::{Conflict, ReturnChanges, Term, args, obj, r};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::large::value;
use super::write::Written;
use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{DUPLICATE, Error, REFUSED};

/// The options of an insert.
#[derive(Clone, Copy)]
pub(super) struct Insertion<'a> {
    pub(super) table: &'a str,
    pub(super) grant: &'a Grant,
    /// The resolution of conflicts with existing documents.
    pub(super) conflict: Option<Conflict>,
}

/// The database's result of an insert.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Inserted {
    changes: Vec<Change>,
}

/// The result for one document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    pub(super) old_val: Option<Box<RawValue>>,
    pub(super) new_val: Option<Box<RawValue>>,
    pub(super) error: Option<String>,
    /// `true` if the caller may not create the document.
    #[serde(skip)]
    pub(super) refused: bool,
}

/// The result of an insert with permissions: whether each document may be created, and the database's result
/// for those that may.
#[derive(Deserialize)]
struct Sorted<T> {
    may: Vec<bool>,
    told: T,
}

impl Insertion<'_> {
    /// Inserts one document. If it exists already and `is_own` recognizes it as a write of this request, it
    /// counts as inserted.
    pub(super) async fn one(
        self,
        conn: &mut Conn,
        document: Term,
        is_own: impl FnOnce(&Value) -> bool,
    ) -> Result<Written, Error> {
        let (may, written) = self.run::<Written>(conn, r.expr([document]), 1).await?;
        if may.contains(&false) {
            return Err(Error::forbidden());
        }
        written.or_own(is_own).unless_failed()
    }

    /// Returns a query that fails if the caller may not insert a document, or may not know of the one that
    /// has this id; `None` if it may insert all.
    pub(super) fn permission(self, document: &Value, id: Option<&Value>) -> Option<Term> {
        if self.grant.is_open() {
            return None;
        }
        if self.conflict.is_none() {
            let refusal = self.refusal(document, id);
            return Some(
                refusal.do_(|refusal: Term| r.branch(args![refusal.eq(""), true, r.error(refusal)])),
            );
        }
        let new = value(document);
        let resolved = id.map(|id| {
            r.table(self.table).get(id).do_(|old: Term| {
                let resolved = self.grant.resolved(&old, &new, |_| new.clone());
                r.branch(args![old.eq(()), true, resolved.ne(())])
            })
        });
        let resolved = resolved.unwrap_or_else(|| r.expr(true));
        Some(match self.grant.creatable(&new) {
            Some(may) => r.branch(args![may, resolved, r.error(REFUSED)]),
            None => resolved,
        })
    }

    /// Returns the errors of the documents that the caller may not insert, or whose ids are those of
    /// documents that it may not know of.
    pub(super) async fn refusals(
        self,
        conn: &mut Conn,
        documents: &[Value],
        key: &str,
    ) -> Result<Vec<Option<Error>>, Error> {
        let refusals = documents.iter().map(|document| self.refusal(document, document.get(key)));
        let refusals: Vec<String> = conn.all(r.expr(refusals.collect::<Vec<_>>())).await?;
        if refusals.len() != documents.len() {
            return Err(Error::internal(format!(
                "{} documents have {} verdicts",
                documents.len(),
                refusals.len()
            )));
        }
        let error = |reason: String| (!reason.is_empty()).then(|| Error::of_write(reason));
        Ok(refusals.into_iter().map(error).collect())
    }

    /// Returns the text of the error of an insert that is refused, or that meets a document which is hidden;
    /// otherwise an empty one.
    fn refusal(self, document: &Value, id: Option<&Value>) -> Term {
        let readable = self.grant.readable();
        let taken = id.map(|id| {
            r.table(self.table).get(id).do_(|old: Term| {
                readable.of_living(&old, |old| {
                    let is_hidden = old.ne(()) & readable.seen(&old).eq(());
                    r.branch(args![is_hidden, DUPLICATE, ""])
                })
            })
        });
        let taken = taken.unwrap_or_else(|| r.expr(""));
        match self.grant.creatable(&value(document)) {
            Some(may) => r.branch(args![may, taken, REFUSED]),
            None => taken,
        }
    }

    /// Inserts documents, and returns the results in their order.
    pub(super) async fn all(
        self,
        conn: &mut Conn,
        documents: &[impl Serialize],
    ) -> Result<Vec<Change>, Error> {
        let inserted = self.run::<Inserted>(conn, value(documents), documents.len());
        let (may, Inserted { changes }) = inserted.await?;
        let expected = may.iter().filter(|may| **may).count();
        if changes.len() != expected || may.len() != documents.len() {
            // Without a result for each document, only the totals would be known.
            return Err(Error::internal(format!("an insert of {expected} told of {}", changes.len())));
        }
        let mut changes = changes.into_iter();
        let refused = || Change { refused: true, ..Change::default() };
        Ok(may
            .into_iter()
            .map(|may| if may { changes.next().unwrap_or_default() } else { refused() })
            .collect())
    }

    /// Inserts `count` documents. Returns whether each may be created, and the database's result for those.
    async fn run<T: DeserializeOwned + Default>(
        self,
        conn: &mut Conn,
        documents: Term,
        count: usize,
    ) -> Result<(Vec<bool>, T), Error> {
        if self.grant.creates_all() {
            let told = conn.first::<T>(self.query(&documents)).await.map_err(Error::of_sent_write)?;
            return Ok((vec![true; count], told.unwrap_or_default()));
        }
        let may = |document: Term| self.grant.creatable(&document).unwrap_or_else(|| r.expr(true));
        let chosen = |document: Term, may: Term| r.branch(args![may, [document], Vec::<Value>::new()]);
        let sorted = documents.do_(|documents: Term| {
            documents.map(may).do_(|may: Term| {
                let chosen = r.map(args![&documents, &may], chosen).concat_map(|chosen: Term| chosen);
                obj! { "may": &may, "told": self.query(&chosen) }
            })
        });
        let sorted: Option<Sorted<T>> = conn.first(sorted).await.map_err(Error::of_sent_write)?;
        let none = || Error::internal("an insert told of nothing");
        sorted.map(|Sorted { may, told }| (may, told)).ok_or_else(none)
    }

    fn query(self, documents: &Term) -> Term {
        let insert = r.table(self.table).insert(documents).return_changes(ReturnChanges::Always);
        let insert = match self.conflict {
            None if self.grant.expires() => insert.conflict(|_: Term, old: Term, new: Term| {
                let taken = || r.error(DUPLICATE);
                self.grant.readable().of_living(&old, |old| r.branch(args![old.eq(()), &new, taken()]))
            }),
            None => insert,
            Some(conflict) if self.grant.is_open() => insert.conflict(conflict),
            Some(Conflict::Update) => insert.conflict(|_: Term, old: Term, new: Term| {
                self.grant.resolved(&old, &new, |seen| seen.merge(&new))
            }),
            Some(_) => insert
                .conflict(|_: Term, old: Term, new: Term| self.grant.resolved(&old, &new, |_| new.clone())),
        };
        self.grant.told(insert.into())
    }
}
