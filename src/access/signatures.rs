//! Verification of signatures with `ring`, which TLS uses, too.
//!
//! `jsonwebtoken` parses and validates tokens, and takes a provider for signatures. Of its own two providers,
//! one needs a second C library, the other the crate `rsa` (RUSTSEC-2023-0071).

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{error::Unspecified, hmac};

/// The provider for `jsonwebtoken`. It can verify signatures, but not make any.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider for this process. If the program has installed another one before, that one stays.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// A key for one algorithm.
struct Key {
    algorithm: Algorithm,
    means: Means,
    key: DecodingKey,
}

enum Means {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    Curve(&'static dyn VerificationAlgorithm),
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let means = match algorithm {
        Algorithm::HS256 => Means::Hmac(hmac::HMAC_SHA256),
        Algorithm::HS384 => Means::Hmac(hmac::HMAC_SHA384),
        Algorithm::HS512 => Means::Hmac(hmac::HMAC_SHA512),
        Algorithm::RS256 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Means::Rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Means::Rsa(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Means::Rsa(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Means::Curve(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Means::Curve(&ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Means::Curve(&ED25519),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(Box::new(Key { algorithm: *algorithm, means, key: key.clone() }))
}

impl Verifier<Vec<u8>> for Key {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (&self.means, self.key.kind()) {
            (Means::Hmac(algorithm), DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(*algorithm, secret), message, signature)
            }
            (Means::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Means::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(*parameters, der).verify(message, signature)
            }
            (Means::Curve(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            _ => Err(Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Key {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Fails, since this service makes no tokens.
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}
