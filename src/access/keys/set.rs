//! Sets of keys that tokens are verified with: from a JWK set, from PEM, or from a secret.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;

use crate::json::Read;
use crate::settings::SECRET_MIN;

/// The most keys of a set.
const KEYS: usize = 100;
/// The most bytes of a set, in a file or from a URL.
pub(super) const SET_MAX: usize = 256 << 10;
/// The beginning of a key in PEM.
const PEM: &str = "-----BEGIN ";

/// A set of keys, each with the algorithms it can be used for.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// One key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    id: Option<String>,
    /// The algorithms of the key's type.
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) key: DecodingKey,
}

/// The source of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// A file of this machine.
    File,
    /// A URL, which must not hold secrets.
    Elsewhere,
}

impl KeySet {
    /// Reads a JWK set, or keys in PEM. Keys of unsupported types or for other uses are ignored, as RFC 7517,
    /// section 5 asks.
    ///
    /// # Errors
    ///
    /// Returns the reason: it is neither, it is too large, or it holds no usable key.
    pub(super) fn read(text: &[u8], from: From) -> Result<Self, String> {
        if text.len() > SET_MAX {
            return Err(format!("it is longer than {} KiB", SET_MAX >> 10));
        }
        let text = std::str::from_utf8(text).map_err(|_| "it isn't UTF-8".to_owned())?;
        let keys = match text.contains(PEM) {
            true => pem(text)?,
            false => jwks(text, from)?,
        };
        match keys.len() {
            0 => Err("there is no key in it that tokens could be checked with".to_owned()),
            1..=KEYS => Ok(KeySet(keys)),
            count => Err(too_many(count)),
        }
    }

    /// Creates the set of a single secret.
    ///
    /// # Errors
    ///
    /// If it is too short.
    pub(super) fn of_secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_MIN {
            return Err(format!("a secret has at least {SECRET_MIN} bytes"));
        }
        let key = DecodingKey::from_secret(secret).map_err(|error| error.to_string())?;
        Ok(KeySet(vec![Key { id: None, algorithms: key.family().algorithms().to_vec(), key }]))
    }

    /// Returns the keys that a token may be signed with: the one with the key id of the token, or those
    /// without an id that have its algorithm.
    pub(crate) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        let fits = move |key: &&Key| key.algorithms.contains(&algorithm);
        let named = move |key: &&Key| match (id, key.id.as_deref()) {
            (Some(id), Some(own)) => id == own,
            (None, _) | (_, None) => true,
        };
        self.0.iter().filter(named).filter(fits)
    }

    /// Returns whether a key has this id, or has none and so may be meant.
    pub(crate) fn knows(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.id.as_deref().is_none_or(|own| own == id)))
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A JWK set. Each key is read separately, since keys of unknown types are no error.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Read>,
}

fn jwks(text: &str, from: From) -> Result<Vec<Key>, String> {
    let set: Jwks =
        serde_json::from_str(text).map_err(|error| format!("it is no JWK set (RFC 7517): {error}"))?;
    if set.keys.len() > KEYS {
        return Err(too_many(set.keys.len()));
    }
    let read = set.keys.into_iter().filter_map(|Read(key)| serde_json::from_value::<Jwk>(key).ok());
    Ok(read.filter_map(|jwk| of_jwk(&jwk, from)).collect())
}

fn too_many(count: usize) -> String {
    format!("it has {count} keys, and {KEYS} are the most")
}

fn of_jwk(jwk: &Jwk, from: From) -> Option<Key> {
    let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    let is_for_signatures =
        jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && jwk.common.key_operations.as_ref().is_none_or(verifies);
    let fitting: Vec<Algorithm> = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) if from == From::Elsewhere => return None,
        AlgorithmParameters::OctetKey(_) => AlgorithmFamily::Hmac.algorithms().to_vec(),
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    let said = |algorithm: &Algorithm| {
        jwk.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(*algorithm))
    };
    let algorithms: Vec<_> = fitting.into_iter().filter(said).collect();
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_long_enough = key.family() != AlgorithmFamily::Hmac
        || key.try_get_as_bytes().is_ok_and(|secret| secret.len() >= SECRET_MIN);
    let is_usable = is_for_signatures && is_long_enough && !algorithms.is_empty();
    is_usable.then(|| Key { id: jwk.common.key_id.clone(), algorithms, key })
}

/// Reads the public keys of a PEM text, which have no ids.
fn pem(text: &str) -> Result<Vec<Key>, String> {
    let blocks = text.split(PEM).skip(1).take(KEYS + 1);
    blocks.map(|block| of_pem(&format!("{PEM}{block}"))).collect()
}

