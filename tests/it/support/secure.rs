//! HTTPS: authorities, certificates, and a client.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use warp_reql::server::Service;
use warp_reql::settings::{Hosts, Rdb, Settings, Tls};

/// Years in which a certificate is valid.
pub const VALID: (i32, i32) = (2000, 4000);
/// Years that are over.
pub const OVER: (i32, i32) = (2000, 2001);

/// Whoever signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn signs(&self, name: &str, years: (i32, i32)) -> Certificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let chain = params.signed_by(&key, &self.0).expect("a certificate").pem();
        Certificate { chain, key: key.serialize_pem() }
    }
}

impl Certificate {
    /// Writes the files that [`files`] names.
    pub fn put(&self, home: &Path) {
        std::fs::write(home.join("cert.pem"), &self.chain).expect("it is written");
        std::fs::write(home.join("key.pem"), &self.key).expect("it is written");
    }
}

/// Settings for the files of a directory.
pub fn files(home: &Path) -> Tls {
    Tls { cert: home.join("cert.pem"), key: home.join("key.pem"), ..Tls::default() }
}

/// A service with a database of its own in memory, until it is dropped.
pub struct Served {
    pub addr: SocketAddr,
    pub settings: Settings,
    _stop: oneshot::Sender<()>,
    _running: JoinHandle<io::Result<()>>,
}

impl Served {
    pub async fn start(tls: Tls) -> Served {
        Served::with(Settings { tls, ..Settings::default() }).await
    }

    /// With other settings.
    pub async fn with(settings: Settings) -> Served {
        let rdb = Rdb { host: Hosts::Embedded, data_dir: ":memory:".into(), standby: 0, ..Rdb::default() };
        let settings = Settings { port: 0, rdb, ..settings };
        let service = Service::bind(settings).await.expect("it starts");
        let addr = service.local_addr().expect("an address");
        let settings = Settings { port: addr.port(), ..service.settings().clone() };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(service.run(async { stopped.await.unwrap_or_default() }));
        Served { addr, settings, _stop: stop, _running: running }
    }
}

/// A client that trusts one authority and speaks these protocols.
pub fn client(trusted: &Authority, shown: Option<&Certificate>, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.0.der().clone()).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(Certificate { chain, key }) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain.expect("a chain"), key).expect("they fit")
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// Makes a connection to a service that is expected to be `localhost`.
pub async fn connect(addr: SocketAddr, client: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(Arc::new(client)).connect(name, TcpStream::connect(addr).await?).await
}

/// Asks by HTTP/1.1, and returns the whole answer.
pub async fn get(addr: SocketAddr, client: ClientConfig, path: &str) -> io::Result<String> {
    let mut stream = connect(addr, client).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Returns the error of rustls.
pub fn reason(error: &io::Error) -> &rustls::Error {
    error.get_ref().and_then(|inner| inner.downcast_ref()).expect("an error of TLS")
}
