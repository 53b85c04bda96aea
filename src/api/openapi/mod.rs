//! The OpenAPI 3.1 document. It is put together from what the endpoints say of themselves: the types of
//! bodies and answers, the limits, the codes of problems. A test asks the service for each operation in it,
//! and for those that aren't.

pub(crate) mod operation;
pub(crate) mod parameters;
pub(crate) mod schemas;

use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

use crate::settings::{Auth, Settings};

/// The names of the ways to authenticate.
pub(crate) const BASIC: &str = "database_user";
pub(crate) const BEARER: &str = "token";

/// Puts the document together.
pub(crate) fn document(
    settings: &Settings,
    operations: impl IntoIterator<Item = (&'static str, HttpMethod, Operation)>,
    components: ComponentsBuilder,
) -> OpenApi {
    let info = InfoBuilder::new()
        .title("warp-reql")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Tables, indexes and documents of a RethinkDB database, as JSON over HTTP."));
    let mut components = schemas::components(components).build();
    match settings.auth {
        Auth::None => {}
        Auth::Database => {
            components.add_security_scheme(BASIC, SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        }
        Auth::Token => {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
            components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
        }
    }
    let mut paths = Paths::new();
    for (path, method, operation) in operations {
        paths.add_path_operation(path, vec![method], operation);
    }
    OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components)).build()
}
