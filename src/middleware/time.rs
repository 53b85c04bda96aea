//! The timeout of a request, its body included.

use tokio::time::timeout;
use tower::service_fn;

use super::{Asked, Within};
use crate::error::{Code, Error};
use crate::http::answer::refuse;

/// Cancels requests that take longer than `limits.request_time`.
pub(crate) fn in_time<B: Send + 'static>(within: impl Within<B>) -> impl Within<B> {
    service_fn(move |asked: Asked<B>| {
        let (within, context) = (within.clone(), asked.context.clone());
        async move {
            let limit = context.app().limits().request_time;
            Ok(match timeout(limit, within.answer(asked)).await {
                Ok(response) => response,
                Err(_) => refuse(&context, &Error::after(Code::RequestTimeout, limit)),
            })
        }
    })
}
