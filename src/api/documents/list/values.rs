//! The values that a field has, each once: `distinct=FIELD`.

use reql::r;
use serde_json::value::RawValue;
use warp::reply::Response;

use super::{EXPLAIN, all_by, bounds, explanation, warn};
use crate::access::Grant;
use crate::api::permission::may_read;
use crate::conn::Conn;
use crate::error::Error;
use crate::http::context::Context;
use crate::http::etag::unless_known;
use crate::http::negotiate::JSON;
use crate::query::Distinct;

/// `GET /tables/{t}/docs?distinct=a`
pub(super) async fn values(
    name: &str,
    context: &Context,
    grant: &Grant,
    conn: &mut Conn,
) -> Result<Response, Error> {
    context.accept(&[JSON])?;
    let primary_key = context.app().catalog().primary_key(conn, name).await?;
    let mut distinct = Distinct::parse(context.parameters()?, bounds(context, &primary_key, grant))?;
    conn.check(distinct.check()).await?;
    if context.wants(EXPLAIN) {
        may_read(conn, name).await?;
        let indexes = context.app().catalog().indexes(conn, name).await?;
        let query = distinct.query(&indexes.plain, &r.table(name));
        return Ok(explanation(context, distinct.index(&indexes.plain), &[query]));
    }
    let (values, scale): (Vec<Box<RawValue>>, _) = loop {
        match all_by(context, name, conn, |indexes| distinct.query(indexes, &r.table(name))).await {
            Err(error) if error.is_about_a_row() && distinct.guard() => warn(name),
            values => break values?,
        }
    };
    let text = serde_json::to_vec(&values).map_err(Error::internal)?;
    Ok(scale.leave_with(unless_known(context, text)?))
}
