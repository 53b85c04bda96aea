//! Random rules, callers, documents and requests: what comes back, and what changes, is what the plain model
//! of the rules allows.

use fastrand::Rng;
use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;

use super::Ruled;
use super::filters::Filter;
use super::followers::Followers;
use super::model::{Caller, Document, Rights, Rule, Table, caller, document};
use super::writes::{inserted, patched, replaced, replaced_by};
use crate::support::{Api, body, number, seed};

/// Requests made under the same rules.
const REQUESTS: u64 = 25;

#[tokio::test]
async fn what_rules_allow_is_what_happens() {
    let seed = seed();
    let rounds = number("ACCESS_ROUNDS", 1_000);
    let mut random = Rng::with_seed(seed);
    let mut service = Ruled::start(json!([]), &["t"]).await;
    for round in 0..rounds {
        if round % REQUESTS == 0 {
            let rules: Vec<_> = (0..random.usize(1..4)).map(|_| Rule::random(&mut random)).collect();
            let setting: Vec<_> = rules.iter().map(Rule::setting).collect();
            let home = service.api.home.take().expect("it has a home");
            let settings = super::ruled(setting.clone().into());
            let rdb = home.rdb();
            service.api = Api {
                home: Some(home),
                ..Api::with_settings(warp_reql::settings::Settings { rdb, ..settings })
            };
            let mut table: Table = (0..6)
                .map(|id| format!("d{id}"))
                .map(|id| (id.clone(), with_id(document(&mut random), &id)))
                .collect();
            let stored: Vec<_> = table.values().cloned().map(Value::Object).collect();
            service.fill("t", &stored.into()).await;
            let at = format!("TEST_SEED={seed}, before request {round}, rules {}", json!(setting));
            let mut followers = Followers::join(&mut random, &service, &rules, &table, &at).await;
            for request in 0..REQUESTS.min(rounds - round) {
                let at = format!("TEST_SEED={seed}, request {}, rules {}", round + request, json!(setting));
                one(&mut random, &service, &rules, &mut table, &at).await;
                followers.see(&table, &at).await;
            }
        }
    }
}

fn with_id(mut document: Document, id: &str) -> Document {
    document.insert("id".to_owned(), id.into());
    document
}

/// Makes one request, and holds it to the model.
async fn one(random: &mut Rng, service: &Ruled, rules: &[Rule], table: &mut Table, at: &str) {
    let caller = caller(random);
    let rights = Rights::of(rules, &caller);
    let case = Case { token: caller.token(), service };
    let id = format!("d{}", random.usize(..8));
    let at = format!("{at}, caller {caller:?}, documents {}", json!(table));
    let refused = if caller.anonymous { 401 } else { 403 };
    match random.u8(..10) {
        0..3 => case.list(random, &rights, table, refused, &at).await,
        3 => case.read(&id, &rights, table, refused, &at).await,
        4 => case.create(document(random), &id, random.bool(), &rights, table, refused, &at).await,
        5 => case.bulk(random, &rights, table, refused, &at).await,
        6 => case.put(document(random), &id, &rights, table, refused, &at).await,
        7 => case.patch(document(random), &id, &rights, table, refused, &at).await,
        8 => case.delete(&id, &rights, table, refused, &at).await,
        _ => case.many(random, &rights, table, refused, &at).await,
    }
    let stored: Vec<_> = table.values().cloned().map(Value::Object).collect();
    assert_eq!(service.all("t").await, stored, "what is stored: {at}");
}

/// A request's caller.
struct Case<'a> {
    token: String,
    service: &'a Ruled,
}

