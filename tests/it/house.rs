//! The structure of the sources: the layers of the service, limits on the length of files, functions and
//! lines, and the first words of documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The parts of `src`, the uppermost first. A part uses only parts of later rows.
const FLOORS: [&[&str]; 18] = [
    &["main"],
    &["cli"],
    &["command", "health"],
    &["server", "trial"],
    &["service"],
    &["api", "middleware"],
    &["http", "sweep"],
    &["app", "embedded"],
    &["access", "bootstrap", "catalog", "explorer", "metrics"],
    &["live"],
    &["conn"],
    &["database", "logger", "rates"],
    &["settings"],
    &["portions", "rules"],
    &["query", "shares"],
    &["error"],
    &["language"],
    &["digest", "json", "names", "reserved"],
];

/// The part that each item at the root of the library comes from.
const ROOT: [(&str, &str); 7] = [
    ("App", "app"),
    ("Conn", "conn"),
    ("Database", "database"),
    ("Error", "error"),
    ("recover", "error"),
    ("service", "service"),
    ("with_conn", "conn"),
];

const FILE_MAX: usize = 400;
const FUNCTION_MAX: usize = 60;
const LINE_MAX: usize = 110;

/// The folders of the service, the driver and the engine.
const PACKAGES: [&str; 3] = [".", "crates/reql-driver", "crates/reql-embedded"];

/// Words that a doc comment doesn't begin with: it is to name the thing, or to say what the thing does.
const OPAQUE: [&str; 17] = [
    "As", "How", "If", "It", "That", "These", "They", "This", "Those", "What", "When", "Where", "Whether",
    "Which", "Who", "Whose", "Why",
];

/// A source file, and the module that it is.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    text: String,
}

/// Reads all sources in a folder, however deep.
fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(folder).unwrap().with_extension("");
                let parts = inner.iter().map(|part| part.to_string_lossy().into_owned());
                let module = parts.filter(|part| part != "mod").collect();
                found.push(Source { text: fs::read_to_string(&path).unwrap(), module, path });
            }
        }
    }
    assert!(!found.is_empty(), "{} has no sources", folder.display());
    found
}

fn folder(inner: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inner)
}

fn of_the_service() -> Vec<Source> {
    sources(&folder("src"))
}

/// Reads all sources of all packages, with tests, benchmarks and examples.
fn everywhere() -> Vec<Source> {
    let folders = PACKAGES
        .iter()
        .flat_map(|package| ["src", "tests", "benches", "examples"].map(|part| folder(package).join(part)));
    let found: Vec<_> =
        folders.filter(|folder| folder.is_dir()).flat_map(|folder| sources(&folder)).collect();
    assert!(found.len() > 500, "{}", found.len());
    found
}

impl Source {
    /// The paths that it imports, without what its tests import.
    fn imports(&self) -> Vec<Vec<String>> {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let mut imports = Vec::new();
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        while let Some(line) = lines.next() {
            let words = line.trim_start();
            let item = words
                .split_once(' ')
                .filter(|(word, _)| word.starts_with("pub"))
                .map_or(words, |(_, item)| item);
            if let Some(tree) = item.strip_prefix("use ") {
                let mut tree = tree.to_owned();
                while !tree.ends_with(';') {
                    tree.push_str(lines.next().expect("a statement ends").trim());
                }
                expand(&[], tree.trim_end_matches(';'), &mut imports);
                continue;
            }
            // Paths that are written out where they are used.
            for rest in line.split("crate::").skip(1) {
                let path = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next();
                let names = path.unwrap_or_default().split("::").filter(|name| !name.is_empty());
                imports.push(["crate"].into_iter().chain(names).map(str::to_owned).collect());
            }
        }
        imports
    }
}

