//! Invalid tokens of all kinds. Signatures are made by `ring`, as an issuer would make them.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::access::Access;
use crate::settings::{Auth, Secret, Settings};

const SECRET: &str = "a secret of at least 32 bytes, as it has to be";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this head and these claims, signed by `sign`.
fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", base64(signature))
}

fn by_secret(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> + use<> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |message| hmac::sign(&key, message).as_ref().to_vec()
}

fn hs256(claims: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, by_secret(SECRET.as_bytes()))
}

fn token() -> Token {
    Token { secret: Secret::from(SECRET), leeway: Duration::from_secs(5), ..Token::default() }
}

async fn verify(settings: Token, token: &str) -> Result<Caller, String> {
    let verifier = Verifier::new(&settings).unwrap();
    verifier.verify(token).await.map_err(|error| {
        assert_eq!(error.code(), Code::Unauthorized);
        error.detail().to_owned()
    })
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let caller = verify(token(), &hs256(&json!({"sub": "u", "role": ["a", "b"], "exp": now() + 60}))).await;
    let caller = caller.unwrap();
    assert_eq!((caller.subject(), caller.roles()), (Some("u"), &["a".to_owned(), "b".to_owned()][..]));
}

#[tokio::test]
async fn tokens_count_for_their_time_only() {
    for (claims, reason) in [
        (json!({"exp": now() - 6}), Some("The token has expired.")),
        (json!({"exp": now() - 3}), None),
        (json!({}), Some("The token has no end (`exp`).")),
        (json!({"exp": "9999999999"}), Some("The token has no end (`exp`).")),
        (json!({"exp": null}), Some("The token has no end (`exp`).")),
        (json!({"exp": -1}), Some("The token has no end (`exp`).")),
        (json!({"exp": now() + 60, "nbf": now() + 8}), Some("The token doesn't count yet.")),
        (json!({"exp": now() + 60, "nbf": now() + 3}), None),
        (json!({"exp": now() + 60, "nbf": "soon"}), Some(MALFORMED)),
    ] {
        assert_eq!(verify(token(), &hs256(&claims)).await.err().as_deref(), reason, "{claims}");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_if_they_are_set() {
    let strict = || Token { issuer: "https://a".to_owned(), audience: "x, y".to_owned(), ..token() };
    let exp = now() + 60;
    for (claims, reason) in [
        (json!({"exp": exp, "iss": "https://a", "aud": "y"}), None),
        (json!({"exp": exp, "iss": "https://a", "aud": ["z", "x"]}), None),
        (json!({"exp": exp, "iss": "https://a", "aud": ["z"]}), Some("The token is for another audience.")),
        (json!({"exp": exp, "iss": "https://a", "aud": []}), Some("The token is for another audience.")),
        (json!({"exp": exp, "iss": "https://a", "aud": "x, y"}), Some("The token is for another audience.")),
        (json!({"exp": exp, "iss": "https://a", "aud": 1}), Some("The token has no audience (`aud`).")),
        (json!({"exp": exp, "iss": "https://a"}), Some("The token has no audience (`aud`).")),
        (json!({"exp": exp, "iss": "https://b", "aud": "x"}), Some("The token is of another issuer.")),
        (json!({"exp": exp, "iss": 7, "aud": "x"}), Some("The token has no issuer (`iss`).")),
        (json!({"exp": exp, "aud": "x"}), Some("The token has no issuer (`iss`).")),
    ] {
        let found = verify(strict(), &hs256(&claims)).await.err();
        // If two claims are missing, either may be named.
        assert_eq!(found.as_deref(), reason, "{claims}");
        assert!(verify(token(), &hs256(&claims)).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let claims = json!({"sub": "admin", "role": "admin", "exp": now() + 60});
    let own = by_secret(SECRET.as_bytes());
    let nothing = |_: &[u8]| Vec::new();
    let good = hs256(&claims);
    let (head, tail) = good.rsplit_once('.').unwrap();
    let deep = format!("{{\"exp\":{},\"a\":{}{}}}", now() + 60, "[".repeat(500), "]".repeat(500));
    let deep = format!("{}.{}", base64(r#"{"alg":"HS256"}"#), base64(deep));
    let inner = json!({"$serde_json::private::RawValue": "{}"});
    for (what, forged) in [
        ("none", signed(&json!({"alg": "none"}), &claims, nothing)),
        ("None", signed(&json!({"alg": "None"}), &claims, nothing)),
        ("no algorithm", signed(&json!({"typ": "JWT"}), &claims, &own)),
        ("another secret", signed(&json!({"alg": "HS256"}), &claims, by_secret(&[b'x'; 40]))),
        ("no signature", format!("{head}.")),
        ("cut off", head.to_owned()),
        ("another kind", signed(&json!({"alg": "RS256"}), &claims, &own)),
        ("a longer hash", signed(&json!({"alg": "HS512"}), &claims, &own)),
        ("critical", signed(&json!({"alg": "HS256", "crit": ["x"], "x": 1}), &claims, &own)),
        ("nested", signed(&json!({"alg": "HS256", "cty": "JWT"}), &claims, &own)),
        ("nested without saying so", signed(&json!({"alg": "HS256"}), &json!(good), &own)),
        ("an array", signed(&json!({"alg": "HS256"}), &json!([claims]), &own)),
        ("encrypted", format!("{good}.a.b")),
        ("deep", format!("{deep}.{}", base64(own(deep.as_bytes())))),
        ("JSON in a text of the head", signed(&json!({"alg": "HS256", "x": [inner]}), &claims, &own)),
        ("JSON in a text of the claims", hs256(&json!({"exp": now() + 60, "x": {"a": inner}}))),
        ("long", hs256(&json!({"exp": now() + 60, "x": "x".repeat(TOKEN_MAX)}))),
        ("padded", format!("{good}=")),
        ("changed", format!("{}.{tail}", head.replace(&base64("{\"sub\""), &base64("{\"sbu\"")))),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("binary", "\u{0}\u{1}.\u{2}.\u{3}".to_owned()),
    ] {
        let is_other = what != "changed" || forged != good;
        assert!(is_other && verify(token(), &forged).await.is_err(), "{what}: {forged:.80}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let point = ec.public_key().as_ref().to_vec();
    let ed = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
    let jwks = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "e", "x": base64(&point[1..33]), "y": base64(&point[33..])},
        {"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": base64(ed.public_key())},
    ]})
    .to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, &jwks).unwrap();
    let settings = || Token { keys: path.display().to_string(), ..Token::default() };
    let by_ec = |message: &[u8]| ec.sign(&random, message).unwrap().as_ref().to_vec();
    let by_ed = |message: &[u8]| ed.sign(message).as_ref().to_vec();
    let claims = json!({"exp": now() + 60});
    let head = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    for good in [
        signed(&head("ES256", "e"), &claims, by_ec),
        signed(&head("EdDSA", "d"), &claims, by_ed),
        signed(&json!({"alg": "ES256"}), &claims, by_ec),
    ] {
        assert_eq!(verify(settings(), &good).await.err(), None, "{good}");
    }
    for (what, forged) in [
        ("the point", signed(&head("HS256", "e"), &claims, by_secret(&point))),
        ("the file", signed(&head("HS256", "e"), &claims, by_secret(jwks.as_bytes()))),
        ("the other", signed(&head("EdDSA", "d"), &claims, by_secret(ed.public_key().as_ref()))),
        ("another curve", signed(&head("ES384", "e"), &claims, by_ec)),
        ("another key", signed(&head("ES256", "d"), &claims, by_ec)),
        ("an unknown one", signed(&head("ES256", "x"), &claims, by_ec)),
        (
            "a key of its own",
            signed(
                &json!({"alg": "EdDSA", "kid": "d", "jwk": {"kty": "OKP",
            "crv": "Ed25519", "x": base64(&point[1..33])}}),
                &claims,
                by_ec,
            ),
        ),
    ] {
        assert!(verify(settings(), &forged).await.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_file_is_read_again() {
    let random = SystemRandom::new();
    let pair =
        || Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
    let (old, new) = (pair(), pair());
    let jwks = |kid: &str, pair: &Ed25519KeyPair| {
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64(pair.public_key())}]})
            .to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, jwks("old", &old)).unwrap();
    let verifier = Verifier::new(&Token { keys: path.display().to_string(), ..Token::default() }).unwrap();
    let of = |kid: &str, pair: &Ed25519KeyPair| {
        signed(&json!({"alg": "EdDSA", "kid": kid}), &json!({"exp": now() + 60}), |message| {
            pair.sign(message).as_ref().to_vec()
        })
    };
    assert!(verifier.verify(&of("old", &old)).await.is_ok());
    assert!(verifier.verify(&of("new", &new)).await.is_err());
    // That one has caused a renewal already; the next one is allowed after a pause.
    std::fs::write(&path, "nonsense").unwrap();
    assert!(verifier.verify(&of("old", &old)).await.is_ok(), "what is kept stays");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(verifier.verify(&of("old", &old)).await.is_ok(), "though it can't be read");
    std::fs::write(&path, jwks("new", &new)).unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(verifier.verify(&of("new", &new)).await.is_ok(), "a new key counts as soon as it is asked for");
    assert!(verifier.verify(&of("old", &old)).await.is_err(), "and the old one no longer");
}

#[tokio::test]
async fn a_reload_takes_up_what_a_secret_file_holds_now() {
    const NEXT: &str = "another secret, which is as long as it has to be";
    let claims = json!({"sub": "u", "exp": now() + 60});
    let (old, new) = (hs256(&claims), signed(&json!({"alg": "HS256"}), &claims, by_secret(NEXT.as_bytes())));
    let home = TempDir::new().unwrap();
    let file = home.path().join("secret.txt");
    let token = Token { secret_file: file.display().to_string(), ..Token::default() };
    let settings = Settings { auth: Auth::Token, token, ..Settings::default() };
    fs::write(&file, SECRET).unwrap();
    let access = Access::new(&settings);
    assert!(access.caller(Some(&old)).await.is_ok() && access.caller(Some(&new)).await.is_err());
    fs::write(&file, NEXT).unwrap();
    assert!(access.followed_by(&settings, &settings).is_none(), "nobody's rights change");
    assert!(access.caller(Some(&old)).await.is_err() && access.caller(Some(&new)).await.is_ok());
}

#[test]
fn a_reload_that_admits_others_without_credentials_is_one_of_rights() {
    let open = Settings { auth: Auth::Database, anonymous_user: "guest".to_owned(), ..Settings::default() };
    let closed = Settings { anonymous_user: String::new(), ..open.clone() };
    let access = Access::new(&open);
    assert!(access.followed_by(&open, &open).is_none());
    let next = access.followed_by(&open, &closed).expect("rights change");
    assert!(!next.admits_anonymous_as(&access));
}
