//! [`Endpoint`]: a method at a path, its description, and its handler. Each is defined once, beside its
//! resource. Routes, `Allow` and the OpenAPI document are derived from it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use warp::http::Method;
use warp::reply::Response;

use super::admission::Unproven;
use super::openapi::operation::Op;
use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::with_header;
use crate::http::body::{self, Body, Chunks};
use crate::http::context::Context;
use crate::http::headers::ACCEPT_PATCH;
use crate::http::paths::is_about_data;

/// The future result of a handler.
pub(crate) type Outcome = BoxFuture<'static, Result<Response, Error>>;

/// A handler. Boxed, since the handlers of all endpoints are called from one place.
type Handler = Box<dyn Fn(Context, Chunks) -> Outcome + Send + Sync>;

/// A method at a path.
pub(crate) struct Endpoint {
    path: &'static str,
    method: Method,
    op: Op,
    handler: Handler,
    /// The handler of requests for an event stream, if there is one.
    live: Option<Handler>,
    /// The types of patches that it takes.
    patches: &'static [&'static str],
}

/// An endpoint without a handler yet.
pub(crate) struct Described {
    path: &'static str,
    method: Method,
    op: Op,
    live: Option<Handler>,
    patches: &'static [&'static str],
}

/// Describes `GET` of a path. `HEAD` is answered, too.
pub(crate) fn get(path: &'static str, id: &str, about: &str) -> Described {
    Described::new(Method::GET, HttpMethod::Get, path, id, about)
}

pub(crate) fn post(path: &'static str, id: &str, about: &str) -> Described {
    Described::new(Method::POST, HttpMethod::Post, path, id, about)
}

pub(crate) fn put(path: &'static str, id: &str, about: &str) -> Described {
    Described::new(Method::PUT, HttpMethod::Put, path, id, about)
}

pub(crate) fn patch(path: &'static str, id: &str, about: &str) -> Described {
    Described::new(Method::PATCH, HttpMethod::Patch, path, id, about)
}

pub(crate) fn delete(path: &'static str, id: &str, about: &str) -> Described {
    Described::new(Method::DELETE, HttpMethod::Delete, path, id, about)
}

impl Described {
    fn new(method: Method, named: HttpMethod, path: &'static str, id: &str, about: &str) -> Self {
        let op = Op::new(named, path, id, about, is_about_data(path));
        Described { path, method, op, live: None, patches: &[] }
    }

    /// Adds parameters.
    pub(crate) fn takes(self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        Described { op: self.op.takes(parameters), ..self }
    }

    /// Adds a body, and the problems of bodies.
    pub(crate) fn body(self, body: RequestBodyBuilder) -> Self {
        Described { op: self.op.body(body.build()), ..self }
    }

