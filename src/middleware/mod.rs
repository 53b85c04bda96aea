//! The layers around the endpoints. `service.rs` has them in their order.

pub(crate) mod compression;
mod cors;
mod host;
mod limits;
mod line;
mod observe;
mod origin;
mod time;

use std::convert::Infallible;

use tower::{Service, ServiceExt};
use warp::http::Request;
use warp::reply::Response;

use crate::http::context::Context;
pub(crate) use host::named;
pub(crate) use limits::limited;
pub(crate) use observe::observed;
pub(crate) use time::in_time;

/// A request and its context.
pub(crate) struct Asked<B> {
    pub(crate) context: Context,
    pub(crate) request: Request<B>,
}

impl<B> Asked<B> {
    /// Puts the context into the request's extensions, where filters find it.
    pub(crate) fn into_request(self) -> Request<B> {
        let Asked { context, mut request } = self;
        request.extensions_mut().insert(context);
        request
    }
}

/// The inside of a layer: the layers below it, and the endpoints.
pub(crate) trait Within<B>:
    Service<Asked<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    /// Passes a request on, and returns the answer.
    fn answer(self, asked: Asked<B>) -> impl Future<Output = Response> + Send
    where
        B: Send,
    {
        async {
            match self.oneshot(asked).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

impl<S, B> Within<B> for S where
    S: Service<Asked<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}
