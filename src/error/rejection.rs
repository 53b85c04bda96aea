//! Conversion of warp's rejections into problem documents.

use std::convert::Infallible;

use warp::Rejection;
use warp::reject::{
    InvalidHeader, InvalidQuery, LengthRequired, MethodNotAllowed, MissingHeader, PayloadTooLarge,
    UnsupportedMediaType,
};
use warp::reply::{Reply, Response};

use super::{Code, Error};

/// Turns every rejection into a problem document; the last filter of a service: `routes.recover(recover)`.
///
/// # Errors
///
/// None.
///
/// ```
/// use warp::Filter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let routes = warp::path!("heroes").map(|| "nobody").recover(warp_reql::recover);
/// let answer = warp::test::request().path("/villains").reply(&routes).await;
/// assert_eq!(answer.status(), 404);
/// assert_eq!(answer.headers()["content-type"], "application/problem+json");
/// # }
/// ```
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    if let Some(error) = rejection.find::<Error>() {
        return Ok(error.clone().into_response());
    }
    Ok(known(&rejection).unwrap_or_else(|| unknown(rejection)))
}

/// Answers rejections of warp's own filters. Some of them hide their details, such as the limit that a body
/// exceeded.
fn known(rejection: &Rejection) -> Option<Response> {
    let error = if rejection.is_not_found() {
        Error::from(Code::NoSuchPath)
    } else if let Some(cause) = rejection.find::<InvalidQuery>() {
        Error::bad_request(cause.to_string())
    } else if let Some(cause) = rejection.find::<MissingHeader>() {
        Error::bad_request(format!("The header `{}` is missing.", cause.name()))
    } else if let Some(cause) = rejection.find::<InvalidHeader>() {
        Error::bad_request(format!("The header `{}` is wrong.", cause.name()))
    } else if let Some(cause) = rejection.find::<warp::body::BodyDeserializeError>() {
        Error::bad_request(cause.to_string())
    } else if rejection.find::<UnsupportedMediaType>().is_some() {
        Error::about(Code::UnsupportedMediaType, "application/json")
    } else if rejection.find::<PayloadTooLarge>().is_some() {
        Error::new(Code::BodyTooLarge, "The body is too long.")
    } else if rejection.find::<LengthRequired>().is_some() {
        Error::from(Code::LengthRequired)
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        Error::new(Code::MethodNotAllowed, "The path exists with other methods.")
    } else {
        return None;
    };
    Some(error.into_response())
}

/// Answers a rejection of another filter, of which only the debug output is known.
fn unknown(rejection: Rejection) -> Response {
    log::error!("A rejection was left over: {rejection:?}");
    Error::internal(format!("{rejection:?}")).into_response()
}
