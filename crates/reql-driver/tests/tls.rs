//! TLS: the client's trust, its certificate, and its errors when these don't fit.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use reql::tls::Tls;
use reql::{Connector, Error, ErrorKind, Session, Stream, r};
use reql_embedded::Server;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Makes an authority.
fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Makes a certificate that an authority has signed: chain and key as PEM.
fn certificate(issuer: &Issuer, names: &[&str], years: (i32, i32)) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

const VALID: (i32, i32) = (2000, 4000);

/// A server behind TLS.
struct Front {
    port: u16,
    server: Server,
}

impl Front {
    async fn new((chain, key): (String, String), clients: Option<&Issuer>) -> Front {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let config = match clients {
            None => config.unwrap().with_no_client_auth(),
            Some(issuer) => {
                let mut roots = RootCertStore::empty();
                roots.add(issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.unwrap().with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
        let server = support::server().await;
        let inner = server.local_addr();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outer) = acceptor.accept(tcp).await else { return };
                    let mut inner = TcpStream::connect(inner).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        Front { port, server }
    }

    async fn connect(&self, tls: Tls) -> Result<Session<Stream>, Error> {
        Connector::new(format!("localhost:{}", self.port)).tls(tls).connect().await
    }

    async fn refusal(&self, tls: Tls) -> String {
        let error = self.connect(tls).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        error.to_string()
    }
}

fn trusting(issuer: &Issuer) -> Tls {
    Tls::trusting_pem(issuer.pem().as_bytes()).unwrap()
}

#[tokio::test]
async fn queries_go_through() {
    let issuer = authority();
    let front = Front::new(certificate(&issuer, &["localhost"], VALID), None).await;
    let mut session = front.connect(trusting(&issuer)).await.unwrap();
    assert!(session.get_ref().is_tls());
    let many = session.all::<u64>(r.range(50_000)).await.unwrap();
    assert!(many.iter().copied().eq(0..50_000));
    let long = "x".repeat(1 << 20);
    assert_eq!(session.one::<String>(r.expr(&long)).await.unwrap(), long);
    assert!(session.is_alive());
    let shared = session.share().unwrap();
    let (one, two) = tokio::join!(shared.one::<String>(r.expr(&long)), shared.all::<u64>(r.range(50_000)));
    assert!(one.unwrap() == long && two.unwrap().len() == 50_000);
}

#[tokio::test]
async fn the_server_must_be_the_right_one() {
    let issuer = authority();
    let front = Front::new(certificate(&issuer, &["db.internal"], VALID), None).await;
    assert!(front.refusal(trusting(&issuer)).await.contains("isn't for `localhost`"));
    assert!(front.refusal(trusting(&authority())).await.contains("isn't among those to be trusted"));
    let named = trusting(&issuer).server_name("db.internal").unwrap();
    assert_eq!(front.connect(named).await.unwrap().one::<u64>(r.expr(1)).await.unwrap(), 1);

    let expired = Front::new(certificate(&issuer, &["localhost"], (2000, 2001)), None).await;
    assert!(expired.refusal(trusting(&issuer)).await.contains("has expired"));
    let early = Front::new(certificate(&issuer, &["localhost"], (3999, 4000)), None).await;
    assert!(early.refusal(trusting(&issuer)).await.contains("isn't valid yet"));
}

#[tokio::test]
async fn the_client_may_have_to_be_known() {
    let issuer = authority();
    let front = Front::new(certificate(&issuer, &["localhost"], VALID), Some(&issuer)).await;
    assert!(front.refusal(trusting(&issuer)).await.contains("wants a certificate of the client"));
    let (chain, key) = certificate(&issuer, &["client"], VALID);
    let known = trusting(&issuer).client_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(front.connect(known).await.unwrap().one::<u64>(r.expr(1)).await.unwrap(), 1);
    let (chain, key) = certificate(&authority(), &["client"], VALID);
    let unknown = trusting(&issuer).client_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
    assert!(front.refusal(unknown).await.contains("doesn't take the client's certificate"));
}

#[tokio::test]
async fn both_sides_must_want_tls() {
    let issuer = authority();
    let front = Front::new(certificate(&issuer, &["localhost"], VALID), None).await;
    let plain = Connector::new(front.server.local_addr().to_string()).tls(trusting(&issuer));
    let error = plain.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("doesn't speak TLS"), "{error}");

    let error = Connector::new(format!("localhost:{}", front.port)).connect().await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn what_is_no_certificate() {
    let (chain, key) = certificate(&authority(), &["client"], VALID);
    let other = certificate(&authority(), &["client"], VALID).1;
    let tls = || Tls::trusting_pem(chain.as_bytes()).unwrap();
    for error in [
        Tls::trusting_pem(b"").unwrap_err(),
        Tls::trusting_pem(b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n").unwrap_err(),
        Tls::trusting_file("/no/such/file").unwrap_err(),
        tls().server_name("not a name").unwrap_err(),
        tls().client_certificate(b"", key.as_bytes()).unwrap_err(),
        tls().client_certificate(chain.as_bytes(), b"").unwrap_err(),
        tls().client_certificate(chain.as_bytes(), other.as_bytes()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_of_authorities_ends_soon() {
    let error = Tls::trusting_file("/dev/zero").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("/dev/zero can't be read: it is longer than 1 MiB"), "{error}");
}

#[tokio::test]
async fn cryptography_without_c() {
    let issuer = authority();
    let front = Front::new(certificate(&issuer, &["localhost"], VALID), None).await;
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut session = front.connect(Tls::with_config(Arc::new(config))).await.unwrap();
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
}
