//! The paths of other databases, `/db/{name}/tables/...`, in the OpenAPI document: as a second server of the
//! paths about tables, so that each is described once.

use serde_json::{Value, json};

use crate::names::PATTERN;
use crate::settings::Databases;

/// The URL of a live query, for which a ticket is issued.
const FOLLOWED: &str = "/components/schemas/NewTicket/properties/url/pattern";

/// Adds the databases that are served beside that of `rdb.db`.
pub(super) fn add(document: &mut Value, databases: &Databases) {
    if databases.is_empty() {
        return;
    }
    let mut name = json!({
        "default": databases.0.first().map(|first| first.replace('*', "1")),
        "description": format!("The name of a database: `{}`.", databases.0.join("`, `")),
    });
    if !databases.has_patterns() {
        name["enum"] = json!(databases.0);
    }
    let servers = json!([
        {"url": "/", "description": "The service's own database."},
        {"url": "/db/{database}", "description": "Another database.", "variables": {"database": name}},
    ]);
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, item) in paths.filter(|(path, _)| path.starts_with("/tables")) {
        item["servers"] = servers.clone();
    }
    if let Some(Value::String(pattern)) = document.pointer_mut(FOLLOWED) {
        let database = PATTERN.trim_start_matches('^').trim_end_matches('$');
        *pattern = pattern.replacen("^/", &format!("^(/db/{database})?/"), 1);
    }
}
