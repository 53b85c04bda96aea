//! The way to one server: over the network, with TLS or without, or within this process.

use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use log::warn;
use reql::tls::Tls;
use reql::{Connector, ErrorKind, Stream};
use tokio::time::timeout;

use super::{Credentials, Session};
use crate::error::{Code, Error};
use crate::settings::{Rdb, RdbTls};

/// The number of times within a query's timeout that the other end of a silent connection is asked, by TCP, if
/// it is there. So a connection whose way is gone ends before that time is over.
const SIGNS: u32 = 3;

pub(super) enum Way {
    Plain(Connector),
    Protected(Box<Protected>),
    /// A pair of buffers instead of a socket.
    Within {
        server: reql_embedded::Connector,
        connector: Connector,
        patience: Duration,
    },
}

/// Connections by TLS, whose files may be replaced at any time.
pub(super) struct Protected {
    plain: Connector,
    tls: RdbTls,
    current: Mutex<(Stamps, Connector)>,
}

/// The time of change and the length of each file.
type Stamps = [Option<(Option<SystemTime>, u64)>; 3];

impl Way {
    pub(super) fn to(host: &str, port: u16, settings: &Rdb) -> Result<Self, Error> {
        let plain = connector(host, port, settings)
            .keepalive(Some(settings.query_timeout / SIGNS))
            // With that, Linux gives a connection up at the first sign that is missing after this time.
            .user_timeout(Some(settings.query_timeout * 2 / SIGNS));
        if !settings.tls.is_on() {
            return Ok(Way::Plain(plain));
        }
        Protected::new(plain, settings.tls.clone()).map(Box::new).map(Way::Protected)
    }

    pub(super) fn within(server: reql_embedded::Connector, settings: &Rdb) -> Self {
        let connector = connector("embedded", settings.port, settings);
        Way::Within { server, connector, patience: settings.connect_timeout }
    }

    /// Opens a session for a user.
    pub(super) async fn connect(&self, who: &Credentials) -> reql::Result<Session> {
        let (user, password) = (who.user(), who.password().expose());
        match self {
            Way::Plain(connector) => connector.connect_as(user, password).await,
            Way::Protected(protected) => protected.connector().connect_as(user, password).await,
            Way::Within { server, connector, patience } => {
                let connected = timeout(*patience, server.connect()).await;
                let late = |_| reql::Error::new(ErrorKind::Timeout, "the embedded database takes nobody in");
                let io = connected.map_err(late)?;
                let io = io.map_err(|error| reql::Error::new(ErrorKind::Io, error.to_string()))?;
                connector.connect_over_as(Stream::over(io), user, password).await
            }
        }
    }
}

fn connector(host: &str, port: u16, settings: &Rdb) -> Connector {
    Connector::at(host, port).database(settings.db.as_str()).timeout(settings.connect_timeout)
}

impl Protected {
    fn new(plain: Connector, tls: RdbTls) -> Result<Self, Error> {
        let stamps = stamps(&tls);
        let read = read(&tls)
            .map_err(|error| Error::from(Code::Misconfigured).caused_by(format!("`rdb.tls`: {error}")))?;
        let current = Mutex::new((stamps, plain.clone().tls(read)));
        Ok(Protected { plain, tls, current })
    }

    /// Returns what connects by the files as they are now. If they make no sense, those of before go on.
    fn connector(&self) -> Connector {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.tls);
        if stamps != current.0 {
            // Once for each change.
            current.0 = stamps;
            match read(&self.tls) {
                Ok(tls) => current.1 = self.plain.clone().tls(tls),
                Err(error) => warn!("The files of `rdb.tls` changed, but those of before are used: {error}"),
            }
        }
        current.1.clone()
    }
}

fn read(settings: &RdbTls) -> Result<Tls, String> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
    };
    let tls = match settings.ca() {
        Some(ca) => Tls::trusting_file(ca),
        None => Tls::native(),
    };
    let mut tls = tls.map_err(|error| error.to_string())?;
    if let Some((chain, key)) = settings.certificate() {
        tls = tls.client_certificate(&file(chain)?, &file(key)?).map_err(|error| error.to_string())?;
    }
    match settings.server_name.as_str() {
        "" => Ok(tls),
        name => tls.server_name(name).map_err(|error| error.to_string()),
    }
}

fn stamps(settings: &RdbTls) -> Stamps {
    let stamp = |metadata: Metadata| (metadata.modified().ok(), metadata.len());
    [&settings.ca, &settings.cert, &settings.key].map(|path| std::fs::metadata(path).ok().map(stamp))
}
