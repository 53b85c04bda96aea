//! Permissions: each is granted, denied, or left to the wider scope.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result};

/// A kind of operation that can be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Reading rows.
    Read,
    /// Writing rows, for which reading must be permitted too.
    Write,
    /// Making, changing and dropping databases, tables and indexes.
    Config,
    /// Opening connections to other hosts, as `r.http` does.
    Connect,
}

impl Permission {
    /// All of them.
    const ALL: [Permission; 4] =
        [Permission::Read, Permission::Write, Permission::Config, Permission::Connect];

    /// Returns its name in `grant` and in error messages.
    pub fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Config => "config",
            Permission::Connect => "connect",
        }
    }
}

/// The extent of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Global,
    /// The database with this id.
    Database(Uuid),
    /// A table.
    Table {
        /// Id of its database.
        database: Uuid,
        /// Id of the table.
        table: Uuid,
    },
}

/// The grants and denials at one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions([Option<bool>; 4]);

impl Permissions {
    /// Returns all permissions that can be granted at a scope.
    pub fn everything(scope: Scope) -> Permissions {
        let mut all = Permissions([Some(true); 4]);
        if scope != Scope::Global {
            *all.slot(Permission::Connect) = None;
        }
        all
    }

    /// Returns true if the permission is granted, false if it is denied, and `None` if neither.
    pub fn get(&self, permission: Permission) -> Option<bool> {
        self.0[permission as usize]
    }

    fn slot(&mut self, permission: Permission) -> &mut Option<bool> {
        &mut self.0[permission as usize]
    }

    /// Returns true if nothing is granted or denied.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Takes over the permissions of an object: `true`, `false`, or `null` to leave it to the wider scope.
    pub fn merge(&mut self, datum: &Datum, scope: Scope) -> Result<()> {
        let Datum::Object(object) = datum else {
            return Err(Error::op_failed(format!("Expected an object, got {}.", datum.print())));
        };
        let mut unknown: BTreeSet<&str> = object.keys().collect();
        for permission in Permission::ALL {
            let name = permission.name();
            let Some(value) = object.get(name) else { continue };
            if permission == Permission::Connect && scope != Scope::Global {
                return Err(Error::op_failed("The `connect` permission is only valid at the global scope."));
            }
            unknown.remove(name);
            *self.slot(permission) = match value {
                Datum::Bool(granted) => Some(granted),
                Datum::Null => None,
                other => {
                    return Err(Error::op_failed(format!(
                        "Expected a boolean or null for `{name}`, got {}.",
                        other.print()
                    )));
                }
            };
        }
        no_unexpected_keys(unknown)
    }

    /// Returns an object of the grants and denials; `null` if there are none.
    pub fn to_datum(self) -> Datum {
        if self.is_empty() {
            return Datum::Null;
        }
        let mut object = ObjectBuilder::new();
        for permission in Permission::ALL {
            if let Some(granted) = self.get(permission) {
                object.insert(permission.name(), Datum::Bool(granted));
            }
        }
        Datum::Object(object.build())
    }
}

/// Fails if any keys are left of an object.
pub fn no_unexpected_keys(keys: BTreeSet<&str>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = keys.into_iter().collect();
    Err(Error::op_failed(format!("Unexpected key(s) `{}`.", keys.join("`, `"))))
}
