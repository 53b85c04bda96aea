//! The description of the API agrees with the API: what it says is served, and what is served it says.

use std::collections::BTreeSet;

use crate::support::{Api, body, header, nobody, problem, rdb};
use serde_json::{Value, json};
use warp_reql::error::Code;
use warp_reql::settings::{Auth, Limits, Settings};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

async fn offline(adapt: impl FnOnce(Settings) -> Settings) -> Api {
    Api::with_settings(adapt(Settings { rdb: rdb(nobody().await), ..Settings::default() }))
}

async fn document(api: &Api) -> Value {
    let response = api.call("GET", "/openapi.json").await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "application/json"));
    body(&response)
}

/// A path out of its template.
fn path(template: &str) -> String {
    ["table", "index", "id", "file"]
        .iter()
        .fold(template.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

#[tokio::test]
async fn it_names_its_version() {
    let api = offline(|settings| settings).await;
    let document = document(&api).await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn every_path_says_just_the_methods_that_it_allows() {
    let api = offline(|settings| settings).await;
    let document = document(&api).await;
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 10, "{paths:?}");
    for (template, operations) in paths {
        let said: BTreeSet<_> =
            METHODS.into_iter().filter(|method| operations.get(method.to_lowercase()).is_some()).collect();
        let allow = api.call("OPTIONS", &path(template)).await;
        let allowed: BTreeSet<_> =
            header(&allow, "allow").split(", ").filter(|method| *method != "HEAD").collect();
        assert_eq!(said, allowed, "{template}");
        for method in METHODS.into_iter().filter(|method| !said.contains(method)) {
            problem(&api.call(method, &path(template)).await, 405, "method-not-allowed");
        }
    }
}

#[tokio::test]
async fn metrics_know_every_path() {
    let api = offline(|settings| settings).await;
    let document = document(&api).await;
    for template in document["paths"].as_object().expect("paths").keys() {
        api.call("OPTIONS", &path(template)).await;
        let figures = api.call("GET", "/metrics").await;
        let label = format!("method=\"OPTIONS\",route=\"{template}\"");
        assert!(String::from_utf8_lossy(figures.body()).contains(&label), "{template}");
    }
}

#[tokio::test]
async fn every_answer_and_problem_is_described() {
    let api = offline(|settings| Settings { auth: Auth::Database, ..settings }).await;
    let document = document(&api).await;
    let mut ids = BTreeSet::new();
    let mut codes = String::new();
    for (template, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let responses = operation["responses"].as_object().expect("responses");
            let of = |class: char| responses.keys().filter(|status| status.starts_with(class)).count();
            assert!(of('2') >= 1 && of('4') >= 3, "{method} {template}: {:?}", responses.keys());
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{method} {template} has the id of another"
            );
            assert_eq!(
                operation["security"].is_array(),
                template.starts_with("/tables") || ["/tickets", "/reql"].contains(&template.as_str()),
                "{method} {template}"
            );
            codes += &operation["responses"].to_string();
            let named: BTreeSet<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap_or("")))
                .collect();
            let wanted =
                template.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
            assert_eq!(named, wanted, "{method} {template}");
        }
    }
    let of_tokens = offline(|settings| Settings { auth: Auth::Token, ..settings }).await;
    codes += &crate::support::body(&of_tokens.call("GET", "/openapi.json").await).to_string();
    // Those that only services of one's own answer, and one for which there is no operation.
    let others = [
        Code::LengthRequired,
        Code::Misconfigured,
        Code::UnexpectedDocument,
        Code::NoSuchPath,
        Code::MethodNotAllowed,
    ];
    for code in Code::ALL.iter().filter(|code| !others.contains(code)) {
        assert!(codes.contains(&format!("`{}`", code.as_str())), "{code:?}");
    }
}

