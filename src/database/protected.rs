//! TLS connections to the database, with files that may be replaced at any time.

use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use log::warn;
use reql::Connector;
use reql::tls::Tls;

use crate::error::{Code, Error};
use crate::settings::{RdbTls, bounded};

/// A TLS connector that uses changed files from the next connection on.
pub(super) struct Protected {
    plain: Connector,
    tls: RdbTls,
    current: Mutex<(Stamps, Connector)>,
}

/// The time of change and the length of each file.
type Stamps = [Option<(Option<SystemTime>, u64)>; 3];

impl Protected {
    pub(super) fn new(plain: Connector, tls: RdbTls) -> Result<Self, Error> {
        let stamps = stamps(&tls);
        let read = read(&tls)
            .map_err(|error| Error::from(Code::Misconfigured).caused_by(format!("`rdb.tls`: {error}")))?;
        let current = Mutex::new((stamps, plain.clone().tls(read)));
        Ok(Protected { plain, tls, current })
    }

    /// Returns a connector for the current files, or for the previous ones if the current ones are invalid.
    pub(super) fn connector(&self) -> Connector {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.tls);
        if stamps != current.0 {
            // Remembered even if the files are invalid, so that they are read once per change.
            current.0 = stamps;
            match read(&self.tls) {
                Ok(tls) => current.1 = self.plain.clone().tls(tls),
                Err(error) => warn!("The files of `rdb.tls` changed, but those of before are used: {error}"),
            }
        }
        current.1.clone()
    }
}

fn read(settings: &RdbTls) -> Result<Tls, String> {
    let file = |path: &Path| {
        bounded::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
    };
    let tls = match settings.ca() {
        Some(ca) => Tls::trusting_file(ca),
        None => Tls::native(),
    };
    let mut tls = tls.map_err(|error| error.to_string())?;
    if let Some((chain, key)) = settings.certificate() {
        tls = tls.client_certificate(&file(chain)?, &file(key)?).map_err(|error| error.to_string())?;
    }
    match settings.server_name.as_str() {
        "" => Ok(tls),
        name => tls.server_name(name).map_err(|error| error.to_string()),
    }
}

fn stamps(settings: &RdbTls) -> Stamps {
    let stamp = |metadata: Metadata| (metadata.modified().ok(), metadata.len());
    [&settings.ca, &settings.cert, &settings.key].map(|path| std::fs::metadata(path).ok().map(stamp))
}
