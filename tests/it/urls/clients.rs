//! Real clients follow a `Location` as it is: curl, Python's urllib and requests, the URLs of browsers as
//! node has them, and hyper's. A client that isn't there is left out, with a line that says so.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::ids::special;
use super::made;
use crate::support::{Api, body, raw};

/// Reads the URLs that it is given, one a line, and writes what it got, each as a line of JSON.
const URLLIB: &str = "
import json, sys, urllib.request
for url in sys.stdin.read().split():
    print(json.dumps(json.load(urllib.request.urlopen(url))))
";
const REQUESTS: &str = "
import json, sys, requests
session = requests.Session()
for url in sys.stdin.read().split():
    print(json.dumps(session.get(url).json()))
";
/// Reads options, one a line.
const CURL: &[&str] = &["curl", "-sS", "-K", "-"];
/// Fetches as a page does whose own address is that of the service.
const NODE: &str = "
const urls = require('node:fs').readFileSync(0, 'utf8').trim().split('\\n');
(async () => {
  for (const url of urls) {
    const answer = await fetch(new URL(new URL(url).pathname, new URL('/docs', url)));
    console.log(JSON.stringify(await answer.json()));
  }
})();
";

/// Returns what a program answers to its input, or `None` if the program can't be run here.
async fn answers(
    program: &'static [&'static str],
    input: String,
    probe: &'static [&'static str],
) -> Option<Vec<Value>> {
    tokio::task::spawn_blocking(move || run(program, &input, probe)).await.expect("it doesn't panic")
}

fn run(program: &[&str], input: &str, probe: &[&str]) -> Option<Vec<Value>> {
    let quiet = |arguments: &[&str]| {
        let mut command = Command::new(arguments[0]);
        command.args(&arguments[1..]).env("no_proxy", "*").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    };
    if !quiet(probe).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: `{}` doesn't run here.", probe.join(" "));
        return None;
    }
    let running = quiet(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = running.expect("it ran a moment ago");
    // Dropped at the end of this statement, which is the end of the input.
    running.stdin.take().expect("it was piped").write_all(input.as_bytes()).expect("it reads");
    let output = running.wait_with_output().expect("it ends");
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?}: {said}");
    let values = serde_json::Deserializer::from_str(&text).into_iter();
    Some(
        values
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{program:?}: {error}: {text}\n{said}")),
    )
}

/// Asks by hyper, which leaves a path as it is.
async fn by_hyper(addr: SocketAddr, location: &str) -> Value {
    let uri: warp::http::Uri = location.parse().expect("a URI");
    let request = format!("GET {} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n", uri.path());
    let answer = raw(addr, request.as_bytes()).await;
    let start = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an end of the head") + 4;
    serde_json::from_slice(&answer[start..]).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_every_document_at_its_location() {
    let api = Api::start().await;
    let mut locations = Vec::new();
    for id in special() {
        locations.push(made(&api, &id).await);
    }
    let serving = api.serve().await;
    let mut expected = Vec::new();
    for location in &locations {
        expected.push(body(&api.call("GET", location).await));
        assert_eq!(by_hyper(serving.addr, location).await, expected[expected.len() - 1], "{location}");
    }
    let urls: Vec<_> =
        locations.iter().map(|location| format!("http://{}{location}", serving.addr)).collect();
    let lines = urls.join("\n");
    let curls: String = urls.iter().map(|url| format!("url = \"{url}\"\n")).collect();
    let programs: [(&[&str], &String, &[&str]); 4] = [
        (CURL, &curls, &["curl", "--version"]),
        (&["python3", "-c", URLLIB], &lines, &["python3", "--version"]),
        (&["python3", "-c", REQUESTS], &lines, &["python3", "-c", "import requests"]),
        (&["node", "-e", NODE], &lines, &["node", "-e", "fetch"]),
    ];
    for (program, input, probe) in programs {
        let Some(answers) = answers(program, input.clone(), probe).await else { continue };
        assert_eq!(answers.len(), expected.len(), "{program:?}");
        for ((location, expected), answer) in locations.iter().zip(&expected).zip(answers) {
            assert_eq!(answer, *expected, "{} at {location}", program[0]);
        }
    }
    // And what a client makes of a URL that it deletes is that document, and not the table.
    let deletes = format!("request = DELETE\n{}", curls.replace('\n', "\nrequest = DELETE\n"));
    let said = answers(CURL, deletes, &["curl", "--version"]).await;
    assert!(said.as_ref().is_none_or(Vec::is_empty), "{said:?}");
    let left = if said.is_some() { 0 } else { urls.len() };
    assert_eq!(body(&api.call("GET", "/tables/heroes").await)["count"], left);
}
