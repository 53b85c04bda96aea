//! Feeds driven step by step: writes fall between any two of a feed's own steps, on purpose rather than by
//! luck.
//!
//! A feed is read by hand here, so that changes wait for it. Its form of a document is made by a [`Hook`],
//! which writes to the table while the feed is in the middle of something. `STEPS_SEED` repeats a random run,
//! `STEPS_ROUNDS` makes it longer.
use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::error::{Error, Result};
use reql_embedded::feed::{Capacity, Extent, Feed, Flat, Form, Options, Ranges, Transform, Wake, Window};
use reql_embedded::storage::{Direction, KeyRange, Mutation, Store, Table};

/// The writes that a transform makes: each call makes those of the first list left, then shows its document.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<VecDeque<Vec<Mutation>>>>);

/// Shows documents whose `shown` isn't false; fails for those where it is a string, unless nothing may fail.
struct Shown {
    table: Table,
    hook: Hook,
    may_fail: bool,
}

impl Transform for Shown {
    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        let due = self.hook.0.lock().unwrap().pop_front();
        if let Some(writes) = due.filter(|writes| !writes.is_empty()) {
            write(&self.table, writes);
        }
        match document.get("shown") {
            Some(Datum::Str(text)) if self.may_fail => Err(Error::logic(text.to_string())),
            Some(Datum::Str(_) | Datum::Bool(false)) => Ok(None),
            _ => Ok(Some(document.clone())),
        }
    }
}

fn row(id: i64, a: i64, m: &[i64]) -> Datum {
    let elements = m.iter().map(|element| num(*element)).collect::<Vec<_>>();
    Datum::object([("id", num(id)), ("a", num(a)), ("m", Datum::array(elements))])
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

/// The kind of a feed: the index, the range and the window that it follows, with squashing or without.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    index: Option<&'static str>,
    range: (i64, i64),
    /// The direction and the size of a window.
    window: Option<(Direction, usize)>,
    squash: bool,
}

fn flat(index: Option<&'static str>, range: (i64, i64)) -> Kind {
    Kind { index, range, window: None, squash: false }
}

fn window(index: Option<&'static str>, limit: usize) -> Kind {
    Kind { window: Some((Direction::Forward, limit)), ..flat(index, ALL) }
}

fn falling(kind: Kind) -> Kind {
    Kind { window: kind.window.map(|(_, limit)| (Direction::Backward, limit)), ..kind }
}

fn within(range: (i64, i64), kind: Kind) -> Kind {
    Kind { range, ..kind }
}

/// Returns every kind of a feed.
fn kinds() -> Vec<Kind> {
    let kinds = vec![
        flat(None, ALL),
        flat(None, (3, 9)),
        flat(Some("a"), ALL),
        flat(Some("a"), (4, 12)),
        flat(Some("m"), ALL),
        flat(Some("m"), (2, 6)),
        window(None, 3),
        falling(window(None, 2)),
        within((3, 9), window(None, 4)),
        window(Some("a"), 1),
        window(Some("a"), 3),
        window(Some("a"), 50),
        falling(window(Some("a"), 4)),
        within((4, 12), window(Some("a"), 3)),
        window(Some("m"), 1),
        window(Some("m"), 4),
        falling(window(Some("m"), 5)),
        within((2, 6), falling(window(Some("m"), 3))),
        window(Some("a"), 0),
    ];
    kinds.iter().flat_map(|kind| [*kind, Kind { squash: true, ..*kind }]).collect()
}

impl Kind {
    fn range(&self) -> KeyRange {
        let encode = if self.index.is_none() { id } else { value };
        let (low, high) = self.range;
        match low {
            i64::MIN => KeyRange::all(),
            low => KeyRange::new(Bound::Included(encode(low)), Bound::Excluded(encode(high))),
        }
    }
}

const FORM: Form = Form { types: true, states: true, offsets: false };

/// A feed, and a client that replays it.
struct Driven {
    kind: Kind,
    table: Table,
    hook: Hook,
    feed: Box<dyn Feed>,
    /// Documents that the client knows. Those of a window are in order, by its offsets.
    known: Vec<Datum>,
    rows: Vec<Datum>,
}

impl Driven {
    fn open(table: &Table, kind: Kind, hook: &Hook, queue_size: usize) -> Driven {
        let range = kind.range();
        let extent = Extent {
            table: table.clone(),
            index: kind.index.map(|index| table.index_entries(index).unwrap()),
            ranges: Ranges::One(range),
            multiplicity: None,
        };
        let form = Form { offsets: kind.window.is_some(), ..FORM };
        let squash = kind.squash.then_some(Duration::ZERO);
        let queue = Capacity { changes: queue_size, ..Capacity::default() };
        let options = Options { squash, include_initial: true, form, queue };
        // A failure ends a feed that is still reading the initial documents.
        let may_fail = kind.window.is_some();
        let shown = Box::new(Shown { table: table.clone(), hook: hook.clone(), may_fail });
        let wake = Arc::new(Wake::default());
        let feed: Box<dyn Feed> = match kind.window {
            Some(order) => Box::new(Window::open(extent, shown, options, wake, order).unwrap()),
            None => Box::new(Flat::open(extent, shown, options, wake, false).unwrap()),
        };
        Driven { kind, table: table.clone(), hook: hook.clone(), feed, known: Vec::new(), rows: Vec::new() }
    }

