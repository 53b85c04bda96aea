//! Lists of documents: pages, and whole results streamed line by line.

use futures_util::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reql::r;
use serde_json::Value;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderName, LINK};
use warp::reply::{Reply, Response};

use super::answer::{json, with_header};
use super::call::{Call, JSON, NDJSON, name};
use crate::conn::Conn;
use crate::error::Error;
use crate::query::{Bounds, Listing, Row};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// `GET /tables/{t}/docs`
pub(super) async fn list(table: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    let table = name(&table)?;
    let parameters = call.parameters()?;
    let accepted = call.accept(if call.asks_for(NDJSON) { &[NDJSON] } else { &[JSON, NDJSON] })?;
    let primary_key = call.app.primary_key(&mut conn, &table).await?;
    let bounds = Bounds { limits: call.app.limits(), primary_key: &primary_key };
    let listing = Listing::parse(parameters, bounds)?;
    let total = match call.prefers("count") {
        Some("exact") => conn.first::<f64>(listing.count(r.table(table.clone()))).await?,
        _ => None,
    };
    let response = match accepted {
        NDJSON => stream(&table, &listing, conn).await?,
        _ => page(&table, &listing, &call, &mut conn).await?,
    };
    Ok(match total {
        Some(total) => with_header(response, TOTAL_COUNT, &format!("{total:.0}")),
        None => response,
    })
}

async fn page(table: &str, listing: &Listing, call: &Call, conn: &mut Conn) -> Result<Response, Error> {
    let mut rows: Vec<Row> = conn.all(listing.page(r.table(table.to_owned()))?).await?;
    let more = rows.len() > listing.limit();
    rows.truncate(listing.limit());
    let next = rows.last().filter(|_| more).map(|row| next_page(table, call.raw_query(), &row.place));
    let documents: Vec<Value> = rows.into_iter().map(|row| row.doc).collect();
    let response = json(StatusCode::OK, &documents);
    Ok(match next {
        Some(next) => with_header(response, LINK, &format!("<{next}>; rel=\"next\"")),
        None => response,
    })
}

/// The URL of the next page: this one's, but from another place.
fn next_page(table: &str, query: &str, place: &Value) -> String {
    let cursor = utf8_percent_encode(&place.to_string(), NON_ALPHANUMERIC).to_string();
    let stays =
        |part: &&str| !part.is_empty() && !part.starts_with("cursor=") && !part.starts_with("offset=");
    let parts: Vec<_> = query.split('&').filter(stays).chain([cursor.as_str()]).collect();
    let (last, parts) = parts.split_last().unwrap_or((&"", &[]));
    let start = parts.iter().map(|part| format!("{part}&")).collect::<String>();
    format!("/tables/{table}/docs?{start}cursor={last}")
}

/// The whole result, one document in each line, as the database gives it out. An error in the middle of it breaks the
/// body off, so that nobody takes half a result for all of it.
async fn stream(table: &str, listing: &Listing, conn: Conn) -> Result<Response, Error> {
    let rows = conn.into_stream::<Value>(listing.stream(r.table(table.to_owned()))?).await?;
    let mut rows = Box::pin(rows.peekable());
    // The first row tells whether there is a result at all; until then the status can still say so.
    if rows.as_mut().peek().await.is_some_and(Result::is_err)
        && let Some(Err(error)) = rows.next().await
    {
        return Err(error);
    }
    let lines = rows.map(|row| row.map(lines));
    let response = warp::reply::stream(lines).into_response();
    Ok(with_header(response, CONTENT_TYPE, NDJSON))
}

/// Documents as lines. What the database sorted in memory arrives as one array.
fn lines(row: Value) -> String {
    match row {
        Value::Array(documents) => documents.iter().map(|document| format!("{document}\n")).collect(),
        document => format!("{document}\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_keeps_the_other_parameters() {
        let url = next_page("t", "limit=2&offset=4&age=gte.18", &json!([1]));
        assert_eq!(url, "/tables/t/docs?limit=2&age=gte.18&cursor=%5B1%5D");
        assert_eq!(next_page("t", "", &json!(["a"])), "/tables/t/docs?cursor=%5B%22a%22%5D");
    }
}
