//! Tokens: their signature, their lifetime, and their claims.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::keys::{Key, KeySet, Keys};
use super::signatures;
use crate::error::{Code, Error};
use crate::json;
use crate::rules::Caller;
use crate::settings::Token;

/// The longest token, in bytes. Longer ones are refused unread.
const TOKEN_MAX: usize = 8 << 10;
/// The most keys that are tried for a token without a key id.
const TRIED: usize = 8;

/// The verifier of tokens.
#[derive(Clone)]
pub(crate) struct Verifier {
    keys: Keys,
    issuer: Option<String>,
    audiences: Vec<String>,
    roles: String,
    leeway: Duration,
}

impl Verifier {
    /// Creates the verifier of the settings.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and why.
    pub(crate) fn new(token: &Token) -> Result<Self, String> {
        signatures::install();
        Ok(Verifier {
            keys: Keys::of(token)?,
            issuer: Some(token.issuer.clone()).filter(|issuer| !issuer.is_empty()),
            audiences: token.audiences().map(str::to_owned).collect(),
            roles: token.roles.clone(),
            leeway: token.leeway,
        })
    }

    /// Takes over the keys that a verifier of the same settings has just read.
    pub(crate) fn adopt(&self, read: &Verifier) {
        self.keys.adopt(&read.keys);
    }

    /// Starts to fetch the keys while the service starts.
    pub(crate) fn fetch_ahead(&self) {
        self.keys.fetch_ahead();
    }

    /// Verifies a token.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if it isn't valid,
    /// [`Code::NoKeys`](crate::error::Code::NoKeys) if there are no keys to check it with.
    pub(crate) async fn verify(&self, token: &str) -> Result<Caller, Error> {
        if token.len() > TOKEN_MAX {
            return Err(invalid("The token is too long."));
        }
        if !is_plain(token) {
            return Err(invalid(MALFORMED));
        }
        let header = decode_header(token).map_err(|_| invalid(MALFORMED))?;
        if header.cty.is_some() {
            return Err(invalid("The token holds something else than claims."));
        }
        let keys = self.keys.for_id(header.kid.as_deref()).await.ok_or_else(|| Error::from(Code::NoKeys))?;
        let claims = self.claims(token, &header, &keys)?;
        Ok(Caller::of_claims(claims, &self.roles, self.leeway))
    }

    fn claims(&self, token: &str, header: &Header, keys: &KeySet) -> Result<Map<String, Value>, Error> {
        let validation = self.validation(header.alg);
        let mut outcome = Err(invalid("No known key has signed the token."));
        for Key { key, .. } in keys.candidates(header.kid.as_deref(), header.alg).take(TRIED) {
            match decode::<Map<String, Value>>(token, key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => {
                    let is_signed = *error.kind() != ErrorKind::InvalidSignature;
                    outcome = Err(invalid(reason(error.kind())));
                    if is_signed {
                        break;
                    }
                }
            }
        }
        outcome
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.validate_aud = !self.audiences.is_empty();
        if validation.validate_aud {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

/// Returns whether the head and the claims of a token are JSON that is read as it is written. Otherwise
/// reading them could go on in their texts, in the texts of those, and so on, before a signature is checked.
fn is_plain(token: &str) -> bool {
    let is_plain = |part| URL_SAFE_NO_PAD.decode(part).is_ok_and(|json| json::check(&json).is_ok());
    token.split('.').take(2).all(is_plain)
}

const MALFORMED: &str = "The token is none that can be read.";

fn invalid(reason: &'static str) -> Error {
    Error::invalid_token(reason)
}

/// Returns the reason why a token is invalid, as far as clients may know it.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token doesn't count yet.",
        ErrorKind::InvalidIssuer => "The token is of another issuer.",
        ErrorKind::InvalidAudience => "The token is for another audience.",
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => "The token's signature is wrong.",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => "The token has no end (`exp`).",
            "iss" => "The token has no issuer (`iss`).",
            _ => "The token has no audience (`aud`).",
        },
        _ => MALFORMED,
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
