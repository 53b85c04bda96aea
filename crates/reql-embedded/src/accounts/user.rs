//! A user: the stored form of the password, and permissions at each scope.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::SYSTEM_DATABASE;
use super::permissions::{Permission, Permissions, Scope, no_unexpected_keys};
use crate::budget::fuel;
use crate::credentials::{Credentials, DEFAULT_ITERATIONS, MAX_ITERATIONS};
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    credentials: Credentials,
    /// `true` if the password is set, that is, not empty.
    has_password: bool,
    global: Permissions,
    databases: BTreeMap<Uuid, Permissions>,
    tables: BTreeMap<Uuid, Permissions>,
}

/// A password, as a row of the table `users` has it.
#[derive(Debug)]
pub enum Password {
    /// Another one.
    Set(Credentials),
    /// None, which is an empty one.
    Empty(Credentials),
    /// The one that is set.
    AsItIs,
}

impl Password {
    /// Reads a row, and stretches the password in it. That takes a while, so it is to be done before the
    /// users are locked.
    pub fn of_row(row: &Datum) -> Result<Password> {
        let Datum::Object(object) = row else {
            return Err(Error::op_failed(format!("Expected an object, got {}.", row.print())));
        };
        required(object, "id")?;
        let password = required(object, "password")?;
        no_unexpected_keys(object.keys().filter(|key| !matches!(*key, "id" | "password")).collect())?;
        match &password {
            Datum::Object(hashing) => Password::stretched_as_told(hashing),
            Datum::Str(password) => Password::stretched(password, DEFAULT_ITERATIONS),
            Datum::Bool(false) => Ok(Password::Empty(Credentials::initial(""))),
            Datum::Bool(true) => Ok(Password::AsItIs),
            other => Err(Error::op_failed(format!(
                "Expected an object, string or boolean for `password`, got {}.",
                other.print()
            ))),
        }
    }

    /// Reads a password with the number of its iterations.
    fn stretched_as_told(hashing: &Object) -> Result<Password> {
        let iterations = required(hashing, "iterations")?;
        let count = iterations.as_int().ok().and_then(|count| u32::try_from(count).ok());
        let Some(count) = count.filter(|count| *count > 0) else {
            return Err(Error::op_failed(format!(
                "Expected `iterations` to be an integer greater than zero, got {}.",
                iterations.print()
            )));
        };
        if count > MAX_ITERATIONS {
            let message = format!("Expected `iterations` to be at most {MAX_ITERATIONS}, got {count}.");
            return Err(Error::op_failed(message));
        }
        let password = match required(hashing, "password")? {
            Datum::Str(password) => password,
            other => {
                return Err(Error::op_failed(format!(
                    "Expected `password` to be a string, got {}.",
                    other.print()
                )));
            }
        };
        let others: BTreeSet<&str> =
            hashing.keys().filter(|key| !matches!(*key, "iterations" | "password")).collect();
        no_unexpected_keys(others)?;
        Password::stretched(&password, count)
    }

    fn stretched(password: &str, iterations: u32) -> Result<Password> {
        let credentials = Credentials::derive(password, iterations);
        // It may have been ended half done.
        fuel::spend(1)?;
        Ok(if password.is_empty() { Password::Empty(credentials) } else { Password::Set(credentials) })
    }
}

impl User {
    /// Returns a user who may do nothing yet.
    pub fn with_password(password: &str) -> User {
        User {
            credentials: Credentials::initial(password),
            has_password: !password.is_empty(),
            global: Permissions::default(),
            databases: BTreeMap::new(),
            tables: BTreeMap::new(),
        }
    }

    /// Returns true if the password is set, that is, not empty.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// Returns the stored form of the password.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the row of the table `users`.
    pub fn row(&self, name: &str) -> Datum {
        Datum::object([("id", Datum::str(name)), ("password", Datum::Bool(self.has_password))])
    }

    /// Takes over a password that was read from a row.
    pub fn take(&mut self, password: &Password) -> Result<()> {
        match password {
            Password::Set(credentials) | Password::Empty(credentials) => {
                self.credentials = credentials.clone();
            }
            Password::AsItIs if self.has_password => return Ok(()),
            Password::AsItIs => {
                let expected = "an object or string to set the password, or `false` to keep it unset";
                return Err(Error::op_failed(format!("Expected {expected}, got true.")));
            }
        }
        self.has_password = matches!(password, Password::Set(_));
        Ok(())
    }

    /// Returns the permissions at exactly this scope.
    pub fn permissions(&self, scope: Scope) -> Permissions {
        match scope {
            Scope::Global => self.global,
            Scope::Database(id) => self.databases.get(&id).copied().unwrap_or_default(),
            Scope::Table { table, .. } => self.tables.get(&table).copied().unwrap_or_default(),
        }
    }

