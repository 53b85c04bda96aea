//! Changes of all documents that match a filter.

use futures_util::StreamExt;
use reql::commands::Replace;
use reql::{Term, args, obj, r};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use super::change::{Change, Rules};
use super::changes::{Changes, reason, undone};
use super::list::{EXPLAIN, explanation};
use super::patch::Patch;
use super::unique::{Unique, kept};
use super::write::Target;
use crate::access::Grant;
use crate::api::permission::may_read;
use crate::conn::Conn;
use crate::error::{Code, Error, REFUSED};
use crate::http::answer::{self, with_header};
use crate::http::body::{Body, document};
use crate::http::context::Context;
use crate::http::headers::PREFERENCE_APPLIED;
use crate::http::negotiate::{CHANGES, JSON, MERGE_PATCH};
use crate::query::{Filter, Listing, is_document};

/// The most documents of one change in a table with a schema or of unique fields.
const MOST: usize = 10_000;
/// The text of the error that a query throws if it would change too many documents.
const TOO_MANY: &str = "warp-reql: too many documents";

/// The database's counts of a write.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    replaced: f64,
    unchanged: f64,
    deleted: f64,
    skipped: f64,
    errors: f64,
    first_error: Option<String>,
    changes: Vec<Told>,
}

/// A document before and after its change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    old_val: Option<Box<RawValue>>,
    new_val: Option<Box<RawValue>>,
}

/// The options of a change of many documents.
struct Wanted<'a> {
    context: &'a Context,
    grant: &'a Grant,
    table: String,
    filter: Filter,
    /// The most documents that may be changed (`Prefer: max-affected=N`).
    most: Option<usize>,
    /// `true` if the request has set `max-affected`.
    stated: bool,
    /// `true` if nothing is to be changed, and only the result to be shown (`Prefer: tx=rollback`).
    rollback: bool,
    /// `true` if the answer has the changed documents (`Prefer: return=representation`).
    told: bool,
}

/// `PATCH /tables/{t}/docs?filter`
pub(crate) async fn patch(context: Context, body: Body, conn: Conn, grant: Grant) -> Result<Response, Error> {
    kept(change, context, body, conn, grant).await
}

async fn change(context: Context, body: Body, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    let kind = context.body_among(&[MERGE_PATCH, JSON, CHANGES])?;
    grant.to_change()?;
    let wanted = Wanted::of(&context, &grant)?;
    let key = context.app().catalog().primary_key(&mut conn, &wanted.table).await?;
    let unique = Unique::of(context.app(), conn.database(), &wanted.table);
    let (change, touches, unique) = match kind {
        CHANGES => {
            let changes = Changes::read(&body?)?;
            grant.check_fields(&changes.touched())?;
            let touches = changes.touches(&key);
            let unique =
                unique.filter(|own| !grant.is_open() || own.is_touched(|name| changes.touches(name)));
            (Change::Small(changes), touches, unique)
        }
        _ => {
            let patch = document(&body?)?;
            grant.check_fields(&patch)?;
            let patch = Patch::new(patch);
            let touches = patch.touches(&key);
            let unique = unique.filter(|own| !grant.is_open() || own.is_touched(|name| patch.touches(name)));
            (Change::Merge(patch), touches, unique)
        }
    };
    if touches {
        return Err(Error::bad_request("A document's id can't be changed."));
    }
    let rows = wanted.rows(&mut conn).await?;
    let rules = Rules { key: &key, schema: context.app().schema(&wanted.table), unique: unique.as_ref() };
    if wanted.rollback {
        return wanted.shown(&rows, Some(&change), &mut conn).await;
    }
    if rules.has_any() {
        return wanted.one_by_one(&rows, &change, rules, &mut conn).await;
    }
    let replaced = |rows: Term| {
        let replaced = rows.replace(|row: Term| grant.stored(&row, |seen| change.apply(&seen)));
        wanted.with_changes(replaced)
    };
    wanted.counted(wanted.guarded(&rows, replaced), &mut conn).await
}

/// `DELETE /tables/{t}/docs?filter`
pub(crate) async fn delete(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    grant.to_delete()?;
    let wanted = Wanted::of(&context, &grant)?;
    let rows = wanted.rows(&mut conn).await?;
    if wanted.rollback {
        return wanted.shown(&rows, None, &mut conn).await;
    }
    let deleted = |rows: Term| match grant.is_open() {
        true if wanted.told => rows.delete().return_changes(true).into(),
        true => rows.delete().into(),
        false => {
            let deleted = rows.replace(|row: Term| grant.stored(&row, |_| r.expr(())));
            wanted.with_changes(deleted)
        }
    };
    wanted.counted(wanted.guarded(&rows, deleted), &mut conn).await
}

