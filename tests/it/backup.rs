//! `warp-reql backup`: a copy of the embedded database while a service uses it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;

use tempfile::TempDir;

use crate::server::{Running, text, warp_reql};

const DATA: [(&str, &str); 3] = [("APP_PORT", "0"), ("RDB_HOST", "embedded"), ("RDB_DATA_DIR", "data")];

fn serve(home: TempDir) -> Running {
    Running::of(&mut warp_reql(&home, &[], &DATA), home)
}

fn request(service: &Running, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(service.addr).unwrap();
    let (kind, length) = ("Content-Type: application/json", body.len());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn backup(home: &TempDir, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    warp_reql(home, &[&["backup"], arguments].concat(), environment).output().unwrap()
}

#[test]
fn a_running_service_is_copied_and_the_copy_serves() {
    let service = serve(TempDir::new().unwrap());
    assert!(request(&service, "POST", "/tables", r#"{"name":"heroes"}"#).starts_with("HTTP/1.1 201"));
    let batman = "/tables/heroes/docs/batman";
    assert!(request(&service, "PUT", batman, r#"{"age":38}"#).starts_with("HTTP/1.1 201"));

    let (earlier, copy) = (service.home.path().join("monday.redb"), TempDir::new().unwrap());
    for _ in 0..2 {
        let done = backup(&service.home, &DATA, &["monday.redb", "--rate", "1GiB"]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains(" MB written: 1 tables, 1 documents,"), "{}", text(&done.stdout));
    }
    assert!(request(&service, "DELETE", batman, "").starts_with("HTTP/1.1 204"));
    fs::create_dir(copy.path().join("data")).unwrap();
    fs::copy(earlier, copy.path().join("data/reql.redb")).unwrap();
    let restored = serve(copy);
    assert!(request(&restored, "GET", batman, "").ends_with(r#"{"age":38,"id":"batman"}"#));

    let over = backup(&restored.home, &DATA, &["data/reql.redb"]);
    assert_eq!(over.status.code(), Some(1), "the data itself is no backup: {}", text(&over.stderr));
}

#[test]
fn what_can_not_be_copied_is_told() {
    let home = TempDir::new().unwrap();
    for (name, value, reason) in [
        ("RDB_HOST", "db.example:28015", "not embedded but at db.example:28015; `dump` writes an archive"),
        ("RDB_DATA_DIR", ":memory:", "keeps nothing on disk"),
        ("RDB_DATA_DIR", "nowhere", "nowhere"),
    ] {
        let refused = backup(&home, &[&DATA[..], &[(name, value)]].concat(), &["monday.redb"]);
        let error = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{error}");
        assert!(error.starts_with("warp-reql: ") && error.contains(reason), "{error}");
    }
    for rate in ["0", "fast", "-1", "999999999999GiB"] {
        let wrong = backup(&home, &DATA, &["monday.redb", &format!("--rate={rate}")]);
        assert_eq!(wrong.status.code(), Some(2), "{rate}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
}
