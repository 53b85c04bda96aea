//! One write: as ReQL, and as its effect on the model.

use super::{Chance, Counts, Model, Row, Selection};

/// A write to `t`.
pub struct Round {
    pub query: String,
    pub write: Write,
    /// The rows whose changes the answer shows.
    pub shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// No changes were asked for, or the answer shows those of many writes.
    Unknown,
    Changed,
    All,
}

/// A write. Its rows are those of the beginning, even if it changes them.
pub enum Write {
    /// Changes the rows with these keys, one after the other.
    Replace(Vec<i64>, Change),
    /// Inserts documents, one after the other.
    Insert(Vec<(i64, Row)>, Conflict),
    /// Changes the rows of a range of `v` for each of some values, as the rows are then.
    Ranges(Vec<i64>, i64),
}

/// A change that a write makes to a row.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    AddToV(i64),
    AddToM(i64),
    NextG,
    SetV(i64),
    /// Sets `v` to the number of rows in the table.
    SetVToCount,
    /// Sets `v` to that of the row with the next key, or to -1.
    SetVToNext,
    Reset(i64),
    NewKey,
    Delete,
}

#[derive(Debug, Clone, Copy)]
pub enum Conflict {
    Error,
    Replace,
    Update,
    /// A function that adds the two values of `v`.
    Sum,
}

impl Round {
    pub fn random(chance: &mut Chance, model: &Model) -> Self {
        let durability = chance.one_of(&["soft", "soft", "hard"]);
        match chance.below(8) {
            0..=3 => replace(chance, model, durability),
            4 | 5 => insert(chance, model, durability),
            6 => steps(chance, model),
            _ => ranges(chance, model),
        }
    }
}

fn options(chance: &mut Chance, options: &str) -> (String, Shown) {
    let (text, shown) = chance.one_of(&[
        ("", Shown::Unknown),
        (", returnChanges: true", Shown::Changed),
        (", returnChanges: 'always'", Shown::All),
    ]);
    (format!("{{{options}{text}}}"), shown)
}

/// Makes a write to each row of a selection.
fn replace(chance: &mut Chance, model: &Model, durability: &str) -> Round {
    let Selection { query, keys } = Selection::random(chance, model);
    let change = Change::random(chance);
    let is_atomic = !matches!(change, Change::SetVToCount | Change::SetVToNext);
    let atomicity = if is_atomic { "" } else { ", nonAtomic: true" };
    let (options, shown) = options(chance, &format!("durability: '{durability}'{atomicity}"));
    let call = match change {
        Change::Delete if chance.is(0.5) => format!("delete({options})"),
        Change::Delete => format!("replace(null, {options})"),
        change if chance.is(0.5) || change.is_whole() => {
            format!("replace(d => {}, {options})", change.whole())
        }
        change => format!("update(d => {}, {options})", change.part()),
    };
    Round { query: format!("{query}.{call}"), write: Write::Replace(keys, change), shown }
}

/// Makes an insert of changed rows of the table itself, or of the other one.
fn insert(chance: &mut Chance, model: &Model, durability: &str) -> Round {
    let (source, keys, rows) = if chance.is(0.7) {
        let Selection { query, keys } = Selection::random(chance, model);
        (query, keys, &model.t)
    } else {
        ("r.table('s')".to_owned(), model.s.keys().copied().collect(), &model.s)
    };
    let conflict = chance.one_of(&[Conflict::Error, Conflict::Replace, Conflict::Update, Conflict::Sum]);
    let given = format!("durability: '{durability}', conflict: {}", conflict.text());
    let (options, shown) = options(chance, &given);
    if chance.is(0.3) {
        let documents = keys.iter().map(|id| (*id, rows[id].clone())).collect();
        let query = format!("r.table('t').insert({source}, {options})");
        return Round { query, write: Write::Insert(documents, conflict), shown };
    }
    let (offset, step) = (chance.one_of(&[1, 2, 50, 200, 10_000]), chance.one_of(&[0, 1, 300]));
    let document = moved("d", offset, step);
    let source = match chance.below(4) {
        0 => format!("{source}.concatMap(d => [{document}, {document}])"),
        1 => format!("{source}.map(d => {document}).union([])"),
        2 => format!("{source}.map(d => ({{left: {document}}})).zip()"),
        _ => format!("{source}.map(d => {document})"),
    };
    let repeats = if source.contains("concatMap") { 2 } else { 1 };
    let documents = keys.iter().flat_map(|id| {
        let row = &rows[id];
        std::iter::repeat_n(
            (id + offset, Row { v: Some(row.v.unwrap_or(0) + step), m: vec![step], g: 1 }),
            repeats,
        )
    });
    let documents = documents.collect();
    let query = format!("r.table('t').insert({source}, {options})");
    Round { query, write: Write::Insert(documents, conflict), shown }
}

