//! Answers of `POST /reql` that go on: they end with the right to them.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use tempfile::TempDir;
use warp_reql::settings::Settings;

use crate::access::{ADMIN, Ruled, SECRET, now, of, token};
use crate::server::{Running, warp_reql};
use crate::support::PATIENCE;
use crate::support::guarded::Guarded;

/// The answer to a query, as lines, that goes on.
struct Answer(TcpStream);

impl Answer {
    /// Asks, and waits until the answer begins.
    fn of(addr: SocketAddr, authorization: &str, query: &str) -> Answer {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "POST /reql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: \
             {authorization}\r\nContent-Type: text/plain\r\nAccept: application/x-ndjson\r\nContent-Length: \
             {}\r\n\r\n{query}",
            query.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Answer(stream);
        let head = answer.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        answer
    }

    fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error} after {}", String::from_utf8_lossy(&text));
            });
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Waits for the end of the body, which has to be one that clients see is no proper one.
    fn breaks_off(mut self) {
        let (mut rest, mut part) = (Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut part) {
                Ok(0) => break,
                Ok(count) => rest.extend(&part[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error} after {} bytes", rest.len()),
            }
        }
        assert!(!rest.ends_with(b"0\r\n\r\n"), "it ends as if it were whole");
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_end_when_their_token_expires() {
    let service = Ruled::with(json!([{"table": "t", "roles": "*", "read": true}]), &["t"], |mut settings| {
        settings.token.leeway = std::time::Duration::ZERO;
        settings
    });
    let service = service.await;
    service.fill("t", &json!([{"id": 1}])).await;
    let serving = service.api.serve().await;
    let addr = serving.addr;
    // A feed, and an endless stream that reads the table again and again.
    for query in ["r.table('t').changes()", "r.range().map(n => r.table('t').get(1))"] {
        let token = token(json!({"sub": "root", "role": ADMIN, "exp": now() + 2}));
        let answer = in_background(move || Answer::of(addr, &format!("Bearer {token}"), query)).await;
        in_background(|| answer.breaks_off()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_end_when_the_database_refuses_their_user() {
    let guarded = Guarded::with(|settings| Settings { reql: true, ..settings }).await;
    let serving = guarded.api.serve().await;
    let addr = serving.addr;
    let open = async |query: &'static str| {
        let who = guarded.basic("reader", "reader's");
        in_background(move || Answer::of(addr, &who, query)).await
    };
    let followed = "r.table('heroes').changes().map(change => change('new_val'))";
    let answer = open(followed).await;
    guarded.permit("reader", json!({"read": false})).await;
    in_background(|| answer.breaks_off()).await;
    guarded.permit("reader", json!({"read": true})).await;
    let answer = open(followed).await;
    guarded.set("reader", json!({"password": "another"})).await;
    in_background(|| answer.breaks_off()).await;
}

/// A service whose settings let tokens of these roles do everything.
fn write(home: &TempDir, roles: &str, more: &str) {
    let text = format!(
        "[default]\nport = 0\nreql = true\nauth = \"token\"\ntoken.secret = \"{SECRET}\"\n\
         admin_roles = [{roles}]\nrdb.data_dir = \":memory:\"\n{more}\n\
         [[default.tables]]\nname = \"heroes\"\n\
         [[default.rules]]\ntable = \"heroes\"\nroles = \"*\"\nread = true\n"
    );
    fs::write(home.path().join("Settings.toml"), text).unwrap();
}

#[test]
fn they_end_when_other_settings_refuse_their_caller() {
    let home = TempDir::new().unwrap();
    write(&home, "\"admin\", \"other\"", "");
    let mut running = Running::of(&mut warp_reql(&home, &[], &[]), home);
    let open = |role: &str| {
        let authorization = format!("Bearer {}", of("root", &[role]));
        Answer::of(running.addr, &authorization, "r.table('heroes').changes()('new_val')('id')")
    };
    let (dismissed, mut kept) = (open("admin"), open("other"));
    write(&running.home, "\"other\"", "log_level = \"info\"");
    running.signal("HUP");
    let mut log = String::new();
    while !log.contains("were reloaded") {
        assert!(running.log.read_line(&mut log).unwrap() > 0, "it ended: {log}");
    }
    dismissed.breaks_off();
    let writes = Answer::of(
        running.addr,
        &format!("Bearer {}", of("root", &["other"])),
        "r.table('heroes').insert({id: 'batman'})",
    );
    drop(writes);
    assert!(kept.until("\n\r\n").contains("\"batman\""));
}
