//! A disk without room: writes say so, reads go on, and all is well once there is room again.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use reql::{Term, args, obj, r};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::commands::{conn, done};
use crate::server::Running;
use crate::support::{PATIENCE, server};

/// A program whose files may not grow: that fails as on a full disk, once the signal for it is ignored.
fn bounded(kib: Option<u32>, arguments: &[&str]) -> Command {
    let limit = kib.map(|kib| format!("ulimit -f {};", kib * 2)).unwrap_or_default();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("trap '' XFSZ; {limit} exec \"$0\" \"$@\""),
        env!("CARGO_BIN_EXE_warp-reql"),
    ]);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends a request with a document, and returns the answer.
fn send(service: &Running, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(service.addr).unwrap();
    let head = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Lets the files of the service grow to so many bytes.
fn allow(service: &Running, bytes: Option<u64>) {
    let pid = Pid::from_raw(service.child.id().try_into().unwrap()).unwrap();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[test]
fn a_full_disk_is_told_of_and_got_over() {
    let home = TempDir::new().unwrap();
    let settings = [
        ("APP_PROFILE", "production"),
        ("APP_ADDRESS", "127.0.0.1"),
        ("APP_PORT", "0"),
        ("RDB_HOST", "embedded"),
        ("RDB_DATA_DIR", "data"),
    ];
    let mut command = bounded(None, &[]);
    command.envs(settings).current_dir(home.path());
    let file = home.path().join("data/reql.redb");
    let service = Running::of(&mut command, home);
    assert!(send(&service, "POST", "/tables", r#"{"name":"heroes"}"#).starts_with("HTTP/1.1 201 "));
    assert!(send(&service, "PUT", "/tables/heroes/docs/1", r#"{"n":1}"#).starts_with("HTTP/1.1 201 "));

    allow(&service, Some(file.metadata().unwrap().len()));
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(500_000));
    let refused = (0..100)
        .map(|id| send(&service, "PUT", &format!("/tables/heroes/docs/large-{id}"), &text))
        .find(|answer| !answer.starts_with("HTTP/1.1 201 "));
    let refused = refused.expect("the file can't grow for ever");
    assert!(
        refused.starts_with("HTTP/1.1 507 ") && refused.contains("\"code\":\"storage-full\""),
        "{refused}"
    );
    let read = service.get("/tables/heroes/docs/1");
    assert!(read.starts_with("HTTP/1.1 200 ") && read.contains("\"n\":1"), "{read}");
    let ready = service.get("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("\"storage\":\"full\""), "{ready}");
    assert!(service.get("/metrics").contains("warp_reql_db_storage_full 1"));

    allow(&service, None);
    let since = Instant::now();
    while !send(&service, "PUT", "/tables/heroes/docs/2", &text).starts_with("HTTP/1.1 201 ") {
        assert!(since.elapsed() < PATIENCE, "it doesn't recover");
    }
    assert!(service.get("/tables/heroes/docs/1").contains("\"n\":1"));
    service.signal("TERM");
    assert!(service.end().0.success());
}

#[tokio::test]
async fn a_restore_tells_of_a_full_disk() {
    let (server, home) = (server().await, TempDir::new().unwrap());
    let mut conn = conn(server.local_addr());
    conn.run(r.db_create("shop")).await.unwrap();
    conn.run(r.table_create("orders")).await.unwrap();
    // Of an index over them there is ten times as much as of the documents.
    let tags = |n: Term| r.range(300).coerce_to("array").map(move |tag: Term| tag.add(n.clone()));
    let orders =
        r.range(300).coerce_to("array").map(move |n: Term| obj! { "id": n.clone(), "tags": tags(n) });
    conn.run(r.table("orders").insert(orders)).await.unwrap();
    conn.run(r.table("orders").index_create("tags").multi(true)).await.unwrap();
    conn.run(r.table("orders").index_wait(args![])).await.unwrap();
    done(server.local_addr(), home.path(), &["dump", "all.tar.gz"]).await;

    // Too little for the documents, for the index, and enough.
    for (kib, is_full) in [(1_400, true), (4_000, true), (100_000, false)] {
        let data = format!("data-{kib}");
        let mut command = bounded(Some(kib), &["restore", "all.tar.gz"]);
        command.envs([("RDB_HOST", "embedded"), ("RDB_DATA_DIR", &data)]).current_dir(home.path());
        let output = spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.contains("warp-reql: The disk is full: "), is_full, "{kib}: {error}");
    }
}
