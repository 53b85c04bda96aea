//! URLs: every document is found where its `Location` says, what isn't well formed is refused, and everything
//! has a bound.

mod bounds;
mod clients;
mod ids;
mod lists;

use crate::support::{Api, body, header};
use serde_json::{Value, json};

const DOCS: &str = "/tables/heroes/docs";

/// Text as it stands in a query.
fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The URL of a list with these parameters, of names and values as they are.
fn url(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    format!("{DOCS}?{}", pairs.join("&"))
}

/// The documents of a list.
async fn get(api: &Api, parameters: &[(&str, &str)]) -> Value {
    let response = api.call("GET", &url(parameters)).await;
    assert_eq!(response.status(), 200, "{parameters:?}: {:?}", response.body());
    body(&response)
}

/// The ids of a list.
async fn ids(api: &Api, parameters: &[(&str, &str)]) -> Value {
    let list = get(api, parameters).await;
    list.as_array().expect("a list").iter().map(|document| document["id"].clone()).collect()
}

async fn insert(api: &Api, documents: Value) {
    let response = api.send("POST", DOCS, &documents).await;
    assert_eq!(response.status(), 201, "{:?}", response.body());
}

/// Makes a document, and tells where it is.
async fn made(api: &Api, id: &Value) -> String {
    let created = api.send("POST", DOCS, &json!({"id": id})).await;
    assert_eq!(created.status(), 201, "{id}: {:?}", created.body());
    header(&created, "location").to_owned()
}

/// Returns a random generator, and its seed.
fn random() -> (u64, fastrand::Rng) {
    let seed = crate::support::seed();
    (seed, fastrand::Rng::with_seed(seed))
}

/// Text of what is special somewhere on the way of a URL.
fn nasty(random: &mut fastrand::Rng) -> String {
    let parts = [
        ".", "..", "/", "\\", "%", "%2e", "%2F", "?", "#", ";", ":", "@", "&", "=", "+", "~", "\"", "'", "[",
        "]", "{", "}", "(", ")", ",", " ", "\t", "\n", "\u{7f}", "é", "𝕏", "\u{a0}", "0", "1", "-", "a",
        "null", "true", "*", "u002f",
    ];
    (0..random.usize(..6)).map(|_| parts[random.usize(..parts.len())]).collect()
}
