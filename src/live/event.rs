//! Server-sent events in their wire format.
//!
//! An event is serialized once for all followers. Its id is the last line, so that it can be replaced for a
//! follower whose ids hold more than the number of the event.

use std::fmt::Write;

use serde::Serialize;
use warp::hyper::body::Bytes;

use super::row::{Change, Kind, Side};

/// The id of events before `ready`, after which a client can't resume, since it hasn't got all documents yet.
const INCOMPLETE: &str = "incomplete";
/// The length in bytes up to which an event is copied rather than shared.
const SHARED: usize = 4 << 10;

/// The position of a client: after an event of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    /// The random number of the hub, which no other hub has, in this process or another.
    pub(crate) run: u64,
    pub(crate) number: u64,
    /// The number of the follower's joining, as long as that affects the events that it gets.
    pub(crate) joining: Option<u64>,
}

impl Id {
    /// Parses the id that a client has sent; `None` if it can't be resumed after.
    pub(crate) fn read(text: &str) -> Option<Id> {
        let mut parts = text.split('-');
        let run = parts.next().filter(|run| run.len() == 16)?;
        let run = u64::from_str_radix(run, 16).ok()?;
        let number = parts.next()?.parse().ok()?;
        let joining = parts.next().map(str::parse).transpose().ok()?;
        parts.next().is_none().then_some(Id { run, number, joining })
    }

    fn write(self, text: &mut String) {
        // Writing to a string can't fail.
        let _ = match self.joining {
            None => write!(text, "id:{:016x}-{}\n\n", self.run, self.number),
            Some(joining) => write!(text, "id:{:016x}-{}-{joining}\n\n", self.run, self.number),
        };
    }
}

/// An event with its id.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    bytes: Bytes,
    /// The start of the id's line.
    id_at: usize,
}

impl Event {
    /// Makes the event of a change. With `placed`, the list has an order, so the event has places.
    pub(crate) fn of(change: &Change<'_>, placed: bool, id: Option<Id>) -> Event {
        let mut text = String::with_capacity(128 + length(change.old) + length(change.new));
        text.push_str("event:");
        text.push_str(change.kind.name());
        text.push_str("\ndata:{\"old\":");
        push_document(&mut text, change.old.map(|old| old.document));
        text.push_str(",\"new\":");
        push_document(&mut text, change.new.map(|new| new.told()));
        if placed {
            for (name, place) in [("old_offset", change.old_place), ("new_offset", change.new_place)] {
                let _ = match place {
                    Some(place) => write!(text, ",\"{name}\":{place}"),
                    None => write!(text, ",\"{name}\":null"),
                };
            }
        }
        text.push_str("}\n");
        Event::ended(text, id)
    }

    /// Makes an event of any name.
    pub(crate) fn named(name: &str, data: &impl Serialize, id: Option<Id>) -> Event {
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        Event::ended(format!("event:{name}\ndata:{data}\n"), id)
    }

    /// Makes an event without an id, which doesn't change the position of the client.
    pub(crate) fn bare(name: &str, data: &impl Serialize) -> Bytes {
        let event = Event::named(name, data, None);
        [&event.bytes[..event.id_at], b"\n"].concat().into()
    }

    fn ended(mut text: String, id: Option<Id>) -> Event {
        let id_at = text.len();
        match id {
            Some(id) => id.write(&mut text),
            None => {
                let _ = write!(text, "id:{INCOMPLETE}\n\n");
            }
        }
        Event { bytes: text.into(), id_at }
    }

    /// Returns the bytes, which all followers share.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Returns the bytes with another id. Those of a large event come in two parts, of which all followers
    /// share the first: many may leave theirs unread.
    pub(crate) fn bytes_with(&self, id: Id) -> (Bytes, Option<Bytes>) {
        let mut line = String::new();
        id.write(&mut line);
        let before = self.bytes.slice(..self.id_at);
        if before.len() > SHARED {
            return (before, Some(line.into()));
        }
        ([&before[..], line.as_bytes()].concat().into(), None)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Returns the event of an existing document, for a follower that joins.
pub(crate) fn initial(new: Option<Side<'_>>, place: Option<usize>, placed: bool) -> Event {
    let change = Change { kind: Kind::Initial, old: None, new, old_place: None, new_place: place };
    Event::of(&change, placed, None)
}

fn length(side: Option<Side<'_>>) -> usize {
    side.map_or(4, |side| side.len())
}

/// Appends a document. Line breaks, which JSON has only between tokens, would end the data and become blanks.
fn push_document(text: &mut String, document: Option<&str>) {
    match document {
        None => text.push_str("null"),
        Some(document) if document.contains(['\n', '\r']) => {
            text.extend(document.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        }
        Some(document) => text.push_str(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        for joining in [None, Some(7)] {
            let id = Id { run: 0xab, number: 12, joining };
            let mut line = String::new();
            id.write(&mut line);
            let written = line.trim_end().strip_prefix("id:").unwrap();
            assert_eq!(Id::read(written), Some(id), "{line}");
        }
        for wrong in ["", "17", INCOMPLETE, "00000000000000ab", "00000000000000ab-", "00000000000000ab-1-2-3"]
        {
            assert_eq!(Id::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_large_event_is_shared() {
        let event = Event::named("change", &"x".repeat(2 * SHARED), None);
        let id = Id { run: 1, number: 5, joining: Some(3) };
        let (shared, Some(line)) = event.bytes_with(id) else { panic!("it is large") };
        assert_eq!(shared.as_ptr(), event.bytes().as_ptr());
        assert!(text(&shared).ends_with("x\"\n"));
        assert_eq!(text(&line), "id:0000000000000001-5-3\n\n");
    }

    #[test]
    fn an_event_is_lines() {
        let side = |document| Some(Side::plain("1", document));
        let change = Change {
            kind: Kind::Change,
            old: side("{\"id\":1,\n\"a\":\"\\n\"}"),
            new: side("{\"id\":1}"),
            old_place: Some(2),
            new_place: None,
        };
        let id = Id { run: 1, number: 5, joining: None };
        let event = Event::of(&change, false, Some(id));
        let data = "event:change\ndata:{\"old\":{\"id\":1, \"a\":\"\\n\"},\"new\":{\"id\":1}}\n";
        assert_eq!(text(&event.bytes()), format!("{data}id:0000000000000001-5\n\n"));
        let other = Id { joining: Some(3), ..id };
        let (bytes, None) = event.bytes_with(other) else { panic!("it is small") };
        assert_eq!(text(&bytes), format!("{data}id:0000000000000001-5-3\n\n"));
        let placed = Event::of(&change, true, None);
        assert!(text(&placed.bytes()).contains("},\"old_offset\":2,\"new_offset\":null}\nid:incomplete\n\n"));
        let named = Event::named("gap", &serde_json::json!({"skipped": 3}), Some(id));
        assert!(text(&named.bytes()).starts_with("event:gap\ndata:{\"skipped\":3}\nid:"));
        assert_eq!(text(&Event::bare("error", &1)), "event:error\ndata:1\n\n");
    }
}
