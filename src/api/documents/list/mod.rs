//! Lists of documents: pages, whole results streamed line by line, and groups.

mod features;
mod lines;
mod next;
mod values;

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{TryStreamExt, stream};
use reql::{Query, Term, r};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, LINK};
use warp::reply::{Reply, Response};

use crate::access::Grant;
use crate::api::documents::csv::{COLUMNS, CSV_WITH_NAMES, Writer, separator};
use crate::api::expand::expansions;
use crate::api::permission::may_read;
use crate::app::scale::{Scale, Weigh};
use crate::catalog::Indexes;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{json, with_header};
use crate::http::context::Context;
use crate::http::etag::{Conditions, unless_known, unless_known_with};
use crate::http::headers::{PREFERENCE_APPLIED, TOTAL_COUNT};
use crate::http::negotiate::{CSV, GEO_JSON, JSON, NDJSON};
use crate::query::{Bounds, Distinct, Grouping, Index, Kind, Listing, Path, Plan, Row};
use features::Features;
use next::next_page;

/// The bytes of rows after which a batch is full. Each client that reads slowly holds two of them.
const BATCH: usize = 512 << 10;
/// The preference to get the query instead of its result.
pub(super) const EXPLAIN: &str = "explain";

/// `GET /tables/{t}/docs`
pub(crate) async fn list(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    let table = context.table()?;
    grant.to_read()?;
    let mut parameters = context.parameters()?;
    if Grouping::is_asked_for(&parameters) {
        return groups(&table, &context, &grant, &mut conn).await;
    }
    if Distinct::is_asked_for(&parameters) {
        return values::values(&table, &context, &grant, &mut conn).await;
    }
    let explained = context.wants(EXPLAIN);
    let geo = context.wants_features() && !explained;
    let csv = context.wants_csv().then(|| separator(&mut parameters)).transpose()?;
    let lines = context.wants_lines() || csv.is_some();
    let streamed = lines && !explained;
    context.accept(match (streamed, csv) {
        (true, Some(_)) => &[CSV],
        (true, None) => &[NDJSON],
        (false, _) if geo => &[GEO_JSON],
        (false, _) => &[JSON],
    })?;
    let primary_key = context.app().catalog().primary_key(&mut conn, &table).await?;
    let from = (&table[..], &primary_key[..], &grant);
    let expansions = expansions((&context, &mut conn), from, &mut parameters).await?;
    let bounds = bounds(&context, &primary_key, &grant);
    let listing = match lines {
        true => Listing::parse_streamed(parameters, bounds)?,
        false => Listing::parse_paged(parameters, bounds)?,
    };
    let listing = listing.expanding(expansions)?;
    conn.check(listing.check()).await?;
    let mut list = List { table, listing, context, primary_key, csv, features: None };
    if geo {
        list.features = Some(list.features(&mut conn).await?);
    }
    if explained {
        return list.explain(&mut conn).await;
    }
    let total = match list.context.prefers("count") {
        Some("exact") => Some(format!("{:.0}", list.count(&mut conn).await?)),
        _ => None,
    };
    let response = match streamed {
        true => list.stream(conn).await?,
        // A condition is about the tag, which only the page has.
        false if list.context.is_head() && !Conditions::are_in(list.context.headers()) => {
            list.head(&mut conn).await?
        }
        false => list.page(&mut conn, total.as_deref()).await?,
    };
    Ok(match total {
        Some(total) => with_header(response, TOTAL_COUNT, total),
        None => response,
    })
}

