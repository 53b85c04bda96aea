//! The server's side of a SCRAM-SHA-256 exchange (RFC 5802), with RethinkDB's errors.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::credentials::Credentials;

/// The GS2 header `n,,`, encoded, which a client without channel binding repeats in its last message.
const NO_CHANNEL_BINDING: &str = "biws";

/// The random bytes of the server's half of the nonce.
const NONCE_LEN: usize = 18;

/// The reason why an exchange ends: one of RethinkDB's error codes from 10 to 20, which drivers report as a
/// failed authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthError {
    pub(crate) code: i32,
    pub(crate) message: &'static str,
}

const INVALID_ENCODING: AuthError = AuthError { code: 10, message: "Invalid encoding" };
const EXTENSIONS: AuthError = AuthError { code: 11, message: "Extensions not supported" };
const WRONG_PASSWORD: AuthError = AuthError { code: 12, message: "Wrong password" };
const CHANNEL_BINDING: AuthError = AuthError { code: 15, message: "Channel binding is not supported" };
const UNKNOWN_USER: AuthError = AuthError { code: 17, message: "Unknown user" };
const INVALID_USERNAME: AuthError = AuthError { code: 18, message: "Invalid username encoding" };
const EMPTY_USERNAME: AuthError = AuthError { code: 18, message: "Empty username" };
const WRONG_NONCE: AuthError = AuthError { code: 20, message: "Other error" };

/// A client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    pub(crate) user: String,
    nonce: String,
    bare: String,
}

impl ClientFirst {
    pub(crate) fn parse(message: &str) -> Result<Self, AuthError> {
        let header = message.strip_prefix("n,").ok_or(CHANNEL_BINDING)?;
        let (_authzid, bare) = header.split_once(',').ok_or(INVALID_ENCODING)?;
        let attributes = attributes(bare)?;
        let (mut user, mut nonce) = (None, None);
        for (name, value) in attributes {
            match name {
                'n' => user = Some(decode_username(value)?),
                'r' => nonce = Some(value.to_owned()),
                'm' => return Err(EXTENSIONS),
                _ => return Err(INVALID_ENCODING),
            }
        }
        match (user, nonce) {
            (Some(user), Some(nonce)) => Ok(Self { user, nonce, bare: bare.to_owned() }),
            _ => Err(INVALID_ENCODING),
        }
    }
}

/// An exchange that waits for the client's proof.
#[derive(Debug)]
pub(crate) struct Exchange {
    client_first_bare: String,
    server_first: String,
    nonce: String,
    /// The user's credentials; `None` for an unknown user, who is refused only after the proof, as by
    /// RethinkDB.
    credentials: Option<Credentials>,
}

impl Exchange {
    pub(crate) fn new(first: ClientFirst, credentials: Option<Credentials>) -> Self {
        let server_nonce = BASE64_STANDARD.encode(rand::random::<[u8; NONCE_LEN]>());
        Self::with_nonce(first, credentials, &server_nonce)
    }

    fn with_nonce(first: ClientFirst, credentials: Option<Credentials>, server_nonce: &str) -> Self {
        let nonce = first.nonce + server_nonce;
        let unknown;
        let shown = match &credentials {
            Some(known) => known,
            None => {
                unknown = Credentials::unknown();
                &unknown
            }
        };
        let salt = BASE64_STANDARD.encode(shown.salt);
        let server_first = format!("r={nonce},s={salt},i={}", shown.iterations);
        Self { client_first_bare: first.bare, server_first, nonce, credentials }
    }