fn of_pem(block: &str) -> Result<Key, String> {
    let is_public = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"]
        .iter()
        .any(|begin| block.starts_with(begin));
    if !is_public {
        let name = block.strip_prefix(PEM).and_then(|rest| rest.split('-').next()).unwrap_or_default();
        return Err(format!("there is a {name} in it, and only public keys belong there"));
    }
    let read = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem]
        .into_iter()
        .find_map(|read| read(block.as_bytes()).ok());
    let key = read.ok_or("a key in it is neither of RSA nor of a curve that tokens are signed by")?;
    let algorithms = match (key.family(), key.try_get_as_bytes().map(<[u8]>::len)) {
        (AlgorithmFamily::Ec, Ok(65)) => vec![Algorithm::ES256],
        (AlgorithmFamily::Ec, Ok(97)) => vec![Algorithm::ES384],
        (AlgorithmFamily::Ec, _) => {
            return Err("a key in it is of another curve than P-256, P-384".to_owned());
        }
        (family, _) => family.algorithms().to_vec(),
    };
    Ok(Key { id: None, algorithms, key })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POINT: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n\
        q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n\
        -----END PUBLIC KEY-----\n";

    fn read(text: &str) -> Result<KeySet, String> {
        KeySet::read(text.as_bytes(), From::File)
    }

    #[test]
    fn keys_are_for_what_fits_their_kind() {
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": POINT, "y": POINT});
        let rsa = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "n": POINT, "e": "AQAB"});
        let oct = json!({"kty": "oct", "k": "A".repeat(43)});
        let set = read(&json!({"keys": [ec, rsa, oct]}).to_string()).unwrap();
        let of = |set: &KeySet| set.0.iter().map(|key| key.algorithms.clone()).collect::<Vec<_>>();
        let hmac = AlgorithmFamily::Hmac.algorithms().to_vec();
        assert_eq!(of(&set), [vec![Algorithm::ES256], vec![Algorithm::RS256], hmac]);
        assert!(set.candidates(Some("e"), Algorithm::ES256).next().is_some());
        assert!(set.candidates(Some("other"), Algorithm::ES256).next().is_none());
        assert!(set.candidates(Some("e"), Algorithm::HS256).all(|key| key.id.is_none()));
        // A secret that anybody can fetch is none.
        let elsewhere = KeySet::read(json!({"keys": [oct]}).to_string().as_bytes(), From::Elsewhere);
        assert!(elsewhere.is_err());
    }

    #[test]
    fn what_is_of_no_use_is_left_out() {
        let good = json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": POINT, "y": POINT});
        for other in [
            json!({"kty": "AKP", "pub": "x"}),
            json!({"kty": "AKP", "pub": {"$serde_json::private::RawValue": "{"}}),
            json!({"kty": "oct", "k": "c2hvcnQ"}),
            json!({"kty": "EC", "crv": "secp256k1", "x": POINT, "y": POINT}),
            json!(1),
            json!({"kty": "EC", "crv": "P-521", "x": POINT, "y": POINT}),
            json!({"kty": "RSA", "use": "enc", "n": POINT, "e": "AQAB"}),
            json!({"kty": "RSA", "alg": "RSA-OAEP", "n": POINT, "e": "AQAB"}),
            json!({"kty": "RSA", "key_ops": ["encrypt"], "n": POINT, "e": "AQAB"}),
            json!({"kty": "RSA", "alg": "HS256", "n": POINT, "e": "AQAB"}),
        ] {
            let set = read(&json!({"keys": [other, good]}).to_string()).unwrap();
            assert_eq!(set.len(), 1, "{other}");
            assert!(read(&json!({"keys": [other]}).to_string()).is_err(), "{other}");
        }
        let many = vec![good; KEYS + 1];
        assert!(read(&json!({"keys": many}).to_string()).is_err());
        for text in ["", "{}", "[]", "{\"keys\":1}", "\u{0}", &"[".repeat(1000), &" ".repeat(SET_MAX + 1)] {
            assert!(read(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn pem_holds_public_keys() {
        let set = read(&format!("# of today\n{P256_PEM}\n{P256_PEM}")).unwrap();
        assert_eq!(set.len(), 2);
        assert_eq!(set.0[0].algorithms, [Algorithm::ES256]);
        let private = P256_PEM.replace("PUBLIC", "PRIVATE");
        assert!(read(&private).unwrap_err().contains("PRIVATE KEY"));
        assert!(read(&P256_PEM.replace("MFkw", "AAAA")).is_err());
    }

    #[test]
    fn secrets_are_long() {
        assert!(KeySet::of_secret(&[b'x'; SECRET_MIN]).is_ok());
        assert!(KeySet::of_secret(&[b'x'; SECRET_MIN - 1]).is_err());
    }
}