/// `GET /tables/{t}/docs?group=a&agg=count`
async fn groups(name: &str, context: &Context, grant: &Grant, conn: &mut Conn) -> Result<Response, Error> {
    context.accept(&[JSON])?;
    let primary_key = context.app().catalog().primary_key(conn, name).await?;
    let bounds = bounds(context, &primary_key, grant);
    let mut grouping = Grouping::parse(context.parameters()?, bounds)?;
    conn.check(grouping.check()).await?;
    if context.wants(EXPLAIN) {
        may_read(conn, name).await?;
        let indexes = context.app().catalog().indexes(conn, name).await?;
        return Ok(explanation(context, None, &[grouping.query(&indexes.plain, &r.table(name))]));
    }
    let (groups, scale): (Vec<Box<RawValue>>, _) = loop {
        match all_by(context, name, conn, |indexes| grouping.query(indexes, &r.table(name))).await {
            Err(error) if error.is_about_a_row() && grouping.guard() => warn(name),
            groups => break groups?,
        }
    };
    let text = serde_json::to_vec(&groups).map_err(Error::internal)?;
    Ok(scale.leave_with(unless_known(context, text)?))
}

fn bounds<'a>(context: &Context, primary_key: &'a str, grant: &'a Grant) -> Bounds<'a> {
    Bounds { limits: context.app().limits().pages(), primary_key, readable: grant.readable() }
}

/// Warns of rows that a query without the guard fails on, which makes lists slower.
fn warn(table: &str) {
    log::warn!("Table `{table}` has rows that aren't documents or are nested too deeply.");
}

/// Runs a query that uses indexes, or without them if one has been dropped. The result counts as memory of
/// the answer.
async fn all_by<T: DeserializeOwned + Weigh>(
    context: &Context,
    table: &str,
    conn: &mut Conn,
    query: impl Fn(&[Index]) -> Term,
) -> Result<(Vec<T>, Scale), Error> {
    let indexes = context.app().catalog().indexes(conn, table).await?;
    match weighed(context, conn, query(&indexes.plain)).await {
        Err(error) if is_about_an_index(&error) => {
            context.app().catalog().forget_indexes(table);
            weighed(context, conn, query(&[])).await
        }
        rows => rows,
    }
}

/// Returns the rows of a query's result, and their size.
async fn weighed<T: DeserializeOwned + Weigh>(
    context: &Context,
    conn: &mut Conn,
    query: Term,
) -> Result<(Vec<T>, Scale), Error> {
    let mut scale = context.app().scale(context.holder(conn));
    let query = Query::new(query).max_batch_bytes(BATCH);
    let mut arriving = conn.stream_in_time(query).await?;
    let mut rows = Vec::new();
    while let Some(row) = arriving.try_next().await? {
        scale.add(&row)?;
        scale.in_turn().await;
        rows.push(row);
    }
    Ok((rows, scale))
}

/// A request for a list.
struct List {
    table: String,
    listing: Listing,
    context: Context,
    primary_key: String,
    /// The separator of cells, if the list is requested as CSV.
    csv: Option<u8>,
    /// The rule by which documents become features, if GeoJSON is wanted.
    features: Option<Features>,
}

