//! TLS to the database.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// TLS to the database: `true`, `false`, or a table of these, any of which turns it on.
/// There is no way to leave out the check of the server.
///
/// ```
/// use warp_reql::settings::{Rdb, RdbTls};
///
/// let tls = RdbTls { ca: "/etc/rdb/ca.pem".into(), ..RdbTls::default() };
/// assert!(tls.is_on());
/// let rdb = Rdb { tls, ..Rdb::default() };
/// # let _ = rdb;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RdbTls {
    /// `true` protects connections; so does anything else that is set here. Default: `false`.
    pub on: bool,
    /// A PEM file with the authorities whose certificates are trusted. Default: those that the system trusts.
    pub ca: PathBuf,
    /// A PEM file with the certificate to show to the server, and those that lead to an authority. Default:
    /// none.
    pub cert: PathBuf,
    /// A PEM file with that certificate's private key. Default: none.
    pub key: PathBuf,
    /// The name that the server's certificate is for. Default: the host that is connected to.
    pub server_name: String,
}

/// The settings of TLS as a table.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    on: bool,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    server_name: String,
}

impl RdbTls {
    /// Returns whether connections are protected.
    pub fn is_on(&self) -> bool {
        let names_files = [&self.ca, &self.cert, &self.key].into_iter().any(|path| file(path).is_some());
        self.on || names_files || !self.server_name.is_empty()
    }

    /// Returns the file of authorities, if one is named.
    pub(crate) fn ca(&self) -> Option<&Path> {
        file(&self.ca)
    }

    /// Returns the files of the certificate and of its key, if both are named.
    pub(crate) fn certificate(&self) -> Option<(&Path, &Path)> {
        file(&self.cert).zip(file(&self.key))
    }

    /// Returns whether a certificate has its key, and a key its certificate.
    pub(super) fn is_whole(&self) -> bool {
        file(&self.cert).is_some() == file(&self.key).is_some()
    }
}

fn file(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}

impl<'de> Deserialize<'de> for RdbTls {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct SwitchOrTable;

        impl<'de> Visitor<'de> for SwitchOrTable {
            type Value = RdbTls;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a table with `ca`, `cert`, `key`, `server_name`")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<RdbTls, E> {
                Ok(RdbTls { on, ..RdbTls::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RdbTls, A::Error> {
                let Table { on, ca, cert, key, server_name } =
                    Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RdbTls { on, ca, cert, key, server_name })
            }
        }

        from.deserialize_any(SwitchOrTable)
    }
}
