//! Functions that outlive their query: those of indexes and write hooks, kept as the JSON of their terms.

use std::sync::Arc;

use super::compile::compile_function;
use super::env::Env;
use super::func::Func;
use crate::datum::syntax::{self, Arena};
use crate::datum::{Datum, json, key};
use crate::error::{Bt, Error, Result};
use crate::geo;
use crate::storage::{IndexCompiler, IndexFunction, IndexSpec};
use crate::term::{Backtraces, RawTerm, TermType, function_as_javascript};

/// The text of a function, from which [`function`] makes it again. Variables that it has captured become literals.
pub fn text(func: &Func) -> Result<String> {
    let Some((term, scope)) = func.source() else {
        return Err(Error::logic("Only functions that are made of terms can be stored.").at(func.bt));
    };
    let (bindings, implicit) = scope.bindings();
    let mut term = (**term).clone();
    substitute(&mut term, &bindings, implicit.as_ref());
    term.to_json()
}

/// Replaces variables by their values.
fn substitute(term: &mut RawTerm, bindings: &[(i64, Datum)], implicit: Option<&Datum>) {
    let value = match term.kind {
        TermType::Var => {
            let name =
                term.args.first().and_then(|arg| arg.datum.as_ref()).and_then(|name| name.as_int().ok());
            bindings.iter().find(|(variable, _)| Some(*variable) == name).map(|(_, value)| value)
        }
        TermType::ImplicitVar => implicit,
        _ => None,
    };
    if let Some(value) = value {
        *term = RawTerm::literal(value.clone(), term.bt);
        return;
    }
    // A function of one parameter gives `r.row` a meaning of its own.
    let implicit = implicit.filter(|_| term.kind != TermType::Func);
    let optargs = term.optargs.iter_mut().map(|(_, arg)| arg);
    for arg in term.args.iter_mut().chain(optargs) {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || substitute(arg, bindings, implicit));
    }
}

/// The source of a stored function.
pub fn source(text: &str) -> Result<RawTerm> {
    let arena = Arena::new();
    let tree = syntax::parse(text.as_bytes(), &arena)
        .map_err(|error| Error::internal(format!("A stored function is damaged: {error}")))?;
    RawTerm::parse(tree, &mut Backtraces::default()).map_err(|error| error.moved_to(Bt::default()))
}

/// The function of a text that [`text`] made.
pub fn function(text: &str) -> Result<Func> {
    compile_function(&source(text)?).map_err(|error| error.moved_to(Bt::default()))
}

/// Compiles index functions for the store.
pub struct Functions;

impl IndexCompiler for Functions {
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        Ok(Arc::new(Indexer {
            env: Env::detached(),
            func: function(&spec.source)?,
            multi: spec.multi,
            geo: spec.geo,
        }))
    }
}

/// An index function with the rules of its index.
struct Indexer {
    env: Env,
    func: Func,
    multi: bool,
    geo: bool,
}

impl IndexFunction for Indexer {
    fn keys(&self, document: &Datum) -> Vec<Vec<u8>> {
        let Ok(value) = self.func.call(&self.env, std::slice::from_ref(document)) else { return Vec::new() };
        match (&value, self.multi) {
            (Datum::Array(items), true) => items.iter().flat_map(|item| self.entries(&item)).collect(),
            _ => self.entries(&value),
        }
    }
}

impl Indexer {
    /// The entries of one value: none for what can't be indexed.
    fn entries(&self, value: &Datum) -> Vec<Vec<u8>> {
        let keys =
            if self.geo { geo::index::keys(value) } else { key::secondary(value).map(|key| vec![key]) };
        keys.unwrap_or_default()
    }
}

/// What tells a write hook's definition from other bytes.
const HOOK_MAGIC: &str = "$reql_write_hook_function$";

/// A write hook as `get_write_hook` and `table_config` show it, by its text.
pub fn hook_row(text: &str) -> Result<Datum> {
    let bytes = [HOOK_MAGIC, text].concat().into_bytes();
    Ok(Datum::object([
        ("function", Datum::Binary(bytes.into())),
        ("query", Datum::from(format!("setWriteHook({})", function_as_javascript(&source(text)?)))),
    ]))
}

/// The text of a write hook from what `get_write_hook` shows.
pub fn hook_from_binary(bytes: &[u8]) -> Result<String> {
    let foreign = || {
        Error::logic(
            "Cannot create a write hook except from a reql_write_hook_function returned from `get_write_hook`.",
        )
    };
    let text = bytes.strip_prefix(HOOK_MAGIC.as_bytes()).ok_or_else(foreign)?;
    let text = json::utf8(text).map_err(|_| foreign())?;
    function(text).map_err(|_| foreign())?;
    Ok(text.to_owned())
}

/// What tells an index's definition from other bytes.
const MAGIC: &str = "$reql_index_function$";

/// An index's definition as bytes from which another index can be made.
pub fn index_to_binary(spec: &IndexSpec) -> Result<Vec<u8>> {
    let definition = Datum::object([
        ("function", Datum::str(&spec.source)),
        ("multi", Datum::Bool(spec.multi)),
        ("geo", Datum::Bool(spec.geo)),
    ]);
    Ok([MAGIC, &json::to_string(&definition)?].concat().into_bytes())
}

/// The index that such bytes define, without a name.
pub fn index_from_binary(bytes: &[u8]) -> Result<IndexSpec> {
    let foreign = || {
        Error::logic("Binary blob passed to index create could not be interpreted as a reql_index_function.")
    };
    let text = bytes.strip_prefix(MAGIC.as_bytes()).ok_or_else(foreign)?;
    let definition = json::utf8(text).and_then(json::parse).map_err(|_| foreign())?;
    let flag = |name: &str| matches!(definition.get(name), Some(Datum::Bool(true)));
    let Some(Datum::Str(source)) = definition.get("function") else { return Err(foreign()) };
    function(&source).map_err(|_| foreign())?;
    Ok(IndexSpec { name: String::new(), source: source.to_string(), multi: flag("multi"), geo: flag("geo") })
}

/// An index as the command that creates it, as `index_status` shows it.
pub fn index_query(spec: &IndexSpec) -> Result<String> {
    let options: Vec<&str> = [("multi: true", spec.multi), ("geo: true", spec.geo)]
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(text, _)| text)
        .collect();
    let options = if options.is_empty() { String::new() } else { format!(", {{{}}}", options.join(", ")) };
    let function = function_as_javascript(&source(&spec.source)?);
    Ok(format!("indexCreate('{}', {function}{options})", spec.name))
}
