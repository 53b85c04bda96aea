//! Credentials of the database account that a session uses.

use crate::settings::{Rdb, Secret};

/// The name and password of a database user. `Debug` masks the password.
///
/// ```no_run
/// # async fn run(db: warp_reql::Database) -> Result<(), warp_reql::Error> {
/// use warp_reql::database::Credentials;
/// use warp_reql::{Conn, reql::r};
///
/// let mut conn = Conn::with_credentials(db, Credentials::new("bob", "secret"));
/// let heroes: Vec<serde_json::Value> = conn.all(r.table("heroes")).await?;
/// # let _ = heroes;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: Secret,
}

impl Credentials {
    /// Creates credentials from a user name and a password.
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

    /// Returns the user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the user's password.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// Returns the credentials of the service's own account.
    pub(super) fn of(settings: &Rdb) -> Self {
        Credentials { user: settings.user.clone(), password: settings.password.clone() }
    }
}
