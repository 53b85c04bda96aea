//! The functions of indexes.

use std::sync::Arc;

use super::bytes::{Broken, Reader};
use super::function::{Era, StoredFunction, Unreadable};
use super::{function, legacy, read, taken};
use crate::datum::{Datum, json, key};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::geo;
use crate::storage::{IndexCompiler, IndexFunction, IndexSpec};

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
    /// Returns the entries of one value: none for a value that can't be indexed.
    fn entries(&self, value: &Datum) -> Vec<Vec<u8>> {
        let keys =
            if self.geo { geo::index::keys(value) } else { key::secondary(value).map(|key| vec![key]) };
        keys.unwrap_or_default()
    }
}

/// The prefix that distinguishes the bytes of an index's definition from other bytes.
const MAGIC: &str = "$reql_index_function$";

/// RethinkDB's numbers for its versions: of its format of bytes, and of the semantics of its functions.
mod version {
    /// The number for the bytes that 2.1 wrote.
    pub const BYTES_OF_2_1: u8 = 6;
    /// The number for the bytes that 2.4 writes.
    pub const BYTES: u8 = 9;
    /// The number for the semantics of functions in 2.4. They have worked that way since version 1.16.
    pub const REQL: u8 = 7;
    /// The number for the semantics of functions in 1.16.
    pub const FIRST_REQL: u8 = 2;
}

/// The hint in errors of index functions that aren't deterministic.
pub const HINT: &str = "Index functions must be deterministic.";

/// Returns an index's definition as bytes from which another index can be made.
pub fn index_to_binary(spec: &IndexSpec) -> Result<Vec<u8>> {
    let mut bytes = MAGIC.as_bytes().to_vec();
    // It was made for this version, needs no newer one, and was last checked by it.
    bytes.extend([version::BYTES, version::REQL, version::REQL, version::REQL]);
    bytes.extend(read(&spec.source, legacy::index_function)?.to_bytes()?);
    bytes.extend([u8::from(spec.multi), u8::from(spec.geo)]);
    Ok(bytes)
}

/// Returns the index that such bytes define, without a name.
pub fn index_from_binary(bytes: &[u8]) -> Result<IndexSpec> {
    let bytes = bytes.strip_prefix(MAGIC.as_bytes()).ok_or_else(|| {
        Error::logic(
            "Cannot create an sindex except from a reql_index_function returned from `index_status` in the \
             field `function`.",
        )
    })?;
    if bytes.first() == Some(&b'{') {
        return from_legacy(bytes);
    }
    let mut reader = Reader::new(bytes);
    let era = read_versions(&mut reader)?;
    let mut flags = (false, false);
    let function = StoredFunction::read_of(&mut reader, era).and_then(|function| {
        flags = (reader.flag()?, reader.flag()?);
        if reader.is_empty() { Ok(function) } else { Err(Broken::Range.into()) }
    });
    let source = taken(function, unreadable, HINT)?;
    Ok(IndexSpec { name: String::new(), source, multi: flags.0, geo: flags.1 })
}

fn unreadable(reason: &str) -> Error {
    Error::logic(format!(
        "Binary blob passed to index create could not be interpreted as a reql_index_function ({reason})."
    ))
}

/// Reads the versions, which tell the format of the function. Fails for unknown ones.
fn read_versions(reader: &mut Reader<'_>) -> Result<Era> {
    let unknown = || {
        let message = "Unrecognized secondary index version, secondary index not created.";
        Error::new(ErrorKind::Internal, message)
    };
    let era = match reader.byte().map_err(|_| unknown())? {
        0 | 1 => return Err(obsolete(0)),
        2..version::BYTES_OF_2_1 => Era::Protobuf,
        version::BYTES_OF_2_1 => Era::NumberedProtobuf,
        ..=version::BYTES => Era::Json,
        _ => return Err(unknown()),
    };
    for what in ["original_reql_version", "latest_compatible_reql_version", "latest_checked_reql_version"] {
        let broken = |broken: Broken| {
            unreadable(&format!("Deserialization of {what} failed with error {}.", broken.name()))
        };
        match reader.byte().map_err(broken)? {
            old @ ..version::FIRST_REQL if what == "original_reql_version" => return Err(obsolete(old)),
            version::FIRST_REQL..=version::REQL => {}
            _ => return Err(broken(Broken::Range)),
        }
    }
    Ok(era)
}

/// Returns RethinkDB's refusal of indexes that were made before version 1.16.
fn obsolete(version: u8) -> Error {
    Error::logic(if version == 0 {
        "Attempted to import a RethinkDB 1.13 secondary index, which is no longer supported.  This secondary \
         index may be updated by importing into RethinkDB 2.0."
    } else {
        "Attempted to import a secondary index from before RethinkDB 1.16, which is no longer supported.  \
         This secondary index may be updated by importing into RethinkDB 2.1."
    })
}

/// Reads a definition in the form of archives of earlier versions of this server.
fn from_legacy(bytes: &[u8]) -> Result<IndexSpec> {
    let definition = json::utf8(bytes).and_then(json::parse).map_err(|error| unreadable(error.message()))?;
    let flag = |name: &str| matches!(definition.get(name), Some(Datum::Bool(true)));
    let Some(Datum::Str(text)) = definition.get("function") else { return Err(unreadable("No function.")) };
    let function = legacy::index_function(&text);
    let function = function.map_err(|error| Unreadable::Wrong(error.message().to_owned()));
    let source = taken(function, unreadable, HINT)?;
    Ok(IndexSpec { name: String::new(), source, multi: flag("multi"), geo: flag("geo") })
}

/// Returns an index as the command that creates it, as `index_status` shows it.
pub fn index_query(spec: &IndexSpec) -> Result<String> {
    let options: Vec<&str> = [("multi: true", spec.multi), ("geo: true", spec.geo)]
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(text, _)| text)
        .collect();
    let options = if options.is_empty() { String::new() } else { format!(", {{{}}}", options.join(", ")) };
    let function = read(&spec.source, legacy::index_function)?.as_javascript();
    Ok(format!("indexCreate('{}', {function}{options})", spec.name))
}