impl<'a> Wanted<'a> {
    fn of(context: &'a Context, grant: &'a Grant) -> Result<Self, Error> {
        context.accept(&[JSON])?;
        let most = context.prefers("max-affected").map(|most| {
            most.parse().map_err(|_| Error::bad_request("`Prefer: max-affected` takes a whole number."))
        });
        let told = context.prefers("return") == Some("representation");
        let page = context.app().limits().page_max;
        let most = most.transpose()?;
        Ok(Wanted {
            context,
            grant,
            table: context.table()?,
            filter: filter(context, grant)?,
            // Documents in the answer are limited to a page.
            most: if told { Some(most.unwrap_or(page).min(page)) } else { most },
            stated: most.is_some(),
            rollback: context.prefers("tx") == Some("rollback"),
            told,
        })
    }

    /// Returns the term of the documents to change.
    async fn rows(&self, conn: &mut Conn) -> Result<Term, Error> {
        conn.check(self.filter.check()).await?;
        let rows = r.table(&self.table);
        if self.filter.is_empty() && self.grant.is_open() {
            return Ok(rows.into());
        }
        let holds = |row: Term| {
            let may = self.grant.readable().holds(&row);
            let conditions = [may, Some(self.filter.holds(&row))].into_iter().flatten();
            conditions.fold(is_document(&row), |all, one| all & one)
        };
        Ok(rows.filter(holds).into())
    }

    /// Returns the visible part of a document.
    fn seen(&self, row: &Term) -> Term {
        match self.grant.readable() {
            readable if readable.is_all() => row.clone(),
            readable => readable.seen(row),
        }
    }

    /// Adds `return_changes` to a write if the answer has the changed documents.
    fn with_changes(&self, write: Replace) -> Term {
        match self.told {
            true => self.grant.told(write.return_changes(true).into()),
            false => write.into(),
        }
    }

    /// Guards a write, so that it fails before writing anything if there are too many documents.
    fn guarded(&self, rows: &Term, write: impl FnOnce(Term) -> Term) -> Term {
        match self.most {
            None => write(rows.clone()),
            // The limit makes sure that documents that match meanwhile aren't changed.
            Some(most) => {
                let too_many = rows.limit(most.saturating_add(1)).count().gt(most);
                r.branch(args![too_many, r.error(TOO_MANY), write(rows.limit(most))])
            }
        }
    }

    /// Returns the query instead of its result, if that is wanted (`Prefer: explain`).
    async fn explained(&self, query: &Term, conn: &mut Conn) -> Result<Option<Response>, Error> {
        if !self.context.wants(EXPLAIN) {
            return Ok(None);
        }
        may_read(conn, &self.table).await?;
        Ok(Some(explanation(self.context, None, std::slice::from_ref(query))))
    }

    async fn counted(&self, query: Term, conn: &mut Conn) -> Result<Response, Error> {
        if let Some(explanation) = self.explained(&query, conn).await? {
            return Ok(explanation);
        }
        let counts: Counts =
            conn.first(query).await.map_err(|error| self.too_many(error))?.unwrap_or_default();
        let is_refused = counts.first_error.as_deref() == Some(REFUSED);
        if is_refused && counts.replaced + counts.unchanged + counts.deleted == 0.0 {
            return Err(self.grant.refusal());
        }
        if let Some(error) = counts.first_error.as_ref().filter(|_| !is_refused) {
            if let Some(reason) = reason(error).filter(|_| counts.replaced + counts.unchanged == 0.0) {
                return Err(Error::about(Code::PatchFailed, reason));
            }
            log::warn!("{} documents could not be changed, the first because: {error}", counts.errors);
        }
        if !self.told {
            return Ok(self.applied(answer::json(StatusCode::OK, &counts.answer())));
        }
        let documents: Vec<_> = counts.changes.into_iter().map(Told::document).collect();
        Ok(self.applied(answer::json(StatusCode::OK, &documents)))
    }

    fn too_many(&self, error: Error) -> Error {
        match error.cause().is_some_and(|cause| cause.contains(TOO_MANY)) {
            true => Error::about(Code::TooManyAffected, self.most.unwrap_or_default()),
            false => error,
        }
    }

    /// Adds `Preference-Applied` (RFC 7240, section 3).
    fn applied(&self, response: Response) -> Response {
        let most = self.most.filter(|_| self.stated).map(|most| format!("max-affected={most}"));
        let rollback = self.rollback.then(|| "tx=rollback".to_owned());
        let told = self.told.then(|| "return=representation".to_owned());
        let applied: Vec<_> = [most, rollback, told].into_iter().flatten().collect();
        match applied.is_empty() {
            true => response,
            false => with_header(response, PREFERENCE_APPLIED, &applied.join(", ")),
        }
    }