impl Case<'_> {
    async fn send(&self, method: &str, path: &str, prefer: &str, sent: &Value) -> Response<Bytes> {
        let sent = if sent.is_null() { String::new() } else { sent.to_string() };
        self.service.send(&self.token, (method, path), &[("prefer", prefer)], &sent).await
    }

    async fn list(&self, random: &mut Rng, rights: &Rights<'_>, table: &Table, refused: u16, at: &str) {
        let filter = Filter::random(random, false);
        let order = ["", "&order=a", "&order=owner.desc,a", "&order=secret"][random.usize(..4)];
        let path = format!("/tables/t/docs?{}{order}", filter.escaped());
        let at = format!("{path} {at}");
        let answer = self.send("GET", &path, "count=exact", &Value::Null).await;
        let hides = filter.fields().iter().any(|field| rights.hides(field))
            || ["owner", "a", "secret"].iter().any(|field| order.contains(field) && rights.hides(field));
        let status = match (rights.ever(|rule| &rule.read), hides) {
            (false, _) => refused,
            (true, true) => 403,
            (true, false) => 200,
        };
        assert_eq!(answer.status(), status, "{:?} {at}", answer.body());
        let groups =
            self.send("GET", &format!("/tables/t/docs?group=b&{}", filter.escaped()), "", &Value::Null).await;
        let hides = filter.fields().iter().any(|field| rights.hides(field)) || rights.hides("b");
        assert_eq!(
            groups.status().as_u16(),
            if !rights.ever(|rule| &rule.read) {
                refused
            } else if hides {
                403
            } else {
                200
            }
        );
        if status != 200 {
            return;
        }
        let seen =
            |document: &Document| rights.seen(document).filter(|_| filter.holds(document, rights.caller));
        let expected: Vec<_> = table.values().filter_map(seen).map(Value::Object).collect();
        let mut found = body(&answer).as_array().cloned().unwrap_or_default();
        found.sort_by_key(|document| document["id"].to_string());
        assert_eq!(found, expected, "{at}");
        assert_eq!(answer.headers()["x-total-count"], expected.len().to_string().as_str(), "{at}");
        if groups.status() == 200 {
            let grouped = body(&groups).as_array().cloned().unwrap_or_default();
            let counts = grouped.iter().map(|group| group["count"].as_u64().unwrap()).sum::<u64>();
            assert_eq!(counts, expected.len() as u64, "{at}");
        }
    }

    async fn read(&self, id: &str, rights: &Rights<'_>, table: &Table, refused: u16, at: &str) {
        let answer = self.send("GET", &format!("/tables/t/docs/{id}"), "", &Value::Null).await;
        let seen = table.get(id).and_then(|document| rights.seen(document));
        match (rights.ever(|rule| &rule.read), seen) {
            (false, _) => assert_eq!(answer.status(), refused, "{at}"),
            (true, None) => assert_eq!(answer.status(), 404, "{id} {at}"),
            (true, Some(seen)) => assert_eq!(body(&answer), Value::Object(seen), "{id} {at}"),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are the whole case")]
    async fn create(
        &self,
        new: Document,
        id: &str,
        merges: bool,
        rights: &Rights<'_>,
        table: &mut Table,
        refused: u16,
        at: &str,
    ) {
        let new = with_id(new, id);
        let prefer = if merges { "resolution=merge-duplicates" } else { "" };
        let answer = self.send("POST", "/tables/t/docs", prefer, &json!(new)).await;
        let status = inserted(&new, merges, rights, table, refused);
        assert_eq!(answer.status(), status, "{} {merges} {:?} {at}", json!(new), answer.body());
        told(&answer, table.get(id), rights, at);
    }

    async fn bulk(&self, random: &mut Rng, rights: &Rights<'_>, table: &mut Table, refused: u16, at: &str) {
        let merges = random.bool();
        let prefer = if merges { "resolution=replace-duplicates" } else { "" };
        let mut ids: Vec<_> = (0..8).map(|id: u32| format!("d{id}")).collect();
        random.shuffle(&mut ids);
        let new: Vec<_> = ids[..3].iter().map(|id| with_id(document(random), id)).collect();
        let answer = self.send("POST", "/tables/t/docs", prefer, &json!(new)).await;
        let at = format!("{} {merges} {:?} {at}", json!(new), answer.body());
        if !rights.ever(|rule| &rule.create) || rights.set().is_none() {
            return assert_eq!(answer.status(), refused, "{at}");
        }
        let replaced = |new: &Document, table: &mut Table| match merges {
            true => replaced(new, rights, table),
            false => inserted(new, false, rights, table, 403),
        };
        let statuses: Vec<_> = new.iter().map(|new| replaced(new, table)).collect();
        let found = body(&answer).as_array().cloned().unwrap_or_default();
        let found: Vec<_> =
            found.iter().map(|outcome| outcome["status"].as_u64().unwrap_or_default() as u16).collect();
        assert_eq!(found, statuses, "{at}");
    }

    async fn put(
        &self,
        new: Document,
        id: &str,
        rights: &Rights<'_>,
        table: &mut Table,
        refused: u16,
        at: &str,
    ) {
        let answer = self.send("PUT", &format!("/tables/t/docs/{id}"), "", &json!(new)).await;
        let at = format!("PUT {id} {} {:?} {at}", json!(new), answer.body());
        let changes = rights.ever(|rule| &rule.read) && rights.ever(|rule| &rule.change);
        if rights.set().is_none() || !(rights.ever(|rule| &rule.create) || changes) {
            return assert_eq!(answer.status(), refused, "{at}");
        }
        let status = match new.keys().any(|field| rights.hides(field)) {
            true => 403,
            false => replaced_by(&with_id(new, id), rights, table),
        };
        let status = if status == 200 && rights.seen(&table[id]).is_none() { 204 } else { status };
        assert_eq!(answer.status(), status, "{at}");
        told(&answer, table.get(id), rights, &at);
    }

    async fn patch(
        &self,
        patch: Document,
        id: &str,
        rights: &Rights<'_>,
        table: &mut Table,
        refused: u16,
        at: &str,
    ) {
        let answer = self.send("PATCH", &format!("/tables/t/docs/{id}"), "", &json!(patch)).await;
        let at = format!("PATCH {id} {} {:?} {at}", json!(patch), answer.body());
        if !changes(rights) {
            return assert_eq!(answer.status(), refused, "{at}");
        }
        if patch.keys().any(|field| rights.hides(field)) {
            return assert_eq!(answer.status(), 403, "{at}");
        }
        let old = table.get(id).cloned();
        let status = match old.as_ref().and_then(|old| Some((old, rights.seen(old)?))) {
            None => 404,
            Some((old, seen)) => match rights.changed(old, &patched(seen, &patch)) {
                None => 403,
                Some(new) => {
                    let is_seen = rights.seen(&new).is_some();
                    table.insert(id.to_owned(), new);
                    if is_seen { 200 } else { 204 }
                }
            },
        };
        assert_eq!(answer.status(), status, "{at}");
        told(&answer, table.get(id), rights, &at);
    }

    async fn delete(&self, id: &str, rights: &Rights<'_>, table: &mut Table, refused: u16, at: &str) {
        let answer = self.send("DELETE", &format!("/tables/t/docs/{id}"), "", &Value::Null).await;
        let status = match table.get(id) {
            _ if !(rights.ever(|rule| &rule.read) && rights.ever(|rule| &rule.delete)) => refused,
            Some(old) if rights.seen(old).is_some() => match rights.may(|rule| &rule.delete, old) {
                true => table.remove(id).map_or(404, |_| 204),
                false => 403,
            },
            _ => 404,
        };
        assert_eq!(answer.status(), status, "DELETE {id} {:?} {at}", answer.body());
    }

    async fn many(&self, random: &mut Rng, rights: &Rights<'_>, table: &mut Table, refused: u16, at: &str) {
        let filter = Filter::random(random, false);
        let (deletes, patch) = (random.bool(), document(random));
        let path = format!("/tables/t/docs?{}", filter.escaped());
        let (method, sent) = if deletes { ("DELETE", Value::Null) } else { ("PATCH", json!(patch)) };
        let mut answer = self.send(method, &path, "", &sent).await;
        if answer.status() == 400 {
            // A condition that always holds, because a list is empty, is none.
            assert!(filter.text().contains(".()"), "{} {at}", filter.text());
            answer = self.send(method, &format!("{path}&all=true"), "", &sent).await;
        }
        let at = format!("{method} {} {sent} {:?} {at}", filter.text(), answer.body());
        let may_ever = match deletes {
            true => rights.ever(|rule| &rule.read) && rights.ever(|rule| &rule.delete),
            false => changes(rights),
        };
        if !may_ever {
            return assert_eq!(answer.status(), refused, "{at}");
        }
        let hides = filter.fields().iter().any(|field| rights.hides(field));
        if hides || !deletes && patch.keys().any(|field| rights.hides(field)) {
            return assert_eq!(answer.status(), 403, "{at}");
        }
        let (mut done, mut errors) = (0, 0);
        for (id, old) in table.clone() {
            let Some(seen) = rights.seen(&old).filter(|_| filter.holds(&old, rights.caller)) else {
                continue;
            };
            let new = match deletes {
                true => rights.may(|rule| &rule.delete, &old).then_some(None),
                false => rights.changed(&old, &patched(seen, &patch)).map(Some),
            };
            match new {
                None => errors += 1,
                Some(new) => {
                    done += 1;
                    match new {
                        Some(new) => table.insert(id, new),
                        None => table.remove(&id),
                    };
                }
            }
        }
        if done == 0 && errors > 0 {
            return assert_eq!(answer.status(), refused, "{at}");
        }
        let counts = body(&answer);
        let count = |name: &str| counts[name].as_u64().unwrap_or_default();
        assert_eq!(count("replaced") + count("unchanged") + count("deleted"), done, "{at}");
        assert_eq!(count("errors"), errors, "{at}");
    }
}

fn changes(rights: &Rights<'_>) -> bool {
    rights.set().is_some() && rights.ever(|rule| &rule.read) && rights.ever(|rule| &rule.change)
}

/// Checks that an answer shows what is stored, as far as the caller may see it.
fn told(answer: &Response<Bytes>, stored: Option<&Document>, rights: &Rights<'_>, at: &str) {
    if !answer.status().is_success() {
        return;
    }
    match stored.and_then(|stored| rights.seen(stored)) {
        Some(seen) => assert_eq!(body(answer), Value::Object(seen), "{at}"),
        None => assert!(answer.body().is_empty() && !answer.headers().contains_key("etag"), "{at}"),
    }
}

/// Checks the model itself: a caller who may see everything sees everything.
#[test]
fn the_model_knows_everybody() {
    let all = Caller { anonymous: false, roles: vec!["r1"], claims: json!({}) };
    let rights = Rights { rules: vec![], caller: &all };
    assert!(rights.seen(&Document::new()).is_none());
}
