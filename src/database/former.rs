//! Sessions of the driver `reql` 0.11, for handlers that are written for it.

use std::sync::Arc;

use log::debug;
use reql_0_11::cmd::connect::Options;
use reql_0_11::{Driver, Session, r};
use tokio::time::timeout;

use super::counters::{Counters, GaugeGuard};
use super::permits::Permit;
use super::{Claim, Credentials, Database};
use crate::error::{Code, Error};

/// A session of the former driver, and its permit. Dropping it closes the socket.
pub(crate) struct Former {
    // Fields are dropped in this order: the socket closes before the next request may open one.
    session: Session,
    _counted: Counted,
    _in_use: GaugeGuard,
    _permit: Permit,
}

struct Counted(Arc<Counters>);

impl Drop for Counted {
    fn drop(&mut self) {
        debug!("Disconnecting from database.");
        self.0.closed();
    }
}

impl Former {
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Database {
    /// Opens a session of the former driver for a user, or for the service's own account.
    pub(crate) async fn acquire_former(
        &self,
        who: Option<&Credentials>,
        claim: Option<Claim>,
    ) -> Result<Former, Error> {
        let settings = self.settings();
        let servers = settings.servers();
        if servers.is_empty() || settings.tls.is_on() {
            let reason = "a session of reql 0.11 needs a database that is reached without TLS by a network";
            return Err(Error::from(Code::Misconfigured).caused_by(reason));
        }
        let permit = self.permit(claim).await?;
        self.shared.make_room();
        let own = Credentials::of(settings);
        let mut outcome = Err(Error::from(Code::DatabaseUnreachable));
        for (host, port) in servers {
            outcome = self.dial_former(host, port, who.unwrap_or(&own)).await;
            // The other servers have the same users.
            if outcome.as_ref().map_or_else(|error| error.code() == Code::Unauthorized, |_| true) {
                break;
            }
        }
        let session = if who.is_none() { outcome.map_err(Error::into_own) } else { outcome }?;
        let counters = &self.shared.counters;
        counters.opened();
        Ok(Former {
            session,
            _counted: Counted(Arc::clone(counters)),
            _in_use: GaugeGuard::new(counters, |counters| &counters.in_use),
            _permit: permit,
        })
    }

    async fn dial_former(&self, host: String, port: u16, who: &Credentials) -> Result<Session, Error> {
        let settings = self.settings();
        let options = Options::new()
            .host(host)
            .port(port)
            .db(self.name().to_owned())
            .user(who.user().to_owned())
            .password(who.password().expose().to_owned());
        let patience = settings.connect_timeout;
        match timeout(patience, r.connect(options)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(reql_0_11::Error::Driver(Driver::Auth(reason)))) => Err(Error::wrong_credentials(reason)),
            Ok(Err(error)) => Err(Error::from(Code::DatabaseUnreachable).caused_by(error.to_string())),
            Err(_) => {
                self.shared.counters.connect_timed_out();
                Err(Error::after(Code::ConnectTimeout, patience))
            }
        }
    }
}
