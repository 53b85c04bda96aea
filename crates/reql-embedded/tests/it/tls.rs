//! TLS: the server's certificate, its clients' authorities, the errors of both sides when these don't fit,
//! and files that change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use driver::tls::Tls as ClientTls;
use driver::{Connector, ErrorKind, Session, Stream, r};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use reql_embedded::{Server, StartError, Tls, TlsVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsConnector, rustls};

type Issuer = CertifiedIssuer<'static, KeyPair>;

const VALID: (i32, i32) = (2000, 4000);

/// Longer than any test here takes.
const LONG: Duration = Duration::from_secs(60);

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Makes a certificate that an authority has signed, valid from and until these years: chain and key.
fn certificate(issuer: &Issuer, name: &str, years: (i32, i32)) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn trusting(issuer: &Issuer) -> ClientTls {
    ClientTls::trusting_pem(issuer.pem().as_bytes()).unwrap()
}

/// Returns the configuration of a client by rustls alone, for some versions of TLS.
fn client_config(
    issuer: &Issuer,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    config.unwrap().with_root_certificates(roots).with_no_client_auth()
}

/// The files of a server.
struct Files(TempDir);

impl Files {
    fn new((chain, key): (String, String)) -> Self {
        let files = Files(tempfile::tempdir().unwrap());
        files.write("cert.pem", &chain);
        files.write("key.pem", &key);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn tls(&self) -> Tls {
        Tls::files(self.path("cert.pem"), self.path("key.pem"))
    }

    async fn server(&self) -> Server {
        Server::builder().tls(self.tls()).start().await.unwrap()
    }
}

async fn connect(server: &Server, tls: ClientTls) -> driver::Result<Session<Stream>> {
    Connector::new(format!("localhost:{}", server.local_addr().port())).tls(tls).connect().await
}

async fn refusal(server: &Server, tls: ClientTls) -> String {
    let error = connect(server, tls).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    error.to_string()
}

#[tokio::test]
async fn queries_of_all_sizes_go_through() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let server = files.server().await;
    let mut session = connect(&server, trusting(&issuer)).await.unwrap();
    assert!(session.all::<u64>(r.range(50_000)).await.unwrap().iter().copied().eq(0..50_000));
    let long = "x".repeat(3 << 20);
    assert_eq!(session.one::<String>(r.expr(&long)).await.unwrap(), long);
    let shared = session.share().unwrap();
    let queries = (0..50).map(|n| {
        let (shared, long) = (shared.clone(), &long);
        async move { shared.one::<String>(r.expr(&long[..n << 14])).await.unwrap().len() == n << 14 }
    });
    assert!(futures_util::future::join_all(queries).await.into_iter().all(|right| right));
    server.shutdown().await;
}

/// Checks that a feed's rows come without any request.
#[tokio::test]
async fn feeds_go_through() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let server = files.server().await;
    let mut writer = connect(&server, trusting(&issuer)).await.unwrap();
    writer.run(r.table_create("t")).await.unwrap();
    let mut watcher = connect(&server, trusting(&issuer)).await.unwrap();
    let mut feed = watcher.rows::<serde_json::Value>(r.table("t").changes()).await.unwrap();
    for n in 0..3 {
        writer.run(r.table("t").insert(serde_json::json!({ "id": n }))).await.unwrap();
        let change = timeout(LONG, feed.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(change["new_val"]["id"], n);
    }
}

/// Checks that a server ends its stream in order. Otherwise somebody on the way might have cut off the rest
/// (RFC 8446, 6.1), and libraries report that.
#[tokio::test]
async fn a_server_that_ends_says_that_nothing_follows() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let server = files.server().await;
    let tcp = TcpStream::connect(server.local_addr()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client_config(&issuer, rustls::ALL_VERSIONS)));
    let mut stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    stream.write_all(&[0x400c_2d20_u32, 0, 0x7e69_70c7].map(u32::to_le_bytes).concat()).await.unwrap();
    let mut word = [0; 8];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"SUCCESS\0");
    timeout(LONG, server.shutdown()).await.unwrap();
    let mut rest = Vec::new();
    timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn the_server_must_be_the_right_one() {
    let issuer = authority();
    let named = Files::new(certificate(&issuer, "db.internal", VALID));
    let server = named.server().await;
    assert!(refusal(&server, trusting(&issuer)).await.contains("isn't for `localhost`"));
    assert!(refusal(&server, trusting(&authority())).await.contains("isn't among those to be trusted"));
    let tls = trusting(&issuer).server_name("db.internal").unwrap();
    assert_eq!(connect(&server, tls).await.unwrap().one::<u64>(r.expr(1)).await.unwrap(), 1);

    let expired = Files::new(certificate(&issuer, "localhost", (2000, 2001)));
    assert!(refusal(&expired.server().await, trusting(&issuer)).await.contains("has expired"));
}

