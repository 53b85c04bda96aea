//! The settings of each table: its schema, its unique fields, its expiry.

use super::App;
use crate::query::{Expiry, Relation};
use crate::settings::{RelationSpec, Schema};

impl App {
    /// Returns the schema of a table in the settings.
    pub(crate) fn schema(&self, table: &str) -> Option<&Schema> {
        self.settings().tables.iter().find(|spec| spec.name == table)?.schema.as_ref()
    }

    /// Returns when documents of a table expire, if they do.
    pub(crate) fn expiry(&self, table: &str) -> Option<Expiry> {
        self.settings().tables.iter().find(|spec| spec.name == table)?.expiry()
    }

    /// Returns the tables whose documents expire, when they do, and by which index those are found.
    pub(crate) fn expiring(&self) -> impl Iterator<Item = (String, Expiry, String)> {
        self.settings()
            .tables
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), spec.expiry()?, spec.expiry_index()?.name)))
    }

    /// Returns the relation of this name that a table has.
    pub(crate) fn relation(&self, table: &str, name: &str) -> Option<Relation> {
        let is_it = |spec: &&RelationSpec| spec.table == table && spec.name == name;
        self.settings().relations.iter().find(is_it)?.relation()
    }
}
