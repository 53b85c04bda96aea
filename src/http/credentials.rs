//! The credentials that a request brings, as HTTP Basic has them.

use headers::HeaderMapExt;
use headers::authorization::{Authorization, Basic};
use warp::http::HeaderMap;

use crate::database::Credentials;
use crate::error::{Code, Error};

/// The longest name of a user, in bytes. A handshake that is longer than 2 KiB as a whole ends before the
/// database could say that it knows no such user.
const USER_MAX: usize = 256;

/// The user and password of HTTP Basic (RFC 7617).
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials, Error> {
    let missing = || Error::from(Code::Unauthorized);
    let Authorization(basic) = headers.typed_get::<Authorization<Basic>>().ok_or_else(missing)?;
    match basic.username().len() {
        0 => Err(missing()),
        1..=USER_MAX => Ok(Credentials::new(basic.username(), basic.password())),
        _ => Err(Error::wrong_credentials("the user's name is too long")),
    }
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
}
