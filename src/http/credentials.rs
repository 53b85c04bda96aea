//! The credentials of a request: HTTP Basic and bearer tokens.

use headers::HeaderMapExt;
use headers::authorization::{Authorization, Basic, Bearer};
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;

use crate::database::Credentials;
use crate::error::{Code, Error};

/// The longest user name, in bytes. The database closes a handshake of more than 2 KiB before it could report
/// an unknown user.
const USER_MAX: usize = 256;

/// Reads the user and password of HTTP Basic (RFC 7617), of which there must be one: a gateway may have added
/// its own.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials, Error> {
    let missing = || Error::from(Code::Unauthorized);
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(missing());
    }
    let Authorization(basic) = headers.typed_get::<Authorization<Basic>>().ok_or_else(missing)?;
    match basic.username().len() {
        0 => Err(missing()),
        1..=USER_MAX => Ok(Credentials::new(basic.username(), basic.password())),
        _ => Err(Error::wrong_credentials("the user's name is too long")),
    }
}

/// Reads the bearer token (RFC 6750, section 2.1); `None` if the request has no credentials at all.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<String>, Error> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let is_single = headers.get_all(AUTHORIZATION).iter().count() == 1;
    let bearer = headers.typed_get::<Authorization<Bearer>>().filter(|_| is_single);
    let wrong = || Error::invalid_token("The credentials are no token.");
    bearer.map(|Authorization(bearer)| Some(bearer.token().to_owned())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    fn user(authorization: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static(authorization));
        credentials(&headers).ok().map(|who| who.user().to_owned())
    }

    #[test]
    fn only_basic_credentials_with_a_name_count() {
        assert_eq!(user("Basic Ym9iOnNlY3JldA==").as_deref(), Some("bob"));
        assert_eq!(user("basic Ym9iOg==").as_deref(), Some("bob"), "an empty password is one");
        for wrong in [
            "",
            "Basic",
            "Basic !!!",
            "Basic Ym9i",
            "Bearer Ym9iOnNlY3JldA==",
            "Basic OnNlY3JldA==",
            "Basic /zo=",
        ] {
            assert_eq!(user(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_has_credentials_of_two() {
        let mut headers = HeaderMap::new();
        for value in ["Basic Ym9iOnNlY3JldA==", "Basic YW5uOnNlY3JldA=="] {
            headers.append("authorization", HeaderValue::from_static(value));
        }
        assert!(credentials(&headers).is_err());
    }

    #[test]
    fn a_token_is_one_or_there_are_no_credentials() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| {
                headers.append("authorization", HeaderValue::from_static(value));
            });
            bearer(&headers).ok()
        };
        assert_eq!(of(&[]), Some(None));
        assert_eq!(of(&["Bearer a.b.c"]), Some(Some("a.b.c".to_owned())));
        for wrong in [&["Basic Ym9iOg=="][..], &["Bearer"], &["a.b.c"], &[""], &["Bearer a", "Bearer b"]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