    /// Answers with the result of a change, or of a deletion, without making it.
    async fn shown(&self, rows: &Term, change: Option<&Change>, conn: &mut Conn) -> Result<Response, Error> {
        let made = |row: &Term| match change {
            Some(change) => self.grant.made(row, &change.apply(&self.seen(row))),
            None => r.expr(()),
        };
        let may = |row: &Term| match change {
            Some(_) => self.grant.may_change(row, &made(row)),
            None => self.grant.may_delete(row),
        };
        let may = |row: &Term| may(row).unwrap_or_else(|| r.expr(true));
        let told = |rows: Term| {
            let done = match self.told {
                true => rows
                    .filter(|row: Term| may(&row))
                    .map(|row: Term| obj! { "new_val": self.seen(&made(&row)), "old_val": self.seen(&row) })
                    .coerce_to("array"),
                false => rows.filter(|row: Term| may(&row) & made(&row).ne(&row)).count(),
            };
            r.expr([done, rows.count(), rows.filter(|row: Term| !may(&row)).count()])
        };
        let query = self.guarded(rows, told);
        if let Some(explanation) = self.explained(&query, conn).await? {
            return Ok(explanation);
        }
        let told: Option<(Box<RawValue>, f64, f64)> =
            conn.first(query).await.map_err(|error| self.too_many(undone(error)))?;
        let (done, all, refused) = told.ok_or_else(|| Error::internal("a preview told of nothing"))?;
        if refused > 0.0 && refused == all {
            return Err(self.grant.refusal());
        }
        if self.told {
            let shown: Vec<Told> = serde_json::from_str(done.get()).map_err(Error::internal)?;
            let documents: Vec<_> = shown.into_iter().map(Told::document).collect();
            return Ok(self.applied(answer::json(StatusCode::OK, &documents)));
        }
        let done: f64 = serde_json::from_str(done.get()).map_err(Error::internal)?;
        let counts = match change {
            Some(_) => Counts { replaced: done, unchanged: all - refused - done, ..Counts::default() },
            None => Counts { deleted: done, ..Counts::default() },
        };
        Ok(self.applied(answer::json(StatusCode::OK, &Counts { errors: refused, ..counts }.answer())))
    }

    /// Changes the documents of a table with a schema, or none if one of the results would violate it.
    async fn one_by_one(
        &self,
        rows: &Term,
        change: &Change,
        rules: Rules<'_>,
        conn: &mut Conn,
    ) -> Result<Response, Error> {
        let most = self.most.unwrap_or(MOST).min(MOST);
        let made = rows.limit(most + 1).map(|row: Term| {
            let seen = self.seen(&row);
            r.expr([row.g(rules.key), change.apply(&seen)])
        });
        if let Some(explanation) = self.explained(&made, conn).await? {
            return Ok(explanation);
        }
        let mut made = conn.sibling().into_stream::<(Value, Value)>(made).await.map_err(undone)?;
        let mut ids = Vec::new();
        while let Some(row) = made.next().await {
            let (id, new) = row.map_err(undone)?;
            rules.check(&new)?;
            ids.push(id);
        }
        if ids.len() > most {
            return Err(Error::about(Code::TooManyAffected, most));
        }
        let mut counts = Counts::default();
        for id in ids {
            let target = Target { table: &self.table, id: &id, grant: self.grant };
            match target.change_if(conn, &self.filter, change, rules).await {
                Ok(Some(written)) if written.has_replaced() => {
                    counts.replaced += 1.0;
                    let new_val = written.document().filter(|_| self.told).map(ToOwned::to_owned);
                    counts.changes.push(Told { new_val, ..Told::default() });
                }
                Ok(Some(_)) => counts.unchanged += 1.0,
                Ok(None) => counts.skipped += 1.0,
                Err(error) if error.status().is_client_error() => counts.errors += 1.0,
                Err(error) => return Err(error),
            }
        }
        if !self.told {
            return Ok(self.applied(answer::json(StatusCode::OK, &counts.answer())));
        }
        let documents: Vec<_> = counts.changes.into_iter().map(Told::document).collect();
        Ok(self.applied(answer::json(StatusCode::OK, &documents)))
    }
}

impl Counts {
    fn answer(&self) -> Value {
        json!({
            "replaced": self.replaced as u64,
            "unchanged": self.unchanged as u64,
            "deleted": self.deleted as u64,
            "skipped": self.skipped as u64,
            "errors": self.errors as u64,
        })
    }
}

impl Told {
    /// Returns the document after its change, or before if it was deleted.
    fn document(self) -> Option<Box<RawValue>> {
        self.new_val.or(self.old_val)
    }
}

/// Returns the filter of a request. An empty one, for all documents, has to be confirmed by the request.
fn filter(context: &Context, grant: &Grant) -> Result<Filter, Error> {
    let mut parameters = context.parameters()?;
    let all = parameters.take_flag("all")?;
    let filter = Listing::filter(parameters)?;
    grant.readable().check(filter.fields())?;
    match (filter.is_empty(), all) {
        (true, true) | (false, false) => Ok(filter),
        (true, false) => Err(Error::bad_request("Without a filter this needs `all=true`.")),
        (false, true) => Err(Error::bad_parameter("all", "it can't be combined with a filter")),
    }
}
