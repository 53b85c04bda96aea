//! [`Context`]: a request on its way through the service.

use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::time::{Instant, sleep};
use warp::http::header::{AUTHORIZATION, HOST, HeaderValue};
use warp::http::uri::{Authority, PathAndQuery};
use warp::http::{HeaderMap, Method, Request};

use super::client::client;
use super::credentials::{bearer, credentials};
use super::headers::REQUEST_ID;
use super::prefix::divided;
use super::ticket::{followed, ticket, without_ticket};
use super::trace::Trace;
use crate::access::{Caller, Grant};
use crate::app::App;
use crate::app::scale::Arrived;
use crate::conn::{Conn, Timings};
use crate::database::Credentials;
use crate::digest::hex;
use crate::error::{Answered, Error};
use crate::query::Parameters;
use crate::rates::{Asker, Left};
use crate::shares::{Client, Holder};

/// The longest request id that is accepted from a client.
const REQUEST_ID_MAX: usize = 128;

/// A request without its body, and its state. The outermost layer creates it, and all others pass it on.
/// Cheap to clone; clones share the state.
#[derive(Clone)]
pub(crate) struct Context(Arc<Known>);

struct Known {
    app: App,
    id: String,
    started: Instant,
    method: Method,
    uri: PathAndQuery,
    headers: HeaderMap,
    /// The host in the URI, which is where HTTP/2 has it.
    authority: Option<Authority>,
    client: Option<Client>,
    /// The length of the part of the path that is before `/tables`: `/db/{name}`, or nothing.
    prefix: usize,
    template: Option<&'static str>,
    trace: Option<Trace>,
    rate: OnceLock<Left>,
    credentials: OnceLock<Credentials>,
    /// Set once the database has accepted them.
    accepted: OnceLock<()>,
    /// The credentials of the request's ticket, once that is spent.
    lent: OnceLock<HeaderMap>,
    /// The caller, if the service uses tokens and the request has been admitted.
    caller: OnceLock<Caller>,
    timings: OnceLock<Timings>,
    /// The part of the body that is in memory.
    body: Mutex<Option<Arrived>>,
}

impl Context {
    /// Creates the context of a request. `template` finds the path template that a path within a database
    /// matches.
    pub(crate) fn new<B>(
        app: &App,
        request: &Request<B>,
        template: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Self {
        let path = request.uri().path();
        let within = if app.settings().databases.is_empty() { path } else { divided(path).1 };
        let uri = request.uri().path_and_query().cloned();
        Context(Arc::new(Known {
            app: app.clone(),
            id: request_id(request.headers().get(REQUEST_ID)),
            started: Instant::now(),
            method: request.method().clone(),
            uri: uri.unwrap_or_else(|| PathAndQuery::from_static("/")),
            headers: request.headers().clone(),
            authority: request.uri().authority().cloned(),
            client: request
                .extensions()
                .get()
                .and_then(|peer| client(*peer, request.headers(), &app.settings().trusted_proxies)),
            prefix: path.len() - within.len(),
            template: template(within),
            trace: Trace::of(request.headers()),
            rate: OnceLock::new(),
            credentials: OnceLock::new(),
            accepted: OnceLock::new(),
            lent: OnceLock::new(),
            caller: OnceLock::new(),
            timings: OnceLock::new(),
            body: Mutex::new(None),
        }))
    }

    /// Returns the state that all handlers share.
    pub(crate) fn app(&self) -> &App {
        &self.0.app
    }

    /// Returns the request id, which the log names.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns the time at which the head of the request was complete.
    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    pub(crate) fn method(&self) -> &Method {
        &self.0.method
    }

    pub(crate) fn is_head(&self) -> bool {
        self.0.method == Method::HEAD
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    pub(crate) fn path(&self) -> &str {
        self.0.uri.path()
    }

    /// Returns the path within the database that it is about.
    pub(crate) fn path_within(&self) -> &str {
        self.path().get(self.0.prefix..).unwrap_or_default()
    }

    /// Returns the segment of the path with the name of a database, if it has one. It is still
    /// percent-encoded.
    pub(crate) fn database_segment(&self) -> Option<&str> {
        self.path().get(..self.0.prefix)?.rsplit_once('/').map(|(_, name)| name)
    }

    /// Returns the path template that the request matches, such as `/tables/{table}`.
    pub(crate) fn template(&self) -> Option<&'static str> {
        self.0.template
    }

    /// Returns the segment of the path in the place of this name in the template; empty if there is none. The
    /// segment is still percent-encoded.
    pub(crate) fn segment(&self, name: &str) -> &str {
        let is_wanted =
            |part: &str| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(name);
        let parts = self.template().unwrap_or_default().split('/').zip(self.path_within().split('/'));
        parts.into_iter().find(|(part, _)| is_wanted(part)).map_or("", |(_, segment)| segment)
    }

    /// Returns the query string of the URL; empty if there is none.
    pub(crate) fn raw_query(&self) -> &str {
        self.0.uri.query().unwrap_or_default()
    }

    /// Reads the parameters of the URL, but for a ticket.
    pub(crate) fn parameters(&self) -> Result<Parameters, Error> {
        Parameters::parse(&without_ticket(self.raw_query()))
    }

    /// Returns the length of path and query string in bytes, including the question mark.
    pub(crate) fn uri_len(&self) -> usize {
        self.0.uri.as_str().len()
    }

    /// Returns the hosts in the URI and the headers; rarely more than one.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        let told = self.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        self.0.authority.iter().map(Authority::as_str).chain(told)
    }

