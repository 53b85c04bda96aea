//! The explorer, a page to view, change and follow data and to run ReQL; and the page that documents the API.
//!
//! Both consist of files in `page/`, which are compiled into the program: plain JavaScript modules and a
//! style sheet. There is no build step, and nothing is loaded from other sites, which [`POLICY`] enforces.
//! The pages use the public API only.

use serde_json::{Value, json};

use crate::language::{COMMANDS, On, camel_case};

/// The content security policy: pages may load their own files only, and run no inline script.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                                 connect-src 'self'; base-uri 'none'; form-action 'none'; \
                                 frame-ancestors 'none'";

/// The HTML of the explorer.
pub(crate) const EXPLORER: &str = include_str!("page/index.html");
/// The HTML of the page that documents the API.
pub(crate) const DOCS: &str = include_str!("page/docs.html");

/// A file that the pages load.
#[derive(Debug)]
pub(crate) struct File {
    name: &'static str,
    /// The value of `Content-Type`.
    pub(crate) media_type: &'static str,
    pub(crate) text: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal $media_type:expr,)*) => {
        &[$(File { name: $name, media_type: $media_type, text: include_str!(concat!("page/", $name)) },)*]
    };
}

static FILES: &[File] = files! {
    "api.js" JAVASCRIPT,
    "app.js" JAVASCRIPT,
    "complete.js" JAVASCRIPT,
    "docs.js" JAVASCRIPT,
    "document.js" JAVASCRIPT,
    "dom.js" JAVASCRIPT,
    "editor.js" JAVASCRIPT,
    "grid.js" JAVASCRIPT,
    "icon.svg" "image/svg+xml",
    "json.js" JAVASCRIPT,
    "load.js" JAVASCRIPT,
    "reql.js" JAVASCRIPT,
    "service.js" JAVASCRIPT,
    "style.css" "text/css; charset=utf-8",
    "tables.js" JAVASCRIPT,
};

/// Returns the file of this name.
pub(crate) fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// Returns the commands of ReQL for completion: their names, positions and options.
pub(crate) fn commands() -> Value {
    let described = |command: &crate::language::Command| {
        json!({
            "name": command.name,
            "root": command.stands_on(false),
            "value": command.stands_on(true),
            "constant": command.on == On::Constant,
            "options": command.options.iter().map(|name| camel_case(name)).collect::<Vec<_>>(),
        })
    };
    let own = json!({ "name": "expr", "root": true, "value": false, "constant": false, "options": [] });
    COMMANDS.iter().map(described).chain([own]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that each file that a page or a module names exists, and that each existing one is named.
    #[test]
    fn the_files_name_each_other() {
        let texts = FILES.iter().map(|file| file.text).chain([EXPLORER, DOCS]);
        let all: String = texts.collect();
        for file in FILES {
            let module = format!("\"./{}\"", file.name);
            let linked = format!("\"explorer/{}\"", file.name);
            assert!(all.contains(&module) || all.contains(&linked), "nothing loads {}", file.name);
        }
        let imports = all.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
        let links = all.split("\"explorer/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in imports.chain(links).filter(|name| *name != "commands.json") {
            assert!(file(name).is_some(), "{name} isn't there");
        }
    }

    #[test]
    fn the_pages_have_nothing_that_the_policy_forbids() {
        for page in [EXPLORER, DOCS] {
            for inline in ["<style", "style=", "onclick", "<script>", "http://", "https://"] {
                assert!(!page.contains(inline), "{inline}");
            }
        }
        for file in FILES.iter().filter(|file| file.media_type == JAVASCRIPT) {
            for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!file.text.contains(markup), "{}: {markup}", file.name);
            }
        }
    }
}
