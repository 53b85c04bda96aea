//! Followers of live queries, held to the plain model of the rules: each knows what its caller may see, and
//! is never told of anything else.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::Value;

use super::Ruled;
use super::filters::Filter;
use super::model::{Caller, Document, Rights, Rule, Table, caller};
use crate::support::Serving;
use crate::support::events::Events;

/// The number of followers under the same rules.
const FOLLOWERS: usize = 3;

/// Several followers, and the service that they follow.
pub struct Followers<'a> {
    rules: &'a [Rule],
    /// All that has been stored under each id.
    history: BTreeMap<String, BTreeSet<String>>,
    all: Vec<Follower>,
    serving: Serving,
}

struct Follower {
    caller: Caller,
    /// The document that is followed, or else a list.
    id: Option<String>,
    filter: Option<Filter>,
    events: Events,
    known: Table,
}

impl<'a> Followers<'a> {
    /// Has some random callers join. Those who may not are refused.
    pub async fn join(
        random: &mut Rng,
        service: &Ruled,
        rules: &'a [Rule],
        table: &Table,
        at: &str,
    ) -> Followers<'a> {
        let serving = service.api.serve().await;
        let (history, all) = (BTreeMap::new(), Vec::new());
        let mut followers = Followers { rules, history, all, serving };
        for _ in 0..FOLLOWERS {
            followers.add(random, at).await;
        }
        followers.see(table, at).await;
        followers
    }

    async fn add(&mut self, random: &mut Rng, at: &str) {
        let caller = caller(random);
        let rights = Rights::of(self.rules, &caller);
        let (id, filter) = match random.u8(..4) {
            0 => (Some(format!("d{}", random.usize(..8))), None),
            1 => (None, None),
            _ => (None, Some(Filter::random(random, false))),
        };
        let path = match (&id, &filter) {
            (Some(id), _) => format!("/tables/t/docs/{id}"),
            (None, filter) => {
                format!("/tables/t/docs?{}", filter.as_ref().map(Filter::escaped).unwrap_or_default())
            }
        };
        let authorization = format!("Bearer {}", caller.token());
        let accept = ("accept", "text/event-stream");
        let headers = [accept, ("authorization", authorization.as_str())];
        let headers = if caller.anonymous { &headers[..1] } else { &headers[..] };
        let events = Events::open_with(self.serving.addr, &path, headers).await;
        let fields = filter.as_ref().map(Filter::fields).unwrap_or_default();
        let status = match rights.ever(|rule| &rule.read) {
            false if caller.anonymous => 401,
            false => 403,
            true if fields.iter().any(|field| rights.hides(field)) => 403,
            true => 200,
        };
        assert_eq!(events.status, status, "{path} by {caller:?} {at}");
        if status == 200 {
            self.all.push(Follower { caller, id, filter, events, known: Table::new() });
        }
    }

    /// Waits until all followers know what is stored now.
    pub async fn see(&mut self, table: &Table, at: &str) {
        for (id, document) in table {
            self.history.entry(id.clone()).or_default().insert(Value::Object(document.clone()).to_string());
        }
        for follower in &mut self.all {
            let caller = follower.caller.clone();
            let rights = Rights::of(self.rules, &caller);
            let seen = |document: &Document| follower.seen(document, &rights);
            let expected: Table =
                table.iter().filter_map(|(id, document)| Some((id.clone(), seen(document)?))).collect();
            follower.learn(&expected, &self.history, &rights, at).await;
        }
    }
}

impl Follower {
    /// The document as it is followed.
    fn seen(&self, document: &Document, rights: &Rights<'_>) -> Option<Document> {
        let is_followed = match (&self.id, &self.filter) {
            (Some(id), _) => document["id"] == id.as_str(),
            (None, Some(filter)) => filter.holds(document, &self.caller),
            (None, None) => true,
        };
        rights.seen(document).filter(|_| is_followed)
    }

    /// Reads events until what they have told of is what is expected. Each must tell of what the caller may
    /// have seen.
    async fn learn(
        &mut self,
        expected: &Table,
        history: &BTreeMap<String, BTreeSet<String>>,
        rights: &Rights<'_>,
        at: &str,
    ) {
        let at = format!(
            "the follower {:?} of {:?} {:?} {at}",
            self.caller,
            self.id,
            self.filter.as_ref().map(Filter::text)
        );
        while self.known != *expected {
            let event = self.events.next().await.unwrap_or_else(|| panic!("the end: {at}"));
            let at = format!("{event:?} {at}");
            for side in ["old", "new"] {
                let Some(told) = event.data[side].as_object() else { continue };
                let id = told["id"].as_str().unwrap_or_default();
                let versions = history.get(id).into_iter().flatten();
                let may = |stored: &String| {
                    let stored: Document = serde_json::from_str(stored).unwrap();
                    self.seen(&stored, rights).as_ref() == Some(told)
                };
                assert!(versions.into_iter().any(may), "{side} is hidden: {at}");
            }
            let [old, new] = ["old", "new"].map(|side| event.data[side].as_object().cloned());
            match event.name.as_str() {
                "initial" | "add" => assert_eq!(old, None, "{at}"),
                "change" => assert!(old.is_some() && new.is_some() && old != new, "{at}"),
                "remove" => assert!(old.is_some() && new.is_none(), "{at}"),
                "ready" => {}
                _ => panic!("{at}"),
            }
            if let Some(old) = old {
                let id = old["id"].as_str().unwrap_or_default();
                assert_eq!(self.known.remove(id), Some(old.clone()), "{at}");
            }
            if let Some(new) = new {
                let id = new["id"].as_str().unwrap_or_default().to_owned();
                assert_eq!(self.known.insert(id, new), None, "{at}");
            }
        }
    }
}
