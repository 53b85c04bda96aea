//! The API described: an OpenAPI 3.1 document for programs, and a page that shows it to people.
//!
//! The document is put together from what the routes themselves use: the types of bodies and answers, the
//! limits, the codes of problems. A test asks the service for each operation in it, and for those that
//! aren't.

mod operations;
mod parameters;
mod schemas;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use warp::reply::{Reply, Response};

use crate::app::App;
use crate::conn::Clock;
use crate::error::Error;
use crate::http::answer::{answer, only, read, with_header};
use crate::http::call::{Call, HTML, JSON, call};
use crate::settings::Auth;

/// The page brings all it needs along, and may get nothing from elsewhere.
const PAGE: &str = include_str!("page.html");
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
/// The name of the way to authenticate.
const BASIC: &str = "database_user";

pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let path = || warp::path!("openapi.json");
    let text = document(app).to_json().map_err(|error| error.to_string());
    let document = path().and(read()).and(call(app)).then(move |call: Call| {
        let text = text.clone();
        answer(Clock::default(), async move {
            call.plain()?;
            Ok(with_header(text.map_err(Error::Internal)?.into_response(), CONTENT_TYPE, JSON))
        })
    });
    let document = document.or(path().and(only("GET, HEAD"))).unify();

    let path = || warp::path!("docs");
    let page = path().and(read()).and(call(app)).then(|call| answer(Clock::default(), page(call)));
    let page = page.or(path().and(only("GET, HEAD"))).unify();

    document.or(page).unify().boxed()
}

async fn page(call: Call) -> Result<Response, Error> {
    call.parameters()?.finish()?;
    call.accept(&[HTML])?;
    let page = with_header(PAGE.into_response(), CONTENT_TYPE, "text/html; charset=utf-8");
    Ok(with_header(page, CONTENT_SECURITY_POLICY, POLICY))
}

/// The API of this service, as its settings have it.
fn document(app: &App) -> OpenApi {
    let settings = app.settings();
    let info = InfoBuilder::new()
        .title("warp-reql")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Tables, indexes and documents of a RethinkDB database, as JSON over HTTP."));
    let mut components = schemas::components();
    let mut operations = operations::all(settings);
    if settings.auth == Auth::Database {
        components.add_security_scheme(BASIC, SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        operations.iter_mut().filter(|operation| operation.is_about_data()).for_each(|operation| {
            operation.need(SecurityRequirement::new(BASIC, Vec::<String>::new()));
        });
    }
    OpenApiBuilder::new()
        .info(info.build())
        .paths(operations::paths(operations))
        .components(Some(components))
        .build()
}