    /// Sets the types of patches that it takes, for `Accept-Patch` (RFC 5789).
    pub(crate) fn patches(self, patches: &'static [&'static str]) -> Self {
        Described { patches, ..self }
    }

    /// Adds an answer.
    pub(crate) fn answers(self, status: u16, response: ResponseBuilder) -> Self {
        Described { op: self.op.answers(status, response), ..self }
    }

    /// Adds problems.
    pub(crate) fn problems(self, codes: &[Code]) -> Self {
        Described { op: self.op.problems(codes), ..self }
    }

    /// Sets the handler of requests for an event stream, which may have a ticket. It gets a connection that
    /// isn't authenticated yet.
    pub(crate) fn live<F>(
        self,
        handler: impl Fn(Context, Unproven) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        Described { live: Some(unproven(handler)), ..self }
    }

    /// Sets a handler without a connection.
    pub(crate) fn open<F>(self, handler: impl Fn(Context) -> F + Send + Sync + 'static) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, _| handler(context).boxed()))
    }

    /// Sets a handler for authenticated requests. If there are rules, it is for administrators only.
    pub(crate) fn data<F>(
        self,
        handler: impl Fn(Context, Conn) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, _| {
            let handler = handler.clone();
            let answered = async move {
                let admitted = Unproven::new(&context).await?.admitted().await?;
                let (conn, _admission) = admitted.for_administrators()?;
                handler(context, conn).await
            };
            answered.boxed()
        }))
    }

    /// Does what [`Described::data`] does for a handler that takes a body. The body is read before a
    /// connection is taken, and before there is memory for what the handler does.
    pub(crate) fn data_and_body<F>(
        self,
        handler: impl Fn(Context, Body, Conn) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, chunks| {
            let handler = handler.clone();
            let answered = async move {
                let unproven = Unproven::new(&context).await?;
                let body = body::whole(&context, chunks).await;
                let (conn, _admission) = unproven.admitted().await?.for_administrators()?;
                handler(context, body, conn).boxed().await
            };
            answered.boxed()
        }))
    }

    /// Sets a handler for authenticated requests for documents. It gets the caller's grant for the table.
    pub(crate) fn documents<F>(
        self,
        handler: impl Fn(Context, Conn, Grant) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.documents_and_chunks(move |context, _, conn, grant| handler(context, conn, grant))
    }

    /// Does what [`Described::documents`] does for a handler that takes a body. The body is read before a
    /// connection is taken, and before there is memory for what the handler does.
    pub(crate) fn documents_and_body<F>(
        self,
        handler: impl Fn(Context, Body, Conn, Grant) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, chunks| {
            let handler = handler.clone();
            let answered = async move {
                let unproven = Unproven::new(&context).await?;
                let body = body::whole(&context, chunks).await;
                let (conn, grant, _admission) = unproven.admitted().await?.for_documents()?;
                let answered = handler(context.clone(), body, conn, grant).boxed().await;
                answered.map(|response| context.chosen(response))
            };
            answered.boxed()
        }))
    }

    /// Does what [`Described::documents`] does for a handler that reads the body itself.
    pub(crate) fn documents_and_chunks<F>(
        self,
        handler: impl Fn(Context, Chunks, Conn, Grant) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, chunks| {
            let handler = handler.clone();
            let answered = async move {
                let admitted = Unproven::new(&context).await?.admitted().await?;
                let (conn, grant, _admission) = admitted.for_documents()?;
                handler(context.clone(), chunks, conn, grant).await.map(|response| context.chosen(response))
            };
            answered.boxed()
        }))
    }

    /// Sets a handler of authenticated requests that gets the body and no connection.
    pub(crate) fn admitted_with_body<F>(
        self,
        handler: impl Fn(Context, Body) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(Box::new(move |context, chunks| {
            let handler = handler.clone();
            let answered = async move {
                let unproven = Unproven::new(&context).await?;
                let body = body::whole(&context, chunks).await;
                let _admission = unproven.admitted().await?.for_all();
                handler(context, body).boxed().await
            };
            answered.boxed()
        }))
    }

    /// Sets a handler of live queries, which may have a ticket. It gets a connection that isn't authenticated
    /// yet.
    pub(crate) fn live_only<F>(
        self,
        handler: impl Fn(Context, Unproven) -> F + Clone + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        self.handled(unproven(handler))
    }

    fn handled(self, handler: Handler) -> Endpoint {
        let Described { path, method, op, live, patches } = self;
        Endpoint { path, method, op, handler, live, patches }
    }
}

fn unproven<F>(handler: impl Fn(Context, Unproven) -> F + Clone + Send + Sync + 'static) -> Handler
where
    F: Future<Output = Result<Response, Error>> + Send + 'static,
{
    Box::new(move |context, _| {
        let handler = handler.clone();
        let answered = async move {
            context.use_ticket()?;
            handler(context.clone(), Unproven::new(&context).await?).await
        };
        answered.boxed()
    })
}

impl Endpoint {
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Returns whether it is about data, and not about the service itself.
    pub(crate) fn is_about_data(&self) -> bool {
        is_about_data(self.path)
    }

    /// Returns whether it answers requests with this method.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        self.method == method || (self.method == Method::GET && method == Method::HEAD)
    }

    /// Adds `Accept-Patch` to an answer, if it takes patches.
    pub(crate) fn tell_patches(&self, response: Response) -> Response {
        match self.patches {
            [] => response,
            patches => with_header(response, ACCEPT_PATCH, patches.join(", ")),
        }
    }

    /// Runs the handler of a request.
    pub(crate) fn answer(&self, context: Context, body: Chunks) -> Outcome {
        match &self.live {
            Some(live) if context.wants_events() => live(context, body),
            _ => (self.handler)(context, body),
        }
    }

    /// Returns its operation in the OpenAPI document.
    pub(crate) fn described(&self) -> (&'static str, HttpMethod, Operation) {
        self.op.clone().finish()
    }

    /// Adds problems to the OpenAPI document.
    pub(crate) fn with_problems(self, codes: &[Code]) -> Self {
        Endpoint { op: self.op.problems(codes), ..self }
    }

    /// Adds credentials to the OpenAPI document.
    pub(crate) fn with_credentials(self, scheme: &str) -> Self {
        Endpoint { op: self.op.needs(scheme), ..self }
    }
}
