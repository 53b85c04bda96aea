//! Relations between tables, by which lists tell of related documents.

use serde::{Deserialize, Serialize};

use crate::names::is_new_name;
use crate::query::{Path, Relation};

/// A way from the documents of one table to those of another. Requests name it in `expand`.
///
/// ```
/// use warp_reql::settings::RelationSpec;
///
/// let author = r#"{"table": "posts", "name": "author", "field": "author_id", "to": "people"}"#;
/// let author: RelationSpec = serde_json::from_str(author).unwrap();
/// assert!(!author.many);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationSpec {
    /// The table whose documents are expanded.
    pub table: String,
    /// The name of the relation, and the field in which related documents are told: letters, digits, `_` and
    /// `-`.
    pub name: String,
    /// The field that refers to the other documents, a nested one as `a.b`. Default with `many`: the primary
    /// key of `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The table of the other documents.
    pub to: String,
    /// Without `many`: the index of `to` over the field that `field` is compared with. Default: the primary
    /// key of `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `true` for a document that may have several of the others. Default `false`.
    #[serde(default)]
    pub many: bool,
    /// With `many`: the index of `to` over the field that refers to `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

impl RelationSpec {
    /// Returns the relation, unless its field is none.
    pub(crate) fn relation(&self) -> Option<Relation> {
        let field = self.field.as_ref().map(|field| Path::parse(field, "field")).transpose().ok()?;
        let index = if self.many { self.index.clone() } else { self.key.clone() };
        Some(Relation { name: self.name.clone(), to: self.to.clone(), field, index, many: self.many })
    }

    /// Returns the index of `to` that it goes by; `None` for the primary key.
    pub(crate) fn by(&self) -> Option<&str> {
        if self.many { self.index.as_deref() } else { self.key.as_deref() }
    }

    /// Returns the key that is wrong, and what it should be.
    fn broken(&self) -> Option<(&'static str, &'static str)> {
        let name = super::rules::NAME;
        let none_or_name = |text: &Option<String>| text.as_ref().is_none_or(|text| is_new_name(text));
        let wrong = [
            ("table", name, is_new_name(&self.table)),
            ("name", name, is_new_name(&self.name)),
            ("to", name, is_new_name(&self.to)),
            ("field", "a field such as \"author_id\"", self.relation().is_some()),
            ("field", "a field such as \"author_id\", or `many = true`", self.many || self.field.is_some()),
            ("key", "the name of an index of `to`, without `many`", none_or_name(&self.key)),
            ("key", "nothing: with `many` it is `index`", !self.many || self.key.is_none()),
            ("index", "the name of an index of `to`, with `many = true`", none_or_name(&self.index)),
            ("index", "the name of an index of `to`, with `many = true`", self.many == self.index.is_some()),
        ];
        wrong.into_iter().find(|(_, _, holds)| !holds).map(|(key, expected, _)| (key, expected))
    }
}

/// Returns the first key that is wrong, and what it should be.
pub(super) fn broken(relations: &[RelationSpec]) -> Option<(String, String)> {
    relations.iter().enumerate().find_map(|(at, own)| {
        let twice = relations.iter().take(at).any(|it| (&it.table, &it.name) == (&own.table, &own.name));
        let twice = twice.then_some(("name", "a name that no other relation of the table has"));
        let (key, expected) = own.broken().or(twice)?;
        Some((format!("relations.{at}.{key}"), expected.to_owned()))
    })
}
