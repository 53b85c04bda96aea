//! Fields whose values no two documents of a table share.
//!
//! RethinkDB can't promise that, so the services of a database agree on it. A write that gives a document a
//! value first claims the value, by a record in the service's own database. Then it looks by an index for
//! other documents with the value, writes the document, and deletes the claim. Two writes never have a claim
//! of the same value at the same time, so the later one finds the document of the earlier one.
//!
//! A process that dies in between leaves its claim. It ends by itself after the time that a write can take,
//! and the next write of the value takes it over, in one atomic step. Since the documents themselves say who
//! has which value, nothing else has to be repaired.

mod together;
mod value;

use std::time::Duration;

use reql::commands::Table;
use reql::{ReadMode, Term, args, obj, r};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use warp::reply::Response;

use crate::access::Grant;
use crate::api::documents::own::misconfigured;
use crate::api::permission::may_write;
use crate::app::App;
use crate::conn::Conn;
use crate::database::Database;
use crate::digest::{digest, hex};
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::query::{Expiry, Path};
use crate::reserved::database_beside;
pub(crate) use together::Fate;
use value::canonical;

/// The table of claims, which is created when it is first needed.
const TABLE: &str = "unique_claims";
/// The field with the end of a claim, and its index.
const UNTIL: &str = "until";
/// The time that a write waits for the claims of others.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// The time that a claim outlasts the longest write.
const SPARE: Duration = Duration::from_secs(5);
/// The most claims that are cleared at once, and how many writes there are for each time.
const CLEARED: usize = 20;
const SELDOM: u32 = 64;

/// The unique fields of a table.
#[derive(Debug)]
pub(crate) struct Unique {
    table: String,
    fields: Vec<Field>,
    expiry: Option<Expiry>,
    database: Database,
}

#[derive(Debug)]
struct Field {
    path: Path,
    index: String,
}

/// A value that a document is to have in a unique field.
struct Wanted<'a> {
    field: &'a Field,
    value: &'a Value,
    /// The id of the claim, equal for values that the database takes for equal.
    claim: String,
}

impl Wanted<'_> {
    /// Returns the error of a value that another document has.
    fn not_unique(&self) -> Error {
        let names = self.field.path.names();
        let escaped = names.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
        Error::not_unique(&self.field.path, escaped.map(|name| format!("/{name}")).collect())
    }
}

/// The claims of a write.
#[derive(Debug, Default)]
pub(crate) struct Held {
    owner: String,
    claims: Vec<String>,
}

impl Unique {
    /// Returns the unique fields of a table of a database, if it has any.
    pub(crate) fn of(app: &App, database: &Database, table: &str) -> Option<Self> {
        let spec = app.settings().tables.iter().find(|spec| spec.name == table)?;
        let field = |text: &String| {
            Some(Field { path: Path::parse(text, "unique").ok()?, index: spec.unique_index(text).name })
        };
        let fields: Vec<_> = spec.unique.iter().filter_map(field).collect();
        let (table, expiry, database) = (table.to_owned(), spec.expiry(), database.clone());
        (!fields.is_empty()).then_some(Unique { table, fields, expiry, database })
    }

    /// Returns whether a change may concern a unique field, by the top-level fields that it touches.
    pub(crate) fn is_touched(&self, touches: impl Fn(&str) -> bool) -> bool {
        self.fields.iter().any(|field| field.path.names().first().is_some_and(|name| touches(name)))
    }

    /// Returns whether a document has a unique field.
    pub(crate) fn is_in(&self, document: &Map<String, Value>) -> bool {
        self.is_touched(|name| document.contains_key(name))
    }

