//! Parts that the tests share: the embedded server, servers that misbehave, and the API over either.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod client;
pub mod counted;
pub mod events;
pub mod guarded;
pub mod home;
pub mod link;
pub mod process;
pub mod secure;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

pub use home::Home;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use reql_embedded::Server;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use warp::http::{Request, Response};
use warp::hyper::body::Bytes;
use warp_reql::Database;
use warp_reql::settings::{Hosts, Rdb, Settings};
use warp_reql::{App, service};

/// The timeout for everything that a test waits for. Only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Settings for a database at this address; nothing stands by unless a test asks for it.
pub fn rdb(addr: SocketAddr) -> Rdb {
    Rdb { host: Hosts::from(addr), standby: 0, ..Rdb::default() }
}

/// The embedded server, in memory, on a free port: for tests about the server itself.
pub async fn server() -> Server {
    Server::builder().in_memory().start().await.expect("the embedded server starts")
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never happened: {what}");
}

/// A number that the environment may set, for runs that are longer than everyday ones.
pub fn number(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// Returns a seed for a random test, and prints it. `TEST_SEED` repeats a run.
pub fn seed() -> u64 {
    let seed = number("TEST_SEED", fastrand::u64(..));
    println!("TEST_SEED={seed}");
    seed
}

/// Waits until no request has a connection, and those that are open stand by, as the server sees it too.
pub async fn balanced(database: &Database, seen: impl Fn() -> usize) {
    let settings = database.settings();
    let holds = || {
        let stats = database.stats();
        let open = stats.opened - stats.closed;
        let enough = !settings.max_age.is_zero() || open == settings.standby as u64;
        (stats.in_use, stats.waiting) == (0, 0)
            && open == stats.standing_by
            && open == seen() as u64
            && enough
    };
    let wait = tokio::time::timeout(PATIENCE, eventually("the counters balance", holds));
    assert!(wait.await.is_ok(), "{:?}, and the server has {} open", database.stats(), seen());
}

/// An API on a socket, until this is dropped.
pub struct Serving {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The API as tests see it.
pub struct Api {
    pub home: Option<Home>,
    pub database: Database,
    pub app: App,
    pub service: AnyService,
}

/// A service of any type.
pub type AnyService =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<UnsyncBoxBody<Bytes, AnyError>>, Infallible>;
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Api {
    /// Over a database of its own, with a table `heroes`.
    pub async fn start() -> Api {
        Api::at_home(|settings| settings).await
    }

    /// Over a database of its own, with a table `heroes`, and with settings of its own.
    pub async fn at_home(adapt: impl FnOnce(Settings) -> Settings) -> Api {
        Api::in_home(Home::start().await, adapt).await
    }

    /// Over this database, with a table `heroes`, and with settings of its own.
    pub async fn in_home(home: Home, adapt: impl FnOnce(Settings) -> Settings) -> Api {
        let settings = Settings { debug: true, rdb: home.rdb(), ..Settings::default() };
        let api = Api { home: Some(home), ..Api::with_settings(adapt(settings)) };
        let made = api.send("POST", "/tables", &serde_json::json!({"name": "heroes"})).await;
        assert_eq!(made.status(), 201, "{:?}", made.body());
        api
    }

    /// Returns the database server of the test.
    pub fn home(&self) -> &Home {
        self.home.as_ref().expect("this API has a database of its own")
    }

    /// Over whatever these settings lead to.
    pub fn over(rdb: Rdb, debug: bool) -> Api {
        Api::with_settings(Settings { debug, rdb, ..Settings::default() })
    }

    /// Over whatever these settings lead to, as they have it.
    pub fn with_settings(settings: Settings) -> Api {
        let database = Database::new(settings.rdb.clone()).expect("the settings name a server");
        Api::of(App::new(settings, database))
    }

    /// Makes the API of an application.
    pub fn of(app: App) -> Api {
        let boxed =
            |response: Response<_>| response.map(|body| BodyExt::map_err(body, Into::into).boxed_unsync());
        let service = BoxCloneSyncService::new(service(app.clone()).map_response(boxed));
        Api { home: None, database: app.database().clone(), app, service }
    }

    /// Serves it on a socket, as the binary does.
    pub async fn serve(&self) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let service = warp_reql::service(self.app.clone());
        let run = warp_reql::server::run(listener, service, std::future::pending(), Duration::ZERO);
        Serving { addr, task: tokio::spawn(run) }
    }

    /// Sends a request without a body.
    pub async fn call(&self, method: &str, path: &str) -> Response<Bytes> {
        self.with(method, path, &[], b"").await
    }

    /// Sends a request with a JSON body.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Response<Bytes> {
        self.with(method, path, &[], body.to_string().as_bytes()).await
    }

    /// Sends a request with other headers, and any body.
    ///
    /// A body is JSON unless they say otherwise.
    pub async fn with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Bytes> {
        let is_told = |wanted| headers.iter().any(|(name, _)| *name == wanted);
        let mut request = Request::builder().method(method).uri(path);
        if !is_told("host") {
            request = request.header("host", "localhost");
        }
        if !body.is_empty() && !is_told("content-type") {
            request = request.header("content-type", "application/json");
        }
        if !body.is_empty() && !is_told("content-length") {
            request = request.header("content-length", body.len());
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let body = Full::new(Bytes::copy_from_slice(body));
        self.ask(request.body(body).expect("a test's request can be made")).await
    }

    /// Sends a request to what is served.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let Ok(response) = self.service.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(head, body.to_bytes()),
            Err(error) => panic!("the body broke off: {error}"),
        }
    }
}

