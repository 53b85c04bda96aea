//! What becomes of a request that no route took.

use std::convert::Infallible;

use warp::Rejection;
use warp::reject::{
    InvalidHeader, InvalidQuery, LengthRequired, MethodNotAllowed, MissingHeader, PayloadTooLarge,
    UnsupportedMediaType,
};
use warp::reply::{Reply, Response};

use super::{Code, Error, Missing, Problem};

/// Turns every rejection into a problem document; the last filter of a service: `routes.recover(recover)`.
///
/// # Errors
///
/// None.
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    if let Some(error) = rejection.find::<Error>() {
        return Ok(Problem::from(error).into_response());
    }
    Ok(known(&rejection).unwrap_or_else(|| unknown(rejection)))
}

/// The rejections of warp's own filters.
fn known(rejection: &Rejection) -> Option<Response> {
    let error = if rejection.is_not_found() {
        Error::NotFound(Missing::Path)
    } else if let Some(cause) = rejection.find::<InvalidQuery>() {
        Error::BadRequest(cause.to_string())
    } else if let Some(cause) = rejection.find::<MissingHeader>() {
        Error::BadRequest(format!("The header `{}` is missing.", cause.name()))
    } else if let Some(cause) = rejection.find::<InvalidHeader>() {
        Error::BadRequest(format!("The header `{}` is wrong.", cause.name()))
    } else if let Some(cause) = rejection.find::<warp::body::BodyDeserializeError>() {
        Error::BadRequest(cause.to_string())
    } else if rejection.find::<UnsupportedMediaType>().is_some() {
        Error::UnsupportedMediaType { expected: "application/json".to_owned() }
    } else {
        return bare(rejection);
    };
    Some(Problem::from(&error).into_response())
}

/// Those whose facts warp doesn't tell, such as the limit that a body exceeded.
fn bare(rejection: &Rejection) -> Option<Response> {
    let error = if rejection.find::<PayloadTooLarge>().is_some() {
        Problem::bare(Code::BodyTooLarge, "The body is too long.")
    } else if rejection.find::<LengthRequired>().is_some() {
        Problem::bare(Code::LengthRequired, "The header `Content-Length` is missing.")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        Problem::bare(Code::MethodNotAllowed, "The path exists with other methods.")
    } else {
        return None;
    };
    Some(error.into_response())
}

/// A rejection of someone else's filter. Warp knows no more of it than how to show it to a developer.
fn unknown(rejection: Rejection) -> Response {
    log::error!("A rejection was left over: {rejection:?}");
    Error::Internal(format!("{rejection:?}")).into_response()
}
