//! Scopes, inheritance and persistence of accounts.

use std::sync::Arc;

use super::*;
use crate::datum::Datum;
use crate::eval::Functions;
use crate::storage::Options;

fn object(fields: &[(&'static str, bool)]) -> Datum {
    Datum::object(fields.iter().map(|(name, granted)| (*name, Datum::Bool(*granted))))
}

fn permissions(fields: &[(&'static str, bool)]) -> Permissions {
    let mut permissions = Permissions::default();
    permissions.merge(&object(fields), Scope::Global).expect("valid permissions");
    permissions
}

#[test]
fn the_narrowest_scope_decides() {
    let (database, table) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let scope = Scope::Table { database, table };
    let mut user = User::with_password("");
    assert!(!user.may(Permission::Read, scope));
    user.set_permissions(Scope::Global, permissions(&[("read", true), ("write", true)]));
    assert!(user.may(Permission::Write, scope));
    user.set_permissions(Scope::Database(database), permissions(&[("write", false)]));
    assert!(!user.may(Permission::Write, scope) && user.may(Permission::Read, scope));
    user.set_permissions(scope, permissions(&[("write", true)]));
    assert!(user.may(Permission::Write, scope));
    user.set_permissions(scope, permissions(&[("read", false)]));
    assert!(!user.may(Permission::Write, scope), "who may not read may not write");
}

#[test]
fn system_tables_inherit_nothing_global() {
    let scope = Scope::Table { database: SYSTEM_DATABASE, table: Uuid::from_u128(3) };
    let mut user = User::with_password("");
    user.set_permissions(Scope::Global, permissions(&[("read", true)]));
    assert!(!user.may(Permission::Read, scope));
    user.set_permissions(Scope::Database(SYSTEM_DATABASE), permissions(&[("read", true)]));
    assert!(user.may(Permission::Read, scope));
}

#[test]
fn users_survive_in_the_store() {
    let store = Store::open(Options::new(Arc::new(Functions))).expect("an empty store");
    let accounts = Accounts::open(store.clone(), "secret").expect("accounts");
    let scope = Scope::Database(Uuid::from_u128(7));
    accounts
        .change("bob", |_| {
            let mut user = User::with_password("hunter2");
            user.set_permissions(scope, permissions(&[("read", true)]));
            Ok(Some(user))
        })
        .expect("a new user");
    let reopened = Accounts::open(store, "other").expect("the same accounts");
    let admin = reopened.user(ADMIN).expect("admin");
    assert!(admin.credentials().matches("secret"), "the initial password is for new databases only");
    assert!(reopened.require("bob", Permission::Read, scope).is_ok());
    let refused = reopened.require("bob", Permission::Read, Scope::Global).expect_err("only one database");
    assert_eq!(refused.message(), "User `bob` does not have the required `read` permission.");
    reopened.change("bob", |_| Ok(None)).expect("dropped");
    assert!(reopened.user("bob").is_none());
}
