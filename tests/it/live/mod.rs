//! Live queries: lists and documents as server-sent events, and those who follow them.

mod changes;
mod consistency;
mod crowd;
mod ends;
mod indexes;
mod related;
mod tickets;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use warp_reql::settings::{Limits, Settings};

use crate::support::events::Events;
use crate::support::{Api, Serving};

/// The list that most of these tests are about.
const DOCS: &str = "/tables/heroes/docs";

/// An API that listens, too.
pub struct Live {
    pub api: Api,
    pub addr: SocketAddr,
    _serving: Serving,
}

impl Live {
    pub async fn start() -> Live {
        Live::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Live {
        Live::adapted(|settings| Settings { limits, ..settings }).await
    }

    pub async fn adapted(adapt: impl FnOnce(Settings) -> Settings) -> Live {
        Live::over(Api::at_home(adapt).await).await
    }

    pub async fn over(api: Api) -> Live {
        let serving = api.serve().await;
        Live { api, addr: serving.addr, _serving: serving }
    }

    pub async fn events(&self, path: &str) -> Events {
        let events = Events::open(self.addr, path).await;
        assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"), "{path}");
        events
    }

    /// A list's events from now on.
    pub async fn changes(&self, query: &str) -> Events {
        let mut events = self.events(&format!("{DOCS}?{query}&initial=false")).await;
        events.ready().await;
        events
    }

    pub async fn put(&self, document: Value) {
        let answer = self.api.send("PUT", &format!("{DOCS}/{}", document["id"]), &document).await;
        assert!(answer.status().is_success(), "{:?}", answer.body());
    }

    pub async fn delete(&self, id: u64) {
        assert_eq!(self.api.call("DELETE", &format!("{DOCS}/{id}")).await.status(), 204);
    }

    /// A figure of `/metrics`.
    pub async fn figure(&self, name: &str) -> u64 {
        let text = self.api.call("GET", "/metrics").await.into_body();
        let text = String::from_utf8(text.to_vec()).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Waits until so many clients follow.
    pub async fn followed_by(&self, count: u64) {
        for _ in 0..10_000 {
            if self.figure("warp_reql_feeds").await == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} follow, not {count}", self.figure("warp_reql_feeds").await);
    }
}