#[tokio::test]
async fn clients_may_have_to_be_known() {
    let (issuer, clients) = (authority(), authority());
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    files.write("clients.pem", &clients.pem());
    let tls = files.tls().client_ca(files.path("clients.pem"));
    let server = Server::builder().tls(tls).start().await.unwrap();
    assert!(refusal(&server, trusting(&issuer)).await.contains("wants a certificate of the client"));
    let shown = |(chain, key): (String, String)| {
        trusting(&issuer).client_certificate(chain.as_bytes(), key.as_bytes()).unwrap()
    };
    for wrong in [certificate(&authority(), "client", VALID), certificate(&clients, "client", (2000, 2001))] {
        assert!(refusal(&server, shown(wrong)).await.contains("doesn't take the client's certificate"));
    }
    let mut known = connect(&server, shown(certificate(&clients, "client", VALID))).await.unwrap();
    assert_eq!(known.one::<u64>(r.expr(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn both_sides_must_want_tls() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let secure = files.server().await;
    let plain = Connector::new(secure.local_addr().to_string()).connect().await.unwrap_err();
    assert!(plain.to_string().contains("This port speaks TLS"), "{plain}");
    // The oldest handshake, byte by byte.
    let mut old = TcpStream::connect(secure.local_addr()).await.unwrap();
    old.write_all(&0x400c_2d20_u32.to_le_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(LONG, old.read_to_end(&mut text)).await.unwrap().unwrap();
    assert_eq!(text, b"ERROR: This port speaks TLS, and your client doesn't.\n\0");

    let plain = Server::builder().start().await.unwrap();
    assert!(refusal(&plain, trusting(&issuer)).await.contains("doesn't speak TLS"));
    assert!(secure.connect().await.is_ok(), "no TLS within the process");
}

/// Checks that a client which is silent, slow or sends nonsense is disconnected after the time for
/// handshakes, TLS and protocol together.
#[tokio::test]
async fn handshakes_have_a_deadline() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let patience = Duration::from_millis(300);
    let server = Server::builder().tls(files.tls()).handshake_timeout(patience).start().await.unwrap();
    let begun = Instant::now();
    for said in
        [&b""[..], b"\x16", b"\x16\x03\x01\x40\x00", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        // The connection may be cut off rather than closed.
        let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("an end");
    }
    // Through TLS, and then silent.
    let mut params = connect(&server, trusting(&issuer)).await.unwrap();
    assert_eq!(params.one::<u64>(r.expr(1)).await.unwrap(), 1);
    assert!(begun.elapsed() < LONG);
    drop(params);
    let closed = async {
        while server.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, closed).await.expect("nobody left");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let server = Server::builder().tls(files.tls()).max_connections(1).start().await.unwrap();
    let _first = connect(&server, trusting(&issuer)).await.unwrap();
    let error = connect(&server, trusting(&issuer)).await.unwrap_err();
    assert!(error.to_string().contains("limit of 1 connections"), "{error}");
}

#[tokio::test]
async fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let (former, later) = (authority(), authority());
    let files = Files::new(certificate(&former, "localhost", VALID));
    let server = files.server().await;
    let mut open = connect(&server, trusting(&former)).await.unwrap();

    // A key that doesn't fit yet, then nonsense, then nothing: the earlier files stay in use.
    let (chain, key) = certificate(&later, "localhost", VALID);
    files.write("key.pem", &key);
    connect(&server, trusting(&former)).await.unwrap();
    files.write("cert.pem", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
    connect(&server, trusting(&former)).await.unwrap();
    fs::remove_file(files.path("cert.pem")).unwrap();
    connect(&server, trusting(&former)).await.unwrap();

    files.write("cert.pem", &chain);
    assert_eq!(connect(&server, trusting(&later)).await.unwrap().one::<u64>(r.expr(1)).await.unwrap(), 1);
    assert!(refusal(&server, trusting(&former)).await.contains("isn't among those to be trusted"));
    assert_eq!(open.one::<u64>(r.expr(1)).await.unwrap(), 1, "who is connected stays so");

    // Moved into place at once, as tools that renew certificates do it, fifty times.
    for _ in 0..50 {
        let issuer = authority();
        let (chain, key) = certificate(&issuer, "localhost", VALID);
        for (name, text) in [("cert.pem", chain), ("key.pem", key)] {
            files.write("new", &text);
            fs::rename(files.path("new"), files.path(name)).unwrap();
        }
        connect(&server, trusting(&issuer)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_of_no_use_stops_the_start() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let other = certificate(&issuer, "localhost", VALID).1;
    files.write("other.pem", &other);
    files.write("empty.pem", "");
    files.write("long.pem", &"x".repeat((1 << 20) + 1));
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    for (tls, told) in [
        (Tls::files(&cert, files.path("none.pem")), "none.pem can't be read"),
        (Tls::files(files.path("empty.pem"), &key), "there is no certificate in it"),
        (Tls::files(&cert, files.path("empty.pem")), "empty.pem is of no use"),
        (Tls::files(files.path("long.pem"), &key), "more than 1 MiB"),
        (Tls::files(files.0.path(), &key), "it is no file"),
        (Tls::files(&cert, files.path("other.pem")), "cert.pem and the key"),
        (files.tls().client_ca(files.path("empty.pem")), "there is no certificate in it"),
    ] {
        let error = Server::builder().tls(tls).start().await.unwrap_err();
        assert!(matches!(error, StartError::Tls(_)), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn the_oldest_version_can_be_told() {
    let issuer = authority();
    let files = Files::new(certificate(&issuer, "localhost", VALID));
    let server = files.server().await;
    let strict = Server::builder().tls(files.tls().min_version(TlsVersion::V1_3)).start().await.unwrap();
    let older = ClientTls::with_config(Arc::new(client_config(&issuer, &[&rustls::version::TLS12])));
    assert_eq!(connect(&server, older.clone()).await.unwrap().one::<u64>(r.expr(1)).await.unwrap(), 1);
    assert!(refusal(&strict, older).await.contains("ProtocolVersion"));
    connect(&strict, trusting(&issuer)).await.unwrap();
}
