//! Settings of the address for whoever runs the service.

use serde::{Deserialize, Serialize};

use super::{Place, units};

/// An address for whoever runs the service, apart from the one for its clients.
///
/// ```
/// use warp_reql::settings::{Admin, Settings};
///
/// let admin = Admin { address: Some("127.0.0.1:9000".parse().unwrap()) };
/// let settings = Settings { admin, ..Settings::built_in("production") };
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The address and port, or `"unix:/path"`, where `/health`, `/metrics` and `/config` are then, and
    /// nowhere else. It speaks plain HTTP and asks for no credentials. Default: none.
    #[serde(with = "units::optional")]
    pub address: Option<Place>,
}
