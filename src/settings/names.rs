//! The names of databases, tables and indexes.

/// How long the name of something new may be. What others made may have a longer one.
pub(crate) const NAME_MAX: usize = 128;

/// Whether a name has the characters that names have.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Whether something new may have this name.
pub(crate) fn is_new_name(name: &str) -> bool {
    name.len() <= NAME_MAX && is_name(name)
}
