//! Key sets at a URL: fetched when they are needed, over TLS that is verified, kept, and renewed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use warp_reql::settings::{Settings, Token};

use super::{Ruled, base64, now};
use crate::support::{eventually, nobody, problem};

/// A key that an issuer signs by.
pub struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub fn new(id: impl Into<String>) -> Signer {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer { id: id.into(), pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap() }
    }

    pub fn token(&self) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.id});
        let claims = json!({"sub": "ann", "role": "user", "exp": now() + 60});
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        format!("{message}.{}", base64(self.pair.sign(message.as_bytes())))
    }

    fn jwk(&self) -> Value {
        let x = base64(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "x": x})
    }
}

/// The set of some keys.
pub fn jwks(signers: &[&Signer]) -> Vec<u8> {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string().into_bytes()
}

/// The answer of an issuer.
#[derive(Clone)]
enum Answer {
    Set(Vec<u8>),
    Status(&'static str),
    Silence,
}

/// A server of key sets, until it is dropped.
struct Issuer {
    addr: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    async fn start(answer: Answer, tls: Option<TlsAcceptor>) -> Issuer {
        Issuer::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer, tls)
    }

    fn at(listener: TcpListener, answer: Answer, tls: Option<TlsAcceptor>) -> Issuer {
        let addr = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (answering, counting) = (Arc::clone(&answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                let (answer, tls) = (answering.lock().unwrap().clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                reply(stream, answer).await;
                            }
                        }
                        None => reply(stream, answer).await,
                    }
                });
            }
        });
        Issuer { addr, answer, asked, task }
    }

    fn says(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let (status, body) = match answer {
        Answer::Set(body) => ("200 OK", body),
        Answer::Status(status) => (status, Vec::new()),
        Answer::Silence => return std::future::pending().await,
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
    let _ = stream.shutdown().await;
}

/// The service with keys at this URL, and a table that users may read.
async fn service(keys: String, keys_ca: String) -> Ruled {
    let rules = json!([
        {"table": "t", "roles": "*", "read": "public=eq.true"},
        {"table": "t", "roles": "user", "read": true},
    ]);
    let token = Token { keys, keys_ca, ..Token::default() };
    Ruled::with(rules, &["t"], |settings| Settings { token, ..settings }).await
}

async fn status(service: &Ruled, token: &str) -> u16 {
    service.get(token, "/tables/t/docs").await.status().as_u16()
}

#[tokio::test]
async fn keys_change_while_the_service_runs() {
    let [old, new, unknown] = ["old", "new", "unknown"].map(Signer::new);
    let issuer = Issuer::start(Answer::Set(jwks(&[&old])), None).await;
    let service = service(format!("http://{}/keys", issuer.addr), String::new()).await;
    assert_eq!(status(&service, &old.token()).await, 200);
    assert_eq!((status(&service, &old.token()).await, issuer.asked()), (200, 1), "they are kept");
    issuer.says(Answer::Set(jwks(&[&old, &new])));
    assert_eq!(
        (status(&service, &new.token()).await, issuer.asked()),
        (200, 2),
        "and looked for, if unknown"
    );
    // But not each time that somebody makes up a name for a key.
    for _ in 0..20 {
        assert_eq!(status(&service, &unknown.token()).await, 401);
    }
    assert_eq!(issuer.asked(), 2);
    let forged = Signer::new("old");
    assert_eq!((status(&service, &forged.token()).await, issuer.asked()), (401, 2));
}

#[tokio::test]
async fn many_that_wait_for_keys_have_them_fetched_once() {
    let signer = Signer::new("k");
    let issuer = Issuer::start(Answer::Set(jwks(&[&signer])), None).await;
    let service = service(format!("http://{}/keys", issuer.addr), String::new()).await;
    let token = signer.token();
    let all = futures_util::future::join_all((0..20).map(|_| status(&service, &token))).await;
    assert_eq!((all, issuer.asked()), (vec![200; 20], 1));
}

#[tokio::test]
async fn without_keys_the_service_serves_what_it_can() {
    let signer = Signer::new("k");
    let addr = nobody().await;
    let service = service(format!("http://{addr}/keys"), String::new()).await;
    assert_eq!(status(&service, "").await, 200, "who needs no token is served");
    assert_eq!(service.get("", "/health/ready").await.status(), 200);
    let answer = service.get(&signer.token(), "/tables/t/docs").await;
    problem(&answer, 503, "no-keys");
    assert!(answer.headers().contains_key("retry-after"));
    // What can't be read isn't asked about, and keys that come later are found.
    assert_eq!(status(&service, "nonsense").await, 401);
    let issuer = Issuer::at(TcpListener::bind(addr).await.unwrap(), Answer::Set(jwks(&[&signer])), None);
    assert_eq!((status(&service, &signer.token()).await, issuer.asked()), (503, 0), "not at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!((status(&service, &signer.token()).await, issuer.asked()), (200, 1));
}

#[tokio::test]
async fn keys_stay_while_their_issuer_is_away() {
    let [signer, unknown] = ["k", "unknown"].map(Signer::new);
    let issuer = Issuer::start(Answer::Set(jwks(&[&signer])), None).await;
    let service = service(format!("http://{}/keys", issuer.addr), String::new()).await;
    assert_eq!(status(&service, &signer.token()).await, 200);
    let later = async |minutes: u64| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(minutes * 60 + 1)).await;
        tokio::time::resume();
    };
    issuer.says(Answer::Status("500 Internal Server Error"));
    // They are renewed in the background; for old ones requests wait, unless the last renewal failed.
    for minutes in [5, 15] {
        later(minutes).await;
        assert_eq!(status(&service, &signer.token()).await, 200, "after {minutes} min");
    }
    eventually("it is asked again", || issuer.asked() > 1).await;
    drop(issuer);
    later(15).await;
    assert_eq!(
        (status(&service, &signer.token()).await, status(&service, &unknown.token()).await),
        (200, 401)
    );
    let forged = Signer::new("k");
    assert_eq!(status(&service, &forged.token()).await, 401);
}