    /// Claims the values that a document with this id, if it is known, is to have. Those that the stored
    /// document has already are its own. `permission` is a query that fails if the write would be refused.
    ///
    /// # Errors
    ///
    /// Returns the errors of `permission`; `not-unique`; `refused` if a value is of a type that isn't
    /// compared; `contended` if others keep writing the value.
    pub(crate) async fn claim(
        &self,
        conn: &mut Conn,
        id: Option<(&str, &Value)>,
        new: &Value,
        stored: Option<&Value>,
        permission: Option<Term>,
    ) -> Result<Held, Error> {
        let wanted = self.wanted(new, stored)?;
        if wanted.is_empty() {
            return Ok(Held::default());
        }
        // Who may not write the document learns nothing about the values of others.
        if conn.user().is_some() {
            may_write(conn, &self.table).await?;
        }
        conn.check(permission).await.map_err(Error::or_of_write)?;
        conn.make_way();
        let mut own = Conn::new(self.database.clone());
        let begun = Instant::now();
        loop {
            self.check(&mut own, id, &wanted).await?;
            let since = Instant::now();
            if let Some(held) = self.hold(&mut own, id, &wanted).await? {
                match self.check(&mut own, id, &wanted).await {
                    Ok(()) if since.elapsed() <= self.longest() => return Ok(held),
                    checked => {
                        self.release(held, &mut own).await;
                        checked?;
                    }
                }
            }
            if begun.elapsed() > PATIENCE {
                let field = wanted.first().map(|wanted| wanted.field.path.to_string()).unwrap_or_default();
                let detail =
                    format!("Another write of the value of the unique field `{field}` hasn't ended.");
                return Err(Error::new(Code::Contended, detail));
            }
            sleep(PAUSE_MAX.mul_f64(fastrand::f64())).await;
        }
    }

    /// Deletes the claims of a write by this connection, unless it may still happen. Then they end by
    /// themselves.
    pub(crate) async fn finish<T>(&self, held: Held, outcome: &Result<T, Error>, conn: &mut Conn) {
        let unsent = [Code::ConnectionsExhausted, Code::ConnectTimeout, Code::DatabaseUnreachable];
        let has_ended = |error: &Error| error.status().is_client_error() || error.is(&unsent);
        if outcome.as_ref().err().is_none_or(has_ended) {
            self.release(held, conn).await;
        }
    }

    fn wanted<'a>(&'a self, new: &'a Value, stored: Option<&Value>) -> Result<Vec<Wanted<'a>>, Error> {
        let mut wanted = Vec::new();
        for field in &self.fields {
            let Some(value) = field.path.find(new).filter(|value| !value.is_null()) else { continue };
            let Some(text) = canonical(value) else {
                let types = "a string, a number, a boolean, a time or binary data";
                let detail = format!("The field `{}` is unique, so it must be {types}.", field.path);
                return Err(Error::new(Code::Refused, detail));
            };
            let before = stored.and_then(|stored| canonical(field.path.find(stored)?));
            if before.as_ref() != Some(&text) {
                let name = field.path.to_string();
                let claim = hex(&digest(&[self.table.as_bytes(), name.as_bytes(), text.as_bytes()]));
                wanted.push(Wanted { field, value, claim });
            }
        }
        Ok(wanted)
    }

    /// Checks that no other document has one of the values.
    async fn check(
        &self,
        conn: &mut Conn,
        id: Option<(&str, &Value)>,
        wanted: &[Wanted<'_>],
    ) -> Result<(), Error> {
        let taken = self.taken(conn, wanted.iter().map(|wanted| (id, wanted))).await?;
        match wanted.iter().zip(taken).find(|(_, taken)| *taken) {
            Some((wanted, _)) => Err(wanted.not_unique()),
            None => Ok(()),
        }
    }

    /// Returns of each value whether a document other than that with this id has it.
    async fn taken<'a>(
        &self,
        conn: &mut Conn,
        wanted: impl Iterator<Item = (Option<(&'a str, &'a Value)>, &'a Wanted<'a>)>,
    ) -> Result<Vec<bool>, Error> {
        let taken = |(id, Wanted { field, value, .. }): (Option<(&str, &Value)>, &Wanted<'_>)| {
            let other = |row: Term| {
                let has = field.path.of(&row).eq(*value);
                let lives = self.expiry.as_ref().map_or(r.expr(true), |expiry| !expiry.has_come(&row));
                let another = id.map_or(r.expr(true), |(key, id)| row.g(key).ne(id));
                has & lives & another
            };
            let found =
                r.table(&self.table).read_mode(ReadMode::Majority).get_all(*value).index(&field.index);
            Term::from(found).filter(other).limit(1).count().gt(0)
        };
        let query = r.expr(wanted.map(taken).collect::<Vec<_>>());
        let unready = |error: Error| match error.code() {
            // It is being made since the service has started.
            Code::NoSuchIndex => Error::from(Code::DatabaseUnavailable).caused_by(error),
            _ => misconfigured(error),
        };
        Ok(conn.first(query).await.map_err(unready)?.unwrap_or_default())
    }