    /// Reads one row, and applies it.
    fn step(&mut self) -> bool {
        let Some(row) = self.feed.next().unwrap() else { return false };
        let text = format!("{row:?}");
        let offset = |name: &str| row.get(name).and_then(|offset| offset.as_int().ok()).map(|at| at as usize);
        if let Some(old) = row.get("old_val").filter(|old| !old.is_null()) {
            let at = match self.kind.window {
                Some(_) => offset("old_offset").expect("an offset"),
                None => self.known.iter().position(|known| *known == old).unwrap_or(usize::MAX),
            };
            let known = self.known.get(at).cloned();
            assert_eq!(known.as_ref(), Some(&old), "{:?} knew {:?}: {text}", self.kind, self.known);
            self.known.remove(at);
        }
        if let Some(new) = row.get("new_val").filter(|new| !new.is_null()) {
            let at = offset("new_offset").unwrap_or(self.known.len());
            assert!(at <= self.known.len(), "{:?} knew {:?}: {text}", self.kind, self.known);
            self.known.insert(at, new);
        }
        if let Some((_, limit)) = self.kind.window {
            assert!(self.known.len() <= limit, "{:?} has more than it may: {text}", self.kind);
        }
        self.rows.push(row);
        true
    }

    fn drain(&mut self) {
        while self.step() {}
    }

    /// Returns the documents that a query finds in the range of the feed.
    fn expected(&self) -> Vec<Datum> {
        let direction = self.kind.window.map_or(Direction::Forward, |(direction, _)| direction);
        let range = self.kind.range();
        let mut rows = match self.kind.index {
            Some(index) => index_scan(&self.table, index, range, direction),
            None => scan(&self.table, range, direction),
        };
        rows.retain(|row| !matches!(row.get("shown"), Some(Datum::Bool(false) | Datum::Str(_))));
        rows.truncate(self.kind.window.map_or(usize::MAX, |(_, limit)| limit));
        rows
    }

    fn check(&mut self, context: &impl Debug) {
        self.hook.0.lock().unwrap().clear();
        self.drain();
        let (mut known, mut expected) = (self.known.clone(), self.expected());
        if self.kind.window.is_none() {
            known.sort();
            expected.sort();
        }
        assert_eq!(known, expected, "{:?} {context:?}", self.kind);
    }
}

fn indexed_table(store: &Store) -> Table {
    let table = table(store);
    indexed(&table, simple("a"));
    indexed(&table, multi("m"));
    table
}

/// The id and the offset of a document, if there is one.
type Side = Option<(i64, i64)>;

/// Returns the document that leaves and the one that comes, by a row of a window.
fn brief(row: &Datum) -> (Side, Side) {
    let side = |value: &str, offset: &str| {
        let id = row.get(value)?.get("id")?.as_int().unwrap();
        Some((id, row.get(offset).unwrap().as_int().unwrap()))
    };
    (side("old_val", "old_offset"), side("new_val", "new_offset"))
}

#[test]
fn a_window_reads_on_past_changes_that_are_still_to_be_made() {
    let store = store();
    let table = indexed_table(&store);
    write(&table, (1..=6).map(|n| put(&row(n, n * 10, &[]))).collect());
    let mut driven = Driven::open(&table, window(Some("a"), 3), &Hook::default(), 100);
    driven.drain();
    driven.rows.clear();
    // The first change makes the window read on, where the table shows the effect of the second one.
    write(&table, vec![delete(1)]);
    write(&table, vec![put(&row(2, 35, &[]))]);
    driven.drain();
    let rows: Vec<_> = driven.rows.iter().map(brief).collect();
    assert_eq!(rows, [(Some((1, 0)), Some((4, 2))), (Some((2, 0)), Some((2, 1)))]);
    driven.check(&"");
}