    /// Returns the server's first message.
    pub(crate) fn challenge(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's last message and returns the server's.
    pub(crate) fn finish(&self, client_final: &str) -> Result<String, AuthError> {
        let credentials = self.credentials.as_ref().ok_or(UNKNOWN_USER)?;
        let without_proof = client_final.split_once(",p=").map_or(client_final, |(before, _)| before);
        let auth_message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let attributes = attributes(client_final)?;
        for (name, value) in &attributes {
            match name {
                'c' if *value == NO_CHANNEL_BINDING => {}
                'r' if *value == self.nonce => {}
                'r' => return Err(WRONG_NONCE),
                'p' => verify(credentials, &auth_message, value)?,
                'm' => return Err(EXTENSIONS),
                _ => return Err(INVALID_ENCODING),
            }
        }
        if !['c', 'r', 'p'].iter().all(|name| attributes.contains_key(name)) {
            return Err(INVALID_ENCODING);
        }
        let signature = credentials.server_signature(auth_message.as_bytes());
        Ok(format!("v={}", BASE64_STANDARD.encode(signature)))
    }
}

fn verify(credentials: &Credentials, auth_message: &str, proof: &str) -> Result<(), AuthError> {
    let proof = BASE64_STANDARD.decode(proof).map_err(|_| WRONG_PASSWORD)?;
    if credentials.verify_proof(auth_message.as_bytes(), &proof) { Ok(()) } else { Err(WRONG_PASSWORD) }
}

/// Parses `a=x,b=y`, in the order of the names: the order in which RethinkDB complains.
fn attributes(message: &str) -> Result<BTreeMap<char, &str>, AuthError> {
    let mut attributes = BTreeMap::new();
    // A comma at the end is no further attribute.
    for attribute in message.strip_suffix(',').unwrap_or(message).split(',') {
        let (name, value) = attribute.split_once('=').ok_or(INVALID_ENCODING)?;
        let mut name = name.chars();
        let (Some(name), None) = (name.next(), name.next()) else { return Err(INVALID_ENCODING) };
        if attributes.insert(name, value).is_some() {
            return Err(INVALID_ENCODING);
        }
    }
    Ok(attributes)
}

/// Decodes a user name, in which `=2C` is a comma and `=3D` an equals sign.
fn decode_username(encoded: &str) -> Result<String, AuthError> {
    let mut pieces = encoded.split('=');
    let mut user = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (decoded, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(INVALID_USERNAME),
        };
        user.push(decoded);
        user.push_str(rest);
    }
    if user.is_empty() { Err(EMPTY_USERNAME) } else { Ok(user) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The exchange of RFC 7677, section 3: user "user", password "pencil".
    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const WITHOUT_PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn exchange(password: &str) -> Exchange {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let salt = salt.try_into().expect("16 bytes");
        let credentials = Credentials::with_salt(password, salt, 4096);
        let first = ClientFirst::parse(CLIENT_FIRST).expect("a first message");
        Exchange::with_nonce(first, Some(credentials), SERVER_NONCE)
    }

    #[test]
    fn agrees_with_rfc_7677() {
        let exchange = exchange("pencil");
        assert_eq!(exchange.challenge(), SERVER_FIRST);
        assert_eq!(exchange.finish(&format!("{WITHOUT_PROOF},{PROOF}")), Ok(SERVER_FINAL.to_owned()));
    }

    #[test]
    fn refuses_other_passwords_and_altered_proofs() {
        let client_final = format!("{WITHOUT_PROOF},{PROOF}");
        assert_eq!(exchange("pencils").finish(&client_final), Err(WRONG_PASSWORD));
        let altered = client_final.replace("p=d", "p=e");
        assert_eq!(exchange("pencil").finish(&altered), Err(WRONG_PASSWORD));
        let no_base64 = format!("{WITHOUT_PROOF},p=%%%");
        assert_eq!(exchange("pencil").finish(&no_base64), Err(WRONG_PASSWORD));
    }

    #[test]
    fn refuses_malformed_last_messages() {
        let exchange = exchange("pencil");
        for (message, error) in [
            (WITHOUT_PROOF.to_owned(), INVALID_ENCODING),
            (format!("{},{PROOF}", WITHOUT_PROOF.replace("biws", "eSws")), INVALID_ENCODING),
            (format!("{WITHOUT_PROOF},m=x,{PROOF}"), EXTENSIONS),
            (format!("{WITHOUT_PROOF},a=x,{PROOF}"), INVALID_ENCODING),
            (format!("c=biws,c=biws,{PROOF}"), INVALID_ENCODING),
            (String::new(), INVALID_ENCODING),
        ] {
            assert_eq!(exchange.finish(&message), Err(error), "{message}");
        }
    }

    #[test]
    fn a_foreign_nonce_needs_a_proof_of_its_own() {
        let exchange = exchange("pencil");
        let message = format!("c=biws,r=x,{PROOF}");
        assert_eq!(exchange.finish(&message), Err(WRONG_PASSWORD));
        assert_eq!(exchange.finish("c=biws,r=x"), Err(WRONG_NONCE));
    }

    #[test]
    fn unknown_users_get_a_challenge_and_a_refusal() {
        let first = ClientFirst::parse(CLIENT_FIRST).expect("a first message");
        let exchange = Exchange::new(first, None);
        assert!(exchange.challenge().ends_with(",i=4096"));
        assert_eq!(exchange.finish(&format!("{WITHOUT_PROOF},{PROOF}")), Err(UNKNOWN_USER));
    }

    #[test]
    fn first_messages() {
        let parse = |message: &str| ClientFirst::parse(message).map(|first| (first.user, first.nonce));
        assert_eq!(parse("n,a=z,n=a=2Cb=3Dc,r=x=y"), Ok(("a,b=c".into(), "x=y".into())));
        for (message, error) in [
            ("y,,n=u,r=x", CHANNEL_BINDING),
            ("p=tls-unique,,n=u,r=x", CHANNEL_BINDING),
            ("n,n=u", INVALID_ENCODING),
            ("n,,", INVALID_ENCODING),
            ("n,,n=u", INVALID_ENCODING),
            ("n,,r=x", INVALID_ENCODING),
            ("n,,n=u,n=u,r=x", INVALID_ENCODING),
            ("n,,nn=u,r=x", INVALID_ENCODING),
            ("n,,n=u,r=x,z=1", INVALID_ENCODING),
            ("n,,m=1,n=u,r=x", EXTENSIONS),
            ("n,,n==2c,r=x", INVALID_USERNAME),
            ("n,,n=a=,r=x", INVALID_USERNAME),
            ("n,,n=,r=x", EMPTY_USERNAME),
        ] {
            assert_eq!(parse(message), Err(error), "{message}");
        }
    }
}