impl List {
    /// Answers with a page. Its tag is also one of what its headers say: the next page, and the total.
    async fn page(&mut self, conn: &mut Conn, total: Option<&str>) -> Result<Response, Error> {
        let (mut rows, scale) = loop {
            match self.rows(conn).await {
                Err(error) if error.is_about_a_row() && self.listing.guard() => warn(&self.table),
                rows => break rows?,
            }
        };
        let limit = self.listing.limit();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| self.next_page(&row.place)).transpose()?;
        let (text, kind) = match &self.features {
            Some(features) => (features.text(rows)?, GEO_JSON),
            None => (array(rows, self.listing.is_guarded(), scale.weight())?, JSON),
        };
        let said: Vec<&str> = next.as_deref().into_iter().chain(total).collect();
        let response = scale.leave_with(unless_known_with(&self.context, text, &said)?);
        let response = match response.headers().contains_key(CONTENT_TYPE) {
            true => with_header(response, CONTENT_TYPE, kind),
            false => response,
        };
        Ok(match next {
            Some(next) => with_header(response, LINK, &format!("<{next}>; rel=\"next\"")),
            None => response,
        })
    }

    /// The way to features: by the field of a condition on places, or that of the only geo index.
    async fn features(&self, conn: &mut Conn) -> Result<Features, Error> {
        let indexes = self.context.app().catalog().indexes(conn, &self.table).await?;
        let geo: Vec<_> = indexes.plain.iter().filter(|index| index.kind == Kind::Geo).collect();
        let field = match (self.listing.place(), &geo[..]) {
            (Some(field), _) => Some(field.clone()),
            (None, [index]) => index.fields.first().cloned(),
            (None, _) => None,
        };
        let unclear = "As GeoJSON a list needs a condition on the field with the geometry, or one geo index.";
        let field = field.ok_or_else(|| Error::new(Code::NotAcceptable, unclear))?;
        Ok(Features { field, primary_key: self.primary_key.clone() })
    }

    /// The head of a page, without what only the page could tell.
    async fn head(&self, conn: &mut Conn) -> Result<Response, Error> {
        may_read(conn, &self.table).await?;
        self.plans(conn).await?;
        let none = stream::empty::<Result<Vec<u8>, Infallible>>();
        let kind = if self.features.is_some() { GEO_JSON } else { JSON };
        Ok(with_header(warp::reply::stream(none).into_response(), CONTENT_TYPE, kind))
    }

    /// Returns the URL of the next page, with a cursor of these sort keys, or with an offset if the cursor
    /// would be too long for a URL.
    fn next_page(&self, place: &RawValue) -> Result<String, Error> {
        let (limits, query) = (self.context.app().limits(), self.context.raw_query());
        let path = self.context.within(&format!("/tables/{}/docs", self.table))?;
        let url = next_page(&path, query, "cursor", place.get());
        if url.len() as u64 <= limits.url {
            return Ok(url);
        }
        let offset = self.listing.next_offset().filter(|offset| *offset <= limits.offset_max);
        let offset = offset.ok_or_else(|| {
            let reason = "a document has a value there that is too long for the next page to begin at";
            Error::bad_parameter("order", reason)
        });
        Ok(next_page(&path, query, "offset", &offset?.to_string()))
    }

    /// Returns the rows of a page, and their size.
    async fn rows(&self, conn: &mut Conn) -> Result<(Vec<Row>, Scale), Error> {
        let mut plans = self.plans(conn).await?.into_iter();
        loop {
            let plan = plans.next().unwrap_or_else(|| self.listing.whole());
            let query = self.listing.page(&plan, &r.table(&self.table));
            match weighed(&self.context, conn, query).await {
                Err(error) if plans.len() > 0 && self.can_do_without(&plan, &error) => {}
                rows => return rows,
            }
        }
    }

    /// Streams the whole result, one document in each line. An error in the middle aborts the body, so that
    /// no client takes an incomplete result for the whole.
    async fn stream(&mut self, mut conn: Conn) -> Result<Response, Error> {
        // A stream can't be retried with a guard, so it has one from the beginning.
        if self.listing.looks_into_rows() {
            self.listing.guard();
        }
        let share = self.context.app().stream(self.context.holder(&conn))?;
        let csv = match self.csv {
            Some(separator) => Some(Writer::new(separator, self.columns(&mut conn).await?)),
            None => None,
        };
        let mut plans = self.plans(&mut conn).await?.into_iter();
        loop {
            let plan = plans.next().unwrap_or_else(|| self.listing.whole());
            let parts = self.listing.stream(&plan, &r.table(&self.table));
            let spare = conn.sibling();
            match lines::begin(conn, parts, csv.clone()).await {
                Err(error) if plans.len() > 0 && self.can_do_without(&plan, &error) => conn = spare,
                Err(error) => return Err(error),
                Ok(lines) => {
                    let response = warp::reply::stream(lines.holding(share)).into_response();
                    let kind = if csv.is_some() { CSV_WITH_NAMES } else { NDJSON };
                    return Ok(with_header(response, CONTENT_TYPE, kind));
                }
            }
        }
    }

    /// Returns the columns of CSV: the fields that the request selects, or all fields of the documents.
    async fn columns(&mut self, conn: &mut Conn) -> Result<Vec<Path>, Error> {
        if let Some(chosen) = self.listing.chosen() {
            return Ok(chosen);
        }
        // Rows that aren't documents have no fields.
        self.listing.guard();
        let query = |indexes: &[Index]| self.listing.names(indexes, &r.table(&self.table), COLUMNS + 1);
        let (names, _) = all_by::<String>(&self.context, &self.table, conn, query).await?;
        if names.len() > COLUMNS {
            let reason = format!("the documents have more than {COLUMNS} fields: choose some of them");
            return Err(Error::bad_parameter("select", reason));
        }
        let (first, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| *name == self.primary_key);
        let (own, expanded) = (first.into_iter().chain(others), self.listing.expanded());
        Ok(own.map(|name| Path::whole(&name)).chain(expanded).collect())
    }

    async fn count(&mut self, conn: &mut Conn) -> Result<f64, Error> {
        loop {
            let query = |indexes: &[Index]| self.listing.count(indexes, &r.table(&self.table));
            match all_by::<f64>(&self.context, &self.table, conn, query).await {
                Err(error) if error.is_about_a_row() && self.listing.guard() => warn(&self.table),
                counts => break counts.map(|(counts, _)| counts.into_iter().next().unwrap_or_default()),
            }
        }
    }

    /// Answers with the query that would run, and the index that it uses.
    async fn explain(&mut self, conn: &mut Conn) -> Result<Response, Error> {
        // No other query checks the user's permission here.
        may_read(conn, &self.table).await?;
        let plans = self.plans(conn).await?;
        let plan = plans.into_iter().next().unwrap_or_else(|| self.listing.whole());
        let queries = match self.context.wants_lines() || self.csv.is_some() {
            true => self.listing.stream(&plan, &r.table(&self.table)),
            false => vec![self.listing.page(&plan, &r.table(&self.table))],
        };
        Ok(explanation(&self.context, plan.index(), &queries))
    }

    async fn plans(&self, conn: &mut Conn) -> Result<Vec<Plan>, Error> {
        let mut indexes = self.context.app().catalog().indexes(conn, &self.table).await?;
        if self.names_none_of(&indexes) {
            // The index may have been created since.
            self.context.app().catalog().doubt_indexes(&self.table);
            indexes = self.context.app().catalog().indexes(conn, &self.table).await?;
            if self.names_none_of(&indexes) {
                return Err(Error::from(Code::NoSuchIndex));
            }
        }
        self.listing.plans(&indexes.plain)
    }

    fn names_none_of(&self, indexes: &Arc<Indexes>) -> bool {
        self.listing.index().is_some_and(|name| name != self.primary_key && !indexes.has(name))
    }

    /// Returns whether another plan may succeed: the index was dropped, or it found too many rows to sort.
    fn can_do_without(&self, plan: &Plan, error: &Error) -> bool {
        if is_about_an_index(error) {
            self.context.app().catalog().forget_indexes(&self.table);
            return true;
        }
        plan.index().is_some() && error.code() == Code::ResourceLimit
    }
}

/// Returns the documents of rows as a JSON array of about `weight` bytes. With `are_texts`, each is a string
/// of JSON. Each row is dropped once it is written, so that a large page isn't in memory twice.
fn array(rows: Vec<Row>, are_texts: bool, weight: usize) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(weight);
    text.push(b'[');
    for row in rows {
        if text.len() > 1 {
            text.push(b',');
        }
        match are_texts {
            true => {
                let document: String = serde_json::from_str(row.doc.get()).map_err(Error::internal)?;
                text.extend_from_slice(document.as_bytes());
            }
            false => row.write(&mut text)?,
        }
    }
    text.push(b']');
    Ok(text)
}

fn is_about_an_index(error: &Error) -> bool {
    error.code() == Code::NoSuchIndex
}

pub(super) fn explanation(context: &Context, index: Option<&str>, queries: &[Term]) -> Response {
    let reql: Vec<_> = queries.iter().map(Term::to_string).collect();
    let mut explained = serde_json::json!({ "index": index, "reql": reql.join("\n") });
    if let Ok(Some(database)) = context.database_name() {
        explained["database"] = database.into();
    }
    with_header(json(StatusCode::OK, &explained), PREFERENCE_APPLIED, EXPLAIN)
}
