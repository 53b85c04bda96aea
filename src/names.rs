//! The names of databases, tables and indexes, and the one field that names a type.

/// The field that makes an object a value of one of ReQL's types, such as a time.
pub(crate) const PSEUDO_TYPE: &str = "$reql_type$";
/// The most bytes that the name of a new database, table or index may have. Existing ones that others made
/// may have longer names.
pub(crate) const NAME_MAX: usize = 128;

/// The names that are no longer than [`NAME_MAX`], as a regular expression.
pub(crate) const PATTERN: &str = "^[A-Za-z0-9_-]{1,128}$";

/// Returns true if a name isn't empty and has only valid characters.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Returns true if a new database, table or index may have this name.
pub(crate) fn is_new_name(name: &str) -> bool {
    name.len() <= NAME_MAX && is_name(name)
}

/// Shortens a name for an error message.
pub(crate) fn shown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    if shown.len() < name.len() { shown + "..." } else { shown }
}
