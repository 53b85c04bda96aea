//! Reads of one document.

use reql::{Term, args, r};
use serde_json::value::RawValue;
use warp::reply::Response;

use super::write::Target;
use crate::access::Grant;
use crate::api::expand::expansions;
use crate::app::scale::Scale;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::http::etag::{Conditions, tag};
use crate::http::negotiate::JSON;
use crate::query::{Fields, Told};

/// `GET /tables/{t}/docs/{id}`: the document, or some of its fields.
pub(super) async fn get_one(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    let mut parameters = context.parameters()?;
    let fields = Fields::take(&mut parameters)?;
    context.accept(&[JSON])?;
    let (table, id) = (context.table()?, context.document()?);
    let conditions = Conditions::of(context.headers())?;
    grant.to_read()?;
    let told = match parameters.has("expand") {
        true => {
            let key = context.app().catalog().primary_key(&mut conn, &table).await?;
            let from = (&table[..], &key[..], &grant);
            Told::new(fields, expansions((&context, &mut conn), from, &mut parameters).await?)?
        }
        false => Told::new(fields, Vec::new())?,
    };
    parameters.finish()?;
    conn.check(told.check()).await?;
    let target = Target { table: &table, id: &id, grant: &grant };
    let mut scale = context.app().scale(context.holder(&conn));
    let Some((text, part)) = target.read_told(&mut conn, &told, &mut scale).await? else {
        conditions.check_match(None)?;
        return Err(Error::from(Code::NoSuchDocument));
    };
    // The tag of the visible document, even if fewer fields are selected, since conditions of changes use it.
    // Related documents change without the document, so that with them the answer has a tag of its own.
    let tag = match &part {
        Some(part) if told.is_expanded() => tag(part),
        _ => tag(&text),
    };
    conditions.check_match(Some(&tag))?;
    let text = part.unwrap_or(text);
    Ok(scale.leave_with(conditions.unless_known(&tag, text)))
}

impl Target<'_> {
    /// Reads the document, if it exists, and its selected fields unless those are all. Both count as memory
    /// of the answer.
    async fn read_told(
        self,
        conn: &mut Conn,
        told: &Told,
        scale: &mut Scale,
    ) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>, Error> {
        if told.is_all() {
            return Ok(self.text(conn, scale).await?.map(|text| (text, None)));
        }
        let both = |row: Term| r.branch(args![row.eq(()), (), [&row, &told.of(&row)]]);
        let query = self.seen().do_(both);
        let read: Option<(Box<RawValue>, Box<RawValue>)> = conn.first(query).await?;
        let read = read.map(|(stored, told)| {
            scale.add(&stored)?;
            scale.add(&told)?;
            Ok((text(stored), Some(text(told))))
        });
        read.transpose()
    }

    /// Returns the document as the database writes it, if it exists.
    async fn text(self, conn: &mut Conn, scale: &mut Scale) -> Result<Option<Vec<u8>>, Error> {
        let query = match self.grant.readable() {
            readable if readable.is_all() => self.row(),
            readable => self.row().do_(|row: Term| readable.seen_briefly(&row)),
        };
        let stored = match conn.first::<Box<RawValue>>(query).await {
            // Rules allow documents only, so what isn't one is nobody's.
            Err(error) if error.is_about_a_row() && !self.grant.readable().is_all() => None,
            stored => stored?,
        };
        stored.map(|stored| scale.add(&stored).map(|()| text(stored))).transpose()
    }
}

/// Returns JSON as bytes.
fn text(json: Box<RawValue>) -> Vec<u8> {
    Box::<str>::from(json).into_string().into_bytes()
}
