//! Integrity and compaction.

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What is wrong, in words; empty if nothing is.
    pub problems: Vec<String>,
}
