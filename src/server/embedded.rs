//! The database inside this process.

use std::io;

use reql_embedded::Server;

use crate::database::Credentials;
use crate::error::Code;
use crate::settings::Rdb;
use crate::{Conn, Database};

/// The user that an empty database has.
const ADMIN: &str = "admin";

/// Starts the embedded database, and has the settings name it. It listens on this machine, where there may be
/// other users. So if neither its data nor the settings have a password for the administrator, it gets one
/// that ends with the process.
///
/// # Errors
///
/// If it can't open its data, or the data has another password than the settings.
pub(super) async fn start(rdb: &mut Rdb) -> io::Result<Server> {
    let builder = Server::builder().initial_password(rdb.password.expose());
    let builder = if rdb.password.expose().is_empty() { builder.locked() } else { builder };
    let builder = if rdb.in_memory() { builder.in_memory() } else { builder.data_dir(&rdb.data_dir) };
    let server = builder.start().await.map_err(|error| {
        let (place, error) = (rdb.data_dir.display(), io::Error::from(error));
        io::Error::new(error.kind(), format!("can't start the embedded database in {place}: {error}"))
    })?;
    rdb.host = server.local_addr().into();
    if let Some(password) = server.password()
        && rdb.user == ADMIN
    {
        rdb.password = password.into();
    }
    check_password(rdb).await?;
    Ok(server)
}

/// Checks that the data takes the password of the settings. The data keeps the password that it was made
/// with. With another one the service would wait for the database for ever.
async fn check_password(rdb: &Rdb) -> io::Result<()> {
    let once = Database::new(Rdb { standby: 0, ..rdb.clone() }).map_err(io::Error::other)?;
    let who = Credentials::new(&rdb.user, rdb.password.clone());
    match Conn::with_credentials(once, who).admitted().await {
        Err(error) if error.code() == Code::Unauthorized => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the data in {} has another password for the user `{}` than `rdb.password` (RDB_PASSWORD)",
                rdb.data_dir.display(),
                rdb.user,
            ),
        )),
        // Whatever else there may be passes, or shows when the service runs.
        _ => Ok(()),
    }
}
