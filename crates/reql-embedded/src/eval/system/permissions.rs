//! `permissions`: a row for each scope at which something is granted to a user or denied; and `grant`, which
//! is short for writing one.

use std::collections::BTreeSet;

use super::fields;
use super::{DATABASE, Identifiers, SystemTable, View, Write};
use crate::accounts::{ADMIN, Permission, Permissions, SYSTEM_DATABASE, Scope, User, no_unexpected_keys};
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result};
use crate::eval::env::Env;
use crate::eval::table::TableRef;

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let mut rows = Vec::new();
    let system = Scope::Database(SYSTEM_DATABASE);
    // `admin` may do everything, and no permissions are kept for it.
    rows.extend(row(view, ADMIN, Scope::Global, Permissions::everything(Scope::Global)));
    rows.extend(row(view, ADMIN, system, Permissions::everything(system)));
    for (name, user) in view.instance.accounts.all().iter().filter(|(name, _)| *name != ADMIN) {
        rows.extend(row(view, name, Scope::Global, user.permissions(Scope::Global)));
        let databases = user.databases().map(|(id, said)| (Scope::Database(id), said));
        let tables = user.tables().filter_map(|(table, said)| {
            // Permissions on a table that is gone aren't shown.
            let (_, database, _) = table_names(view, table)?;
            Some((Scope::Table { database, table }, said))
        });
        rows.extend(databases.chain(tables).filter_map(|(scope, said)| row(view, name, scope, said)));
    }
    Ok(rows)
}

/// Returns the row of a user at a scope, unless nothing is granted or denied there.
fn row(view: &View<'_>, name: &str, scope: Scope, permissions: Permissions) -> Option<Datum> {
    let mut id = vec![Datum::str(name)];
    let mut row = ObjectBuilder::new();
    let database_name = |id| database_name(view, id).unwrap_or_else(|| "__deleted_database__".into());
    match scope {
        Scope::Global => {}
        Scope::Database(database) => {
            id.push(Datum::str(database.to_string()));
            row.insert("database", view.identifiers().pick(&database_name(database), database));
        }
        Scope::Table { table, .. } => {
            let (name, database, database_name) = table_names(view, table)?;
            id.extend([Datum::str(database.to_string()), Datum::str(table.to_string())]);
            row.insert("database", view.identifiers().pick(&database_name, database));
            row.insert("table", view.identifiers().pick(&name, table));
        }
    }
    row.insert("id", Datum::array(id));
    row.insert("permissions", permissions.to_datum());
    row.insert("user", Datum::str(name));
    (!permissions.is_empty()).then(|| Datum::Object(row.build()))
}

fn database_name(view: &View<'_>, id: uuid::Uuid) -> Option<String> {
    if id == SYSTEM_DATABASE {
        return Some(DATABASE.to_owned());
    }
    let databases = view.instance.store.databases();
    databases.into_iter().find(|database| database.id == id).map(|database| database.name.to_string())
}

/// Returns the name of a table, and the id and name of its database.
fn table_names(view: &View<'_>, id: uuid::Uuid) -> Option<(String, uuid::Uuid, String)> {
    if let Some(table) = view.instance.store.table_by_id(id) {
        let meta = table.meta();
        return Some((meta.config.name, meta.database.id, meta.database.name.to_string()));
    }
    let name = SystemTable::names()
        .find(|name| SystemTable::find(name, Identifiers::Names).is_some_and(|table| table.id() == id))?;
    Some((name.to_owned(), SYSTEM_DATABASE, DATABASE.to_owned()))
}

pub(super) fn write(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    if write.is_key_generated {
        return Err(Error::op_failed("You must specify a primary key."));
    }
    let (name, scope) = parse_key(view, write.key)?;
    check_changeable(&name)?;
    let new = &write.new;
    let mut said = Permissions::default();
    view.instance.accounts.change(&name, |user| {
        let mut user = user.cloned().ok_or_else(|| Error::op_failed(format!("No user named `{name}`.")))?;
        if !new.is_null() {
            said = user.permissions(scope);
            merge_row(view, new, &name, scope, &mut said)?;
        }
        user.set_permissions(scope, said);
        Ok(Some(user))
    })?;
    // A row that grants and denies nothing is as good as a deletion.
    Ok(if said.is_empty() { Datum::Null } else { write.new })
}

