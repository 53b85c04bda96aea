//! From a row of a changefeed to an event.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::sse::Event;

/// A row of a changefeed that tells states and types.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    state: Option<String>,
    error: Option<String>,
    #[serde(default)]
    old_val: Value,
    #[serde(default)]
    new_val: Value,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Add,
    Remove,
    Change,
    Initial,
    /// A document that was told as initial moves to where it will be told again.
    Uninitial,
    State,
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
struct Change {
    old: Value,
    new: Value,
}

impl Row {
    /// Returns the documents that it tells of.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Value> {
        [&self.old_val, &self.new_val].into_iter()
    }

    /// The event, and its name; `None` for a row that means nothing to clients.
    pub(crate) fn into_event(self) -> Option<Event> {
        if let Some(message) = self.error {
            return named("gap", json!({"skipped": skipped(&message)}));
        }
        if let Some(state) = self.state {
            return if state == "ready" { named("ready", json!({})) } else { None };
        }
        let name = match self.kind? {
            Kind::Add => "add",
            Kind::Remove | Kind::Uninitial => "remove",
            Kind::Change => "change",
            Kind::Initial => "initial",
            Kind::State | Kind::Other => return None,
        };
        named(name, Change { old: self.old_val, new: self.new_val })
    }
}

/// That everything the client knows is void, and told anew.
pub(crate) fn reset() -> Option<Event> {
    named("reset", json!({}))
}

pub(crate) fn named(name: &str, data: impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

/// Returns how many changes were lost, as the database's message has it.
fn skipped(message: &str) -> Option<u64> {
    message.split_once("skipped ")?.1.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(row: Value) -> Option<String> {
        serde_json::from_value::<Row>(row).unwrap().into_event().map(|event| event.to_string())
    }

    #[test]
    fn rows_become_events() {
        let of = |row| event(row).unwrap();
        assert_eq!(
            of(json!({"type": "change", "old_val": {"id": 1}, "new_val": {"id": 1, "a": "\n"}})),
            "event:change\ndata:{\"old\":{\"id\":1},\"new\":{\"id\":1,\"a\":\"\\n\"}}\n\n"
        );
        assert_eq!(
            of(json!({"type": "uninitial", "old_val": 1})),
            "event:remove\ndata:{\"old\":1,\"new\":null}\n\n"
        );
        assert_eq!(of(json!({"type": "state", "state": "ready"})), "event:ready\ndata:{}\n\n");
        let message = "Changefeed cache over array size limit, skipped 22 elements.";
        assert_eq!(of(json!({"error": message})), "event:gap\ndata:{\"skipped\":22}\n\n");
        assert_eq!(of(json!({"error": "?"})), "event:gap\ndata:{\"skipped\":null}\n\n");
    }

    #[test]
    fn what_means_nothing_to_clients_is_left_out() {
        assert_eq!(event(json!({"type": "state", "state": "initializing"})), None);
        assert_eq!(event(json!({"type": "of tomorrow"})), None);
    }
}
