//! A disk without room: writes say so, reads go on, and all is well once there is room again.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use crate::server::Running;
use crate::support::PATIENCE;

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
    // A file that may not grow fails as one on a full disk does, once the signal for it is ignored.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\"", env!("CARGO_BIN_EXE_warp-reql")]);
    command.env_clear().envs(settings).current_dir(home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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
