//! The life of the service: exit codes, what it prints, how it starts without a database, how it stops.

// Helpers of tests may unwrap as tests do.
use std::future::pending;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use warp::Filter;
use warp_reql::embedded::Embedded;
use warp_reql::error::Code;
use warp_reql::settings::{Hosts, Rdb, Settings};
use warp_reql::{Conn, Database, health, server};

use crate::support::PATIENCE;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The binary in a directory of its own, with no environment but what the test gives it.
pub fn warp_reql(home: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warp-reql"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let home = TempDir::new().unwrap();
    warp_reql(&home, arguments, environment).output().unwrap()
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A port of this machine where nobody listens.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap()
}

/// A service that runs in a process of its own; it is killed if the test fails.
pub struct Running {
    pub child: Child,
    pub log: BufReader<ChildStderr>,
    pub addr: SocketAddr,
    /// The log up to the line that says where the service serves.
    announced: String,
    pub home: TempDir,
}

impl Running {
    /// Starts the binary on a free port, with a database that isn't there, and waits until it says where it
    /// serves.
    pub fn start(environment: &[(&str, &str)]) -> Running {
        let database = nobody().to_string();
        let mut environment = environment.to_vec();
        environment.extend([("APP_ADDRESS", "127.0.0.1"), ("RDB_HOST", &database)]);
        Running::start_as("production", &environment)
    }

    pub fn start_as(profile: &str, environment: &[(&str, &str)]) -> Running {
        let home = TempDir::new().unwrap();
        let environment = [environment, &[("APP_PORT", "0")]].concat();
        let mut command = warp_reql(&home, &["--profile", profile], &environment);
        Running::of(&mut command, home)
    }

