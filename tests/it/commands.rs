//! The commands that manage a database: archives, users, databases, tables, indexes, write hooks.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use reql::{Term, args, obj, r};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use warp_reql::settings::Rdb;
use warp_reql::{Conn, Database};

use crate::support::{rdb, server};

/// An archive that RethinkDB 2.4.4's own tool has written.
const RETHINKDBS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/crates/reql-embedded/tests/data/rethinkdb-2.4.4-dump.tar.gz");

/// Runs the binary beside a database server, in a directory.
async fn run(server: SocketAddr, directory: &Path, arguments: &[&str], user: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warp-reql"));
    command.args(arguments).env_clear().envs(user.iter().copied()).current_dir(directory);
    command.env("RDB_HOST", server.to_string()).stdin(Stdio::null());
    spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Runs a command that succeeds, and returns what it has printed.
pub async fn done(server: SocketAddr, directory: &Path, arguments: &[&str]) -> String {
    let output = run(server, directory, arguments, &[]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that fails, and returns what it has said.
async fn refused(server: SocketAddr, directory: &Path, arguments: &[&str]) -> String {
    let output = run(server, directory, arguments, &[]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    error
}

pub fn conn(server: SocketAddr) -> Conn {
    Conn::new(Database::new(Rdb { db: "shop".to_owned(), ..rdb(server) }).unwrap())
}

/// Returns all of a table that an archive has to carry.
async fn contents(conn: &mut Conn, table: &str, key: &str) -> Value {
    let table: Term = r.db("shop").table(table).into();
    let rows: Vec<Value> = conn.all(table.order_by(key)).await.unwrap();
    let indexes: Vec<Value> = conn.all(table.index_status(args![]).without("outdated")).await.unwrap();
    let hook: Option<Value> = conn.first(table.get_write_hook()).await.unwrap();
    let info: Option<Value> = conn.first(table.info().pluck("primary_key")).await.unwrap();
    json!({ "rows": rows, "indexes": indexes, "hook": hook, "info": info })
}

#[tokio::test]
async fn an_archive_carries_all_of_its_tables() {
    let (first, second) = (server().await, server().await);
    let (from, to) = (first.local_addr(), second.local_addr());
    let home = TempDir::new().unwrap();
    done(from, home.path(), &["restore", RETHINKDBS]).await;
    let mut before = conn(from);
    let number: Option<u64> = before.first(r.db("shop").table("orders").count()).await.unwrap();
    assert!(number > Some(100), "RethinkDB's archive has orders: {number:?}");
    let odd =
        json!([{"id": ["a", 1]}, {"id": "deep", "a": {"b": [[[[]]]]}, "": "\u{0}\u{1f600}", "n": -0.0}]);
    before.run(r.db("shop").table("orders").insert(odd)).await.unwrap();

    done(from, home.path(), &["dump", "all.tar.gz"]).await;
    done(to, home.path(), &["restore", "all.tar.gz"]).await;
    let mut after = conn(to);
    for (table, key) in [("orders", "id"), ("places", "code")] {
        let (before, after) =
            (contents(&mut before, table, key).await, contents(&mut after, table, key).await);
        assert!(!before["indexes"].as_array().unwrap().is_empty());
        assert_eq!(before, after, "{table}");
    }
}

#[tokio::test]
async fn what_is_there_is_overwritten_only_on_demand() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    let mut conn = conn(addr);
    done(addr, home.path(), &["db", "create", "shop"]).await;
    done(addr, home.path(), &["table", "create", "shop.t"]).await;
    done(addr, home.path(), &["table", "create", "shop.u"]).await;
    let t: Term = r.db("shop").table("t").into();
    conn.run(t.insert(json!([{"id": 1, "n": 1}, {"id": 2, "n": 1}]))).await.unwrap();
    done(addr, home.path(), &["dump", "t.tar.gz", "--only", "shop.t"]).await;
    conn.run(t.insert(json!([{"id": 1, "n": 2}, {"id": 3, "n": 2}])).conflict(reql::Conflict::Replace))
        .await
        .unwrap();

    let error = refused(addr, home.path(), &["restore", "t.tar.gz"]).await;
    assert!(error.contains("shop.t: there already"), "{error}");
    done(addr, home.path(), &["restore", "t.tar.gz", "--force"]).await;
    let rows: Vec<Value> = conn.all(t.order_by("id").g("n")).await.unwrap();
    assert_eq!(rows, [1, 1, 2]);
    let error = refused(addr, home.path(), &["restore", "t.tar.gz", "--only", "shop.u", "--force"]).await;
    assert!(error.contains("nothing under the name `shop.u`"), "{error}");
    let error = refused(addr, home.path(), &["dump", "t.tar.gz"]).await;
    assert!(error.contains("t.tar.gz"), "an archive is not written over: {error}");
    let left = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 1, "nothing is left but the archive");
}

/// Writes an archive of one table, whatever its name.
fn write_archive(file: &Path, [db, table]: [&str; 2], indexes: Value, documents: &str) {
    let mut tar = tar::Builder::new(std::fs::File::create(file).unwrap());
    let info = json!({ "db": { "name": db }, "name": table, "primary_key": "id", "indexes": indexes });
    let info = info.to_string();
    for (extension, text) in [("info", &*info), ("json", documents)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("dump/{db}/{table}.{extension}"), text.as_bytes()).unwrap();
    }
    tar.finish().unwrap();
}

#[tokio::test]
async fn an_archive_sets_nothing_of_the_server() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    let archive = home.path().join("x.tar");
    let evil = r#"[{"id":"admin","password":"evil"}]"#;
    write_archive(&archive, ["rethinkdb", "users"], json!([]), evil);
    for force in [&["restore", "x.tar", "--force"][..], &["restore", "x.tar"]] {
        let error = refused(addr, home.path(), force).await;
        assert!(error.contains("the system database `rethinkdb` can't be restored"), "{error}");
    }
    assert_eq!(done(addr, home.path(), &["user", "list"]).await, "admin (no password)\n");
    // The service's own data is left out, as `dump` leaves it out.
    write_archive(&archive, ["shop_warp_reql", "t"], json!([]), "[]");
    let told = run(addr, home.path(), &["restore", "x.tar"], &[]).await;
    let lines = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.success() && lines.contains("shop_warp_reql.t: left out"), "{lines}");
    assert_eq!(done(addr, home.path(), &["db", "list"]).await, "rethinkdb\ntest\n");
}