/// Returns a document made of a row: the same as the model makes it.
fn moved(row: &str, offset: i64, step: i64) -> String {
    format!("({{id: {row}('id').add({offset}), v: {row}('v').default(0).add({step}), m: [{step}], g: 1}})")
}

/// Makes a write for each row of a selection, by `for_each`.
fn steps(chance: &mut Chance, model: &Model) -> Round {
    let Selection { query, keys } = Selection::random(chance, model);
    let (step, write) = match chance.below(3) {
        0 => {
            let offset = chance.one_of(&[1, 100, 5_000]);
            let conflict = chance.one_of(&[Conflict::Error, Conflict::Replace, Conflict::Update]);
            let made =
                |id: &i64| (id + offset, Row { v: Some(model.t[id].v.unwrap_or(0)), m: vec![0], g: 1 });
            let write = Write::Insert(keys.iter().map(made).collect(), conflict);
            let options = format!("{{conflict: {}, durability: 'soft'}}", conflict.text());
            (format!("insert({}, {options})", moved("d", offset, 0)), write)
        }
        1 => {
            let keys = keys.iter().map(|id| id + 1).collect();
            (
                "get(d('id').add(1)).delete({durability: 'soft'})".to_owned(),
                Write::Replace(keys, Change::Delete),
            )
        }
        _ => {
            let change = Change::AddToV(chance.one_of(&[1, -300]));
            let update = format!(
                "get(d('id')).update(e => {}, {{durability: 'soft'}})",
                change.part().replace("d('", "e('")
            );
            (update, Write::Replace(keys, change))
        }
    };
    let query = format!("{query}.forEach(d => r.table('t').{step})");
    Round { query, write, shown: Shown::Unknown }
}

/// Makes writes over ranges, each of which sees the effect of those before it.
fn ranges(chance: &mut Chance, model: &Model) -> Round {
    let step = chance.one_of(&[1, 7, -4, 1_000]);
    let values: Vec<i64> = (0..chance.below(6)).map(|_| chance.below(model.t.len() as i64)).collect();
    let change = Change::AddToV(step);
    let update = format!("update(d => {}, {{durability: 'soft'}})", change.part());
    let query = format!(
        "r.expr({values:?}).forEach(n => r.table('t').between(n, n.add(250), {{index: 'v'}}).{update})"
    );
    Round { query, write: Write::Ranges(values, step), shown: Shown::Unknown }
}

impl Change {
    fn random(chance: &mut Chance) -> Self {
        let step = chance.one_of(&[1, -1, 3, 60, -60, 5_000, -5_000]);
        chance.one_of(&[
            Change::AddToV(step),
            Change::AddToV(step),
            Change::AddToV(step),
            Change::AddToM(step),
            Change::NextG,
            Change::SetV(7),
            Change::SetVToCount,
            Change::SetVToNext,
            Change::Reset(step),
            Change::NewKey,
            Change::Delete,
        ])
    }

    /// Returns true if the change can't be written as fields to be merged into the row.
    fn is_whole(self) -> bool {
        matches!(self, Change::Reset(_))
    }