    /// Makes the claims, or none if another write has one of them.
    async fn hold(
        &self,
        conn: &mut Conn,
        id: Option<(&str, &Value)>,
        wanted: &[Wanted<'_>],
    ) -> Result<Option<Held>, Error> {
        let owner = hex(&fastrand::u128(..).to_be_bytes());
        let held = Held { owner, claims: wanted.iter().map(|wanted| wanted.claim.clone()).collect() };
        let records = wanted.iter().map(|wanted| self.record(id, wanted, &held.owner)).collect();
        match self.make(conn, records, &held.owner).await {
            Ok(made) if made.iter().all(|made| *made) => {
                self.clear_sometimes(conn).await;
                Ok(Some(held))
            }
            // Some claims may have been made although the query failed.
            other => {
                self.release(held, conn).await;
                other.map(|_| None)
            }
        }
    }

    /// Returns the record of a claim.
    fn record(
        &self,
        id: Option<(&str, &Value)>,
        Wanted { field, value, claim }: &Wanted<'_>,
        owner: &str,
    ) -> Term {
        let now = || r.now().to_epoch_time();
        obj! {
            "id": claim,
            "table": &self.table,
            "field": field.path.to_string(),
            "value": value,
            "document": id.map(|(_, id)| id),
            "owner": owner,
            "made": now(),
            "until": now() + (self.longest() * 2 + SPARE).as_secs_f64(),
        }
    }

    /// Deletes claims. `writer` is the connection that the request has.
    async fn release(&self, held: Held, writer: &mut Conn) {
        if held.claims.is_empty() {
            return;
        }
        writer.make_way();
        let mut conn = Conn::new(self.database.clone());
        let freed = |row: Term| {
            let is_mine = r.branch(args![row.eq(()), false, row.g("owner").eq(&held.owner)]);
            r.branch(args![is_mine, (), row])
        };
        let claims = self.claims().get_all(r.args(&held.claims));
        if let Err(error) = conn.write(claims.replace(freed)).await {
            log::warn!("Claims of unique values in table {:?} stay until they end: {error}", self.table);
        }
    }

    /// Deletes some claims that have ended, once in a while.
    async fn clear_sometimes(&self, conn: &mut Conn) {
        if fastrand::u32(..SELDOM) != 0 {
            return;
        }
        let now = || r.now().to_epoch_time();
        let ended = self.claims().between(0, now()).index(UNTIL).limit(CLEARED);
        let cleared = ended.replace(|row: Term| {
            let has_ended = r.branch(args![row.eq(()), false, row.g(UNTIL).lt(now())]);
            r.branch(args![has_ended, (), row])
        });
        if let Err(error) = conn.run(cleared).await {
            log::debug!("Claims of unique values could not be cleared: {error}");
        }
    }

    /// The longest time that a query can take, with the connection for it.
    fn longest(&self) -> Duration {
        let settings = self.database.settings();
        settings.query_timeout + settings.connect_timeout + settings.acquire_timeout
    }

    fn claims(&self) -> Table {
        r.db(database_beside(self.database.name())).table(TABLE)
    }
}

/// Runs the write of a table with unique fields to its end, even if its client disconnects, so that it leaves
/// no claims. Other writes are run as they are.
pub(crate) async fn kept<B, F>(
    run: impl FnOnce(Context, B, Conn, Grant) -> F,
    context: Context,
    body: B,
    conn: Conn,
    grant: Grant,
) -> Result<Response, Error>
where
    F: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let app = context.app().clone();
    let is_unique = context.table().is_ok_and(|table| Unique::of(&app, conn.database(), &table).is_some());
    let holder = context.holder(&conn);
    let work = run(context, body, conn, grant);
    if is_unique { app.to_its_end(holder, work)?.await } else { work.await }
}