    /// Replaces the permissions at exactly this scope.
    pub fn set_permissions(&mut self, scope: Scope, permissions: Permissions) {
        let (narrow, id) = match scope {
            Scope::Global => {
                self.global = permissions;
                return;
            }
            Scope::Database(id) => (&mut self.databases, id),
            Scope::Table { table, .. } => (&mut self.tables, table),
        };
        if permissions.is_empty() {
            narrow.remove(&id);
        } else {
            narrow.insert(id, permissions);
        }
    }

    /// Returns the databases that have permissions of their own.
    pub fn databases(&self) -> impl Iterator<Item = (Uuid, Permissions)> {
        self.databases.iter().map(|(id, permissions)| (*id, *permissions))
    }

    /// Returns the tables that have permissions of their own.
    pub fn tables(&self) -> impl Iterator<Item = (Uuid, Permissions)> {
        self.tables.iter().map(|(id, permissions)| (*id, *permissions))
    }

    /// Returns true if the user has the permission at the scope: the narrowest scope that grants or denies it
    /// decides.
    pub fn may(&self, permission: Permission, scope: Scope) -> bool {
        match permission {
            Permission::Write => {
                self.is_granted(Permission::Read, scope) && self.is_granted(Permission::Write, scope)
            }
            other => self.is_granted(other, scope),
        }
    }

    fn is_granted(&self, permission: Permission, scope: Scope) -> bool {
        let at = |scope| self.permissions(scope).get(permission);
        let wider = match scope {
            Scope::Global => None,
            Scope::Database(_) => Some(Scope::Global),
            Scope::Table { database, .. } => Some(Scope::Database(database)),
        };
        match (at(scope), wider) {
            (Some(granted), _) => granted,
            (None, None) => false,
            // The system's own tables must be permitted by name.
            (None, Some(Scope::Global)) if scope == Scope::Database(SYSTEM_DATABASE) => false,
            (None, Some(wider)) => self.is_granted(permission, wider),
        }
    }

    /// Returns the record that the store keeps.
    pub(super) fn to_record(&self) -> Datum {
        let by_id = |permissions: &BTreeMap<Uuid, Permissions>| {
            Datum::object(permissions.iter().map(|(id, said)| (id.to_string(), said.to_datum())))
        };
        let Credentials { salt, iterations, stored_key, server_key } = &self.credentials;
        Datum::object([
            ("salt", Datum::Binary(salt.as_slice().into())),
            ("iterations", Datum::Num(f64::from(*iterations))),
            ("stored_key", Datum::Binary(stored_key.as_slice().into())),
            ("server_key", Datum::Binary(server_key.as_slice().into())),
            ("has_password", Datum::Bool(self.has_password)),
            ("global", self.global.to_datum()),
            ("databases", by_id(&self.databases)),
            ("tables", by_id(&self.tables)),
        ])
    }

    /// Reads a user from the record that the store keeps.
    pub(super) fn from_record(record: &Datum) -> Result<User> {
        let iterations = u32::try_from(record.field("iterations")?.as_int()?).map_err(|_| damaged())?;
        let credentials = Credentials {
            salt: bytes(record, "salt")?,
            iterations,
            stored_key: bytes(record, "stored_key")?,
            server_key: bytes(record, "server_key")?,
        };
        Ok(User {
            credentials,
            has_password: record.field("has_password")?.is_truthy(),
            global: permissions(&record.field("global")?, Scope::Global)?,
            databases: permissions_by_id(&record.field("databases")?)?,
            tables: permissions_by_id(&record.field("tables")?)?,
        })
    }
}

fn required(object: &Object, field: &str) -> Result<Datum> {
    object.get(field).ok_or_else(|| Error::op_failed(format!("Expected a field named `{field}`.")))
}

fn damaged() -> Error {
    Error::internal("The record of a user is damaged.")
}

fn bytes<const LEN: usize>(record: &Datum, field: &str) -> Result<[u8; LEN]> {
    <[u8; LEN]>::try_from(&**record.field(field)?.as_binary()?).map_err(|_| damaged())
}

fn permissions(datum: &Datum, scope: Scope) -> Result<Permissions> {
    let mut permissions = Permissions::default();
    if !datum.is_null() {
        permissions.merge(datum, scope)?;
    }
    Ok(permissions)
}

fn permissions_by_id(record: &Datum) -> Result<BTreeMap<Uuid, Permissions>> {
    let entries = record.as_object()?.iter().map(|(id, said)| {
        let id = Uuid::try_parse(id).map_err(|_| damaged())?;
        Ok((id, permissions(&said, Scope::Database(id))?))
    });
    entries.collect()
}
