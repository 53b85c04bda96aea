//! Changes of all documents that match a filter.

mod one_by_one;
mod preview;
mod told;

use reql::commands::Replace;
use reql::{Term, args, obj, r};
use serde_json::Value;
use warp::http::StatusCode;
use warp::reply::Response;

use super::change::{Change, Rules};
use super::changes::{Changes, reason};
use super::list::{EXPLAIN, explanation};
use super::patch::Patch;
use super::unique::{Unique, kept};
use crate::access::Grant;
use crate::api::permission::may_read;
use crate::app::scale::Scale;
use crate::conn::Conn;
use crate::error::{Code, Error, REFUSED};
use crate::http::answer::{json, with_header};
use crate::http::body::{Body, document};
use crate::http::context::Context;
use crate::http::guards::{Guards, unkeyed};
use crate::http::headers::PREFERENCE_APPLIED;
use crate::http::negotiate::{CHANGES, JSON, MERGE_PATCH};
use crate::query::{Filter, Listing, is_document};
use told::{Counts, Representation};

/// The text of the error that a query throws if it would change too many documents.
const TOO_MANY: &str = "warp-reql: too many documents";

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
    unkeyed(&context)?;
    let key = context.app().catalog().primary_key(&mut conn, &wanted.table).await?;
    let unique = Unique::of(context.app(), conn.database(), &wanted.table);
    let body = body?;
    let growth = body.len();
    let (change, touches, unique) = match kind {
        CHANGES => {
            let changes = Changes::read(&body)?;
            grant.readable().check(changes.touched())?;
            let touches = changes.touches(&key);
            let unique =
                unique.filter(|own| !grant.is_open() || own.is_touched(|name| changes.touches(name)));
            (Change::Small(changes), touches, unique)
        }
        _ => {
            let patch = document(&body)?;
            grant.check_fields(&patch)?;
            let patch = Patch::new(patch);
            let touches = patch.touches(&key);
            let unique = unique.filter(|own| !grant.is_open() || own.is_touched(|name| patch.touches(name)));
            (Change::Merge(patch), touches, unique)
        }
    };
    drop(body);
    if touches {
        return Err(Error::bad_request("A document's id can't be changed."));
    }
    let rows = wanted.rows(&mut conn).await?;
    let rules = Rules { key: &key, schema: context.app().schema(&wanted.table), unique: unique.as_ref() };
    // A schema is checked before the result is shown, as before it is written.
    if wanted.rollback && rules.schema.is_none() {
        return wanted.shown(&rows, Some(&change), &mut conn).await;
    }
    if rules.has_any() {
        return wanted.one_by_one(&rows, &change, rules, &mut conn).await;
    }
    let replaced = |rows: Term| {
        let replaced = rows.replace(|row: Term| grant.stored(&row, |seen| change.apply(&seen)));
        wanted.written(&rows, growth, replaced)
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
    let deleted = |rows: Term| match grant.is_open() && !wanted.told {
        true => rows.delete().into(),
        false => {
            let deleted = rows.replace(|row: Term| grant.stored(&row, |_| r.expr(())));
            wanted.written(&rows, 0, deleted)
        }
    };
    wanted.counted(wanted.guarded(&rows, deleted), &mut conn).await
}

