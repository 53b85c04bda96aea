//! Settings for the tokens that requests bring with `auth = "token"`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Secret, units};

/// The fewest bytes of a secret: as many as the hash has that tokens are signed with (RFC 7518, section 3.2).
pub(crate) const SECRET_MIN: usize = 32;
/// The longest time by which the clocks of whoever makes tokens and of this service may differ.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// How the tokens of `auth = "token"` are checked: JSON Web Tokens (RFC 7519), signed and not encrypted.
///
/// One of `keys`, `secret` and `secret_file` has to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Where the public keys are: a file, which holds a JWK set (RFC 7517) or keys in PEM, or the URL of a
    /// JWK set, which begins with `https://`. Keys of a file or URL may change while the service runs.
    /// Default: none.
    pub keys: String,
    /// A PEM file with the authorities that are trusted for that URL, instead of those that the system
    /// trusts. Default: none.
    pub keys_ca: String,
    /// The secret of tokens that are signed by HS256, HS384 or HS512, of 32 bytes at least. Default: none.
    pub secret: Secret,
    /// A file that holds this secret. A newline at its end doesn't count. Default: none.
    pub secret_file: String,
    /// Who has to have made a token, as in its claim `iss`. Default: anybody who has the key.
    pub issuer: String,
    /// Whom a token has to be for, as in its claim `aud`; several are separated by commas, of which it must
    /// name one. Default: anybody.
    pub audience: String,
    /// The place of the roles among a token's claims, as a JSON pointer (RFC 6901): a string, or an array of
    /// strings. Default `"/role"`.
    pub roles: String,
    /// By how much the clock of whoever makes tokens may differ from this service's: so long a token counts
    /// after its end, and before its beginning. At most 5 min. Default 10 s.
    #[serde(with = "units::duration")]
    pub leeway: Duration,
}

impl Default for Token {
    fn default() -> Self {
        Token {
            keys: String::new(),
            keys_ca: String::new(),
            secret: Secret::default(),
            secret_file: String::new(),
            issuer: String::new(),
            audience: String::new(),
            roles: "/role".to_owned(),
            leeway: Duration::from_secs(10),
        }
    }
}

impl Token {
    /// The audiences of which a token must name one; none if any will do.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audience.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Returns whether the keys are at a URL.
    pub(crate) fn are_remote(&self) -> bool {
        ["https://", "http://"].iter().any(|scheme| self.keys.starts_with(scheme))
    }

    /// Counts the places where a key may come from.
    pub(super) fn sources(&self) -> usize {
        [self.keys.as_str(), self.secret.expose(), &self.secret_file]
            .iter()
            .filter(|text| !text.is_empty())
            .count()
    }

    /// Keys that come from elsewhere come by TLS, unless from this machine itself.
    pub(super) fn has_sound_keys(&self) -> bool {
        let local = |rest: &str| {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
                host.strip_prefix(name).is_some_and(|port| port.is_empty() || port.starts_with(':'))
            })
        };
        self.keys.strip_prefix("http://").is_none_or(local)
    }

    pub(super) fn has_sound_secret(&self) -> bool {
        self.secret.expose().is_empty() || self.secret.expose().len() >= SECRET_MIN
    }

    pub(super) fn has_sound_pointer(&self) -> bool {
        self.roles.starts_with('/')
    }

    pub(super) fn has_sound_leeway(&self) -> bool {
        self.leeway <= LEEWAY_MAX
    }
}
