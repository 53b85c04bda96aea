//! The golden scripts, in process and over the wire.

use std::path::Path;
use std::sync::Arc;

use crate::support::client::Client;
use crate::support::script::{self, Answer, Failure, Runner};
use reql_embedded::Server;
use reql_embedded::datum::{json, syntax};
use reql_embedded::engine::Interrupt;
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::eval::{self, Env};
use reql_embedded::instance::Instance;
use reql_embedded::term::{Frame, Query};
use serde_json::Value;
use tokio::runtime::Runtime;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts"))
}

/// Evaluates without a server.
struct InProcess {
    instance: Arc<Instance>,
}

impl InProcess {
    fn new() -> Self {
        let instance = crate::support::instance();
        instance.store.create_database("test").expect("a new database");
        InProcess { instance: Arc::new(instance) }
    }
}

impl Runner for InProcess {
    fn ask(&mut self, query: &str) -> Answer {
        let arena = syntax::Arena::new();
        let Ok(syntax::Json::Array(parts)) = syntax::parse(query.as_bytes(), &arena) else {
            panic!("not the JSON of a query: {query}");
        };
        let optargs = match parts.get(2) {
            Some(syntax::Json::Object(optargs)) => optargs,
            _ => &[][..],
        };
        let query = Query::new(parts.get(1).copied(), optargs).expect("a query");
        let env = Env::new(self.instance.clone(), "admin".into(), Interrupt::default(), true);
        let result = eval::run(&query, env).and_then(read_all);
        result.unwrap_or_else(|error| Answer::Error(failure(&error, &query)))
    }
}

fn read_all(answer: eval::Answer) -> Result<Answer, Error> {
    let value = |text: &[u8]| serde_json::from_slice(text).expect("an answer is JSON");
    match answer {
        eval::Answer::Atom(datum) => {
            let mut text = Vec::new();
            json::write(&datum, &mut text)?;
            Ok(Answer::Atom(value(&text)))
        }
        eval::Answer::Later(_) => unreachable!("nothing is put off where it may wait"),
        eval::Answer::Cursor(mut cursor) => {
            let mut rows = Vec::new();
            loop {
                let mut text = b"[".to_vec();
                let batch = cursor.next_batch(&mut text)?;
                text.push(b']');
                rows.extend(value(&text).as_array().cloned().unwrap_or_default());
                if batch.done {
                    return Ok(Answer::Stream(rows));
                }
            }
        }
    }
}

fn failure(error: &Error, query: &Query) -> Failure {
    let backtrace = query.places.blamed(error).into_iter().map(|frame| match frame {
        Frame::Arg(index) => Value::from(index),
        Frame::Optarg(name) => Value::from(&*name),
    });
    let kind = match error.kind() {
        ErrorKind::Client => "ClientError",
        ErrorKind::Compile => "CompileError",
        ErrorKind::Internal | ErrorKind::Interrupted | ErrorKind::WouldBlock => "RuntimeError (INTERNAL)",
        ErrorKind::ResourceLimit => "RuntimeError (RESOURCE_LIMIT)",
        ErrorKind::QueryLogic | ErrorKind::EmptyUser => "RuntimeError (QUERY_LOGIC)",
        ErrorKind::NonExistence => "RuntimeError (NON_EXISTENCE)",
        ErrorKind::OpFailed => "RuntimeError (OP_FAILED)",
        ErrorKind::OpIndeterminate => "RuntimeError (OP_INDETERMINATE)",
        ErrorKind::User => "RuntimeError (USER)",
        ErrorKind::Permission => "RuntimeError (PERMISSION_ERROR)",
    };
    Failure { kind, backtrace: backtrace.collect(), message: error.message().to_owned() }
}

/// Queries a server over a socket.
struct OverTheWire {
    runtime: Runtime,
    client: Client,
    token: i64,
    /// Server, which runs until it is dropped.
    _server: Server,
}

impl OverTheWire {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (server, client) = runtime.block_on(async {
            let server = Server::builder().start().await.expect("a free port");
            let client = Client::connect(server.local_addr()).await;
            (server, client)
        });
        OverTheWire { runtime, client, token: 0, _server: server }
    }

    fn send(&mut self, query: &str) -> Value {
        self.runtime.block_on(self.client.ask(self.token, query))
    }
}

impl Runner for OverTheWire {
    fn ask(&mut self, query: &str) -> Answer {
        self.token += 1;
        let mut answer = self.send(query);
        let mut rows = items(&answer["r"]);
        while answer["t"] == 3 {
            answer = self.send("[2]");
            rows.extend(items(&answer["r"]));
        }
        match answer["t"].as_u64().expect("a response type") {
            1 => Answer::Atom(rows.remove(0)),
            2 => Answer::Stream(rows),
            response_type => Answer::Error(Failure {
                kind: kind(response_type, answer["e"].as_u64()),
                backtrace: items(&answer["b"]),
                message: answer["r"][0].as_str().expect("a message").to_owned(),
            }),
        }
    }
}

/// Returns a failure's kind by the response type and the error type on the wire.
fn kind(response_type: u64, error_type: Option<u64>) -> &'static str {
    match (response_type, error_type) {
        (16, None) => "ClientError",
        (17, None) => "CompileError",
        (18, Some(1_000_000)) => "RuntimeError (INTERNAL)",
        (18, Some(2_000_000)) => "RuntimeError (RESOURCE_LIMIT)",
        (18, Some(3_000_000)) => "RuntimeError (QUERY_LOGIC)",
        (18, Some(3_100_000)) => "RuntimeError (NON_EXISTENCE)",
        (18, Some(4_100_000)) => "RuntimeError (OP_FAILED)",
        (18, Some(4_200_000)) => "RuntimeError (OP_INDETERMINATE)",
        (18, Some(5_000_000)) => "RuntimeError (USER)",
        (18, Some(6_000_000)) => "RuntimeError (PERMISSION_ERROR)",
        other => panic!("no kind of failure: {other:?}"),
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[test]
fn scripts_in_process() {
    script::run_all(folder(), InProcess::new);
}

#[test]
fn scripts_over_the_wire() {
    script::run_all(folder(), OverTheWire::new);
}
