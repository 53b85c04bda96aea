//! Whose account a request uses, and the proof of that: with `auth = "database"` that of its credentials,
//! which the database has to accept first; else the service's own.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection, reject};

use crate::app::App;
use crate::conn::{Clock, Conn};
use crate::error::Error;
use crate::http::answer::answer;
use crate::http::credentials::credentials;
use crate::http::head::{Head, head};
use crate::settings::Auth;
use crate::shares::{Client, Share};

/// A request's connection, on behalf of somebody who has proved nothing yet.
pub(crate) struct Unproven {
    conn: Conn,
    app: App,
    client: Option<Client>,
}

/// The right of a user to have one more request answered, for as long as it is held.
pub(crate) type Admission = Option<Share>;

/// Extracts the request's connection.
pub(crate) fn conn(app: &App) -> impl Filter<Extract = (Unproven,), Error = Rejection> + Clone + use<> {
    let app = app.clone();
    head().and_then(move |head: Head| {
        let database = app.database().clone();
        let conn = match app.settings().auth {
            Auth::None => Ok(Conn::new(database)),
            Auth::Database => credentials(head.headers()).map(|who| Conn::with_credentials(database, who)),
        };
        let unproven = conn.map(|conn| Unproven { conn, app: app.clone(), client: head.client() });
        std::future::ready(unproven.map_err(reject::custom))
    })
}

/// Runs a handler once the database has accepted the credentials of whoever asks, if credentials count. A
/// handler may know things without asking the database, such as what it was told a while ago, and those are
/// not for everybody.
pub(crate) fn admitted<H, F, R>(unproven: Unproven, handler: H) -> BoxFuture<'static, Response>
where
    H: FnOnce(Conn) -> F + Send + 'static,
    F: Future<Output = Result<R, Error>> + Send + 'static,
    R: Reply + 'static,
{
    let answered = |(conn, admission)| {
        handler(conn).map(move |outcome| {
            drop(admission);
            outcome
        })
    };
    answer(unproven.clock(), unproven.admitted().and_then(answered))
}

impl Unproven {
    /// How long the request has waited for its connection and for its queries.
    pub(crate) fn clock(&self) -> Clock {
        self.conn.clock()
    }

    /// Has the database accept the credentials, if there are any.
    ///
    /// # Errors
    ///
    /// Those of opening the session; [`Error::TooManyGuesses`] if too many others came from the same client;
    /// [`Error::ShareUsedUp`] if the user has as many requests going on as one may.
    pub(crate) async fn admitted(self) -> Result<(Conn, Admission), Error> {
        let Unproven { conn, app, client } = self;
        let Some(who) = conn.credentials().cloned() else { return Ok((conn, None)) };
        app.guesses().check(client, &who)?;
        match conn.admitted().await {
            Ok(conn) => {
                app.guesses().was_right(client, &who);
                Ok((conn, Some(app.request_of(who.user())?)))
            }
            Err(error) => {
                if matches!(error, Error::Unauthorized(_)) {
                    app.guesses().was_wrong(client, &who);
                }
                Err(error)
            }
        }
    }
}