#[tokio::test]
async fn what_an_issuer_answers_is_bounded() {
    let signer = Signer::new("k");
    let mut huge = jwks(&[&signer]);
    huge.resize(10 << 20, b' ');
    for answer in [
        Answer::Set(huge),
        Answer::Set(b"{}".to_vec()),
        Answer::Set(b"<html>".to_vec()),
        Answer::Status("302 Found"),
        Answer::Status("500 Internal Server Error"),
        Answer::Silence,
    ] {
        let issuer = Issuer::start(answer, None).await;
        let service = service(format!("http://{}/keys", issuer.addr), String::new()).await;
        let begun = std::time::Instant::now();
        assert_eq!((status(&service, &signer.token()).await, issuer.asked()), (503, 1));
        assert!(begun.elapsed() < Duration::from_secs(8));
        // Nobody waits for it again just now.
        let begun = std::time::Instant::now();
        assert_eq!((status(&service, &signer.token()).await, issuer.asked()), (503, 1));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn keys_come_from_whom_the_authorities_vouch_for() {
    let signer = Signer::new("k");
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let issuer = Issuer::start(Answer::Set(jwks(&[&signer])), Some(tls)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = |name: &str, pem: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let port = issuer.addr.port();
    for (host, ca, expected) in [
        ("localhost", ca("own.pem", &own.cert.pem()), 200),
        ("localhost", ca("other.pem", &other.cert.pem()), 503),
        ("localhost", String::new(), 503),
        ("127.0.0.1", ca("own.pem", &own.cert.pem()), 503),
    ] {
        let service = service(format!("https://{host}:{port}/keys"), ca).await;
        assert_eq!(status(&service, &signer.token()).await, expected, "{host}");
    }
}
