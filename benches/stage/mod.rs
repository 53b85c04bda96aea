//! The subjects that are measured: handlers that differ only in how they come by their connection, on the
//! real server, in front of the embedded database.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

mod by_hand;
mod client;

use std::future::pending;
use std::time::Duration;

use reql::r;
use reql_embedded::{Server, Tls};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};
use warp::{Filter, http::StatusCode};
use warp_reql::settings::{Auth, Hosts, Rdb, RdbTls, Secret, Settings};
use warp_reql::{App, service};
use warp_reql::{Conn, Database, Error, server, with_conn};

pub use client::{Client, Target};

/// The table that the handlers read, and the document's id in it.
const TABLE: &str = "rows";
const ID: u64 = 1;
/// Longer than any benchmark.
const FOREVER: Duration = Duration::from_secs(3600);

/// A way to have a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The handler asks no database.
    NoDatabase,
    /// A bare `Vec` of sessions, by hand: what is taken is given back, and nothing is checked.
    BareVec,
    /// `with_conn`, with `max_age`.
    Reused,
    /// The whole API, with `max_age`.
    ApiReused,
    /// `with_conn`, as it is by default.
    Standby,
    /// The whole API, as it is by default.
    ApiStandby,
    /// Dial, query and drop, by hand.
    DialByHand,
    /// `with_conn`, with neither `standby` nor `max_age`.
    Fresh,
    /// The whole API, with `auth = "database"`: as `Fresh`, for the user that each request names.
    ApiUsers,
    /// `Reused`, by TLS.
    ReusedTls,
    /// `Fresh`, by TLS.
    FreshTls,
}

impl Subject {
    pub const ALL: [Subject; 11] = [
        Subject::NoDatabase,
        Subject::BareVec,
        Subject::Reused,
        Subject::ApiReused,
        Subject::Standby,
        Subject::ApiStandby,
        Subject::DialByHand,
        Subject::Fresh,
        Subject::ApiUsers,
        Subject::ReusedTls,
        Subject::FreshTls,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Subject::NoDatabase => "no database",
            Subject::BareVec => "bare Vec, by hand",
            Subject::Reused => "reused",
            Subject::ApiReused => "whole API, reused",
            Subject::Standby => "standby",
            Subject::ApiStandby => "whole API, standby",
            Subject::DialByHand => "dialled by hand",
            Subject::Fresh => "fresh",
            Subject::ApiUsers => "whole API, users",
            Subject::ReusedTls => "reused, TLS",
            Subject::FreshTls => "fresh, TLS",
        }
    }
}

/// Every subject on a socket of its own, before one database. Service and database have a runtime each, as
/// they would have a process each.
pub struct Stage {
    targets: Vec<(Subject, Target)>,
    // The order of the fields is the order of their drop.
    _service: Runtime,
    _databases: [Server; 2],
    _embedded: Runtime,
}

impl Stage {
    /// With this password for the database's user; none if empty.
    pub fn new(password: &str) -> Stage {
        let embedded = Runtime::new().expect("a runtime");
        let builder = || Server::builder().in_memory().initial_password(password);
        let server = embedded.block_on(builder().start()).expect("the embedded server starts");
        let certified = Certified::new();
        let protected = embedded.block_on(builder().tls(certified.server()).start());
        let protected = protected.expect("the embedded server starts");
        let serving = Runtime::new().expect("a runtime");
        let rdb = Rdb {
            host: Hosts::from(server.local_addr()),
            password: Secret::from(password.to_owned()),
            standby: 0,
            ..Rdb::default()
        };
        let by_tls =
            Rdb { host: Hosts::from(protected.local_addr()), tls: certified.client(), ..rdb.clone() };
        let targets = serving.block_on(async {
            let mut targets = Vec::new();
            for rdb in [&rdb, &by_tls] {
                fill(rdb).await.expect("a new database takes a table");
            }
            for subject in Subject::ALL {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let addr = listener.local_addr().expect("a bound listener has an address");
                targets.push((subject, Target::new(addr, password)));
                let is_protected = matches!(subject, Subject::ReusedTls | Subject::FreshTls);
                serve(subject, if is_protected { &by_tls } else { &rdb }, listener);
            }
            targets
        });
        Stage { targets, _service: serving, _databases: [server, protected], _embedded: embedded }
    }

    pub fn target(&self, subject: Subject) -> &Target {
        let found = self.targets.iter().find(|(known, _)| *known == subject);
        &found.expect("every subject has one").1
    }
}

/// The files of a server that certifies itself.
struct Certified(TempDir);

impl Certified {
    fn new() -> Certified {
        let place = tempfile::tempdir().expect("a directory");
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let put = |name, pem| std::fs::write(place.path().join(name), pem).expect("it is written");
        put("cert.pem", own.cert.pem());
        put("key.pem", own.signing_key.serialize_pem());
        Certified(place)
    }

    fn server(&self) -> Tls {
        Tls::files(self.0.path().join("cert.pem"), self.0.path().join("key.pem"))
    }

    fn client(&self) -> RdbTls {
        RdbTls { ca: self.0.path().join("cert.pem"), ..RdbTls::default() }
    }
}

async fn fill(rdb: &Rdb) -> Result<(), Error> {
    let mut conn = Conn::new(Database::new(rdb.clone())?);
    conn.run(r.db("test").table_create(TABLE)).await?;
    conn.run(r.table(TABLE).insert(document())).await?;
    Ok(())
}

fn document() -> Value {
    json!({"id": ID, "name": "Bruce Wayne", "age": 38, "city": "Gotham"})
}

/// Serves a subject until the runtime ends.
fn serve(subject: Subject, rdb: &Rdb, listener: TcpListener) {
    let database = |rdb: Rdb| Database::new(rdb).expect("the settings name a server");
    let reused = Rdb { max_age: FOREVER, ..rdb.clone() };
    let standby = Rdb { standby: Rdb::default().standby, ..rdb.clone() };
    let reply = |document: &Value| warp::reply::json(document).into_response();
    let routes: BoxedFilter<(Response,)> = match subject {
        Subject::NoDatabase => warp::any().map(move || reply(&document())).boxed(),
        Subject::BareVec => by_hand::bare_vec(rdb.clone()),
        Subject::DialByHand => by_hand::dialled(rdb.clone()),
        Subject::Reused | Subject::ReusedTls => ours(&database(reused)),
        Subject::Standby => ours(&database(standby)),
        Subject::Fresh | Subject::FreshTls => ours(&database(rdb.clone())),
        Subject::ApiReused | Subject::ApiStandby | Subject::ApiUsers => {
            let (rdb, auth) = match subject {
                Subject::ApiReused => (reused, Auth::None),
                Subject::ApiStandby => (standby, Auth::None),
                _ => (rdb.clone(), Auth::Database),
            };
            let settings = Settings { auth, rdb: rdb.clone(), ..Settings::default() };
            let api = service(App::new(settings, database(rdb)));
            tokio::spawn(server::run(listener, api, pending(), FOREVER));
            return;
        }
    };
    tokio::spawn(server::run(listener, warp::service(routes), pending(), FOREVER));
}

/// The handler as a user would write it.
fn ours(database: &Database) -> BoxedFilter<(Response,)> {
    let handler = |mut conn: Conn| async move {
        let document: Option<Value> = conn.first(r.table(TABLE).get(ID)).await?;
        Ok::<_, Error>(warp::reply::with_status(warp::reply::json(&document), StatusCode::OK))
    };
    with_conn(database).then(handler).map(Reply::into_response).boxed()
}
