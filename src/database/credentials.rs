//! Whose account a session uses.

use crate::settings::{Rdb, Secret};

/// The name and password of a database user. `Debug` masks the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: Secret,
}

impl Credentials {
    /// Those of this user.
    ///
    /// ```
    /// use warp_reql::database::Credentials;
    ///
    /// let bob = Credentials::new("bob", "secret");
    /// assert_eq!(bob.user(), "bob");
    /// assert!(!format!("{bob:?}").contains("secret"));
    /// ```
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Credentials { user: user.into(), password: password.into() }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The user's password.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The service's own.
    pub(super) fn of(settings: &Rdb) -> Self {
        Credentials { user: settings.user.clone(), password: settings.password.clone() }
    }
}
