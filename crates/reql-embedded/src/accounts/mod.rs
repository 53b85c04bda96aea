//! Users, their passwords and their permissions.
//!
//! All users are in memory, since every query asks about its own; changes go to the store first.

mod permissions;
mod user;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::{Uuid, uuid};

pub use permissions::{Permission, Permissions, Scope, no_unexpected_keys};
pub use user::{Password, User};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::Store;

/// The user who may do everything.
pub const ADMIN: &str = "admin";

/// The id of the database `rethinkdb`, in which permissions don't follow from global ones.
pub const SYSTEM_DATABASE: Uuid = uuid!("b99b9572-8e53-5fef-9a2b-5e6aba3edf1c");

/// Prefix of the keys of users among the store's records.
const PREFIX: &str = "user:";

/// Users by name.
type Users = BTreeMap<String, Arc<User>>;

/// The users of a server.
pub struct Accounts {
    store: Store,
    users: RwLock<Arc<Users>>,
    /// Lock that is held while a user is changed.
    writing: Mutex<()>,
}

impl Accounts {
    /// Reads the users of a store. If it has none yet, `admin` is made, with this password.
    pub fn open(store: Store, initial_password: &str) -> Result<Accounts> {
        let users = read(&store)?;
        let is_new = !users.contains_key(ADMIN);
        let accounts = Accounts { store, users: RwLock::new(Arc::new(users)), writing: Mutex::new(()) };
        if is_new {
            accounts.change(ADMIN, |_| Ok(Some(User::with_password(initial_password))))?;
        }
        Ok(accounts)
    }

    /// Returns all users as they are now.
    pub fn all(&self) -> Arc<BTreeMap<String, Arc<User>>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the user of this name.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Replaces a user by the closure's result, durably; `None` stands for no user.
    pub fn change(
        &self,
        name: &str,
        change: impl FnOnce(Option<&User>) -> Result<Option<User>>,
    ) -> Result<()> {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut users = (*self.all()).clone();
        let key = format!("{PREFIX}{name}");
        let stored = match change(users.get(name).map(Arc::as_ref))? {
            Some(user) => {
                let record = user.to_record();
                users.insert(name.to_owned(), Arc::new(user));
                self.store.meta_put(&key, &record)
            }
            None => {
                users.remove(name);
                self.store.meta_delete(&key)
            }
        };
        match &stored {
            Ok(()) => self.publish(users),
            // The file may have the change or not.
            Err(error) if error.kind() == ErrorKind::OpIndeterminate => {
                if let Ok(users) = read(&self.store) {
                    self.publish(users);
                }
            }
            Err(_) => {}
        }
        stored
    }

    fn publish(&self, users: Users) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
    }

    /// Fails unless the user has the permission at the scope.
    pub fn require(&self, name: &str, permission: Permission, scope: Scope) -> Result<()> {
        if name == ADMIN || self.user(name).is_some_and(|user| user.may(permission, scope)) {
            return Ok(());
        }
        let message = format!("User `{name}` does not have the required `{}` permission.", permission.name());
        Err(Error::new(ErrorKind::Permission, message))
    }
}

/// Reads the users of a store.
fn read(store: &Store) -> Result<Users> {
    let read = |(key, record): (String, _)| {
        let name = key.get(PREFIX.len()..).unwrap_or_default().to_owned();
        Ok((name, Arc::new(User::from_record(&record)?)))
    };
    store.meta_scan(PREFIX)?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests;
