//! Settings for the tokens that requests bring with `auth = "token"`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Secret, units};

/// The fewest bytes of a secret: the length of the hash that tokens are signed with (RFC 7518, section 3.2).
pub(crate) const SECRET_MIN: usize = 32;
/// The largest `leeway`.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// Verification of the tokens of `auth = "token"`: JSON Web Tokens (RFC 7519), signed and not encrypted.
///
/// One of `keys`, `secret` and `secret_file` has to be set.
///
/// ```
/// use warp_reql::settings::{Auth, Settings, Token};
///
/// let token = Token { keys: "https://id.example/jwks.json".into(), ..Token::default() };
/// let token = Token { audience: "notes, notes-admin".into(), ..token };
/// assert_eq!(token.audiences().collect::<Vec<_>>(), ["notes", "notes-admin"]);
/// let settings = Settings { auth: Auth::Token, token, ..Settings::built_in("production") };
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The source of the public keys: a file with a JWK set (RFC 7517) or with keys in PEM, or the `https://`
    /// URL of a JWK set. The keys may change while the service runs. Default: none.
    pub keys: String,
    /// A PEM file with the certificate authorities that are trusted for the URL in `keys`, instead of those
    /// that the system trusts. Default: none.
    pub keys_ca: String,
    /// The secret of tokens signed with HS256, HS384 or HS512, at least 32 bytes. Default: none.
    pub secret: Secret,
    /// A file that holds the secret. A newline at its end is ignored. It is read at the start and when the
    /// settings are reloaded. Default: none.
    pub secret_file: String,
    /// The issuer that a token's claim `iss` must name. Default: any.
    pub issuer: String,
    /// The audience that a token's claim `aud` must name. Of several, separated by commas, it must name one.
    /// Default: any.
    pub audience: String,
    /// The place of the roles among a token's claims, as a JSON pointer (RFC 6901): a string, or an array of
    /// strings. Default `"/role"`.
    pub roles: String,
    /// The tolerated difference between the clocks of the issuer and of this service: a token is valid for
    /// so long before its `nbf` and after its `exp`. At most 5 min. Default 10 s.
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
    /// Returns the audiences of which a token must name one; none if any will do.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audience.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Returns true if the keys are at a URL.
    pub(crate) fn are_remote(&self) -> bool {
        ["https://", "http://"].iter().any(|scheme| self.keys.starts_with(scheme))
    }

    /// Counts the sources of keys that are set.
    pub(super) fn sources(&self) -> usize {
        [self.keys.as_str(), self.secret.expose(), &self.secret_file]
            .iter()
            .filter(|text| !text.is_empty())
            .count()
    }

    /// Returns whether keys that come from elsewhere come by TLS, unless from this machine itself.
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
