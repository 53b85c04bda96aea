//! The documents that a client knows by its events, and the events that it mustn't get.

use std::collections::VecDeque;

use serde_json::Value;

use super::HOME;
use crate::support::events::Event;

/// The number of events that are told of when something is wrong.
const HISTORY: usize = 12;

/// A list, as its URL has it, and how its documents lie.
#[derive(Debug, Clone, Copy)]
pub struct List {
    pub url: &'static str,
    pub form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In no order.
    Set,
    /// At places that events tell.
    Places,
    /// One, or none.
    One,
}

/// The knowledge of a client.
#[derive(Debug)]
pub struct Replay {
    form: Form,
    rows: Vec<Value>,
    /// The last id, to come back with.
    pub last: Option<String>,
    /// All that was there has been told.
    pub is_ready: bool,
    /// The hub's run and the number of the last event.
    at: Option<(String, u64)>,
    /// The last event's id told of a joining, so that numbers may be missing.
    joins: bool,
    history: VecDeque<Event>,
}

impl Replay {
    pub fn new(form: Form) -> Replay {
        let (rows, history) = (Vec::new(), VecDeque::new());
        Replay { form, rows, last: None, is_ready: false, at: None, joins: false, history }
    }

    /// Takes an event that isn't an `error`.
    pub fn take(&mut self, event: &Event) -> Result<(), String> {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(event.clone());
        self.taken(event).map_err(|wrong| {
            let history: Vec<_> = self.history.iter().map(|event| format!("{event:?}")).collect();
            format!("{wrong}\nknown: {:?}\nlast events:\n{}", self.rows, history.join("\n"))
        })
    }

    fn taken(&mut self, event: &Event) -> Result<(), String> {
        match event.name.as_str() {
            "initial" if !event.data["new"].is_null() => self.add(event)?,
            "initial" => {}
            "ready" => self.is_ready = true,
            "reset" => {
                self.rows.clear();
                (self.is_ready, self.at) = (false, None);
            }
            "add" | "change" | "remove" => {
                self.remove(event)?;
                self.add(event)?;
            }
            name => return Err(format!("an event `{name}`")),
        }
        let id = event.id.as_deref().ok_or("an event without an id")?;
        self.last = Some(id.to_owned());
        self.count(event, id)
    }

    fn remove(&mut self, event: &Event) -> Result<(), String> {
        let old = &event.data["old"];
        if old.is_null() {
            return Ok(());
        }
        let at = match self.form {
            Form::Places => place(&event.data["old_offset"])?,
            Form::Set | Form::One => {
                self.rows.iter().position(|row| is_known(row, old)).ok_or("`old` is not what is known")?
            }
        };
        match self.rows.get(at) {
            Some(row) if is_known(row, old) => drop(self.rows.remove(at)),
            _ => return Err(format!("`old` is not what is known at {at}")),
        }
        Ok(())
    }

    fn add(&mut self, event: &Event) -> Result<(), String> {
        let new = &event.data["new"];
        if new.is_null() {
            return Ok(());
        }
        let at = match self.form {
            Form::Places => place(&event.data["new_offset"])?,
            Form::Set | Form::One => self.rows.len(),
        };
        if at > self.rows.len() || (self.form == Form::One && at > 0) {
            return Err("`new` has no place".to_owned());
        }
        self.rows.insert(at, new.clone());
        Ok(())
    }

    /// Checks that the event is the next one, by its id.
    fn count(&mut self, event: &Event, id: &str) -> Result<(), String> {
        if id == "incomplete" {
            return if self.at.is_none() { Ok(()) } else { Err("an id that tells less than before".into()) };
        }
        let mut parts = id.split('-');
        let (run, number) = (parts.next().unwrap_or_default().to_owned(), parts.next());
        let number: u64 = number.and_then(|number| number.parse().ok()).ok_or("an id that is none")?;
        let joins = parts.next().is_some();
        match &self.at {
            None => {}
            Some((before, _)) if *before != run => return Err("another run, without a reset".into()),
            Some((_, last)) if number <= *last => return Err("an event for the second time".into()),
            Some((_, last)) if number > *last + 1 && !joins && !self.joins => {
                return Err(format!("no event between {last} and {number}"));
            }
            Some(_) if event.name == "ready" => return Err("ready for the second time".into()),
            Some(_) => {}
        }
        (self.at, self.joins) = (Some((run, number)), joins);
        Ok(())
    }

    /// Returns whether this is just what is known.
    pub fn is(&self, rows: &[Value]) -> bool {
        if self.form == Form::Places {
            return self.rows == rows;
        }
        let mut left: Vec<_> = rows.iter().collect();
        let all = self.rows.iter().all(|row| {
            let at = left.iter().position(|other| *other == row);
            at.map(|at| left.swap_remove(at)).is_some()
        });
        all && left.is_empty()
    }

    /// Returns what is known, and how it came, for who has to find out what is wrong.
    pub fn told(&self) -> String {
        let history: Vec<_> = self.history.iter().map(|event| format!("{event:?}")).collect();
        format!("known: {:?}\nlast events:\n{}", self.rows, history.join("\n"))
    }
}

/// Returns whether the old side of an event is a row, but for what that is told with.
fn is_known(row: &Value, old: &Value) -> bool {
    let mut own = row.clone();
    own.as_object_mut().and_then(|fields| fields.remove(HOME));
    own == *old
}

fn place(value: &Value) -> Result<usize, String> {
    let place = value.as_u64().and_then(|place| usize::try_from(place).ok());
    place.ok_or_else(|| format!("{value} is no place"))
}

#[test]
fn what_is_wrong_is_noticed() {
    use serde_json::json;

    let event = |name: &str, id: &str, old: Value, new: Value| Event {
        name: name.to_owned(),
        data: json!({"old": old, "new": new}),
        id: Some(id.to_owned()),
        ..Event::default()
    };
    let (one, two) = (json!({"id": 1}), json!({"id": 2}));
    let begun = || {
        let mut replay = Replay::new(Form::Set);
        replay.take(&event("initial", "incomplete", json!(null), one.clone())).unwrap();
        replay.take(&event("ready", "a-4", json!(null), json!(null))).unwrap();
        replay
    };
    let is = |rows: &[&Value]| begun().is(&rows.iter().map(|row| (*row).clone()).collect::<Vec<_>>());
    assert!(is(&[&one]) && !is(&[&two]) && !is(&[]) && !is(&[&one, &one]));
    for (wrong, reason) in [
        (event("add", "a-4", json!(null), two.clone()), "second time"),
        (event("add", "a-6", json!(null), two.clone()), "no event between"),
        (event("add", "b-5", json!(null), two.clone()), "another run"),
        (event("change", "a-5", two.clone(), one.clone()), "not what is known"),
        (event("gap", "a-5", json!(null), json!(null)), "an event `gap`"),
        (event("ready", "a-5", json!(null), json!(null)), "ready for the second time"),
    ] {
        let told = begun().take(&wrong).unwrap_err();
        assert!(told.contains(reason), "{told}");
    }
    let mut replay = begun();
    replay.take(&event("change", "a-5", one, two.clone())).unwrap();
    assert!(replay.is(&[two]));
}