/// An index that can't be made again stays as it is, and an archive without a name of its own is whole.
#[tokio::test]
async fn indexes_are_there_until_their_successors_are_ready() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    for line in ["db create shop", "table create shop.t", "index create shop.t a --field a"] {
        done(addr, home.path(), &line.split(' ').collect::<Vec<_>>()).await;
    }
    done(addr, home.path(), &["dump", ".tar.gz"]).await;
    done(addr, home.path(), &["index", "drop", "shop.t", "a"]).await;
    done(addr, home.path(), &["index", "create", "shop.t", "a", "--field", "b"]).await;
    done(addr, home.path(), &["restore", ".tar.gz", "--force"]).await;
    let indexes = async || done(addr, home.path(), &["index", "list", "shop.t"]).await;
    let listed = indexes().await;
    assert!(
        listed.starts_with("a: ") && listed.contains("(\"a\")") && listed.lines().count() == 1,
        "{listed}"
    );

    let archive = home.path().join("x.tar");
    let wrong = json!([{ "index": "a", "function": { "$reql_type$": "BINARY", "data": "AAAA" } }]);
    write_archive(&archive, ["shop", "t"], wrong, "[]");
    refused(addr, home.path(), &["restore", "x.tar", "--force"]).await;
    assert_eq!(indexes().await, listed);
}

#[tokio::test]
async fn an_archive_that_is_none_is_an_error() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    let whole = std::fs::read(RETHINKDBS).unwrap();
    for (name, bytes) in
        [("empty", &[][..]), ("text", b"not an archive"), ("half", &whole[..whole.len() / 2])]
    {
        std::fs::write(home.path().join(name), bytes).unwrap();
        let error = refused(addr, home.path(), &["restore", name]).await;
        assert!(error.starts_with("warp-reql: "), "{name}: {error}");
    }
    assert!(refused(addr, home.path(), &["restore", "missing"]).await.contains("missing"));
}

#[tokio::test]
async fn a_failure_is_told_in_one_line() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    std::fs::write(home.path().join("none.tar.gz"), "nothing of the kind").unwrap();
    for (line, expected) in [
        ("db create a.b", "Database name `a.b` invalid"),
        ("db drop nope --yes", "Database `nope` does not exist."),
        ("table create nope.t", "Database `nope` does not exist."),
        ("table drop test.t --yes", "Table `test.t` does not exist."),
        ("grant nobody read", "User `nobody` not found."),
        ("user drop nobody", "User `nobody` not found."),
        ("dump no/where.tar.gz", "no/where.tar.gz: No such file or directory (os error 2)\n"),
        ("restore none.tar.gz", "none.tar.gz: it is no archive of `dump`"),
        ("user add ann --password-file /dev/zero", "/dev/zero: longer than 4 MiB"),
        ("rules test /dev/zero", "/dev/zero: longer than 4 MiB"),
    ] {
        let told = refused(addr, home.path(), &line.split(' ').collect::<Vec<_>>()).await;
        assert!(told.contains(expected) && told.lines().count() == 1, "{line}: {told}");
    }
    let output = run(addr, home.path(), &["--settings", "/dev/zero"], &[]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    assert!(told.contains("settings file /dev/zero: longer than 4 MiB"), "{told}");
}