#[tokio::test]
async fn it_follows_the_settings() {
    let api = offline(|settings| Settings { debug: false, ..settings }).await;
    let guarded = document(&api).await;
    assert!(
        guarded["paths"].get("/config").is_none() && guarded["components"].get("securitySchemes").is_none()
    );
    problem(&api.call("GET", "/config").await, 404, "no-such-path");
    problem(&api.call("OPTIONS", "/config").await, 404, "no-such-path");

    let limits = Limits { page: 7, page_max: 77, ..Limits::default() };
    let open = document(&offline(|settings| Settings { limits, ..settings }).await).await;
    let limit = |path: &str| parameter(&open, path, "limit")["schema"].clone();
    let (page, followed) = (limit("/tables/{table}/docs"), limit("/tables/{table}/changes"));
    assert!(page["default"] == 7 && page["maximum"] == 77, "{page}");
    assert!(followed.get("default").is_none() && followed["maximum"] == 77, "{followed}");
}

/// The parameter of this name of `GET` at a path.
fn parameter<'a>(document: &'a Value, path: &str, name: &str) -> &'a Value {
    let parameters = document["paths"][path]["get"]["parameters"].as_array();
    let mut named = parameters.into_iter().flatten().filter(|parameter| parameter["name"] == name);
    let found = named.next().unwrap_or_else(|| panic!("{path} has no `{name}`"));
    assert!(named.next().is_none(), "{path} has `{name}` twice");
    found
}

#[tokio::test]
async fn every_path_that_can_be_followed_says_how() {
    let document = document(&offline(|settings| settings).await).await;
    for path in ["/tables/{table}/changes", "/tables/{table}/docs", "/tables/{table}/docs/{id}"] {
        for (name, place) in [("initial", "query"), ("ticket", "query"), ("Last-Event-ID", "header")] {
            assert_eq!(parameter(&document, path, name)["in"], place, "{path}: {name}");
        }
    }
}

/// Patterns may admit more than the service does, and nothing less.
#[tokio::test]
async fn patterns_admit_what_is_accepted() {
    let document = document(&offline(|settings| settings).await).await;
    let parameters = document["paths"]["/tables/{table}/docs"]["get"]["parameters"].as_array().unwrap();
    let schema = |name: &str| &parameters.iter().find(|it| it["name"] == name).expect(name)["schema"];
    let group = "(a=eq.1,and=(b=eq.2,not.or=(c=has,d=has)))";
    let many = format!("({})", vec!["a=eq.1"; 256].join(","));
    for text in [group, &many, "(\"a,b\"=in.(1,f(x,y),\"z)\"))", " ( a = has ) "] {
        assert!(jsonschema::is_valid(schema("or"), &json!(text)), "{text}");
    }
    for text in ["()", "a=eq.1", "(a=eq.1"] {
        assert!(!jsonschema::is_valid(schema("or"), &json!(text)), "{text}");
    }
    for text in
        ["in.([1,2],{\"a\":1})", "any.match.(^a,b$)", "within.{\"type\":\"Point\"}", "not.has", " is.null "]
    {
        assert!(jsonschema::is_valid(schema("conditions"), &json!({"a.b": text})), "{text}");
    }
    for (name, text) in [
        ("select", "*"),
        ("select", "f(x),a=b,-c"),
        ("omit", "a.\"b\\u00e9,\"  , c"),
        ("agg", "count , sum( a=b )"),
        ("order", "a.desc.nullslast,b"),
    ] {
        assert!(jsonschema::is_valid(schema(name), &json!(text)), "{name}={text}");
    }
}

#[tokio::test]
async fn references_lead_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document(&offline(|settings| settings).await).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_page_brings_all_it_needs() {
    let api = offline(|settings| settings).await;
    let page = api.with("GET", "/docs", &[("accept", "text/html,*/*;q=0.8")], b"").await;
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (200, "text/html; charset=utf-8"));
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none'"));
    let page = String::from_utf8_lossy(page.body());
    assert!(page.contains("\"explorer/docs.js\"") && !page.contains("://"), "nothing comes from elsewhere");
    let module = api.call("GET", "/explorer/docs.js").await;
    assert!(String::from_utf8_lossy(module.body()).contains("fetch(\"openapi.json\""));
}

#[tokio::test]
async fn config_shows_settings_and_no_secrets() {
    let api = offline(|mut settings| {
        settings.rdb.password = "hunter2".into();
        settings
    })
    .await;
    let config = api.call("GET", "/config").await;
    let text = String::from_utf8_lossy(config.body());
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(body(&config)["rdb"]["password"], json!("********"));
    assert_eq!(body(&config)["limits"]["body"], json!("1MiB"));
}
