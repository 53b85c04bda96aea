//! Features for operators: an address of their own, sockets from systemd, logs for programs.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Running, nobody, warp_reql};
use crate::support::guarded::basic;

/// Asks over any stream.
fn ask(mut stream: impl Read + Write, path: &str, more: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{more}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_is_for_operators_has_an_address_of_its_own() {
    let home = TempDir::new().unwrap();
    let admin = home.path().join("admin.sock");
    let address = format!("unix:{}", admin.display());
    let running = Running::start(&[("APP_ADMIN_ADDRESS", &address), ("APP_DEBUG", "true")]);
    for path in ["/health/live", "/metrics", "/config"] {
        assert!(running.get(path).starts_with("HTTP/1.1 404"), "{path}");
        let answer = ask(UnixStream::connect(&admin).unwrap(), path, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    for path in ["/tables", "/openapi.json"] {
        let answer = ask(UnixStream::connect(&admin).unwrap(), path, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let document = running.get("/openapi.json");
    assert!(document.contains("/tables") && !document.contains("/metrics"), "{document}");
    running.signal("TERM");
    let (status, log) = running.end();
    assert!(status.success() && !admin.exists(), "{log}");
    assert_eq!(log.matches("Stopping").count(), 1, "{log}");
}

#[test]
fn a_unix_socket_is_an_address() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("service.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    let environment = [("APP_ADDRESS", address.as_str()), ("RDB_DATA_DIR", ":memory:")];
    let mut child = warp_reql(&home, &[], &environment).spawn().unwrap();
    let answer = loop {
        // It takes the place of the socket that was left behind, once it is ready.
        if let Ok(stream) = UnixStream::connect(&path) {
            break ask(stream, "/tables", "");
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let health = warp_reql(&home, &["health"], &environment).status().unwrap();
    assert!(health.success());
    child.kill().unwrap();
    let log = child.wait_with_output().unwrap().stderr;
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains(&format!("Serving {address},")), "{log}");
}

/// Sockets come as systemd passes them: from descriptor 3 on, with their number in the environment.
#[test]
fn sockets_and_readiness_are_as_systemd_has_them() {
    let home = TempDir::new().unwrap();
    let notify = home.path().join("notify.sock");
    let manager = UnixDatagram::bind(&notify).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\""]);
    command.arg(env!("CARGO_BIN_EXE_warp-reql")).current_dir(home.path()).env_clear();
    command.envs([("APP_PORT", "1"), ("RDB_HOST", &nobody().to_string())]);
    command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "200000");
    let listening: std::os::fd::OwnedFd = listener.into();
    command.stdin(Stdio::from(listening)).stderr(Stdio::piped());
    let running = Running::of(&mut command, TempDir::new().unwrap());
    assert_eq!(running.addr, addr);
    assert!(ask(TcpStream::connect(addr).unwrap(), "/health/live", "").starts_with("HTTP/1.1 200"));
    let told = |wanted: &str| {
        let mut text = [0; 256];
        while {
            let length = manager.recv(&mut text).unwrap();
            !String::from_utf8_lossy(&text[..length]).contains(wanted)
        } {}
    };
    told("READY=1");
    told("WATCHDOG=1");
    running.signal("HUP");
    told("RELOADING=1\nMONOTONIC_USEC=");
    told("READY=1");
    running.signal("TERM");
    told("STOPPING=1");
    assert!(running.end().0.success());
}

/// The address of the settings is a local one.
#[test]
fn a_socket_that_others_can_reach_is_not_served_to_anybody() {
    let home = TempDir::new().unwrap();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\""]);
    command.arg(env!("CARGO_BIN_EXE_warp-reql")).current_dir(home.path()).env_clear();
    command.envs([("APP_PROFILE", "production"), ("APP_ADDRESS", "unix:/tmp/none.sock")]);
    command.env("RDB_HOST", nobody().to_string());
    let listening: std::os::fd::OwnedFd = listener.into();
    let ended = command.stdin(Stdio::from(listening)).output().unwrap();
    let log = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && log.contains("others can reach 0.0.0.0:"), "{log}");
}

