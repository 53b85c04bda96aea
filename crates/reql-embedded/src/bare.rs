//! An engine that knows its administrator and no terms: what a server without a language can honestly answer.

use crate::engine::{Credentials, Engine, Envelope, Error, ErrorClass, Query, ServerInfo};

/// Lets `admin` in and refuses all queries.
pub(crate) struct Bare {
    admin: Credentials,
    info: ServerInfo,
}

impl Bare {
    pub(crate) fn new(password: &str, name: Option<String>) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        let name = name.unwrap_or_else(|| format!("embedded_{}", id.get(..3).unwrap_or_default()));
        Self { admin: Credentials::initial(password), info: ServerInfo { id, name } }
    }
}

impl Engine for Bare {
    fn credentials(&self, user: &str) -> Option<Credentials> {
        (user == "admin").then(|| self.admin.clone())
    }

    fn server_info(&self) -> ServerInfo {
        self.info.clone()
    }

    fn compile(&self, _: &Envelope<'_>) -> Result<Box<dyn Query>, Error> {
        Err(Error { class: ErrorClass::Compile, ..Error::client("This server has no query language.") })
    }
}