impl<'a> Wanted<'a> {
    fn of(context: &'a Context, grant: &'a Grant) -> Result<Self, Error> {
        context.accept(&[JSON])?;
        let table = context.table()?;
        let guards = Guards::of_many(context)?;
        let told = context.prefers("return") == Some("representation");
        let page = context.app().limits().page_max;
        Ok(Wanted {
            context,
            grant,
            table,
            filter: filter(context, grant)?,
            // Documents in the answer are limited to a page.
            most: if told { Some(guards.most.unwrap_or(page).min(page)) } else { guards.most },
            stated: guards.most.is_some(),
            rollback: guards.rollback,
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

    /// Returns a write that also tells the documents that it changed, if the request wants them and the
    /// answer may have them. None of them gets longer by more than `growth` bytes.
    ///
    /// The database tells all of them at once, so that their length has to be known before.
    fn written(&self, rows: &Term, growth: usize, write: Replace) -> Term {
        if !self.told {
            return write.into();
        }
        let length = |row: Term| {
            let text = self.grant.readable().bare(&row).to_json_string();
            text.coerce_to("binary").count().add(growth)
        };
        let fits = rows.map(length).sum(args![]).le(self.context.app().limits().answer);
        fits.do_(|fits: Term| {
            let written = self.grant.told(write.return_changes(fits.clone()).into());
            written.do_(|written: Term| {
                // The document before its change, if it was deleted or may not be read any more.
                let document = |change: Term| change.g("new_val").default(change.g("old_val"));
                let changes = written.g("changes").default(Vec::<Value>::new()).map(document);
                written.merge(obj! { "changes": r.branch(args![fits, changes, ()]) })
            })
        })
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
        let counts = conn.first::<Counts>(query).await.map_err(|error| self.too_many(error.of_sent_write()));
        let mut counts = counts?.unwrap_or_default();
        counts.fault = counts.first_error.take().map(|error| self.fault(error));
        let documents = counts.changes.take();
        let told = documents.and_then(|documents| Representation::of(documents, self.scale(conn)));
        self.answered(&counts, told)
    }

    /// Makes an error out of the `first_error` of a write, as that of one document makes it.
    fn fault(&self, first_error: String) -> Error {
        match reason(&first_error) {
            _ if first_error == REFUSED => self.grant.refusal(),
            Some(reason) => Error::about(Code::PatchFailed, reason),
            None => Error::of_write(first_error),
        }
    }

    fn too_many(&self, error: Error) -> Error {
        match error.cause().is_some_and(|cause| cause.contains(TOO_MANY)) {
            true => Error::about(Code::TooManyAffected, self.most.unwrap_or_default()),
            false => error,
        }
    }

    /// Returns the answer with documents; or with counts, if there are none, or some weren't changed.
    ///
    /// # Errors
    ///
    /// The error of the first document that wasn't changed, if none was.
    fn answered(&self, counts: &Counts, told: Option<Representation>) -> Result<Response, Error> {
        if let Some(fault) = &counts.fault {
            if counts.replaced + counts.unchanged + counts.deleted == 0.0 {
                return Err(fault.clone());
            }
            // Only the log has the database's own words.
            if fault.is(&[Code::Refused]) {
                log::warn!("{} documents could not be changed, the first because: {fault}", counts.errors);
            }
        }
        Ok(match told.filter(|_| counts.fault.is_none()) {
            Some(told) => self.applied(told.into_response(), true),
            None => self.applied(json(StatusCode::OK, &counts.answer()), false),
        })
    }

    /// Adds `Preference-Applied` (RFC 7240, section 3).
    fn applied(&self, response: Response, has_documents: bool) -> Response {
        let most = self.most.filter(|_| self.stated).map(|most| format!("max-affected={most}"));
        let rollback = self.rollback.then(|| "tx=rollback".to_owned());
        let told = has_documents.then(|| "return=representation".to_owned());
        let applied: Vec<_> = [most, rollback, told].into_iter().flatten().collect();
        match applied.is_empty() {
            true => response,
            false => with_header(response, PREFERENCE_APPLIED, &applied.join(", ")),
        }
    }

    fn scale(&self, conn: &Conn) -> Scale {
        self.context.app().scale(self.context.holder(conn))
    }
}

/// Returns the filter of a request. One that all documents match, such as none, or `all.()` of a client that
/// had nothing to put in there, has to be confirmed by the request.
fn filter(context: &Context, grant: &Grant) -> Result<Filter, Error> {
    let mut parameters = context.parameters()?;
    let all = parameters.take_flag("all")?;
    let filter = Listing::filter(parameters)?;
    grant.readable().check(filter.fields())?;
    match (filter.holds_always(), all) {
        (true, true) | (false, false) => Ok(filter),
        (true, false) => Err(Error::bad_request("Without a condition this needs `all=true`.")),
        (false, true) => Err(Error::bad_parameter("all", "it can't be combined with a filter")),
    }
}
