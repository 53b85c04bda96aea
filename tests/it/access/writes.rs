//! Writes, as the plain model of the rules has them.

use serde_json::Value;

use super::model::{Document, Rights, Table};

/// Inserts a document, as the model has it, and returns the status.
pub fn inserted(new: &Document, merges: bool, rights: &Rights<'_>, table: &mut Table, refused: u16) -> u16 {
    if !rights.ever(|rule| &rule.create) || rights.set().is_none() {
        return refused;
    }
    if new.keys().any(|field| rights.hides(field)) {
        return 403;
    }
    let Some(created) = rights.created(new) else { return 403 };
    let id = new["id"].as_str().unwrap_or_default().to_owned();
    match table.get(&id).cloned() {
        None => {
            table.insert(id, created);
            201
        }
        Some(_) if !merges => 409,
        Some(old) => {
            let merged = rights.seen(&old).map(|seen| merged(seen, &created));
            match merged.and_then(|merged| rights.changed(&old, &merged)) {
                None => 403,
                Some(new) => {
                    let status = if rights.seen(&new).is_some() { 200 } else { 204 };
                    table.insert(id, new);
                    status
                }
            }
        }
    }
}

/// Replaces a document by an insert that replaces duplicates, and returns the status.
pub fn replaced(new: &Document, rights: &Rights<'_>, table: &mut Table) -> u16 {
    let is_allowed = !new.keys().any(|field| rights.hides(field)) && rights.created(new).is_some();
    if !is_allowed { 403 } else { replaced_by(new, rights, table) }
}

/// Replaces whatever has the id, and returns the status.
pub fn replaced_by(new: &Document, rights: &Rights<'_>, table: &mut Table) -> u16 {
    let id = new["id"].as_str().unwrap_or_default().to_owned();
    let (status, stored) = match table.get(&id).cloned() {
        None => (201, rights.created(new)),
        Some(old) => (200, rights.seen(&old).and_then(|_| rights.changed(&old, new))),
    };
    match stored {
        None => 403,
        Some(stored) => {
            table.insert(id, stored);
            status
        }
    }
}

/// A document after a merge patch, none of whose values is an object.
pub fn patched(mut document: Document, patch: &Document) -> Document {
    for (field, value) in patch {
        match value {
            Value::Null => document.remove(field),
            value => document.insert(field.clone(), value.clone()),
        };
    }
    document
}

/// A document with another one merged into it, as an insert does that.
pub fn merged(mut document: Document, new: &Document) -> Document {
    document.extend(new.clone());
    document
}
