//! The database inside this process.

use std::io;

use reql_embedded::Server;

use crate::database::Credentials;
use crate::error::Code;
use crate::settings::Rdb;
use crate::{Conn, Database};

/// The user that an empty database has.
const ADMIN: &str = "admin";

/// Starts the embedded database. Unless the settings say where it listens, only this process can connect.
///
/// Where it listens there may be other users of this machine. So if neither its data nor the settings have a
/// password for the administrator, it gets one that ends with the process, and the log tells it.
///
/// # Errors
///
/// If it can't listen there or open its data, or the data has another password than the settings.
pub(super) async fn start(rdb: &mut Rdb) -> io::Result<(Server, Database)> {
    let builder = Server::builder().initial_password(rdb.password.expose());
    let builder = match rdb.listen.0 {
        None => builder.in_process(),
        Some(addr) if rdb.password.expose().is_empty() => builder.bind(addr).locked(),
        Some(addr) => builder.bind(addr),
    };
    let builder = if rdb.in_memory() { builder.in_memory() } else { builder.data_dir(&rdb.data_dir) };
    let server = builder.start().await.map_err(|error| {
        let (place, error) = (rdb.data_dir.display(), io::Error::from(error));
        io::Error::new(error.kind(), format!("can't start the embedded database in {place}: {error}"))
    })?;
    if let Some(addr) = server.local_addrs().first() {
        let proof = match server.password() {
            Some(password) => format!(" as `{ADMIN}` with the password {password}, until this process ends"),
            None => String::new(),
        };
        log::info!("Drivers can connect to the database at {addr}{proof}.");
    }
    if let Some(password) = server.password()
        && rdb.user == ADMIN
    {
        rdb.password = password.into();
    }
    check_password(rdb, &server).await?;
    let database = Database::embedded(rdb.clone(), server.connector());
    Ok((server, database))
}

/// Checks that the data takes the password of the settings. The data keeps the password that it was made
/// with. With another one the service would wait for the database for ever.
async fn check_password(rdb: &Rdb, server: &Server) -> io::Result<()> {
    let once = Database::embedded(Rdb { standby: 0, ..rdb.clone() }, server.connector());
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