/// Writes out a tree of imports, such as `a::{b, c::d}`, as paths.
fn expand(prefix: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let Some((head, rest)) = tree.split_once('{').filter(|(head, _)| !head.contains(',')) else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let names = name.trim().split("::").map(str::to_owned);
        return paths.push(prefix.iter().cloned().chain(names).collect());
    };
    let names = head.trim().split("::").filter(|name| !name.is_empty()).map(str::to_owned);
    let prefix: Vec<_> = prefix.iter().cloned().chain(names).collect();
    let (mut depth, mut start) = (0, 0);
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inner[start..at].trim();
                if !part.is_empty() {
                    expand(&prefix, part, paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module that an import of `from` is of, with the names of items left out.
fn target(from: &[String], import: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let mut path: Vec<String> = match import.first()?.as_str() {
        "crate" => Vec::new(),
        "super" => from.split_last()?.1.to_vec(),
        _ => from.to_vec(),
    };
    for name in import {
        match name.as_str() {
            "crate" | "self" => {}
            "super" if import.first() == Some(name) && path.len() + 1 == from.len() => {}
            _ => path.push(name.clone()),
        }
    }
    if let Some((_, part)) = ROOT.iter().find(|(item, _)| path == [*item]) {
        return Some(vec![(*part).to_owned()]);
    }
    while !path.is_empty() && !modules.contains(&path) {
        path.pop();
    }
    Some(path).filter(|path| !path.is_empty())
}

/// Returns the dependencies among the parts of each folder, by the folder.
fn arrows(sources: &[Source]) -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
    let modules: BTreeSet<_> = sources.iter().map(|source| source.module.clone()).collect();
    let mut arrows: BTreeMap<_, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.module != ["lib"]) {
        let module = &source.module;
        for target in source.imports().iter().filter_map(|import| target(module, import, &modules)) {
            let common = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
            let (Some(user), Some(used)) = (module.get(common), target.get(common)) else { continue };
            let folder = arrows.entry(module[..common].to_vec()).or_default();
            folder.entry(user.clone()).or_default().insert(used.clone());
        }
    }
    arrows
}

/// Finds a circle, if there is one: by taking away whatever uses nothing that is left.
fn circle(mut arrows: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let before = arrows.len();
        let users: BTreeSet<_> = arrows.keys().cloned().collect();
        arrows.retain(|_, used| used.iter().any(|part| users.contains(part)));
        if arrows.len() == before {
            return arrows.into_keys().collect();
        }
    }
}

#[test]
fn no_part_uses_one_above_it() {
    let floor = |part: &str| {
        let found = FLOORS.iter().position(|parts| parts.contains(&part));
        found.unwrap_or_else(|| panic!("`{part}` has no place in FLOORS"))
    };
    let arrows = arrows(&of_the_service());
    let parts = &arrows[&Vec::new()];
    assert!(parts.len() > 12 && parts["api"].contains("http"), "{parts:?}");
    for (user, used) in parts {
        for part in used {
            assert!(floor(user) < floor(part), "`{user}` uses `{part}`, which is not below it");
        }
    }
}

#[test]
fn bytes_flow_one_way_through_the_engine() {
    const WAY: [&str; 8] = ["server", "session", "protocol", "eval", "feed", "storage", "term", "datum"];
    let place = |part: &String| WAY.iter().position(|named| named == part);
    let arrows = arrows(&sources(&folder("crates/reql-embedded/src")));
    let parts = &arrows[&Vec::new()];
    assert!(parts["eval"].contains("storage"), "{parts:?}");
    for (user, used) in parts {
        for part in used {
            let (Some(from), Some(to)) = (place(user), place(part)) else { continue };
            assert!(from < to, "`{user}` uses `{part}`, which is above it");
        }
    }
}

#[test]
fn nothing_goes_in_circles() {
    for (folder, arrows) in arrows(&of_the_service()) {
        assert_eq!(circle(arrows), Vec::<String>::new(), "in {}", folder.join("/"));
    }
}

#[test]
fn each_part_is_in_one_floor() {
    let mut seen = BTreeSet::new();
    for part in FLOORS.iter().copied().flatten() {
        assert!(seen.insert(part), "`{part}` stands twice in FLOORS");
    }
}

#[test]
fn files_and_functions_are_short() {
    for Source { path, text, .. } in PACKAGES.iter().flat_map(|package| sources(&folder(package).join("src")))
    {
        let path = path.display().to_string();
        assert!(text.lines().count() <= FILE_MAX, "{path} has {} lines", text.lines().count());
        let mut begun: Option<(usize, &str)> = None;
        let tests = text.lines().position(|line| line == "#[cfg(test)]").unwrap_or(usize::MAX);
        for (at, line) in text.lines().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let words: Vec<_> = line.split_whitespace().take(4).collect();
            // Tests may have tables that are as long as what they are about.
            let is_test = at > tests || path.ends_with("tests.rs");
            if !is_test && begun.is_none() && words.contains(&"fn") && !line.trim_start().starts_with("//") {
                begun = Some((at, indent));
            }
            if let Some((start, outer)) = begun
                && indent == outer
                && (line.trim_start().starts_with('}') || line.ends_with([';', '}']))
            {
                assert!(
                    at - start < FUNCTION_MAX,
                    "{path}:{} is a function of {} lines",
                    start + 1,
                    at - start + 1
                );
                begun = None;
            }
        }
    }
}

