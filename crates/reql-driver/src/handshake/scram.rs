//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding, which RethinkDB doesn't
//! have.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::{Error, ErrorKind, Result};

/// The length of a hash.
const LEN: usize = 32;

/// The random bytes of the client's half of the nonce.
const NONCE_LEN: usize = 18;

/// The most rounds that a server may ask for. The hash of so many takes a core about a second; RethinkDB asks
/// for 4096.
pub(crate) const MAX_ROUNDS: u32 = 1 << 20;

/// The longest salt; RethinkDB's have 16 bytes.
const MAX_SALT: usize = 1024;

/// The GS2 header `n,,` and its base64: no channel binding, no other identity.
const GS2_HEADER: &str = "n,,";
const GS2_HEADER_BASE64: &str = "biws";

/// The keys that are made of a password for one salt and number of rounds. Whoever has it can log in.
#[derive(Clone)]
pub(crate) struct Keys {
    client: [u8; LEN],
    server: [u8; LEN],
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.client.zeroize();
        self.server.zeroize();
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<keys>")
    }
}

/// Returns a keyed hash.
pub(crate) fn hash(key: &[u8], message: &[u8]) -> [u8; LEN] {
    keyed(key, message).finalize().into_bytes().into()
}

fn keyed(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    #[allow(clippy::expect_used)]
    let mut keyed = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    keyed.update(message);
    keyed
}

impl Keys {
    /// Stretches a password: takes microseconds for each thousand rounds, times a few hundred.
    pub(crate) fn derive(password: &[u8], salt: &[u8], rounds: u32) -> Self {
        let mut salted: [u8; LEN] = pbkdf2::pbkdf2_hmac_array::<Sha256, LEN>(password, salt, rounds);
        let keys = Keys { client: hash(&salted, b"Client Key"), server: hash(&salted, b"Server Key") };
        salted.zeroize();
        keys
    }

    fn proof(&self, message: &[u8]) -> [u8; LEN] {
        let signature = hash(&Sha256::digest(self.client), message);
        let mut proof = self.client;
        proof.iter_mut().zip(signature).for_each(|(byte, sign)| *byte ^= sign);
        proof
    }
}

/// The client's first message.
#[derive(Debug)]
pub(crate) struct First {
    nonce: String,
    bare: String,
}

/// The challenge that the server wants a proof for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    nonce: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) rounds: u32,
    text: String,
}

/// A client's proof, and the signature by which the server proves itself.
#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) message: String,
    signed: String,
}

impl First {
    pub(crate) fn new(user: &str) -> Result<Self> {
        let mut random = [0; NONCE_LEN];
        getrandom::fill(&mut random).map_err(|error| {
            Error::new(ErrorKind::Io, format!("the system gives no random bytes: {error}"))
        })?;
        Ok(Self::with_nonce(user, BASE64_STANDARD.encode(random)))
    }

    fn with_nonce(user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        First { nonce, bare }
    }

    pub(crate) fn message(&self) -> String {
        format!("{GS2_HEADER}{}", self.bare)
    }

    /// Reads the server's answer.
    pub(crate) fn challenge(&self, text: &str) -> Result<Challenge> {
        let mut attributes = text.split(',');
        let mut next = |name: &str| attributes.next().and_then(|attribute| attribute.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (next("r="), next("s="), next("i=")) else {
            return Err(malformed("it isn't nonce, salt and rounds"));
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Error::new(ErrorKind::Impostor, "the server answers with a nonce that isn't ours"));
        }
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| malformed("its salt isn't base64"))?;
        if salt.len() > MAX_SALT {
            return Err(malformed("its salt is too long"));
        }
        match rounds.parse() {
            Ok(rounds @ 1..=MAX_ROUNDS) => {
                Ok(Challenge { nonce: nonce.to_owned(), salt, rounds, text: text.to_owned() })
            }
            _ => Err(malformed(&format!(
                "it asks for {rounds:.20} rounds, and from 1 to {MAX_ROUNDS} are allowed"
            ))),
        }
    }

    /// Makes the client's last message.
    pub(crate) fn prove(&self, challenge: &Challenge, keys: &Keys) -> Final {
        let without_proof = format!("c={GS2_HEADER_BASE64},r={}", challenge.nonce);
        let signed = format!("{},{},{without_proof}", self.bare, challenge.text);
        let proof = BASE64_STANDARD.encode(keys.proof(signed.as_bytes()));
        Final { message: format!("{without_proof},p={proof}"), signed }
    }
}

impl Final {
    /// Checks the server's last message, in a time that tells nothing about the signature.
    pub(crate) fn verify(&self, text: &str, keys: &Keys) -> Result<()> {
        let signature = text.strip_prefix("v=").and_then(|signature| BASE64_STANDARD.decode(signature).ok());
        let signature = signature.ok_or_else(|| malformed("it has no signature"))?;
        keyed(&keys.server, self.signed.as_bytes()).verify_slice(&signature).map_err(|_| {
            Error::new(ErrorKind::Impostor, "the server's signature is wrong: it doesn't know the password")
        })
    }
}

fn malformed(why: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the server's message of the handshake makes no sense: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The exchange of RFC 7677, section 3: user "user", password "pencil".
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn first() -> First {
        First::with_nonce("user", NONCE.to_owned())
    }

    #[test]
    fn agrees_with_rfc_7677() {
        let first = first();
        assert_eq!(first.message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = first.challenge(SERVER_FIRST).unwrap();
        let keys = Keys::derive(b"pencil", &challenge.salt, challenge.rounds);
        let last = first.prove(&challenge, &keys);
        assert_eq!(last.message, CLIENT_FINAL);
        last.verify(SERVER_FINAL, &keys).unwrap();
        let altered = SERVER_FINAL.replace("v=6", "v=7");
        assert_eq!(last.verify(&altered, &keys).unwrap_err().kind(), ErrorKind::Impostor);
        for malformed in ["", "v=", "v=%", "e=other-error"] {
            assert!(last.verify(malformed, &keys).is_err(), "{malformed}");
        }
    }

    #[test]
    fn user_names_are_escaped() {
        let first = First::with_nonce("a=b,c", "x".to_owned());
        assert_eq!(first.message(), "n,,n=a=3Db=2Cc,r=x");
    }

    #[test]
    fn refuses_what_no_server_says() {
        for (text, kind) in [
            (String::new(), ErrorKind::Protocol),
            (SERVER_FIRST.replace("r=rO", "r=RO"), ErrorKind::Impostor),
            (format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), ErrorKind::Impostor),
            (SERVER_FIRST.replace("s=W", "s=%"), ErrorKind::Protocol),
            (SERVER_FIRST.replace("i=4096", "i=0"), ErrorKind::Protocol),
            (SERVER_FIRST.replace("i=4096", "i=4294967295"), ErrorKind::Protocol),
            (SERVER_FIRST.replace("i=4096", "i=-1"), ErrorKind::Protocol),
            (SERVER_FIRST.replace(",i=4096", ""), ErrorKind::Protocol),
            (SERVER_FIRST.replace("W22ZaJ0SNY7soEsUEjb6gQ==", &"A".repeat(4096)), ErrorKind::Protocol),
        ] {
            assert_eq!(first().challenge(&text).unwrap_err().kind(), kind, "{text}");
        }
    }

    #[test]
    fn shows_no_secret() {
        let keys = Keys::derive(b"pencil", b"salt", 1);
        assert_eq!(format!("{keys:?}"), "<keys>");
    }
}
