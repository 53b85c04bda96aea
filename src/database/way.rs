//! The transport to one server: TCP, TLS, or a pipe within this process.

use reql::Connector;

#[cfg(feature = "tls")]
use super::protected::Protected;
use super::{Credentials, Session};
#[cfg(not(feature = "tls"))]
use crate::error::Code;
use crate::error::Error;
use crate::settings::Rdb;

/// The number of TCP keepalive probes within a query's timeout, so that a dead connection ends before that
/// timeout.
const SIGNS: u32 = 3;

pub(super) enum Way {
    Plain(Connector),
    #[cfg(feature = "tls")]
    Protected(Box<Protected>),
    /// A pair of buffers instead of a socket.
    #[cfg(feature = "embedded")]
    Within {
        server: reql_embedded::Connector,
        connector: Connector,
        patience: std::time::Duration,
    },
}

impl Way {
    pub(super) fn to(host: &str, port: u16, settings: &Rdb) -> Result<Self, Error> {
        let plain = connector(host, port, settings)
            .keepalive(Some(settings.query_timeout / SIGNS))
            // With that, Linux closes a connection at the first probe that is unanswered after this time.
            .user_timeout(Some(settings.query_timeout.saturating_mul(2) / SIGNS));
        if !settings.tls.is_on() {
            return Ok(Way::Plain(plain));
        }
        Way::protected(plain, settings)
    }

    #[cfg(feature = "tls")]
    fn protected(plain: Connector, settings: &Rdb) -> Result<Self, Error> {
        Protected::new(plain, settings.tls.clone()).map(Box::new).map(Way::Protected)
    }

    #[cfg(not(feature = "tls"))]
    fn protected(_: Connector, _: &Rdb) -> Result<Self, Error> {
        Err(Error::from(Code::Misconfigured).caused_by("`rdb.tls` needs the feature `tls` of warp-reql"))
    }

    #[cfg(feature = "embedded")]
    pub(super) fn within(server: reql_embedded::Connector, settings: &Rdb) -> Self {
        let connector = connector("embedded", settings.port, settings);
        Way::Within { server, connector, patience: settings.connect_timeout }
    }

    /// Opens a session for a user.
    pub(super) async fn connect(&self, who: &Credentials) -> reql::Result<Session> {
        let (user, password) = (who.user(), who.password().expose());
        match self {
            Way::Plain(connector) => connector.connect_as(user, password).await,
            #[cfg(feature = "tls")]
            Way::Protected(protected) => protected.connector().connect_as(user, password).await,
            #[cfg(feature = "embedded")]
            Way::Within { server, connector, patience } => {
                let connected = tokio::time::timeout(*patience, server.connect()).await;
                let error = |kind, why: String| reql::Error::new(kind, why);
                let late =
                    |_| error(reql::ErrorKind::Timeout, "the embedded database takes nobody in".to_owned());
                let io = connected.map_err(late)?;
                let io = io.map_err(|why| error(reql::ErrorKind::Io, why.to_string()))?;
                connector.connect_over_as(reql::Stream::over(io), user, password).await
            }
        }
    }
}

fn connector(host: &str, port: u16, settings: &Rdb) -> Connector {
    Connector::at(host, port).database(settings.db.as_str()).timeout(settings.connect_timeout)
}