/// Sends bytes as they are and reads until the other side closes.
pub async fn raw(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(addr).await.expect("the service listens");
    client.write_all(request).await.expect("the service reads");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok_and(|read| read.is_ok()),
        "no end of the answer: {}",
        String::from_utf8_lossy(&answer)
    );
    answer
}

/// The JSON of a response, however deep.
pub fn body(response: &Response<Bytes>) -> Value {
    let mut json = serde_json::Deserializer::from_slice(response.body());
    json.disable_recursion_limit();
    let value = Value::deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    value.unwrap_or_else(|error| panic!("{error}: {:?}", response.body()))
}

/// A header of a response; empty if there is none.
pub fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Checks that a response is a complete problem document with this status and code, and returns it.
#[track_caller]
pub fn problem(response: &Response<Bytes>, status: u16, code: &str) -> Value {
    let problem = body(response);
    assert_eq!(header(response, "content-type"), "application/problem+json", "{problem}");
    assert_eq!((response.status().as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"], header(response, "x-request-id"));
    for field in ["type", "title", "detail", "instance"] {
        assert!(problem[field].is_string(), "no {field} in {problem}");
    }
    problem
}

/// The behaviour of a faulty server.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Accepts it and says nothing.
    Silence,
    /// Answers with bytes that aren't RethinkDB's protocol.
    Garbage,
    /// Begins the handshake, then closes.
    HalfHandshake,
}

/// A faulty server, which runs until it is dropped.
pub struct Faulty {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Faulty {
    pub async fn start(fault: Fault) -> Faulty {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(misbehave(stream, fault));
            }
        });
        Faulty { addr, task }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn misbehave(mut stream: TcpStream, fault: Fault) {
    let mut greeting = [0; 64];
    let _ = stream.read(&mut greeting).await;
    match fault {
        Fault::Silence => while stream.read(&mut greeting).await.is_ok_and(|read| read > 0) {},
        Fault::Garbage => {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\0").await;
            let _ = stream.read(&mut greeting).await;
        }
        Fault::HalfHandshake => {
            let _ = stream.write_all(b"{\"success\":true,\"min_protocol_ver").await;
        }
    }
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}
