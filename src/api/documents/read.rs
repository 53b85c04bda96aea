//! Reads of one document.

use reql::{Term, args, r};
use serde_json::Value;
use warp::http::StatusCode;
use warp::reply::Response;

use super::write::{Target, json};
use crate::access::Grant;
use crate::app::scale::Scale;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{empty, json_text};
use crate::http::context::Context;
use crate::http::etag::{Conditions, tag, tagged};
use crate::http::negotiate::JSON;
use crate::query::Fields;

/// `GET /tables/{t}/docs/{id}`: the document, or some of its fields.
pub(super) async fn get_one(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    let mut parameters = context.parameters()?;
    let fields = Fields::take(&mut parameters)?;
    parameters.finish()?;
    context.accept(&[JSON])?;
    let (table, id) = (context.table()?, context.document()?);
    let conditions = Conditions::of(context.headers())?;
    grant.to_read()?;
    let target = Target { table: &table, id: &id, grant: &grant };
    let mut scale = context.app().scale(context.holder(&conn));
    let Some((text, told)) = target.read_fields(&mut conn, &fields, &mut scale).await? else {
        let missing = Error::from(Code::NoSuchDocument);
        return Err(if conditions.match_holds(None) {
            missing
        } else {
            Error::from(Code::PreconditionFailed)
        });
    };
    // The tag of the visible document, even if fewer fields are selected, since conditions of changes use it.
    let tag = tag(&text);
    let text = told.unwrap_or(text);
    if !conditions.match_holds(Some(&tag)) {
        return Err(Error::from(Code::PreconditionFailed));
    }
    Ok(match conditions.none_match_holds(Some(&tag)) {
        true => scale.leave_with(tagged(json_text(StatusCode::OK, text), &tag)),
        false => tagged(empty(StatusCode::NOT_MODIFIED), conditions.known(&tag)),
    })
}

impl Target<'_> {
    /// Reads the document, if it exists, and its selected fields unless those are all. Both count as memory
    /// of the answer.
    async fn read_fields(
        self,
        conn: &mut Conn,
        fields: &Fields,
        scale: &mut Scale,
    ) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>, Error> {
        if fields.are_all() {
            return Ok(self.text(conn, scale).await?.map(|text| (text, None)));
        }
        let told = |row: Term| r.branch(args![row.eq(()), (), [&row, &fields.of(&row)]]);
        let query = self.seen().do_(told);
        let read: Option<(Value, Value)> = conn.first(query).await?;
        let read = read.map(|(stored, told)| {
            scale.add(&stored)?;
            scale.add(&told)?;
            Ok((json(&stored)?, Some(json(&told)?)))
        });
        read.transpose()
    }

    /// Returns the JSON of the document, if it exists. If it is nested too deeply to be parsed, the database
    /// converts it into text.
    async fn text(self, conn: &mut Conn, scale: &mut Scale) -> Result<Option<Vec<u8>>, Error> {
        match conn.first::<Value>(self.seen()).await {
            Err(error) if error.is_about_a_row() => {
                let text = conn.first::<String>(self.seen().to_json_string()).await?;
                let text = text.filter(|text| text != "null").map(String::into_bytes);
                text.map(|text| scale.add_bytes(text.len()).map(|()| text)).transpose()
            }
            stored => {
                let text = |stored: &Value| scale.add(stored).and_then(|()| json(stored));
                stored?.as_ref().map(text).transpose()
            }
        }
    }
}