#[test]
fn a_write_that_moves_several_entries_is_told_entry_by_entry() {
    let store = store();
    let table = indexed_table(&store);
    let of_m = |limit| Driven::open(&table, window(Some("m"), limit), &Hook::default(), 100);
    let tell = |driven: &mut Driven, mutation: Mutation| -> Vec<_> {
        driven.drain();
        driven.rows.clear();
        write(&table, vec![mutation]);
        driven.drain();
        driven.check(&"");
        driven.rows.iter().map(brief).collect()
    };
    let mut driven = of_m(3);
    // The last entry comes first, so that each is within the window when it is reported.
    let came = tell(&mut driven, put(&row(6, 0, &[1, 1, 2])));
    assert_eq!(came, [(None, Some((6, 0))), (None, Some((6, 0))), (None, Some((6, 0)))]);
    let moved = tell(&mut driven, put(&row(6, 0, &[5, 1])));
    // 1 becomes 5, and goes behind 1 and 2; 1 becomes 1; 2 leaves.
    assert_eq!(moved, [(Some((6, 0)), Some((6, 2))), (Some((6, 0)), Some((6, 0))), (Some((6, 1)), None),]);
    let came = tell(&mut driven, put(&row(7, 0, &[3, 4])));
    assert_eq!(came, [(None, Some((7, 1))), (Some((6, 2)), Some((7, 1)))]);
    // In the order of the array: 3 leaves and 5 moves up, then 4 leaves.
    let left = tell(&mut driven, delete(7));
    assert_eq!(left, [(Some((7, 1)), Some((6, 2))), (Some((7, 1)), None)]);
    // 5 leaves, then 1.
    let left = tell(&mut driven, delete(6));
    assert_eq!(left, [(Some((6, 1)), None), (Some((6, 0)), None)]);
    // No more entries of one document than there is room for are reported.
    let came = tell(&mut of_m(2), put(&row(8, 0, &[4, 3, 2, 1])));
    assert_eq!(came, [(None, Some((8, 0))), (None, Some((8, 0)))]);
}

#[test]
fn what_moves_across_the_reading_of_what_is_there_is_told_as_initial_or_taken_back() {
    let store = store();
    let table = indexed_table(&store);
    write(&table, (0..600).map(|n| put(&row(n, n, &[]))).collect());
    let mut driven = Driven::open(&table, flat(Some("a"), ALL), &Hook::default(), 100);
    // The first of the parts in which the documents are read has this one.
    while driven.known.is_empty() {
        driven.step();
    }
    write(&table, vec![put(&row(5, 597, &[])), put(&row(595, 7, &[])), put(&row(6, 6, &[1])), delete(599)]);
    driven.drain();
    let told = |id: i64| -> Vec<String> {
        let of = |row: &&Datum| {
            let side = |name| row.get(name).and_then(|side| side.get("id"));
            [side("old_val"), side("new_val")].contains(&Some(num(id)))
        };
        driven
            .rows
            .iter()
            .filter(of)
            .map(|row| row.get("type").unwrap().as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(told(5), ["initial", "uninitial", "initial"]);
    assert_eq!(told(595), ["initial"]);
    assert_eq!(told(6), ["initial", "change"]);
    assert_eq!(told(599), [""; 0]);
    driven.check(&"");
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as i64
    }

    fn write(&mut self, ids: i64) -> Mutation {
        let target = self.below(ids);
        if self.below(3) == 0 {
            return delete(target);
        }
        let elements: Vec<i64> = (0..self.below(4)).map(|_| self.below(8)).collect();
        let document = row(target, self.below(20), &elements);
        let shown = match self.below(8) {
            0 => Datum::from(false),
            1 => Datum::str("It fails."),
            _ => return put(&document),
        };
        let mut fields: Vec<(&str, Datum)> = vec![("shown", shown)];
        fields.extend(["id", "a", "m"].map(|name| (name, document.get(name).unwrap())));
        put(&Datum::object(fields))
    }

    fn writes(&mut self, ids: i64) -> Vec<Mutation> {
        (0..self.below(3)).map(|_| self.write(ids)).collect()
    }
}

/// Opens a feed of each kind, writes, and reads a row of one of them now and then.
fn round(seed: u64) {
    let mut chance = Chance(seed);
    let store = store();
    let table = indexed_table(&store);
    // A feed that shows each change reads the initial documents in parts of 256.
    let ids = if chance.below(4) == 0 { 600 } else { 14 };
    write(&table, (0..ids).step_by(2).map(|n| put(&row(n, n % 20, &[n % 8, n % 3]))).collect());
    let mut feeds: Vec<Driven> = Vec::new();
    for kind in kinds() {
        let queue_size = if kind.window.is_some() && chance.below(3) == 0 { 4 } else { 10_000 };
        feeds.push(Driven::open(&table, kind, &Hook::default(), queue_size));
    }
    for _ in 0..400 {
        let at = chance.below(feeds.len() as i64) as usize;
        let driven = &mut feeds[at];
        match chance.below(5) {
            0 | 1 => drop(write(&table, chance.writes(ids))),
            2 => driven.hook.0.lock().unwrap().extend((0..4).map(|_| chance.writes(ids))),
            3 => _ = driven.step(),
            _ => (0..chance.below(20)).for_each(|_| _ = driven.step()),
        }
    }
    for driven in &mut feeds {
        driven.check(&seed);
    }
}

#[test]
fn every_kind_of_feed_replays_to_its_query_wherever_writes_fall() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let (seed, rounds) = (number("STEPS_SEED").unwrap_or(now), number("STEPS_ROUNDS").unwrap_or(6));
    for seed in (0..rounds).map(|round| seed.wrapping_add(round)) {
        println!("STEPS_SEED={seed}");
        round(seed);
    }
}
