//! Selections of rows of the table.

use super::{Chance, Model};

/// Rows of `t`: as ReQL, and as their keys, in order.
#[derive(Debug, Clone)]
pub struct Selection {
    pub query: String,
    pub keys: Vec<i64>,
}

impl Selection {
    pub fn random(chance: &mut Chance, model: &Model) -> Self {
        let span = 2 * model.t.len() as i64 + 2;
        let mut selection = match chance.below(8) {
            0 => Selection::of("", model.by_index("id")),
            1 => Selection::between(chance, model, "id", span),
            2 => Selection::between(chance, model, "v", span),
            3 => Selection::between(chance, model, "m", span),
            4 => Selection::get_all(chance, model, span),
            _ => Selection::ordered(chance, model),
        };
        if chance.is(0.25) {
            let g = chance.below(4);
            selection.query += &format!(".filter(d => d('g').ne({g}))");
            selection.keys.retain(|id| model.t[id].g != g);
        }
        if selection.query.contains("orderBy") && chance.is(0.4) {
            selection.cut(chance);
        }
        selection
    }

    fn of(rest: &str, keys: Vec<i64>) -> Self {
        Selection { query: format!("r.table('t'){rest}"), keys }
    }

    /// Selects a range of an index, or of the keys.
    fn between(chance: &mut Chance, model: &Model, index: &str, span: i64) -> Self {
        let low = chance.below(span) - 1;
        let high = if chance.is(0.5) { 1_000_000 } else { low + chance.below(span) };
        let inside = |value: &i64| (low..high).contains(value);
        let mut keys = Vec::new();
        let mut entries: Vec<(i64, i64)> = Vec::new();
        for (id, row) in &model.t {
            match index {
                "v" => entries.extend(row.v.map(|v| (v, *id))),
                "m" => entries.extend(row.m.iter().map(|m| (*m, *id))),
                _ => entries.push((*id, *id)),
            }
        }
        entries.sort_unstable();
        keys.extend(entries.iter().filter(|(value, _)| inside(value)).map(|(_, id)| *id));
        Selection::of(&format!(".between({low}, {high}, {{index: '{index}'}})"), keys)
    }

    /// Selects some keys or values of an index, some of them twice.
    fn get_all(chance: &mut Chance, model: &Model, span: i64) -> Self {
        let mut values: Vec<i64> = (0..chance.below(8)).map(|_| chance.below(span)).collect();
        values.extend(values.first().copied().filter(|_| chance.is(0.5)));
        values.sort_unstable();
        let index = chance.one_of(&["id", "v"]);
        let found = |value: &i64| -> Vec<i64> {
            let rows = model.t.iter();
            let matching =
                rows.filter(|(id, row)| if index == "id" { *id == value } else { row.v == Some(*value) });
            matching.map(|(id, _)| *id).collect()
        };
        let keys = values.iter().flat_map(found).collect();
        let values: String = values.iter().map(|value| format!("{value}, ")).collect();
        Selection::of(&format!(".getAll({values}{{index: '{index}'}})"), keys)
    }

    /// Selects all of an index, in its order.
    fn ordered(chance: &mut Chance, model: &Model) -> Self {
        let index = chance.one_of(&["v", "v", "m", "c", "id"]);
        let mut keys = model.by_index(index);
        let is_falling = chance.is(0.5);
        if is_falling {
            keys.reverse();
        }
        let order = if is_falling { format!("r.desc('{index}')") } else { format!("'{index}'") };
        Selection::of(&format!(".orderBy({{index: {order}}})"), keys)
    }

    /// Selects a part of an ordered selection.
    fn cut(&mut self, chance: &mut Chance) {
        let len = self.keys.len() as i64;
        let skip = if chance.is(0.5) { 0 } else { chance.below(len + 1) };
        let limit = chance.one_of(&[0, 1, 3, 199, 200, 201, len, len + 1]);
        self.query += &format!(".skip({skip}).limit({limit})");
        self.keys = self.keys.iter().copied().skip(skip as usize).take(limit as usize).collect();
    }
}
