//! Golden scripts: queries with the answers that they must get.
//!
//! ```text
//! # What the next lines are about.
//! > r.expr([1, 2]).map(x => x.add(1))
//! [2,3]
//!
//! > r.expr(1).div(0)
//! RuntimeError (QUERY_LOGIC) at []: Cannot divide by zero.
//! ```
//!
//! A query may go on in lines that begin with two spaces; one that is a JSON array is sent as it stands. Rows
//! of streams show as `stream [...]`. With `BLESS=1` in the environment the answers are written anew instead
//! of being compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::reql;

/// A place where queries are answered. Each script has one of its own, with an empty database `test`.
pub trait Runner {
    /// Answers the JSON of a query.
    fn ask(&mut self, query: &str) -> Answer;
}

/// The answer to a query.
pub enum Answer {
    Atom(Value),
    Stream(Vec<Value>),
    Error(Failure),
}

/// A failed query.
pub struct Failure {
    /// Class of the error, with its type as `ql2.proto` names it.
    pub kind: &'static str,
    /// Steps to the term to blame.
    pub backtrace: Vec<Value>,
    pub message: String,
}

impl Answer {
    fn show(&self) -> String {
        match self {
            Answer::Atom(value) => value.to_string(),
            Answer::Stream(rows) => format!("stream {}", Value::from(rows.clone())),
            Answer::Error(Failure { kind, backtrace, message }) => {
                format!("{kind} at {}: {message}", Value::from(backtrace.clone()))
            }
        }
    }
}

/// A script, line by line.
struct Script {
    path: PathBuf,
    parts: Vec<Part>,
}

enum Part {
    /// Comments and empty lines.
    Text(String),
    Step {
        /// The lines of the query, as they are written.
        lines: String,
        answer: String,
    },
}

/// Runs every script in a folder, each with a runner of its own, and fails with all differences.
pub fn run_all<R: Runner>(folder: &Path, runner: impl Fn() -> R) {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut scripts = Vec::new();
    collect(folder, &mut scripts);
    assert!(!scripts.is_empty(), "no scripts in {}", folder.display());
    scripts.sort();
    let mut differences = String::new();
    for path in scripts {
        let script = Script::read(&path);
        let answered = script.answered(&mut runner());
        if bless {
            std::fs::write(&path, answered.text()).expect("a script can be written");
        } else {
            differences.push_str(&script.differences(&answered));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn collect(folder: &Path, scripts: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of scripts") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, scripts);
        } else if path.extension().is_some_and(|extension| extension == "reql") {
            scripts.push(path);
        }
    }
}

impl Script {
    fn read(path: &Path) -> Script {
        let text = std::fs::read_to_string(path).expect("a script");
        let mut parts: Vec<Part> = Vec::new();
        for line in text.lines() {
            let starts_step = line.starts_with("> ");
            let is_text = line.is_empty() || line.starts_with('#');
            match parts.last_mut() {
                _ if starts_step => parts.push(Part::Step { lines: line.to_owned(), answer: String::new() }),
                Some(Part::Step { lines, answer }) if !is_text => {
                    let goes_on = answer.is_empty() && line.starts_with("  ");
                    push_line(if goes_on { lines } else { answer }, line);
                }
                _ => parts.push(Part::Text(line.to_owned())),
            }
        }
        Script { path: path.to_owned(), parts }
    }

    /// Returns the script with the answers that it gets now.
    fn answered(&self, runner: &mut impl Runner) -> Script {
        let answered = |part: &Part| match part {
            Part::Text(text) => Part::Text(text.clone()),
            Part::Step { lines, .. } => {
                Part::Step { lines: lines.clone(), answer: runner.ask(&self.query(lines)).show() }
            }
        };
        Script { path: self.path.clone(), parts: self.parts.iter().map(answered).collect() }
    }

    fn query(&self, lines: &str) -> String {
        let source = lines.strip_prefix("> ").unwrap_or(lines);
        if source.starts_with('[') && serde_json::from_str::<Value>(source).is_ok() {
            return source.to_owned();
        }
        match reql::parse(source) {
            Ok(term) => format!("[1,{term},{{}}]"),
            Err(message) => panic!("{}: {lines}\n{message}", self.path.display()),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            let _ = match part {
                Part::Text(line) => writeln!(text, "{line}"),
                Part::Step { lines, answer } => writeln!(text, "{lines}\n{answer}"),
            };
        }
        text
    }

    fn differences(&self, answered: &Script) -> String {
        let mut differences = String::new();
        for parts in self.parts.iter().zip(&answered.parts) {
            let (Part::Step { lines, answer }, Part::Step { answer: found, .. }) = parts else { continue };
            if answer != found {
                let path = self.path.display();
                let _ = writeln!(differences, "{path}\n{lines}\nexpected: {answer}\nfound:    {found}\n");
            }
        }
        differences
    }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
