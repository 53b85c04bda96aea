//! Worlds that differ only in what is hidden from a caller. Every request is made in each of them, and has to
//! be answered alike.

use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;

use super::{Ruled, of};

/// The number of worlds, which differ in what is hidden from the caller.
const WORLDS: usize = 2;

pub fn rules() -> Value {
    json!([{"table": ["t", "u"], "roles": "user", "read": "owner=eq.{sub}", "create": "owner=eq.{sub}",
            "change": "owner=eq.{sub}", "delete": "owner=eq.{sub}", "hide": ["secret", "deep.er"]}])
}

/// Returns the documents of a world. Those of the caller are equal in both, apart from hidden fields.
pub fn documents(world: usize) -> Value {
    let secret = ["alpha", "omega"][world];
    let mut documents = vec![
        json!({"id": "m1", "owner": "me", "n": 1, "tag": "x", "secret": secret,
               "deep": {"er": world, "w": 1}}),
        json!({"id": "m2", "owner": "me", "n": 2, "tag": "y", "secret": [secret], "deep": {"er": secret}}),
        json!({"id": "m3", "owner": "me", "tag": "x", "secret": {"a": world}}),
        json!({"id": "m4", "owner": "me", "tag": "y", "deep": [{"er": secret, "w": world}, secret]}),
    ];
    let others = if world == 0 { 2 } else { 40 };
    documents.extend((0..others).map(|n| {
        let (id, tenth) = (format!("o{n}"), n as f64 / 10.0);
        json!({"id": id, "owner": "you", "n": tenth, "tag": "x", "w": secret, "secret": n})
    }));
    documents.into()
}

/// Returns an answer without the parts that differ from request to request.
pub fn told(answer: &Response<Bytes>) -> String {
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| {
            !["x-request-id", "server-timing", "db-connection", "date"].contains(&name.as_str())
        })
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    let text = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(mut fields)) => {
            fields.remove("request_id");
            Value::Object(fields).to_string()
        }
        _ => text,
    };
    format!("{} {headers:?} {text}", answer.status())
}

/// A service over a database that has the documents of a world.
struct World {
    service: Ruled,
    documents: Value,
    /// The documents as they are read.
    rows: Vec<Value>,
    /// `true` once a request has changed them.
    is_changed: bool,
}

impl World {
    async fn start(world: usize, indexes: &[&str]) -> World {
        let (service, documents) = (Ruled::start(rules(), &["t", "u"]).await, documents(world));
        for index in indexes {
            service.ask(reql::r.table("t").index_create(*index)).await;
        }
        service.ask(reql::r.table("t").index_wait(reql::args![])).await;
        service.fill("t", &documents).await;
        let rows = service.all("t").await;
        World { service, documents, rows, is_changed: false }
    }

    /// Asks with all documents as they were.
    async fn ask(
        &mut self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        sent: &str,
    ) -> Response<Bytes> {
        if self.is_changed {
            self.service.fill("t", &self.documents).await;
        }
        let answer = self.service.send(&of("me", &["user"]), (method, path), headers, sent).await;
        let rows = self.service.all("t").await;
        let others =
            |rows: &[Value]| rows.iter().filter(|it| it["owner"] == "you").cloned().collect::<Vec<_>>();
        assert_eq!(others(&rows), others(&self.rows), "{method} {path} {sent} touches others' documents");
        self.is_changed = rows != self.rows;
        answer
    }
}

/// All worlds, in each of which the same is asked.
pub struct Worlds(Vec<World>);

impl Worlds {
    /// Starts them with these indexes.
    pub async fn start(indexes: &[&str]) -> Worlds {
        let mut worlds = Vec::new();
        for world in 0..WORLDS {
            worlds.push(World::start(world, indexes).await);
        }
        Worlds(worlds)
    }

    /// Checks that the answers of all worlds are the same, and returns one.
    pub async fn same(
        &mut self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        sent: &str,
    ) -> Response<Bytes> {
        let (mut answers, mut texts) = (Vec::new(), Vec::new());
        for world in &mut self.0 {
            let answer = world.ask((method, path), headers, sent).await;
            // Some answers name the database.
            texts.push(told(&answer).replace(&world.service.api.home().name, "test"));
            answers.push(answer);
        }
        let (text, tried) = (&texts[0], format!("{method} {path} {headers:?} {sent}"));
        assert!(texts.iter().all(|other| other == text), "{tried}: {texts:#?}");
        for leak in ["alpha", "omega", "you", "\"o1\""] {
            assert!(
                !text.contains(leak) || path.contains(leak) || sent.contains(leak),
                "{tried} tells {leak}: {text}"
            );
        }
        answers.swap_remove(0)
    }
}