    /// Returns the client of the request; `None` if it came over a Unix socket, or not from this service's
    /// server.
    pub(crate) fn client(&self) -> Option<Client> {
        self.0.client
    }

    /// Returns the trace that the request belongs to, if its client has named one.
    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.0.trace.as_ref()
    }

    /// Counts the request, once, against the rate of its authenticated user, or else of its address.
    ///
    /// # Errors
    ///
    /// [`Code::RateLimited`](crate::error::Code::RateLimited) if the rate is exceeded.
    pub(crate) fn within_rate(&self, user: Option<&str>) -> Result<(), Error> {
        let asker = user.map(Asker::User).or(self.client().map(Asker::from));
        let (Some(rates), Some(asker)) = (self.app().rates(), asker) else { return Ok(()) };
        if self.0.rate.get().is_some() {
            return Ok(());
        }
        let counted = rates.count(asker);
        let (Ok(left) | Err(left)) = counted;
        // Fails if it was counted concurrently; then the answer reports the other result.
        let _ = self.0.rate.set(left);
        counted.map(drop).map_err(|left| Error::rate_limited(left.wait))
    }

    /// Returns the remaining quota, if the request has been counted.
    pub(crate) fn rate(&self) -> Option<&Left> {
        self.0.rate.get()
    }

    /// Notes that the credentials are right.
    pub(crate) fn accept_credentials(&self) {
        self.0.accepted.get_or_init(|| ());
    }

    /// Returns the user of credentials that are right, or the subject of the token.
    pub(crate) fn user(&self) -> Option<&str> {
        let subject = || self.caller().and_then(Caller::subject);
        let accepted = self.0.credentials.get().filter(|_| self.0.accepted.get().is_some());
        accepted.map(Credentials::user).or_else(subject)
    }

    /// Returns the holder of this request's shares. The user is that of the connection.
    pub(crate) fn holder(&self, conn: &Conn) -> Holder {
        let subject = || self.caller().and_then(Caller::subject);
        Holder::from(self.client()).with_user(conn.user().or_else(subject))
    }

    /// Spends the request's ticket, if it has one. From then on the request has the ticket's credentials.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidTicket`](crate::error::Code::InvalidTicket) if the ticket isn't valid for this URL.
    pub(crate) fn use_ticket(&self) -> Result<(), Error> {
        let Some(ticket) = self.ticket() else { return Ok(()) };
        let url = followed(self.path(), self.raw_query())?;
        let credentials = self.app().tickets().spend(ticket, &url)?;
        self.0.lent.get_or_init(|| credentials.into_iter().map(|value| (AUTHORIZATION, value)).collect());
        Ok(())
    }

    /// Returns the ticket of the request, if it has one that isn't spent.
    pub(crate) fn ticket(&self) -> Option<&str> {
        ticket(self.raw_query()).filter(|_| self.0.lent.get().is_none())
    }

    /// Returns the headers with the credentials: those of the ticket, if one was spent, or the request's own.
    pub(crate) fn proof(&self) -> &HeaderMap {
        self.0.lent.get().unwrap_or(self.headers())
    }

    /// Returns the credentials of the request, or those of anonymous requests if it has none. They are read
    /// once.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if there are none, or none that can be read.
    pub(crate) fn credentials(&self) -> Result<&Credentials, Error> {
        if let Some(known) = self.0.credentials.get() {
            return Ok(known);
        }
        let settings = self.app().settings();
        let anonymous = settings.anonymous_user.as_str();
        let read = match self.proof().contains_key(AUTHORIZATION) || anonymous.is_empty() {
            true => credentials(self.proof())?,
            false => Credentials::new(anonymous, settings.anonymous_password.expose()),
        };
        Ok(self.0.credentials.get_or_init(|| read))
    }

    /// Checks that the request has credentials of its own.
    ///
    /// # Errors
    ///
    /// As for [`Context::credentials`].
    pub(crate) fn has_credentials(&self) -> Result<(), Error> {
        credentials(self.proof()).map(drop)
    }

    /// Returns the token of the request, verified or not; `None` if it has no credentials at all.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if its credentials are no token.
    pub(crate) fn token(&self) -> Result<Option<String>, Error> {
        bearer(self.proof())
    }

    /// Verifies the token of the request, and keeps its caller. Does nothing if the service uses no tokens.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if the token isn't valid,
    /// [`Code::NoKeys`](crate::error::Code::NoKeys) if it can't be checked.
    pub(crate) async fn identify(&self) -> Result<(), Error> {
        let access = self.app().access();
        if access.counts_tokens() && self.0.caller.get().is_none() {
            let caller = access.caller(self.token()?.as_deref()).await?;
            self.0.caller.get_or_init(|| caller);
        }
        Ok(())
    }

    /// Returns the caller; `None` before [`Context::identify`], and if the service uses no tokens.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.0.caller.get()
    }

    /// Returns a future that is done when the token of the request expires; never, without a token.
    pub(crate) fn expired(&self) -> impl Future<Output = Error> + Send + Sync + use<> {
        let left = self.caller().and_then(Caller::expires).map(|end| end.duration_since(SystemTime::now()));
        // The time runs from now on, whenever the client makes this be asked. A token that has expired since
        // it was verified ends it at once.
        let end = left.map(|left| sleep(left.unwrap_or_default()));
        async move {
            match end {
                Some(end) => end.await,
                None => pending().await,
            }
            Error::expired_token()
        }
    }

    /// Returns the caller's grant for a table. It allows nothing before the caller is known.
    pub(crate) fn grant(&self, table: &str) -> Grant {
        self.app().access().grant(self.caller(), table).expiring(self.app().expiry(table))
    }

    /// Has the body weigh for as long as the request goes on.
    pub(crate) fn hold(&self, body: Arrived) {
        *self.0.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// Adds the timings of this connection to the answer.
    pub(crate) fn timed_by(&self, conn: &Conn) {
        // Fails for a second connection of the request, which shares its timings with the first.
        let _ = self.0.timings.set(conn.timings());
    }

    /// Returns the time that the request has waited for its connection and its queries.
    pub(crate) fn timings(&self) -> Timings {
        self.0.timings.get().cloned().unwrap_or_default()
    }

    /// Returns the fields of a problem document that describe the request.
    pub(crate) fn answered(&self) -> Answered<'_> {
        let debug = self.app().settings().debug;
        Answered { method: self.method(), path: self.path(), request_id: self.id(), debug }
    }
}

