//! The names of databases, tables and indexes.

/// The most bytes that the name of a new database, table or index may have. Existing ones that others made
/// may have longer names.
pub(crate) const NAME_MAX: usize = 128;

/// The names that are no longer than [`NAME_MAX`], as a regular expression.
pub(crate) const PATTERN: &str = "^[A-Za-z0-9_-]{1,128}$";

/// Returns whether a name isn't empty and has only the characters that names may have.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Returns whether a new database, table or index may have this name.
pub(crate) fn is_new_name(name: &str) -> bool {
    name.len() <= NAME_MAX && is_name(name)
}

/// Returns as much of a name as an error shows.
pub(crate) fn shown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    if shown.len() < name.len() { shown + "..." } else { shown }
}