#[tokio::test]
async fn users_get_what_they_are_granted() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    std::fs::write(home.path().join("password"), "open sesame\n").unwrap();
    let add = ["user", "add", "ada", "--password-file", "password"];
    done(addr, home.path(), &add).await;
    assert!(refused(addr, home.path(), &add).await.contains("there is a user `ada` already"));
    assert_eq!(done(addr, home.path(), &["user", "list"]).await, "ada\nadmin (no password)\n");
    done(addr, home.path(), &["db", "create", "blog"]).await;

    let ada = [("RDB_USER", "ada"), ("RDB_PASSWORD", "open sesame")];
    let make = ["table", "create", "blog.posts"];
    assert!(!run(addr, home.path(), &make, &ada).await.status.success(), "ada may not yet");
    done(addr, home.path(), &["grant", "ada", "read", "config", "--on", "blog"]).await;
    assert!(run(addr, home.path(), &make, &ada).await.status.success(), "ada may");
    done(addr, home.path(), &["grant", "ada", "--deny", "config", "--on", "blog"]).await;
    let more = ["table", "create", "blog.more"];
    assert!(!run(addr, home.path(), &more, &ada).await.status.success(), "ada may no more");

    done(addr, home.path(), &["user", "drop", "ada"]).await;
    assert!(refused(addr, home.path(), &["user", "drop", "ada"]).await.contains("`ada` not found"));
}

#[tokio::test]
async fn databases_tables_and_indexes_are_managed() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    let run = async |line: &str| done(addr, home.path(), &line.split(' ').collect::<Vec<_>>()).await;
    run("db create blog").await;
    run("db rename blog shop").await;
    run("table create shop.articles --primary-key slug").await;
    run("table rename shop.articles posts").await;
    assert_eq!(run("table list shop").await, "posts\n");
    let mut conn = conn(addr);
    let post = obj! { "slug": "a", "by": obj! { "name": "ada" }, "year": 1843, "tags": ["x", "y"] };
    conn.run(r.table("posts").insert(post)).await.unwrap();
    run("index create shop.posts author --field by.name --field year").await;
    run("index create shop.posts tags --multi").await;
    run("index rename shop.posts author by_author").await;
    let listed = run("index list shop.posts").await;
    let names: Vec<_> =
        listed.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(names, ["by_author", "tags"], "{listed}");
    let posts = r.table("posts");
    let found: Option<u64> = conn
        .first(posts.get_all(args![["ada".into(), json!(1843)], r.index("by_author")]).count())
        .await
        .unwrap();
    assert_eq!(found, Some(1));
    // Fields are written as in URLs, so that a name with a dot can be quoted.
    run("index create shop.posts dotted --field \"by.name\"").await;
    let listed = run("index list shop.posts").await;
    assert!(
        listed.lines().any(|line| line.starts_with("dotted: ") && line.contains("(\"by.name\")")),
        "{listed}"
    );
    let wrong = ["index", "create", "shop.posts", "wrong", "--field", "by..name"];
    let told = refused(addr, home.path(), &wrong).await;
    assert!(told.contains("`--field`") && told.contains("at character 4"), "{told}");
    run("index drop shop.posts dotted").await;
    run("index drop shop.posts tags").await;
    run("table drop shop.posts --yes").await;
    let missing = refused(addr, home.path(), &["table", "drop", "shop.posts", "--yes"]).await;
    assert!(missing.contains("does not exist"), "{missing}");
    run("db drop shop --yes").await;
    assert_eq!(run("db list").await, "rethinkdb\ntest\n");
}

#[tokio::test]
async fn write_hooks_are_managed() {
    let server = server().await;
    let (addr, home) = (server.local_addr(), TempDir::new().unwrap());
    done(addr, home.path(), &["db", "create", "shop"]).await;
    done(addr, home.path(), &["table", "create", "shop.t"]).await;
    let show = ["hook", "show", "shop.t"];
    assert_eq!(done(addr, home.path(), &show).await, "");
    let function = "(context, old, next) => r.branch(next.eq(null), null, next.merge({seen: true}))";
    done(addr, home.path(), &["hook", "set", "shop.t", function]).await;
    let shown = done(addr, home.path(), &show).await;
    assert!(shown.contains("setWriteHook(function(var1, var2, var3) {"), "{shown}");
    let mut conn = conn(addr);
    conn.run(r.table("t").insert(obj! { "id": 1 })).await.unwrap();
    done(addr, home.path(), &["hook", "drop", "shop.t"]).await;
    assert_eq!(done(addr, home.path(), &show).await, "");
    conn.run(r.table("t").insert(obj! { "id": 2 })).await.unwrap();
    let rows: Vec<Value> = conn.all(r.table("t").order_by("id")).await.unwrap();
    assert_eq!(rows, [json!({ "id": 1, "seen": true }), json!({ "id": 2 })]);

    for (wrong, told) in [("(a, b, c) => c.marge({})", "marge"), ("1", "FUNCTION")] {
        let error = refused(addr, home.path(), &["hook", "set", "shop.t", wrong]).await;
        assert!(error.contains(told), "{error}");
    }
}