#[test]
fn a_line_for_programs_has_a_field_for_each_thing() {
    let running = Running::start_as(
        "production",
        &[
            ("APP_LOG_FORMAT", "json"),
            ("APP_LOG_LEVEL", "debug"),
            ("APP_AUTH", "database"),
            ("APP_ADDRESS", "127.0.0.1"),
            ("RDB_HOST", &nobody().to_string()),
            ("APP_NAME", "somebody else's"),
        ],
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    // The user `bob`.
    let more = format!(
        "X-Request-Id: mine\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\nAuthorization: Basic \
         Ym9iOng=\r\n"
    );
    let answer = ask(TcpStream::connect(running.addr).unwrap(), "/tables/t%0aINFO/docs?a=1", &more);
    let told = answer.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap();
    assert!(told.starts_with(&format!("00-{trace}-")) && told.ends_with("-01"), "{told}");
    running.signal("TERM");
    let (_, log) = running.end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let line = lines.iter().find(|line| line["status"].is_u64()).unwrap();
    let expected = [
        ("level", "info"),
        ("request_id", "mine"),
        ("method", "GET"),
        ("route", "/tables/{table}/docs"),
        ("client", "127.0.0.1"),
        ("trace_id", trace),
        ("parent_id", "00f067aa0ba902b7"),
    ];
    for (field, value) in expected {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert_eq!(line["user"], Value::Null, "nobody has checked the password");
    assert!(line["duration"].is_f64() && line["time"].is_string() && line["target"].is_string(), "{line}");
    assert!(lines.iter().any(|line| line["request_id"] == "mine" && line["status"] == Value::Null));
}

#[test]
fn a_line_names_who_has_proved_to_be_that() {
    let environment = [
        ("APP_LOG_FORMAT", "json"),
        ("APP_AUTH", "database"),
        ("RDB_PASSWORD", "right"),
        ("RDB_DATA_DIR", ":memory:"),
    ];
    let running = Running::start_as("development", &environment);
    for (id, path, password, status) in [
        ("unchecked", "/tables/t/x/y/z", "wrong", 404),
        ("wrong", "/tables", "wrong", 401),
        ("right", "/tables", "right", 200),
        ("lost", "/tables/t/x/y/z", "right", 404),
        ("missing", "/tables/none", "right", 404),
    ] {
        let authorization = basic("admin", password);
        let more = format!("X-Request-Id: {id}\r\nAuthorization: {authorization}\r\n");
        let answer = ask(TcpStream::connect(running.addr).unwrap(), path, &more);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{id}: {answer}");
    }
    running.signal("TERM");
    let (_, log) = running.end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let user = |id: &str| {
        let line = lines.iter().find(|line| line["request_id"] == id && line["status"].is_u64());
        line.unwrap_or_else(|| panic!("no line of {id}: {log}"))["user"].as_str()
    };
    assert_eq!([user("unchecked"), user("wrong"), user("lost")], [None; 3]);
    assert_eq!([user("right"), user("missing")], [Some("admin"); 2]);
}

#[test]
fn every_metric_is_in_the_documents_and_none_else() {
    let page = include_str!("../../docs/operations.md");
    let table = page.split("| metric | meaning |").nth(1).unwrap();
    let cells = table.lines().skip(2).map_while(|row| row.strip_prefix('|')?.split('|').next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // The names of labels stand behind that of the metric.
    let documented: BTreeSet<_> = quoted.filter_map(|name| name.split('{').next()).collect();

    let running = Running::start_as("development", &[("RDB_DATA_DIR", ":memory:")]);
    assert!(running.get("/tables").starts_with("HTTP/1.1 200"));
    let answer = running.get("/metrics");
    let served = answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let served: BTreeSet<_> = served.filter(|name| !name.starts_with("process_")).collect();
    assert!(served.len() > 20, "{answer}");
    for name in &served {
        assert!(documented.contains(name), "`{name}` is not in {documented:?}");
    }
    // A counter without a value: nothing has expired yet.
    let others = ["process_*", "warp_reql_expired_documents_total"];
    for name in documented.iter().filter(|name| !others.contains(name)) {
        assert!(served.contains(name), "there is no `{name}`");
    }
}
