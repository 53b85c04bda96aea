//! The paths of the API, as templates: what metrics and the OpenAPI document call a request by.

/// Every path that is served.
pub(super) const PATHS: [&str; 13] = [
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/config",
    "/tables",
    "/tables/{table}",
    "/tables/{table}/indexes",
    "/tables/{table}/indexes/{index}",
    "/tables/{table}/changes",
    "/tables/{table}/docs",
    "/tables/{table}/docs/{id}",
];

/// The template that a path fits, so that whatever clients ask for has a name out of a fixed set.
pub(super) fn template(path: &str) -> Option<&'static str> {
    // What is asked for most stands last.
    PATHS.into_iter().rev().find(|template| fits(path, template))
}

fn fits(path: &str, template: &str) -> bool {
    let (mut parts, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(want)) if part == want || (want.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_templates() {
        for (path, expected) in [
            ("/tables", Some("/tables")),
            ("/tables/heroes", Some("/tables/{table}")),
            ("/tables/heroes/docs/%2F", Some("/tables/{table}/docs/{id}")),
            ("/tables//docs", None),
            ("/tables/heroes/docs/1/2", None),
            ("/tables/", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }
}