fn check_changeable(name: &str) -> Result<()> {
    if name == ADMIN {
        return Err(Error::op_failed(format!("The permissions of the user `{name}` can't be modified.")));
    }
    Ok(())
}

fn parse_key(view: &View<'_>, key: &Datum) -> Result<(String, Scope)> {
    let items = match key {
        Datum::Array(items) if (1..=3).contains(&items.len()) => items,
        _ => {
            return Err(Error::op_failed(format!(
                "Expected an array of one to three items in the primary key, got {}.",
                key.print()
            )));
        }
    };
    let id = |index: usize, what: &str| {
        let Some(item) = items.get(index) else { return Ok(None) };
        match fields::as_id(&item) {
            Some(id) => Ok(Some(id)),
            None => Err(Error::op_failed(format!("Expected a UUID as the {what}, got {}.", item.print()))),
        }
    };
    let name = match items.get(0).unwrap_or_default() {
        Datum::Str(name) => name.to_string(),
        other => {
            return Err(Error::op_failed(format!(
                "Expected a string as the username, got {}.",
                other.print()
            )));
        }
    };
    let Some(database) = id(1, "database")? else { return Ok((name, Scope::Global)) };
    if database_name(view, database).is_none() {
        return Err(Error::op_failed(format!("No database with UUID `{database}` exists.")));
    }
    let Some(table) = id(2, "table")? else { return Ok((name, Scope::Database(database))) };
    match table_names(view, table) {
        Some((_, its_database, _)) if its_database == database => {
            Ok((name, Scope::Table { database, table }))
        }
        _ => Err(Error::op_failed(format!("No table with UUID `{table}` exists."))),
    }
}

/// Takes over the permissions of a row, which has to be about this user and scope.
fn merge_row(view: &View<'_>, row: &Datum, name: &str, scope: Scope, said: &mut Permissions) -> Result<()> {
    let object = row.as_object()?;
    let mut unknown: BTreeSet<&str> = object.keys().collect();
    unknown.remove("id");
    let mut about = vec![("user", Datum::str(name))];
    let identifiers = view.identifiers();
    match scope {
        Scope::Global => {}
        Scope::Database(id) => {
            about.push(("database", identifiers.pick(&database_name(view, id).unwrap_or_default(), id)));
        }
        Scope::Table { table, .. } => {
            let (name, database, database_name) = table_names(view, table).unwrap_or_default();
            about.push(("database", identifiers.pick(&database_name, database)));
            about.push(("table", identifiers.pick(&name, table)));
        }
    }
    for (key, expected) in about {
        let Some(given) = object.get(key) else { continue };
        unknown.remove(key);
        if given != expected {
            return Err(Error::op_failed(format!("The key `{key}` does not match the primary key.")));
        }
    }
    let permissions =
        object.get("permissions").ok_or_else(|| Error::op_failed("Expected a field `permissions`."))?;
    unknown.remove("permissions");
    said.merge(&permissions, scope)?;
    no_unexpected_keys(unknown)
}

/// Grants and denies the permissions of an object to a user at a scope. Returns the permissions before and
/// after.
pub fn grant(env: &Env, name: &str, permissions: &Datum, scope: Scope) -> Result<(Datum, Datum)> {
    if name.is_empty() {
        // RethinkDB lets this one escape.
        return Err(Error::internal("Unexpected exception: Empty username"));
    }
    check_changeable(name)?;
    let table = SystemTable::find("permissions", Identifiers::Names);
    if let Some(scope) = table.map(|table| TableRef::system(table).scope()) {
        env.require(Permission::Read, scope)?;
        env.require(Permission::Write, scope)?;
    }
    let _locked = table.map(|table| table.lock(env)).transpose()?;
    let mut before = Permissions::default();
    let mut after = Permissions::default();
    env.instance()?.accounts.change(name, |user| {
        let mut user: User =
            user.cloned().ok_or_else(|| Error::op_failed(format!("User `{name}` not found.")))?;
        before = user.permissions(scope);
        after = before;
        after.merge(permissions, scope)?;
        user.set_permissions(scope, after);
        Ok(Some(user))
    })?;
    Ok((before.to_datum(), after.to_datum()))
}