#[test]
fn a_module_with_parts_is_the_first_of_its_folder() {
    for Source { path, .. } in everywhere() {
        let is_program = path.parent().is_some_and(|folder| folder.ends_with("tests"));
        assert!(
            is_program || !path.with_extension("").is_dir(),
            "{} stands beside its folder",
            path.display()
        );
    }
}

#[test]
fn lines_are_short() {
    for Source { path, text, .. } in everywhere() {
        for (at, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            assert!(columns <= LINE_MAX, "{}:{} has {columns} columns", path.display(), at + 1);
        }
    }
}

/// Returns the pages of all packages.
fn pages() -> Vec<PathBuf> {
    let of = |inner: String| fs::read_dir(folder(&inner)).into_iter().flatten();
    let folders = PACKAGES.iter().flat_map(|package| [(*package).to_owned(), format!("{package}/docs")]);
    let entries = folders.flat_map(of).map(|entry| entry.unwrap().path());
    let pages: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// Tables, and what is quoted in blocks of code, are as wide as they have to be.
#[test]
fn prose_is_as_narrow_as_code() {
    for page in pages() {
        let mut is_code = false;
        for (at, line) in fs::read_to_string(&page).unwrap().lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            let is_prose = !is_code && !line.starts_with('|');
            let columns = if is_prose { line.chars().count() } else { 0 };
            assert!(columns <= LINE_MAX, "{}:{} has {columns} columns", page.display(), at + 1);
        }
    }
}

/// A page names files from the top, or from its own package.
#[test]
fn files_that_pages_name_are_there() {
    const PARTS: [&str; 8] =
        ["src/", "tests/", "crates/", "benches/", "examples/", ".ci/", "packaging/", "docs/"];
    let mut named = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let is_path = |quoted: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            PARTS.iter().any(|part| quoted.starts_with(part)) && quoted.chars().all(plain)
        };
        for path in text.split('`').skip(1).step_by(2).filter(is_path) {
            named += 1;
            let is_there = page.ancestors().any(|above| above.join(path).exists());
            assert!(is_there, "{} names {path}", page.display());
        }
    }
    assert!(named > 100, "{named}");
}

#[test]
fn documentation_begins_with_a_verb_or_the_thing() {
    let mut wrong = Vec::new();
    for Source { path, text, .. } in everywhere() {
        let lines = text.lines().map(|line| {
            let line = line.trim_start();
            line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
        });
        let mut is_first = true;
        for (at, documentation) in lines.enumerate() {
            let Some(sentence) = documentation else {
                is_first = true;
                continue;
            };
            let word = sentence.split_whitespace().next().unwrap_or_default();
            let begins_badly = OPAQUE.contains(&word) || sentence.trim_start().starts_with("The same ");
            if is_first && begins_badly {
                wrong.push(format!("{}:{}:{sentence}", path.display(), at + 1));
            }
            is_first = false;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_architecture_shows_the_floors() {
    let document = fs::read_to_string(folder("ARCHITECTURE.md")).unwrap();
    let (_, rest) = document.split_once("\nservice ").unwrap();
    let (drawn, _) = rest.split_once("\nengine ").unwrap();
    let words: Vec<_> = drawn.split_whitespace().collect();
    let floors = FLOORS.map(|parts| parts.join(", "));
    assert_eq!(words.join(" "), floors.join(" → "));
}

#[test]
fn the_architecture_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut named = 0;
    for row in document.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (file, rest) = row.split_once("` | ").unwrap();
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let functions = rest.split(" |").next().unwrap_or_default().split(", ");
        for function in functions.map(|name| name.trim_matches('`')) {
            let is_it =
                |after: &str| after.strip_prefix(function).is_some_and(|after| after.starts_with(['(', '<']));
            assert!(text.split("fn ").any(is_it), "{file} has no function `{function}`");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}
