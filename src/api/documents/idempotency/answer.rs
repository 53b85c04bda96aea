//! Stored answers.
//!
//! Only this service writes records, but administrators, backups and other versions of the service may have
//! changed them. So a stored answer can only have one of four statuses, three headers, and a body of JSON.

use http_body_util::BodyExt;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::http::header::{ETAG, LOCATION};
use warp::reply::{Reply, Response};

use crate::error::Error;
use crate::http::answer::{empty, json_text, with_header};
use crate::http::headers::{IDEMPOTENCY_REPLAYED, PREFERENCE_APPLIED};
use crate::http::prefix::{divided, in_database};

/// The statuses that a stored answer may have: a document was created, was changed (with or without a body),
/// or a bulk insert had errors.
const STATUSES: [StatusCode; 4] =
    [StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::MULTI_STATUS];

/// A stored answer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    preference_applied: Option<String>,
    body: String,
}

impl Answer {
    /// Reads the answer to be stored out of a response, and returns the response, too.
    pub(crate) async fn of(response: Response) -> Result<(Self, Response), Error> {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(Error::internal)?.to_bytes();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = Answer {
            status: head.status.as_u16(),
            location: header(LOCATION),
            etag: header(ETAG),
            preference_applied: header(PREFERENCE_APPLIED),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        Ok((answer, warp::http::Response::from_parts(head, body).into_response()))
    }

    /// Returns the response to a repeated request for this table. The first request may have had another
    /// path: one with the name of the database, or one without.
    pub(crate) fn replayed(self, database: Option<&str>, table: &str) -> Result<Response, Error> {
        let Answer { status, location, etag, preference_applied, body } = self;
        let status = STATUSES.into_iter().find(|own| own.as_u16() == status);
        let is_json = body.is_empty() || serde_json::from_str::<IgnoredAny>(&body).is_ok();
        let place = format!("/tables/{table}/docs/");
        let within = location.as_deref().map(|location| divided(location).1);
        let is_here = within.is_none_or(|within| within.starts_with(&place));
        let location = within.map(|within| in_database(database, within));
        let Some(status) = status.filter(|_| is_json && is_here) else {
            return Err(Error::internal("a remembered answer is not one of this service's"));
        };
        let response = match body.is_empty() {
            true => empty(status),
            false => json_text(status, body.into_bytes()),
        };
        let kept = [(LOCATION, location), (ETAG, etag), (PREFERENCE_APPLIED, preference_applied)];
        let response = kept.into_iter().fold(response, |response, (name, value)| match value {
            Some(value) => with_header(response, name, value),
            None => response,
        });
        Ok(with_header(response, IDEMPOTENCY_REPLAYED, "true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::http::negotiate::JSON;

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        let location = location.map(str::to_owned);
        Answer { status, location, etag: None, preference_applied: None, body: body.to_owned() }
    }

    #[test]
    fn an_answer_is_one_that_this_service_gives() {
        let own = answer(201, Some("/tables/t/docs/1"), "{}").replayed(None, "t").unwrap();
        assert_eq!(own.status(), StatusCode::CREATED);
        assert_eq!(own.headers()["content-type"], JSON);
        assert_eq!(own.headers()["idempotency-replayed"], "true");
        let elsewhere = answer(201, Some("/tables/t/docs/1"), "{}").replayed(Some("a"), "t").unwrap();
        assert_eq!(elsewhere.headers()["location"], "/db/a/tables/t/docs/1");
        let back = answer(201, Some("/db/a/tables/t/docs/1"), "{}").replayed(None, "t").unwrap();
        assert_eq!(back.headers()["location"], "/tables/t/docs/1");
        let bare = answer(201, None, "").replayed(None, "t").unwrap();
        assert!(!bare.headers().contains_key("content-type"));
        for forged in [
            answer(500, None, "{}"),
            answer(101, None, ""),
            answer(302, Some("/tables/t/docs/1"), "{}"),
            answer(201, Some("https://evil.example/"), "{}"),
            answer(201, Some("/tables/other/docs/1"), "{}"),
            answer(201, Some("/db/a/tables/other/docs/1"), "{}"),
            answer(201, None, "<script>"),
        ] {
            assert!(
                forged.clone().replayed(None, "t").is_err_and(|error| error.code() == Code::Internal),
                "{forged:?}"
            );
        }
        let headers = r#"{"status": 201, "headers": [["set-cookie", "sid=evil"]], "body": ""}"#;
        assert!(serde_json::from_str::<Answer>(headers).is_err());
    }
}