/// Returns the client's request id if it is short and plain enough for the log, else a new one.
fn request_id(sent: Option<&HeaderValue>) -> String {
    let sane =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(|c| c.is_ascii_graphic());
    let sent = sent.and_then(|id| id.to_str().ok()).filter(sane);
    sent.map_or_else(|| hex(&fastrand::u128(..).to_be_bytes()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::settings::{Rdb, Settings};

    fn context(uri: &str, id: &str, template: &'static str) -> Context {
        let app = App::new(Settings::default(), Database::new(Rdb::default()).unwrap());
        let request = Request::builder().uri(uri).header(REQUEST_ID, id).body(()).unwrap();
        Context::new(&app, &request, |_| Some(template))
    }

    #[test]
    fn segments_have_the_names_of_the_template() {
        let context = context("/tables/a%20b/docs/7?x=1&y=%26", "", "/tables/{table}/docs/{id}");
        assert_eq!([context.segment("table"), context.segment("id")], ["a%20b", "7"]);
        assert_eq!([context.segment("index"), context.segment("docs")], ["", ""]);
        assert_eq!((context.raw_query(), context.uri_len()), ("x=1&y=%26", 30));
    }

    #[test]
    fn an_id_that_a_log_can_hold_is_kept() {
        assert_eq!(context("/", "my-id", "/").id(), "my-id");
        for odd in ["", "a b", &"x".repeat(REQUEST_ID_MAX + 1)] {
            assert_eq!(context("/", odd, "/").id().len(), 32, "{odd}");
        }
    }
}
