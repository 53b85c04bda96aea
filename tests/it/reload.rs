//! SIGHUP: reloading the settings under load, and settings that are invalid.

use std::fs;
use std::io::BufRead;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::access::keys::{Signer, jwks};
use crate::server::{Running, text, warp_reql};
use crate::support::secure::{Authority, VALID, client, connect, get};
use crate::support::{PATIENCE, eventually, number};

/// A service whose settings are in a file, with TLS.
struct Reloaded {
    running: Running,
    authority: Authority,
}

impl Reloaded {
    fn start(limits: &str) -> Reloaded {
        Reloaded::start_in(TempDir::new().unwrap(), limits)
    }

    fn start_in(home: TempDir, limits: &str) -> Reloaded {
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
                line.contains("The settings were reloaded") || line.contains("settings aren't taken up");
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

/// A setting that needs a restart, with one that would let every page in before that.
const OTHER_AUTH: &str = "auth = \"database\"\ncors = \"any\"";

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

    for broken in
        ["limits.url = \"much\"", "[default", "tls.key = \"nowhere.pem\"", "unheard_of = 1", OTHER_AUTH]
    {
        service.write(broken);
        let told = service.again().concat();
        assert!(told.contains("ERROR") && told.contains("settings aren't taken up"), "{broken}: {told}");
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

/// The keys that count in a round: its own, and the one of the round before, as issuers renew them.
struct Rounds {
    signers: Vec<Signer>,
}

impl Rounds {
    fn new(number: u64) -> Rounds {
        let signer = |round| Signer::new(format!("key-{round}"));
        Rounds { signers: (0..=number + 1).map(signer).collect() }
    }

    /// Writes keys, certificate and settings of a round. In odd ones the rules let a user read one of two
    /// documents, otherwise both. Returns the certificate.
    fn write(&self, round: usize, service: &Reloaded) -> CertificateDer<'static> {
        let home = service.running.home.path();
        let keys = jwks(&[&self.signers[round], &self.signers[round + 1]]);
        fs::write(home.join(format!("keys-{round}.json")), keys).unwrap();
        let certificate = service.authority.signs("localhost", VALID);
        certificate.put(home);
        service.write(&Rounds::settings(round));
        CertificateDer::from_pem_slice(certificate.chain.as_bytes()).unwrap()
    }

    fn settings(round: usize) -> String {
        let (level, url) = (["info", "trace", "debug"][round % 3], [1000, 200][round % 2]);
        let read = if round % 2 == 1 { "\"owner=eq.{sub}\"" } else { "true" };
        format!(
            "auth = \"token\"\nlog_level = \"{level}\"\nlimits.url = {url}\n\
             token.keys = \"keys-{round}.json\"\n[[default.tables]]\nname = \"heroes\"\n\
             [[default.rules]]\ntable = \"heroes\"\nroles = \"user\"\nread = {read}\ncreate = true\n"
        )
    }
}

/// Asks with a token.
async fn ask(
    addr: SocketAddr,
    client: ClientConfig,
    token: &str,
    (method, path): (&str, &str),
    body: &str,
) -> String {
    let mut stream = connect(addr, client).await.expect("a connection");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer \
         {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

/// The log's level, certificate, keys, rules and limits change under load, `WARP_REQL_RELOADS` times.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_settings_change() {
    let number = number("WARP_REQL_RELOADS", 5);
    let rounds = Arc::new(Rounds::new(number));
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("keys-0.json"), jwks(&[&rounds.signers[0], &rounds.signers[1]])).unwrap();
    let mut service = Reloaded::start_in(home, &Rounds::settings(0));
    let addr = service.running.addr;
    let trusted = client(&service.authority, None, &[]);
    for (owner, signer) in [("ann", &rounds.signers[0]), ("bob", &rounds.signers[1])] {
        let (path, body) = (format!("/tables/heroes/docs/{owner}"), format!("{{\"owner\":\"{owner}\"}}"));
        let made = ask(addr, trusted.clone(), &signer.token(), ("PUT", &path), &body).await;
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }

    let (over, now) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let seen: Arc<[AtomicU64; 4]> = Arc::default();
    let clients: Vec<_> = (0..seen.len())
        .map(|number| {
            let (over, now, seen) = (over.clone(), now.clone(), seen.clone());
            let (rounds, trusted) = (rounds.clone(), trusted.clone());
            tokio::spawn(async move {
                let mut served = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    let round = now.load(Ordering::Relaxed);
                    // It counts in this round and in the next one, which may begin meanwhile.
                    let token = rounds.signers[round as usize + 1].token();
                    let asked = ask(addr, trusted.clone(), &token, ("GET", "/tables/heroes/docs"), "");
                    let answer = timeout(PATIENCE, asked).await.expect("in time");
                    assert!(answer.starts_with("HTTP/1.1 200"), "in round {round}: {answer}");
                    seen[number].fetch_max(round, Ordering::Relaxed);
                    served += 1;
                }
                served
            })
        })
        .collect();
    for round in 1..=number {
        let certificate = rounds.write(round as usize, &service);
        let lines = service.again().concat();
        assert!(lines.contains("were reloaded"), "{lines}");
        let token = rounds.signers[round as usize].token();
        let told = ask(addr, trusted.clone(), &token, ("GET", "/tables/heroes/docs"), "").await;
        assert_eq!(told.matches("\"owner\"").count(), if round % 2 == 1 { 1 } else { 2 }, "rules: {told}");
        let long = format!("/tables/heroes/docs?select={}", "x".repeat(300));
        let told = ask(addr, trusted.clone(), &token, ("GET", &long), "").await;
        assert_eq!(told.starts_with("HTTP/1.1 414"), round % 2 == 1, "limits: {told}");
        let shown = connect(addr, trusted.clone()).await.unwrap();
        let shown = shown.get_ref().1.peer_certificates().unwrap()[0].clone();
        assert_eq!(shown, certificate, "certificate of round {round}");
        now.store(round, Ordering::Relaxed);
        let is_seen = || seen.iter().all(|seen| seen.load(Ordering::Relaxed) >= round);
        eventually("all clients are in this round", is_seen).await;
        service.write("[[default.rules]]\ntable = 7");
        assert!(service.again().concat().contains("settings aren't taken up"), "in round {round}");
    }
    over.store(true, Ordering::Relaxed);
    let mut served = 0;
    for client in clients {
        served += client.await.unwrap();
    }
    assert!(served >= number * 4, "{served} requests");
    println!("{served} requests were served while the settings changed {number} times");
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
    // Whoever checks the settings of another machine may not think of its profile.
    let exposed = "[default]\nport = 9000\n[production]\naddress = \"0.0.0.0\"";
    let (code, told, error) = check(exposed);
    assert_eq!((code, &told[..]), (Some(2), usable));
    assert!(error.contains("profile production can't be used: invalid setting `auth`"), "{error}");
    let named = ["--profile", "development", "config", "--check", "next.toml"];
    assert!(warp_reql(&home, &named, &[]).status().unwrap().success());
    assert!(warp_reql(&home, &named[2..], &[("APP_PROFILE", "development")]).status().unwrap().success());
    let both = format!("{usable}The settings for the profile production can be used.\n");
    assert_eq!(check("[production]\nauth = \"database\""), (Some(0), both, String::new()));
    assert_eq!(check("[production]\n[staging]"), (Some(0), usable.to_owned(), String::new()));
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
