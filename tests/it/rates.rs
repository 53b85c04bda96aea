//! Rate limits of clients, and clients behind proxies.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp_reql::settings::{Auth, Limits, Settings};

use crate::access::ruled;
use crate::support::guarded::basic;
use crate::support::secure::Served;

async fn ask(served: &Served, path: &str, more: &str) -> String {
    send(served, &format!("GET {path}"), more).await
}

async fn send(served: &Served, what: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let request = format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn status(served: &Served, path: &str, more: &str) -> u16 {
    status_of(&ask(served, path, more).await)
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Two requests at once, and then one an hour.
fn two() -> Settings {
    let limits = Limits { rate: Some("1/h".parse().unwrap()), burst: 2, ..Limits::default() };
    Settings { limits, trusted_proxies: "127.0.0.0/8".parse().unwrap(), ..Settings::default() }
}

#[tokio::test]
async fn who_asks_too_often_has_to_wait() {
    let served = Served::with(two()).await;
    let first = ask(&served, "/tables", "").await;
    assert!(first.contains("ratelimit-policy: \"default\";q=2;w=7200\r\n"), "{first}");
    assert!(first.contains("ratelimit: \"default\";r=1;t=3600\r\n"), "{first}");
    assert_eq!(status(&served, "/tables", "").await, 200);
    let refused = ask(&served, "/tables", "").await;
    assert!(
        refused.starts_with("HTTP/1.1 429") && refused.contains("\"code\":\"rate-limited\""),
        "{refused}"
    );
    let wait = refused.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((3590..=3600).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    assert!(refused.contains("ratelimit: \"default\";r=0;t="), "{refused}");
    for free in ["/health/live", "/metrics"] {
        assert_eq!(status(&served, free, "").await, 200, "{free}");
    }
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_apart() {
    let served = Served::with(two()).await;
    for _ in 0..2 {
        assert_eq!(status(&served, "/tables", "X-Forwarded-For: 192.0.2.1\r\n").await, 200);
    }
    // Whatever the client writes before what the proxy has added makes it nobody else.
    assert_eq!(status(&served, "/tables", "X-Forwarded-For: 192.0.2.7, 192.0.2.1\r\n").await, 429);
    assert_eq!(status(&served, "/tables", "Forwarded: for=192.0.2.1\r\n").await, 429);
    assert_eq!(status(&served, "/tables", "X-Forwarded-For: 192.0.2.2\r\n").await, 200);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let served = Served::with(Settings { trusted_proxies: "192.0.2.9".parse().unwrap(), ..two() }).await;
    for (i, expected) in [200, 200, 429].into_iter().enumerate() {
        let told = format!("X-Forwarded-For: 192.0.2.{i}\r\nForwarded: for=192.0.2.{i}\r\n");
        assert_eq!(status(&served, "/tables", &told).await, expected);
    }
}

#[tokio::test]
async fn users_count_wherever_they_are_once_they_have_proved_who_they_are() {
    let served = Served::with(Settings { auth: Auth::Database, ..two() }).await;
    let from = |address: u8, password: &str| {
        format!("X-Forwarded-For: 192.0.2.{address}\r\nAuthorization: {}\r\n", basic("admin", password))
    };
    let right = served.settings.rdb.password.expose().to_owned();
    // Who isn't who it says counts as its address, and takes nothing from the user.
    for expected in [401, 401, 429, 429] {
        assert_eq!(status(&served, "/tables", &from(1, "wrong")).await, expected);
    }
    for (address, expected) in [(1, 200), (2, 200), (3, 429)] {
        assert_eq!(status(&served, "/tables", &from(address, &right)).await, expected, "{address}");
    }
}

#[tokio::test]
async fn credentials_that_nobody_checks_save_nobody_from_the_rate() {
    let Settings { limits, trusted_proxies, .. } = two();
    let token = Settings { limits, trusted_proxies, ..ruled(json!([])) };
    let database = Settings { auth: Auth::Database, ..two() };
    for (settings, told) in [(token, "Bearer x".to_owned()), (database, basic("admin", "wrong"))] {
        let served = Served::with(settings).await;
        let ticket = format!("GET /tables/t/changes?ticket={}", "0".repeat(32));
        let long = format!("GET /tables?{}", "x".repeat(9000));
        for (address, (what, expected)) in [
            ("GET /tables/t/x/y/z", 404),
            ("PUT /tables", 405),
            ("GET /tables/t/docs/..", 400),
            ("OPTIONS /tables", 204),
            (&ticket, 403),
            (&long, 414),
        ]
        .into_iter()
        .enumerate()
        {
            let more = format!("X-Forwarded-For: 192.0.2.{address}\r\nAuthorization: {told}\r\n");
            for expected in [expected, expected, 429] {
                assert_eq!(status_of(&send(&served, what, &more).await), expected, "{told} {what}");
            }
        }
        // What isn't about data is free.
        let more = format!("X-Forwarded-For: 192.0.2.99\r\nAuthorization: {told}\r\n");
        for _ in 0..3 {
            assert_eq!(status(&served, "/nothing", &more).await, 404);
        }
    }
}