    fn part(self) -> String {
        match self {
            Change::AddToV(step) => format!("({{v: d('v').default(0).add({step})}})"),
            Change::AddToM(step) => format!("({{m: d('m').map(m => m.add({step}))}})"),
            Change::NextG => "({g: d('g').add(1).mod(4)})".to_owned(),
            Change::SetV(v) => format!("({{v: {v}}})"),
            Change::SetVToCount => "({v: r.table('t').count()})".to_owned(),
            Change::SetVToNext => "({v: r.table('t').get(d('id').add(1))('v').default(-1)})".to_owned(),
            Change::NewKey => "({id: d('id').add(1)})".to_owned(),
            Change::Reset(_) | Change::Delete => "null".to_owned(),
        }
    }

    fn whole(self) -> String {
        match self {
            Change::Reset(v) => format!("({{id: d('id'), v: {v}, m: [], g: 0}})"),
            part => format!("d.merge({})", part.part()),
        }
    }

    /// Returns the outcome for a row: `Some(None)` if it is deleted, `None` if the change is an error.
    fn of(self, id: i64, row: &Row, before: &Model) -> Option<Option<Row>> {
        let with_v = |v| Some(Row { v: Some(v), ..row.clone() });
        Some(match self {
            Change::AddToV(step) => with_v(row.v.unwrap_or(0) + step),
            Change::AddToM(step) => Some(Row { m: row.m.iter().map(|m| m + step).collect(), ..row.clone() }),
            Change::NextG => Some(Row { g: (row.g + 1) % 4, ..row.clone() }),
            Change::SetV(v) => with_v(v),
            Change::SetVToCount => with_v(before.t.len() as i64),
            Change::SetVToNext => with_v(before.t.get(&(id + 1)).and_then(|next| next.v).unwrap_or(-1)),
            Change::Reset(v) => Some(Row { v: Some(v), m: Vec::new(), g: 0 }),
            Change::NewKey => return None,
            Change::Delete => None,
        })
    }
}

impl Conflict {
    fn text(self) -> &'static str {
        match self {
            Conflict::Error => "'error'",
            Conflict::Replace => "'replace'",
            Conflict::Update => "'update'",
            Conflict::Sum => {
                "(id, old, fresh) => old.merge({v: old('v').default(0).add(fresh('v').default(0))})"
            }
        }
    }

    /// Returns the outcome for an existing row; `None` if the conflict is an error.
    fn of(self, old: &Row, new: &Row) -> Option<Row> {
        match self {
            Conflict::Error => None,
            Conflict::Replace => Some(new.clone()),
            Conflict::Update => Some(Row { v: new.v.or(old.v), ..new.clone() }),
            Conflict::Sum => Some(Row { v: Some(old.v.unwrap_or(0) + new.v.unwrap_or(0)), ..old.clone() }),
        }
    }
}

impl Model {
    /// Applies a write, and returns its counts.
    pub fn apply(&mut self, write: &Write) -> Counts {
        let mut counts = Counts::default();
        match write {
            Write::Replace(keys, change) => self.replace(keys, *change, &mut counts),
            Write::Insert(documents, conflict) => {
                for (id, new) in documents {
                    match self.t.get(id).map(|old| conflict.of(old, new)) {
                        None => self.put(*id, Some(new.clone()), &mut counts),
                        Some(Some(merged)) => self.put(*id, Some(merged), &mut counts),
                        Some(None) => counts.add("errors"),
                    }
                }
            }
            Write::Ranges(values, step) => {
                for value in values {
                    let inside = |row: &Row| row.v.is_some_and(|v| (*value..value + 250).contains(&v));
                    let keys: Vec<i64> =
                        self.t.iter().filter(|(_, row)| inside(row)).map(|(id, _)| *id).collect();
                    self.replace(&keys, Change::AddToV(*step), &mut counts);
                }
            }
        }
        counts
    }

    fn replace(&mut self, keys: &[i64], change: Change, counts: &mut Counts) {
        let before = Model { t: self.t.clone(), s: Default::default() };
        for id in keys {
            match self.t.get(id).map(|row| change.of(*id, row, &before)) {
                None => self.put(*id, None, counts),
                Some(Some(new)) => self.put(*id, new, counts),
                Some(None) => counts.add("errors"),
            }
        }
    }
}
