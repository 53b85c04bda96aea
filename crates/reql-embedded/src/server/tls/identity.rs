//! The files behind TLS, in their current state.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{Tls, TlsVersion};

/// The most bytes that a file may have.
const MAX_FILE: u64 = 1 << 20;

/// The age from which on a file's time tells the next change: clocks of file systems go in steps of some
/// milliseconds, or of two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// A server's identity for TLS, read from its files. They are read again once they have changed.
pub(in crate::server) struct Identity {
    tls: Tls,
    now: Mutex<Loaded>,
}

/// The last configuration, and the state of the files that it was read from.
struct Loaded {
    config: Arc<ServerConfig>,
    /// The state of the files when they were read; nothing if they had just been written.
    seen: Option<Vec<Mark>>,
    /// The error of the newest files, if there was one; then the configuration is older.
    complaint: Option<String>,
}

/// The state of a file, to tell if it has changed.
#[derive(PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    len: u64,
    /// Identity of the file: one that was moved here may have the same time.
    #[cfg(unix)]
    node: (u64, u64, i64, i64),
}

impl Identity {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// If one of the files can't be read, is malformed, or doesn't fit the others.
    pub(in crate::server) async fn load(tls: Tls) -> io::Result<Arc<Self>> {
        let load = move || {
            let seen = tls.marks();
            let config = Arc::new(tls.config()?);
            Ok(Arc::new(Self { tls, now: Mutex::new(Loaded { config, seen, complaint: None }) }))
        };
        tokio::task::spawn_blocking(load).await?
    }

    /// Returns the configuration for the next handshake. Blocks on the disk.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = self.tls.marks();
        if marks.is_none() || marks != now.seen {
            match self.tls.config() {
                Ok(config) => now.take(config),
                Err(error) => now.complain(error.to_string()),
            }
            now.seen = marks;
        }
        now.config.clone()
    }
}

impl Loaded {
    fn take(&mut self, config: ServerConfig) {
        if self.complaint.take().is_some() {
            log::warn!("The files for TLS are in order again.");
        }
        self.config = Arc::new(config);
    }

    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            log::warn!("The new files for TLS are of no use, the former ones stay: {complaint}");
            self.complaint = Some(complaint);
        }
    }
}

impl Tls {
    /// Returns the state of all files; nothing if one has changed so lately that another change might look
    /// the same.
    fn marks(&self) -> Option<Vec<Mark>> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let marks: Vec<Mark> = files.into_iter().flatten().map(|file| Mark::of(file)).collect();
        marks.iter().all(Mark::is_settled).then_some(marks)
    }

    fn config(&self) -> io::Result<ServerConfig> {
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let versions = match self.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12][..],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| invalid(format!("the cryptography can't do TLS: {error}")))?;
        let config = match &self.client_ca {
            None => config.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities(file)?, provider);
                config.with_client_cert_verifier(verifier.build().map_err(|error| of_no_use(file, error))?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?);
        let key = key.map_err(|error| of_no_use(&self.key, error))?;
        config.with_single_cert(certificates(&self.certificate)?, key).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            invalid(format!("the certificate {certificate} and the key {key} are of no use: {error}"))
        })
    }
}

impl Mark {
    /// Reads the state of a file; a missing one has a mark as well.
    fn of(file: &Path) -> Self {
        let found = fs::metadata(file).ok();
        Mark {
            modified: found.as_ref().and_then(|found| found.modified().ok()),
            len: found.as_ref().map_or(0, fs::Metadata::len),
            #[cfg(unix)]
            node: found.as_ref().map_or((0, 0, 0, 0), |found| {
                use std::os::unix::fs::MetadataExt;
                (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())
            }),
        }
    }

    fn is_settled(&self) -> bool {
        // A time in the future is no reason to read the file again and again.
        let Some(modified) = self.modified else { return true };
        SystemTime::now().duration_since(modified).is_err()
            || modified.elapsed().is_ok_and(|age| age > SETTLED)
    }
}

fn authorities(file: &Path) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| of_no_use(file, error))?;
    }
    Ok(Arc::new(roots))
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| of_no_use(file, error))?;
    if found.is_empty() {
        return Err(of_no_use(file, "there is no certificate in it"));
    }
    Ok(found)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let unreadable =
        |error: io::Error| io::Error::new(error.kind(), format!("{} can't be read: {error}", file.display()));
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(of_no_use(file, "it is no file"));
    }
    let mut text = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(MAX_FILE + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err(of_no_use(file, "it has more than 1 MiB"));
    }
    Ok(text)
}

fn of_no_use(file: &Path, why: impl fmt::Display) -> io::Error {
    invalid(format!("{} is of no use: {why}", file.display()))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
