//! Names on the command line: `DB.TABLE`, or `TABLE` of the database in the settings.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reql::{Term, r};

use super::Failure;

/// A database or one of its tables: `DB` or `DB.TABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) db: String,
    pub(super) table: Option<String>,
}

/// A table: `DB.TABLE`, or `TABLE` of the database in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    db: Option<String>,
    table: String,
}

/// A table with its database, shown as `DB.TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Table {
    pub(super) db: String,
    pub(super) name: String,
}

impl Place {
    /// Returns if the table is this one, or one of this database.
    fn holds(&self, table: &Table) -> bool {
        self.db == table.db && self.table.as_ref().is_none_or(|name| *name == table.name)
    }
}

impl TableName {
    /// Returns the table's full name.
    pub(super) fn within(self, default: &str) -> Table {
        Table { db: self.db.unwrap_or_else(|| default.to_owned()), name: self.table }
    }
}

impl Table {
    /// Returns the table as a term.
    pub(super) fn term(&self) -> Term {
        r.db(&self.db).table(&self.name).into()
    }
}

/// Returns the tables that these places hold; all of them if there are no places.
///
/// # Errors
///
/// If a place holds none of the tables.
pub(super) fn chosen(tables: Vec<Table>, places: &[Place]) -> Result<Vec<Table>, Failure> {
    if let Some(place) = places.iter().find(|place| !tables.iter().any(|table| place.holds(table))) {
        return Err(Failure::Usage(format!("there is nothing under the name `{place}`")));
    }
    Ok(tables.into_iter().filter(|table| is_chosen(table, places)).collect())
}

/// Returns true if one of the places holds the table, or if there are no places.
pub(super) fn is_chosen(table: &Table, places: &[Place]) -> bool {
    places.is_empty() || places.iter().any(|place| place.holds(table))
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('.') {
            Some((db, table)) => Place { db: db.to_owned(), table: Some(table.to_owned()) },
            None => Place { db: text.to_owned(), table: None },
        })
    }
}

impl FromStr for TableName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('.') {
            Some((db, table)) => TableName { db: Some(db.to_owned()), table: table.to_owned() },
            None => TableName { db: None, table: text.to_owned() },
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.db)?;
        self.table.iter().try_for_each(|table| write!(f, ".{table}"))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.db, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(db: &str, name: &str) -> Table {
        Table { db: db.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn places_choose_tables() {
        let tables = vec![table("a", "x"), table("a", "y"), table("b", "x")];
        let names = |places: &[&str]| {
            let places: Vec<Place> =
                places.iter().map(|place| place.parse().expect("it never fails")).collect();
            let chosen = chosen(tables.clone(), &places);
            chosen.map(|tables| tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(&[]).expect("all"), "a.x a.y b.x");
        assert_eq!(names(&["a"]).expect("a"), "a.x a.y");
        assert_eq!(names(&["b.x", "a.y"]).expect("two"), "a.y b.x");
        let error = names(&["b.y"]).expect_err("no such table").to_string();
        assert_eq!(error, "there is nothing under the name `b.y`");
    }

    #[test]
    fn tables_have_a_database() {
        let named =
            |text: &str| text.parse::<TableName>().expect("it never fails").within("test").to_string();
        assert_eq!((named("t"), named("shop.t")), ("test.t".to_owned(), "shop.t".to_owned()));
    }
}
