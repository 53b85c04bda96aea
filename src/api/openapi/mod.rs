//! The OpenAPI 3.1 document, which is assembled from the descriptions of the endpoints: schemas of bodies and
//! answers, limits, codes of problems. Tests compare it with the service in both directions.

mod databases;
pub(crate) mod operation;
pub(crate) mod parameters;
pub(crate) mod schemas;

use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

use crate::settings::{Auth, Settings};

/// The names of the ways to authenticate.
pub(crate) const BASIC: &str = "database_user";
pub(crate) const BEARER: &str = "token";

/// Assembles the document.
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

/// Serializes the document, with the schemas of tables added: that of `heroes` is `Document_heroes`.
pub(crate) fn text(document: &OpenApi, settings: &Settings) -> Result<String, String> {
    let mut document = serde_json::to_value(document).map_err(|error| error.to_string())?;
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return Err("the document has no schemas".to_owned());
    };
    for table in &settings.tables {
        let Some(schema) = &table.schema else { continue };
        let mut text = schema.json().clone();
        if let Some(fields) = text.as_object_mut() {
            // With an `$id` of its own, its references resolve within itself.
            let id = format!("urn:warp-reql:schema:{}", table.name);
            fields.entry("$id").or_insert_with(|| id.into());
        }
        schemas.insert(format!("Document_{}", table.name), text);
    }
    databases::add(&mut document, &settings.databases);
    serde_json::to_string_pretty(&document).map_err(|error| error.to_string())
}
