//! Terms as JavaScript, the way RethinkDB shows the functions of indexes and write hooks.
//!
//! The text is meant for people: strings are not escaped, deep terms end in dots, and the commas of a `do`
//! with several arguments are where RethinkDB puts them.

mod javascript;
mod layout;
mod value;

use javascript::Writer;
use layout::Doc;

use super::{RawTerm, TermType};

const WIDTH: usize = 80;

/// Returns a term as JavaScript, in lines of 80 columns.
pub fn as_javascript(term: &RawTerm) -> String {
    Writer::default().term(term).print(WIDTH)
}

/// Returns the names of a function's parameters.
pub fn parameter_names(func: &RawTerm) -> Vec<String> {
    func.args.first().map(javascript::params).unwrap_or_default()
}

/// Returns a function as JavaScript: `function(var1) { return var1("x"); }`.
pub fn function_as_javascript(func: &RawTerm) -> String {
    match (func.kind, &func.args[..]) {
        (TermType::Func, [params, body]) => {
            let params: Vec<String> = javascript::params(params);
            format!("function({}) {{ return {}; }}", params.join(", "), as_javascript(body))
        }
        (TermType::Javascript, [source, ..]) => match &source.datum {
            Some(crate::datum::Datum::Str(source)) => format!("r.js({source})"),
            _ => as_javascript(func),
        },
        _ => as_javascript(func),
    }
}

/// Returns a comma, after which a line may break.
fn comma() -> Doc {
    Doc::concat([Doc::text(","), Doc::soft_break(" ", "")])
}

/// Puts commas between documents.
fn separated(docs: impl IntoIterator<Item = Doc>) -> Vec<Doc> {
    let mut list = Vec::new();
    for doc in docs {
        if !list.is_empty() {
            list.push(comma());
        }
        list.push(doc);
    }
    list
}

/// Joins a key and its value in an object.
fn field(key: &str, value: Doc) -> Doc {
    Doc::group([Doc::text(format!("\"{key}\":")), Doc::soft_break(" ", ""), value])
}

#[cfg(test)]
mod tests;
