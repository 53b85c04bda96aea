//! Admission: the database account of a request, and its authentication. With `auth = "database"` it is the
//! account of the request's credentials, which the database has to accept first; else the service's own.
//!
//! A handler may answer from a cache, without a query. So it gets its connection only after the database has
//! accepted the credentials.

use crate::access::{Caller, Grant};
use crate::conn::Conn;
use crate::database::Claim;
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::http::ticket::TICKET;
use crate::settings::Auth;
use crate::shares::Share;

/// The connection of a request that isn't authenticated yet.
pub(crate) struct Unproven {
    conn: Conn,
    context: Context,
}

/// An authenticated request. Its connection is available only through one of the functions that authorize it.
pub(crate) struct Admitted {
    conn: Conn,
    admission: Admission,
    context: Context,
}

/// The share of a user's concurrent requests.
pub(crate) type Admission = Option<Share>;

impl Unproven {
    /// Reads the request's credentials with `auth = "database"`, or verifies its token with `auth = "token"`.
    /// The database isn't queried yet.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if the credentials are missing or malformed,
    /// or the token is invalid; [`Code::NoKeys`](crate::error::Code::NoKeys) if there are no keys for tokens;
    /// [`Code::BadParameter`](crate::error::Code::BadParameter) if it has a ticket, which only live queries
    /// take.
    pub(crate) async fn new(context: &Context) -> Result<Self, Error> {
        if context.ticket().is_some() {
            return Err(Error::bad_parameter(TICKET, "only live queries take one"));
        }
        // Whether it is served is only told to those that are admitted.
        let database = context.database().unwrap_or_else(|_| context.app().database().clone());
        context.identify().await?;
        let conn = match context.app().settings().auth {
            Auth::None | Auth::Token => Conn::new(database),
            Auth::Database => Conn::with_credentials(database, context.credentials()?.clone()),
        };
        let claim = Claim::of(context.client(), context.app().limits().client_share);
        let conn = conn.claimed(claim).choosing(context.choices());
        context.timed_by(&conn);
        Ok(Unproven { conn, context: context.clone() })
    }

    /// Has the database accept the credentials, if there are any.
    ///
    /// # Errors
    ///
    /// The errors of opening a session; [`Code::TooManyGuesses`](crate::error::Code::TooManyGuesses) if the
    /// client has sent too many wrong passwords; [`Code::ShareUsedUp`](crate::error::Code::ShareUsedUp) if
    /// the user has too many concurrent requests;
    /// [`Code::NoSuchDatabase`](crate::error::Code::NoSuchDatabase) if the path names a database that isn't
    /// served.
    pub(crate) async fn admitted(self) -> Result<Admitted, Error> {
        let Unproven { conn, context } = self;
        let (conn, admission) = Unproven::accepted(conn, &context).await?;
        context.database()?;
        Ok(Admitted { conn, admission, context })
    }

    async fn accepted(conn: Conn, context: &Context) -> Result<(Conn, Admission), Error> {
        let (app, client) = (context.app(), context.client());
        let Some(who) = conn.credentials().cloned() else {
            context.within_rate(context.caller().and_then(Caller::subject))?;
            return Ok((conn, None));
        };
        // Whose password was right lately is counted before it costs a connection.
        let is_known = app.guesses().check(client, &who)?;
        if is_known {
            context.accept_credentials();
            context.within_rate(Some(who.user()))?;
        }
        match conn.admitted().await {
            Ok(conn) => {
                context.accept_credentials();
                app.guesses().was_right(client, &who);
                if !is_known {
                    context.within_rate(Some(who.user()))?;
                }
                Ok((conn, Some(app.request_of(who.user())?)))
            }
            Err(error) => {
                if error.code() == Code::Unauthorized {
                    app.guesses().was_wrong(client, &who);
                }
                Err(error)
            }
        }
    }
}

impl Admitted {
    /// Ends the authorization of a request that needs no connection and no further right.
    pub(crate) fn for_all(self) -> Admission {
        self.admission
    }

    /// Authorizes the request for documents of the table in the path, with the grant that its queries must
    /// use.
    ///
    /// # Errors
    ///
    /// [`Code::BadName`](crate::error::Code::BadName) if the table's name in the path is invalid.
    pub(crate) fn for_documents(self) -> Result<(Conn, Grant, Admission), Error> {
        let grant = self.context.grant(&self.context.table()?);
        Ok((self.conn, grant, self.admission))
    }

    /// Authorizes the request for everything, which needs an administrator if there are rules.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) for other callers,
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) without a token.
    pub(crate) fn for_administrators(self) -> Result<(Conn, Admission), Error> {
        self.context.app().access().to_administrate(self.context.caller())?;
        Ok((self.conn, self.admission))
    }
}
