//! Users, passwords and permissions through the driver, and their state after a restart.

use std::path::Path;

use crate::support::client::Client;
use futures_util::TryStreamExt;
use reql::cmd::connect::Options;
use reql::{Command, Session, r};
use reql_embedded::Server;
use serde_json::{Value, json};

async fn server(dir: &Path, initial_password: &str) -> Server {
    let builder = Server::builder().data_dir(dir).initial_password(initial_password);
    builder.start().await.expect("a server")
}

async fn connect(server: &Server, user: &'static str, password: &'static str) -> Option<Session> {
    let options = Options::new().host("127.0.0.1").port(server.local_addr().port());
    r.connect(options.user(user).password(password)).await.ok()
}

/// Returns the first row of an answer, or the error as the driver shows it.
async fn ask(session: &Session, query: Command) -> Result<Value, String> {
    let mut rows = query.run::<_, Value>(session);
    rows.try_next().await.map(Option::unwrap_or_default).map_err(|error| error.to_string())
}

async fn done(session: &Session, query: Command, count: &str) {
    let answer = ask(session, query).await.expect("a write");
    assert_eq!(answer[count], json!(1), "{answer}");
}

fn system(table: &'static str) -> Command {
    r.db("rethinkdb").table(table)
}

#[tokio::test]
async fn passwords_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = server(dir.path(), "first").await;
    let admin = connect(&first, "admin", "first").await.expect("the initial password");
    let row = |password: &str| r.expr(json!({ "id": "bob", "password": password }));
    done(&admin, system("users").insert(row("one")), "inserted").await;
    done(&admin, system("users").get("bob").update(row("two")), "replaced").await;
    drop(admin);
    let identity = first.info().clone();
    first.shutdown().await;

    let second = server(dir.path(), "another").await;
    assert_eq!(*second.info(), identity, "the server keeps its id and name");
    assert!(
        connect(&second, "admin", "another").await.is_none(),
        "the initial password is for new databases"
    );
    assert!(connect(&second, "bob", "one").await.is_none());
    assert!(connect(&second, "bob", "two").await.is_some());
    let admin = connect(&second, "admin", "first").await.expect("the password of before");
    done(&admin, system("users").get("bob").delete(()), "deleted").await;
    assert!(connect(&second, "bob", "two").await.is_none());
    second.shutdown().await;
}

#[tokio::test]
async fn users_may_do_what_they_are_granted() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = server(dir.path(), "").await;
    let admin = connect(&server, "admin", "").await.expect("admin");
    ask(&admin, r.db("test").table_create("t")).await.expect("a table");
    done(&admin, system("users").insert(r.expr(json!({ "id": "bob", "password": false }))), "inserted").await;
    let bob = connect(&server, "bob", "").await.expect("a user without a password");
    let table = || r.db("test").table("t");
    let insert = || table().insert(r.expr(json!({ "id": 1 })));
    let refused = |answer: Result<Value, String>, permission: &str| {
        let error = answer.expect_err("no permission");
        assert!(error.contains(&format!("`bob` does not have the required `{permission}`")), "{error}");
    };

    refused(ask(&bob, table().get(1)).await, "read");
    let permissions = json!({ "id": ["bob"], "permissions": { "read": true } });
    done(&admin, system("permissions").insert(r.expr(permissions)), "inserted").await;
    assert_eq!(ask(&bob, table().get(1)).await, Ok(Value::Null));
    refused(ask(&bob, insert()).await, "write");
    refused(ask(&bob, table().index_create("a")).await, "config");
    refused(ask(&bob, system("users").get("bob")).await, "read");
    let permissions = json!({ "id": ["bob"], "permissions": { "write": true, "config": true } });
    done(&admin, system("permissions").get(r.expr(json!(["bob"]))).update(r.expr(permissions)), "replaced")
        .await;
    done(&bob, insert(), "inserted").await;
    done(&bob, table().index_create("a"), "created").await;
    server.shutdown().await;
}

#[tokio::test]
async fn deleting_a_job_ends_its_query() {
    /// `r.range().filter(false)`
    const ENDLESS: &str = "[1,[39,[[173,[]],false]]]";
    let server = Server::builder().start().await.expect("a server");
    let mut busy = Client::connect(server.local_addr()).await;
    busy.query(1, ENDLESS).await;
    let mut admin = Client::connect(server.local_addr()).await;
    let port = busy.stream.local_addr().expect("an address").port();
    let mine = json!({ "info": { "client_port": port } });
    let kill = format!(r#"[1,[54,[[39,[[15,[[14,["rethinkdb"]],"jobs"]],{mine}]]]]]"#);
    // The query may not have begun yet.
    while admin.ask(1, &kill).await["r"][0]["deleted"] != json!(1) {}
    let (_, answer) = busy.answer().await;
    assert_eq!(answer["r"], json!(["Query terminated by the `rethinkdb.jobs` table."]), "{answer}");
}