    /// Waits until a command of which the service comes says where it serves.
    pub fn of(command: &mut Command, home: TempDir) -> Running {
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut announced = String::new();
        while !announced.contains("Serving http") {
            assert!(log.read_line(&mut announced).unwrap() > 0, "it ended: {:?}", child.wait());
        }
        let serving = announced.split("Serving http").nth(1).unwrap();
        let addr = serving.split("://").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        Running { child, log, addr, announced, home }
    }

    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end, and gives what was logged meanwhile.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_wrong_setting_is_one_line_and_exit_code_2() {
    let output = output(&[], &[("APP_PROT", "9000")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let expected =
        "unknown setting `APP_PROT` = \"9000\" (environment variable APP_PROT): did you mean `APP_PORT`?";
    assert_eq!(text(&output.stderr), format!("warp-reql: {expected}\n"));
}

#[test]
fn production_that_anybody_can_use_is_exit_code_2() {
    let output = output(&["--profile", "production"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let line = text(&output.stderr);
    assert!(line.starts_with("warp-reql: invalid setting `auth` = \"none\" (built-in): expected"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn wrong_settings_stop_every_command() {
    for command in ["config", "health"] {
        assert_eq!(output(&[command], &[("APP_PORT", "x")]).status.code(), Some(2), "{command}");
    }
}

#[test]
fn a_wrong_argument_is_exit_code_2() {
    assert_eq!(output(&["--prot", "1"], &[]).status.code(), Some(2));
}

#[test]
fn a_settings_file_that_is_not_there_is_exit_code_2() {
    assert_eq!(output(&["--settings", "none.toml"], &[]).status.code(), Some(2));
}

#[test]
fn version_is_the_packages() {
    let output = output(&["--version"], &[]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), format!("warp-reql {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_names_every_flag_and_command() {
    let output = output(&["--help"], &[]);
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("Serves the tables of a RethinkDB"));
    for word in ["--profile", "--settings", "--version", "config", "health"] {
        assert!(text(&output.stdout).contains(word), "{word}");
    }
}

#[test]
fn a_level_that_is_overridden_is_told() {
    for (arguments, given, is_told) in [
        (vec!["config"], ("RUST_LOG", "info"), true),
        (vec!["config", "--check"], ("RUST_LOG", "info"), true),
        (vec!["config"], ("APP_LOG_LEVEL", "info"), false),
    ] {
        let output = output(&arguments, &[given]);
        let told = text(&output.stderr);
        assert!(output.status.success() && told.contains("RUST_LOG decides") == is_told, "{given:?}: {told}");
    }
    let running = Running::start(&[("APP_ALLOW_ANONYMOUS", "true"), ("RUST_LOG", "warp_reql=info")]);
    assert!(running.announced.contains("RUST_LOG decides"), "{}", running.announced);
}

#[test]
fn config_prints_values_and_origins_and_masks_secrets() {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("Settings.toml"), "[production]\nport = 9000").unwrap();
    let environment = [("RDB_PASSWORD", "hunter2"), ("APP_PROFILE", "production"), ("APP_AUTH", "database")];
    let output = warp_reql(&home, &["config"], &environment).output().unwrap();
    assert!(output.status.success());
    let lines: Vec<_> = text(&output.stdout).lines().map(|line| line.split_once("  # ").unwrap()).collect();
    for (value, origin) in [
        ("profile = \"production\"", "environment variable APP_PROFILE"),
        ("port = 9000", "Settings.toml, profile production"),
        ("rdb.password = \"********\"", "environment variable RDB_PASSWORD"),
        ("rdb.host = \"localhost\"", "built-in"),
    ] {
        assert!(
            lines.iter().any(|line| (line.0.trim_end(), line.1) == (value, origin)),
            "{value} in {lines:?}"
        );
    }
    assert!(!text(&output.stdout).contains("hunter2"));
}

#[test]
fn a_port_in_use_is_exit_code_1() {
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = output(&[], &[("APP_PORT", &port)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("can't listen on 127.0.0.1:{port}")), "{output:?}");
}

#[test]
fn without_a_database_it_is_live_but_not_ready() {
    let running = Running::start(&[]);
    for (path, status) in [("/health/live", "HTTP/1.1 200"), ("/health/ready", "HTTP/1.1 503")] {
        let answer = running.get(path);
        assert!(answer.starts_with(status), "{path}: {answer}");
    }
    let port = running.addr.port().to_string();
    assert_eq!(output(&["health"], &[("APP_PORT", &port)]).status.code(), Some(1));
    running.signal("TERM");
    running.end();
}

#[test]
fn development_brings_its_own_database() {
    if crate::support::home::about_the_embedded("development's own database") {
        return;
    }
    for data_dir in ["data", ":memory:"] {
        let running = Running::start_as("development", &[("RDB_DATA_DIR", data_dir)]);
        let port = running.addr.port().to_string();
        assert_eq!(output(&["health"], &[("APP_PORT", &port)]).status.code(), Some(0));
        assert_eq!(running.home.path().join("data").exists(), data_dir == "data");
        running.signal("TERM");
        let (status, log) = running.end();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn development_listens_for_clients_alone() {
    let running = Running::start_as("development", &[]);
    let opened = std::fs::read_dir(format!("/proc/{}/fd", running.child.id())).unwrap();
    let opened: Vec<_> = opened.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok()).collect();
    let listens = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // The state is LISTEN, and the tenth field names the socket.
        fields[3] == "0A" && opened.contains(&format!("socket:[{}]", fields[9]).into())
    };
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listening: Vec<_> = sockets.lines().skip(1).filter(listens).collect();
    assert_eq!(listening.len(), 1, "{listening:?}");
}

/// Asks the database of a running service for the names of its databases, with this password.
async fn knock(running: &Running, password: &str) -> Result<Vec<String>, warp_reql::Error> {
    let place = running.announced.split("connect to the database at ").nth(1).unwrap();
    let addr: SocketAddr = place.split([' ', '\n']).next().unwrap().trim_end_matches('.').parse().unwrap();
    let rdb = Rdb { host: Hosts::from(addr), password: password.into(), standby: 0, ..Rdb::default() };
    Conn::new(Database::new(rdb).unwrap()).all(reql::r.db_list()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_keeps_within_its_memory() {
    let pairs = reql::r.range(100_000).map(|n: reql::Term| reql::r.expr([n.clone(), n]));
    let held = pairs.coerce_to("array").count();
    for (limit, fits) in [(16 << 20, false), (256 << 20, true)] {
        let rdb = Rdb { data_dir: ":memory:".into(), memory_limit: limit, standby: 0, ..Rdb::default() };
        let database = Embedded::start(rdb).await.unwrap();
        let counted = Conn::new(database.database().clone()).first::<u32>(held.clone()).await;
        match counted {
            Ok(counted) => assert_eq!((counted, fits), (Some(100_000), true)),
            Err(error) => assert_eq!((error.code(), fits), (Code::ResourceLimit, false), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_is_no_open_door() {
    let listen = ("RDB_LISTEN", "0");
    let running = Running::start_as("development", &[listen]);
    for password in ["", "admin"] {
        let answer = knock(&running, password).await;
        assert!(answer.as_ref().is_err_and(|error| {
            error.code() == Code::DatabaseUnreachable && error.to_string().contains("Wrong password")
        }));
    }
    assert!(running.get("/health/ready").starts_with("HTTP/1.1 200"));
    let told = running.announced.split("with the password ").nth(1).unwrap().split(',').next().unwrap();
    assert!(knock(&running, told).await.is_ok());
    let set = Running::start_as("development", &[listen, ("RDB_PASSWORD", "hunter2")]);
    assert!(!set.announced.contains("hunter2"));
    assert!(knock(&set, "hunter2").await.is_ok(), "what the settings say holds");
    assert!(knock(&set, "").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_before_goes_on_and_becomes_its_owners() {
    use std::os::unix::fs::PermissionsExt;

    let place = TempDir::new().unwrap();
    let data = place.path().join("data");
    let server = reql_embedded::Server::builder().data_dir(&data).start().await.unwrap();
    let rdb = Rdb { host: Hosts::from(server.local_addr()), standby: 0, ..Rdb::default() };
    let mut conn = Conn::new(Database::new(rdb).unwrap());
    conn.first::<serde_json::Value>(reql::r.table_create("kept")).await.unwrap();
    drop(conn);
    server.shutdown().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = data.join("reql.redb");
    assert_eq!((mode(&data), mode(&file)), (0o700, 0o600));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();

    let named = data.to_str().unwrap();
    for _ in 0..2 {
        let running = Running::start_as("development", &[("RDB_DATA_DIR", named)]);
        assert!(running.get("/tables").contains("\"kept\""));
        assert_eq!(mode(&file), 0o600);
        running.signal("TERM");
        assert_eq!(running.end().0.code(), Some(0));
    }
    let output = output(&[], &[("RDB_DATA_DIR", named), ("RDB_PASSWORD", "hunter3"), ("APP_PORT", "0")]);
    let lines: Vec<_> = text(&output.stderr).lines().filter(|line| line.starts_with("warp-reql:")).collect();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        matches!(lines[..], [line] if line.contains("RDB_PASSWORD") && !line.contains("hunter3")),
        "{lines:?}"
    );
}

/// More connections than the soft limit has room for.
#[test]
#[cfg(target_os = "linux")]
fn silent_connections_leave_room_for_others() {
    let home = TempDir::new().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -Sn 64 && exec \"$0\" --profile production"]);
    command.arg(env!("CARGO_BIN_EXE_warp-reql")).current_dir(home.path()).env_clear();
    command.envs([("APP_PORT", "0"), ("APP_ADDRESS", "127.0.0.1"), ("RDB_HOST", &nobody().to_string())]);
    let running = Running::of(command.stdin(Stdio::null()).stderr(Stdio::piped()), home);
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(running.addr).unwrap()).collect();
    assert!(running.get("/health/live").starts_with("HTTP/1.1 200"));
    drop(silent);
}

/// Makes so many requests on one connection, all of which are answered.
fn live(addr: SocketAddr, count: usize) {
    let mut client = TcpStream::connect(addr).unwrap();
    let one = "GET /health/live HTTP/1.1\r\nHost: test\r\n";
    let all = format!("{}{one}Connection: close\r\n\r\n", format!("{one}\r\n").repeat(count - 1));
    client.write_all(all.as_bytes()).unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), count);
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut running = Running::start(&[("APP_LOG_LEVEL", "debug")]);
    // A pipe holds 64 KiB, and the log a few thousand lines more.
    for _ in 0..16 {
        live(running.addr, 500);
    }
    let figures = running.get("/metrics");
    let dropped = figures.lines().find_map(|line| line.strip_prefix("warp_reql_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{dropped:?}");
    running.signal("TERM");
    let start = Instant::now();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn signals_to_stop_end_in_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let running = Running::start(&[]);
        running.signal(signal);
        let (status, log) = running.end();
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert!(log.contains("Stopped."), "{log}");
    }
}

#[test]
fn the_password_is_never_logged() {
    let environment = [("RDB_PASSWORD", "hunter2"), ("RDB_DATA_DIR", ":memory:"), ("APP_LOG_LEVEL", "trace")];
    let running = Running::start_as("development", &environment);
    let ready = running.get("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 200 "), "the password was used: {ready}");
    running.signal("TERM");
    let announced = running.announced.clone();
    let log = announced + &running.end().1;
    assert!(log.contains("DEBUG") && log.contains("Stopped."), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn health_fails_when_nobody_listens() {
    let port = nobody().port().to_string();
    let output = output(&["health"], &[("APP_PORT", &port)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[tokio::test]
async fn health_is_what_the_service_answers() {
    for (status, healthy) in [(200, true), (503, false)] {
        let ready = warp::path!("health" / "ready")
            .map(move || warp::reply::with_status("", warp::http::StatusCode::from_u16(status).unwrap()));
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let settings =
            Settings { port: listener.local_addr().unwrap().port(), ..Settings::built_in("production") };
        let service = tokio::spawn(server::run(listener, warp::service(ready), pending(), Duration::ZERO));
        assert_eq!(health::check(&settings).await.is_ok(), healthy);
        service.abort();
    }
}

/// A service whose one route says that it has begun, then waits.
struct Slow {
    addr: SocketAddr,
    begun: Arc<Notify>,
    finish: Arc<Notify>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

async fn slow(grace: Duration) -> Slow {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let notifies = (begun.clone(), finish.clone());
    let routes = warp::any().then(move || {
        let (begun, finish) = notifies.clone();
        async move {
            begun.notify_one();
            finish.notified().await;
            "finished"
        }
    });
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap_or_default() };
    let ended = tokio::spawn(server::run(listener, warp::service(routes), stopped, grace));
    Slow { addr, begun, finish, stop, ended }
}

async fn request(addr: SocketAddr) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    stream
}

/// Waits until the address takes no more connections.
async fn refused(addr: SocketAddr) {
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stop_takes_no_new_connections_and_finishes_what_runs() {
    let Slow { addr, begun, finish, stop, ended } = slow(Duration::from_secs(60)).await;
    let mut stream = request(addr).await;
    begun.notified().await;
    stop.send(()).unwrap();
    refused(addr).await;
    assert!(!ended.is_finished());
    finish.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("finished"), "{answer}");
    ended.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_it_may() {
    let Slow { addr, begun, stop, ended, .. } = slow(Duration::from_millis(20)).await;
    let _stream = request(addr).await;
    begun.notified().await;
    let start = Instant::now();
    stop.send(()).unwrap();
    // The request never finishes by itself.
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}
