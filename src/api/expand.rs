//! The related documents that a request asks for: its wishes, with what is known of the tables that they
//! lead to, and what whoever asks may read there.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::query::{Bounds, Expansion, Index, PageLimits, Parameters, Relation, USUAL, Wish, size};

/// The most levels of expansions within each other.
const DEPTH: usize = 3;

/// Takes `expand` out of the parameters of a request for documents of a table.
///
/// # Errors
///
/// [`Code::BadParameter`] if there is no such relation, or more is asked for than `limits.expand`;
/// [`Code::Forbidden`] if whoever asks may read nothing there, or not the field that refers.
pub(super) async fn expansions(
    (context, conn): (&Context, &mut Conn),
    (table, primary_key, grant): (&str, &str, &Grant),
    parameters: &mut Parameters,
) -> Result<Vec<Expansion>, Error> {
    let wishes = Wish::take(parameters)?;
    let expansions = resolved((context, conn), (table, primary_key, grant), wishes, 1).await?;
    let (size, most) = (size(&expansions), context.app().limits().expand);
    if size > most {
        let reason = format!("it may tell of {most} documents for each at most, and asks for {size}");
        return Err(Error::bad_parameter("expand", reason));
    }
    Ok(expansions)
}

/// Calls itself no deeper than [`DEPTH`].
fn resolved<'a>(
    (context, conn): (&'a Context, &'a mut Conn),
    (table, primary_key, grant): (&'a str, &'a str, &'a Grant),
    wishes: Vec<Wish>,
    depth: usize,
) -> BoxFuture<'a, Result<Vec<Expansion>, Error>> {
    let resolved = async move {
        if depth > DEPTH && !wishes.is_empty() {
            return Err(Error::bad_parameter("expand", format!("it may be {DEPTH} levels deep at most")));
        }
        let mut expansions = Vec::new();
        for Wish { relation, mut parameters } in wishes {
            let relation = context.app().relation(table, &relation).ok_or_else(|| {
                Error::bad_parameter("expand", format!("`{table}` has no relation `{relation}`"))
            })?;
            grant.readable().check(&relation.field)?;
            let there = context.grant(&relation.to);
            there.to_read()?;
            let index = index(&relation, context, conn).await?;
            let key = context.app().catalog().primary_key(conn, &relation.to).await?;
            let nested = Wish::take(&mut parameters)?;
            let nested =
                resolved((context, &mut *conn), (&relation.to, &key, &there), nested, depth + 1).await?;
            let most = context.app().limits().expand;
            let limits = PageLimits { page: USUAL.min(most), page_max: most, offset_max: 0 };
            let bounds = Bounds { limits, primary_key: &key, readable: there.readable() };
            let by = (relation, primary_key);
            expansions.push(Expansion::new(parameters, by, (bounds, index.as_ref()), nested)?);
        }
        Ok(expansions)
    };
    resolved.boxed()
}

/// Returns what is known of the index that a relation goes by.
async fn index(relation: &Relation, context: &Context, conn: &mut Conn) -> Result<Option<Index>, Error> {
    let Some(name) = &relation.index else { return Ok(None) };
    let catalog = context.app().catalog();
    let mut known = catalog.indexes(conn, &relation.to).await?;
    if !known.has(name) {
        // It may have been made since.
        catalog.doubt_indexes(&relation.to);
        known = catalog.indexes(conn, &relation.to).await?;
        if !known.has(name) {
            return Err(Error::from(Code::NoSuchIndex));
        }
    }
    Ok(known.plain.iter().find(|index| index.name == *name).cloned())
}
