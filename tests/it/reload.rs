//! SIGHUP: reloading the settings under load, and settings that are invalid.

use std::fs;
use std::io::BufRead;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use crate::server::{Running, text, warp_reql};
use crate::support::secure::{Authority, VALID, client, get};
use crate::support::{PATIENCE, number};

/// A service whose settings are in a file, with TLS.
struct Reloaded {
    running: Running,
    authority: Authority,
}

impl Reloaded {
    fn start(limits: &str) -> Reloaded {
        let home = TempDir::new().unwrap();
        let authority = Authority::new();
        authority.signs("localhost", VALID).put(home.path());
        write(&home, limits);
        let running = Running::of(&mut warp_reql(&home, &[], &[]), home);
        Reloaded { running, authority }
    }

    fn write(&self, limits: &str) {
        write(&self.running.home, limits);
    }

    /// Sends the signal, and returns the lines of the log up to the one that tells of it.
    fn again(&mut self) -> Vec<String> {
        self.running.signal("HUP");
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.running.log.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
            let is_last =
                line.contains("The settings were reloaded") || line.contains("settings are invalid");
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    async fn get(&self, path: &str) -> String {
        get(self.running.addr, client(&self.authority, None, &[]), path).await.unwrap()
    }
}

fn write(home: &TempDir, more: &str) {
    let text = format!(
        "[default]\nport = 0\nrdb.host = \"embedded\"\nrdb.data_dir = \":memory:\"\n\
         tls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{more}"
    );
    fs::write(home.path().join("Settings.toml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_while_requests_run() {
    let mut service = Reloaded::start("limits.url = 200");
    let long = format!("/health/live?{}", "x".repeat(300));
    assert!(service.get(&long).await.starts_with("HTTP/1.1 414"));
    service.write("limits.url = 1000\ncors = \"https://a.example\"\nlog_level = \"info\"");
    service.again();
    assert!(!service.get(&long).await.starts_with("HTTP/1.1 414"));
    let config = service.get("/config").await;
    assert!(config.contains("\"cors\":\"https://a.example\"") && config.contains("\"log_level\":\"info\""));

    for broken in ["limits.url = \"much\"", "[default", "tls.key = \"nowhere.pem\"", "unheard_of = 1"] {
        service.write(broken);
        let told = service.again().concat();
        assert!(told.contains("ERROR") && told.contains("settings are invalid"), "{broken}: {told}");
        assert!(service.get("/config").await.contains("\"cors\":\"https://a.example\""), "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_new_start_is_told() {
    let mut service = Reloaded::start("");
    service.write("rdb.db = \"other\"\naddress = \"::1\"\nlimits.page = 7");
    service.again();
    let mut line = String::new();
    service.running.log.read_line(&mut line).unwrap();
    assert!(line.contains("need a restart: address, rdb."), "{line}");
    let config = service.get("/config").await;
    assert!(config.contains("\"db\":\"test\"") && config.contains("\"page\":7"), "{config}");
}

/// `WARP_REQL_RELOADS` says how many.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_settings_change() {
    let mut service = Reloaded::start("");
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let addr = service.running.addr;
    let trusted = client(&service.authority, None, &[]);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, served, trusted) = (over.clone(), served.clone(), trusted.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let answer = timeout(PATIENCE, get(addr, trusted.clone(), "/health/ready")).await;
                    let answer = answer.expect("in time").expect("an answer");
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..number("WARP_REQL_RELOADS", 5) {
        service.authority.signs("localhost", VALID).put(service.running.home.path());
        let level = ["info", "trace", "debug"][round as usize % 3];
        service.write(&format!("log_level = \"{level}\"\nlimits.requests = {}", 100 + round));
        let before = served.load(Ordering::Relaxed);
        service.again();
        let more = async {
            while served.load(Ordering::Relaxed) < before + 8 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, more).await.expect("requests go on");
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(service.get("/config").await.contains("\"requests\":10"), "the last settings are in force");
}

#[test]
fn a_file_is_checked_without_serving() {
    let home = TempDir::new().unwrap();
    let check = |text: &str| {
        fs::write(home.path().join("next.toml"), text).unwrap();
        let output = warp_reql(&home, &["config", "--check", "next.toml"], &[]).output().unwrap();
        (output.status.code(), text_of(&output.stdout), text_of(&output.stderr))
    };
    let usable = "The settings for the profile development can be used.\n";
    assert_eq!(check("[default]\nport = 9000"), (Some(0), usable.to_owned(), String::new()));
    let (code, _, error) = check("[production]\nport = 9000\nprot = 1");
    assert!(code == Some(2) && error.contains("did you mean `port`?"), "{error}");
    let (code, _, error) = check("[default.tls]\ncert = \"a.pem\"\nkey = \"b.pem\"");
    assert!(code == Some(2) && error.contains("`tls.cert` (a.pem)"), "{error}");
    let status =
        Command::new(env!("CARGO_BIN_EXE_warp-reql")).args(["config", "--check", "none.toml"]).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

fn text_of(bytes: &[u8]) -> String {
    text(bytes).to_owned()
}
