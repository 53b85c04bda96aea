//! Whose account a request uses, and the proof of that: with `auth = "database"` that of its credentials,
//! which the database has to accept first; else the service's own.
//!
//! A handler may know things without asking the database, such as what it was told a while ago, and those are
//! not for everybody. So it is given a connection only once the database has accepted the credentials.

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

/// The right of a user to have one more request answered, for as long as it is held.
pub(crate) type Admission = Option<Share>;

impl Unproven {
    /// Takes the request's credentials, if credentials count. Nothing is asked of the database yet.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if there are none, or none that can be read.
    pub(crate) fn new(context: &Context) -> Result<Self, Error> {
        let database = context.app().database().clone();
        let conn = match context.app().settings().auth {
            Auth::None => Conn::new(database),
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
    pub(crate) async fn admitted(self) -> Result<(Conn, Admission), Error> {
        let Unproven { conn, context } = self;
        let (app, client) = (context.app(), context.client());
        let Some(who) = conn.credentials().cloned() else { return Ok((conn, None)) };
        app.guesses().check(client, &who)?;
        match conn.admitted().await {
            Ok(conn) => {
                app.guesses().was_right(client, &who);
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
