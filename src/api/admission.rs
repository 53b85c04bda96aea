//! Whose account a request uses, and the proof of that: with `auth = "database"` that of its credentials,
//! which the database has to accept first; else the service's own.
//!
//! A handler may know things without asking the database, such as what it was told a while ago, and those are
//! not for everybody. So it is given a connection only once the database has accepted the credentials.

use crate::access::{Caller, Grant};
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::settings::Auth;
use crate::shares::Share;

/// A request's connection, on behalf of somebody who has proved nothing yet.
pub(crate) struct Unproven {
    conn: Conn,
    context: Context,
}

/// Somebody whose credentials have been accepted. There are two ways on from here, and no connection but by
/// one of them.
pub(crate) struct Admitted {
    conn: Conn,
    admission: Admission,
    context: Context,
}

/// The right of a user to have one more request answered, for as long as it is held.
pub(crate) type Admission = Option<Share>;

impl Unproven {
    /// Takes the request's credentials, if credentials count, and checks its token, if tokens do. Nothing is
    /// asked of the database yet.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if there are none, none that can be read, or
    /// the token doesn't count; [`Code::NoKeys`](crate::error::Code::NoKeys) if tokens can't be checked.
    pub(crate) async fn new(context: &Context) -> Result<Self, Error> {
        let database = context.app().database().clone();
        context.identify().await?;
        let conn = match context.app().settings().auth {
            Auth::None | Auth::Token => Conn::new(database),
            Auth::Database => Conn::with_credentials(database, context.credentials()?.clone()),
        };
        context.timed_by(&conn);
        Ok(Unproven { conn, context: context.clone() })
    }

    /// Has the database accept the credentials, if there are any.
    ///
    /// # Errors
    ///
    /// Those of opening the session; [`Code::TooManyGuesses`](crate::error::Code::TooManyGuesses) if too many
    /// others came from the same client; [`Code::ShareUsedUp`](crate::error::Code::ShareUsedUp) if the user
    /// has as many requests going on as one may.
    pub(crate) async fn admitted(self) -> Result<Admitted, Error> {
        let Unproven { conn, context } = self;
        let (conn, admission) = Unproven::accepted(conn, &context).await?;
        Ok(Admitted { conn, admission, context })
    }

    async fn accepted(conn: Conn, context: &Context) -> Result<(Conn, Admission), Error> {
        let (app, client) = (context.app(), context.client());
        let Some(who) = conn.credentials().cloned() else {
            context.within_rate(context.caller().and_then(Caller::subject))?;
            return Ok((conn, None));
        };
        app.guesses().check(client, &who)?;
        match conn.admitted().await {
            Ok(conn) => {
                app.guesses().was_right(client, &who);
                context.within_rate(Some(who.user()))?;
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
    /// Goes on to the documents of the table that the path names, and to whatever else the grant may be asked
    /// of.
    ///
    /// # Errors
    ///
    /// [`Code::BadName`](crate::error::Code::BadName) if the path has no name of a table.
    pub(crate) fn for_documents(self) -> Result<(Conn, Grant, Admission), Error> {
        let grant = self.context.grant(&self.context.table()?);
        Ok((self.conn, grant, self.admission))
    }

    /// Goes on to everything, which is for administrators where rules say who may do what.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) for others,
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) for who has no token.
    pub(crate) fn for_administrators(self) -> Result<(Conn, Admission), Error> {
        self.context.app().access().to_administrate(self.context.caller())?;
        Ok((self.conn, self.admission))
    }
}
