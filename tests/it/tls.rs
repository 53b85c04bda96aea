//! TLS to clients: who is trusted, what is spoken, and files that change.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};
use warp_reql::health;
use warp_reql::server::Service;
use warp_reql::settings::{Settings, Tls};

use crate::support::secure::{
    Authority, Certificate, OVER, Served, VALID, client, connect, files, get, reason,
};

/// The preface of HTTP/2 with empty settings, and `GET /health/live` of `localhost` (RFC 7541, literals
/// without an index).
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x1b\x01\x05\0\0\0\x01\x82\x87\x04\x0c/health/live\x41\x09localhost";

/// A service with a certificate for `localhost`, and the authority that has signed it.
async fn served(home: &TempDir) -> (Served, Authority) {
    let authority = Authority::new();
    authority.signs("localhost", VALID).put(home.path());
    (Served::start(files(home.path())).await, authority)
}

async fn refusal(addr: std::net::SocketAddr, trusted: &Authority, shown: Option<&Certificate>) -> Error {
    let error = get(addr, client(trusted, shown, &[]), "/health/live").await.unwrap_err();
    reason(&error).clone()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let home = TempDir::new().unwrap();
    let (served, authority) = served(&home).await;
    let answer = get(served.addr, client(&authority, None, &[b"http/1.1"]), "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    let mut stream = connect(served.addr, client(&authority, None, &[b"h2", b"http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(HTTP_2).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|bytes| bytes == b"live") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
    }
    health::check(&served.settings).await.unwrap();
}

#[tokio::test]
async fn a_client_can_tell_whom_not_to_trust() {
    let home = TempDir::new().unwrap();
    let (served, authority) = served(&home).await;
    let stranger = Authority::new();
    let refused = refusal(served.addr, &stranger, None).await;
    assert!(matches!(
        refused,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
    ));
    authority.signs("elsewhere", VALID).put(home.path());
    let refused = refusal(served.addr, &authority, None).await;
    assert!(matches!(refused, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })));
    authority.signs("localhost", OVER).put(home.path());
    let refused = refusal(served.addr, &authority, None).await;
    assert!(matches!(refused, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })));
}

#[tokio::test]
async fn only_clients_with_a_certificate_get_in() {
    let home = TempDir::new().unwrap();
    let (authority, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    authority.signs("localhost", VALID).put(home.path());
    let client_ca = home.path().join("clients.pem");
    std::fs::write(&client_ca, clients.pem()).unwrap();
    let served = Served::start(Tls { client_ca, ..files(home.path()) }).await;
    assert_eq!(
        refusal(served.addr, &authority, None).await,
        Error::AlertReceived(AlertDescription::CertificateRequired)
    );
    for untrusted in [stranger.signs("app", VALID), clients.signs("app", OVER)] {
        let refused = refusal(served.addr, &authority, Some(&untrusted)).await;
        assert!(matches!(refused, Error::AlertReceived(_)), "{refused}");
    }
    let trusted = clients.signs("app", VALID);
    let answer = get(served.addr, client(&authority, Some(&trusted), &[]), "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn who_speaks_no_tls_is_told() {
    let home = TempDir::new().unwrap();
    let (served, _) = served(&home).await;
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    stream
        .write_all(b"POST /tables HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request") && answer.contains("HTTPS only"), "{answer}");
}

#[tokio::test]
async fn tls_where_none_is_spoken_ends_at_once() {
    let served = Served::start(Tls::default()).await;
    let error = connect(served.addr, client(&Authority::new(), None, &[])).await.unwrap_err();
    assert!(matches!(reason(&error), Error::InvalidMessage(_)), "{error}");
}

#[tokio::test]
async fn files_that_change_are_taken_up_by_the_next_handshake() {
    let home = TempDir::new().unwrap();
    let (served, before) = served(&home).await;
    let mut open = connect(served.addr, client(&before, None, &[])).await.unwrap();

    // Broken in three ways, one after another: no certificate, another one's key, nothing.
    let after = Authority::new();
    let next = after.signs("localhost", VALID);
    for broken in [Some("no certificate"), Some(next.chain.as_str()), None] {
        match broken {
            Some(text) => std::fs::write(home.path().join("cert.pem"), text).unwrap(),
            None => std::fs::remove_file(home.path().join("cert.pem")).unwrap(),
        }
        let answer = get(served.addr, client(&before, None, &[]), "/health/live").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "what was there before is still used: {answer}");
    }

    next.put(home.path());
    let answer = get(served.addr, client(&after, None, &[]), "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(get(served.addr, client(&before, None, &[]), "/health/live").await.is_err());

    open.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "an open connection goes on: {answer}");
}

#[tokio::test]
async fn a_service_without_usable_files_does_not_start() {
    let home = TempDir::new().unwrap();
    let error = |tls: Tls| async {
        let settings = Settings { port: 0, tls, ..Settings::default() };
        Service::bind(settings).await.err().unwrap().to_string()
    };
    assert!(error(files(home.path())).await.contains("`tls.cert`"));
    let authority = Authority::new();
    authority.signs("localhost", VALID).put(home.path());
    let key = home.path().join("other.pem");
    std::fs::write(&key, authority.signs("localhost", VALID).key).unwrap();
    let mixed = error(Tls { key, ..files(home.path()) }).await;
    assert!(mixed.contains("the key isn't the certificate's"), "{mixed}");
    let device = error(Tls { cert: Path::new("/dev/zero").into(), ..files(home.path()) }).await;
    assert!(device.contains("longer than a megabyte"), "{device}");
}

#[tokio::test]
async fn health_trusts_only_the_services_own_certificate() {
    let home = TempDir::new().unwrap();
    let (served, _) = served(&home).await;
    let elsewhere = TempDir::new().unwrap();
    Authority::new().signs("localhost", VALID).put(elsewhere.path());
    let settings = Settings { tls: files(elsewhere.path()), ..served.settings.clone() };
    let error: io::Error = health::check(&settings).await.unwrap_err();
    assert!(matches!(reason(&error), Error::InvalidCertificate(_)), "{error}");
}
