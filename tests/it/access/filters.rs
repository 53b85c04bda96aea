//! Filters, written down plainly: whether a document passes one, by looking at it.

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;

use super::model::{Caller, Document};

/// A value in a condition.
#[derive(Debug, Clone)]
pub enum Operand {
    Plain(Value),
    Claim(&'static str),
}

#[derive(Debug, Clone)]
pub struct Condition {
    field: &'static str,
    negated: bool,
    op: &'static str,
    operands: Vec<Operand>,
}

/// A condition, or a group of clauses, all or any of which must hold.
#[derive(Debug, Clone)]
enum Clause {
    One(Condition),
    Group { negated: bool, any: bool, clauses: Vec<Clause> },
}

/// Clauses that must all hold.
#[derive(Debug, Clone)]
pub struct Filter(Vec<Clause>);

const FIELDS: [&str; 4] = ["owner", "a", "b", "tags"];

impl Operand {
    pub fn value(&self, caller: &Caller) -> Option<Value> {
        match self {
            Operand::Plain(value) => Some(value.clone()),
            Operand::Claim(name) => Some(caller.claims[*name].clone()).filter(|value| !value.is_null()),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Operand::Plain(value) => value.to_string(),
            Operand::Claim(name) => format!("{{{name}}}"),
        }
    }
}

impl Condition {
    fn random(random: &mut Rng, claims: bool) -> Condition {
        let op = ["eq", "eq", "eq", "ne", "lt", "gte", "in", "in", "has", "contains"][random.usize(..10)];
        let count = match op {
            "has" => 0,
            "in" => random.usize(..3),
            _ => 1,
        };
        let operand = |random: &mut Rng| match claims && random.u8(..3) > 0 {
            true => Operand::Claim(["sub", "n", "groups", "missing"][random.usize(..4)]),
            false => Operand::Plain(value(random)),
        };
        let operands = (0..count).map(|_| operand(random)).collect();
        Condition { field: FIELDS[random.usize(..FIELDS.len())], negated: random.u8(..4) == 0, op, operands }
    }

    fn text(&self) -> String {
        let negation = if self.negated { "not." } else { "" };
        let operands: Vec<_> = self.operands.iter().map(Operand::text).collect();
        match self.op {
            "has" => format!("{}={negation}has", self.field),
            "in" => format!("{}={negation}in.({})", self.field, operands.join(",")),
            op => format!("{}={negation}{op}.{}", self.field, operands.join(",")),
        }
    }

    /// Returns whether one of the claims is missing.
    fn lacks(&self, caller: &Caller) -> bool {
        self.operands.iter().any(|operand| operand.value(caller).is_none())
    }

    /// `None` if a claim is missing, which makes the condition false, negated or not.
    fn values(&self, caller: &Caller) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        for operand in &self.operands {
            match (operand, operand.value(caller)) {
                (Operand::Claim(_), Some(Value::Array(several))) if ["in", "contains"].contains(&self.op) => {
                    values.extend(several);
                }
                (_, Some(value)) => values.push(value),
                (_, None) if self.op == "in" && !self.negated => {}
                (_, None) => return None,
            }
        }
        (self.op != "contains" || !values.is_empty()).then_some(values)
    }

    fn holds(&self, document: &Document, caller: &Caller) -> bool {
        let Some(values) = self.values(caller) else { return false };
        let own = document.get(self.field).filter(|value| !value.is_null());
        let is = |value: &Value| own == Some(value);
        let holds = match (self.op, &values[..]) {
            ("has", _) => own.is_some(),
            ("eq", [Value::Null]) => own.is_none(),
            ("ne", [Value::Null]) => own.is_some(),
            ("eq", [value]) => is(value),
            ("ne", [value]) => own.is_some() && !is(value),
            ("in", values) => {
                values.iter().any(|value| if value.is_null() { own.is_none() } else { is(value) })
            }
            ("lt", [value]) => own.is_some_and(|own| order(own, value).is_some_and(|order| order.is_lt())),
            ("gte", [value]) => own.is_some_and(|own| order(own, value).is_some_and(|order| order.is_ge())),
            ("contains", values) => own
                .and_then(Value::as_array)
                .is_some_and(|own| values.iter().any(|value| own.contains(value))),
            (op, values) => panic!("{op} {values:?}"),
        };
        holds != self.negated
    }
}

/// The order of two values of one type.
fn order(one: &Value, other: &Value) -> Option<std::cmp::Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_i64().partial_cmp(&other.as_i64()),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Null, Value::Null) => Some(std::cmp::Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            let first =
                one.iter().zip(other).map(|(one, other)| ranked(one, other)).find(|order| order.is_ne());
            Some(first.unwrap_or(one.len().cmp(&other.len())))
        }
        _ => None,
    }
}

/// The order of two values, of different types by the names that ReQL has for those.
fn ranked(one: &Value, other: &Value) -> std::cmp::Ordering {
    let name = |value: &Value| match value {
        Value::Array(_) => "ARRAY",
        Value::Bool(_) => "BOOL",
        Value::Null => "NULL",
        Value::Number(_) => "NUMBER",
        Value::Object(_) => "OBJECT",
        Value::String(_) => "STRING",
    };
    order(one, other).unwrap_or_else(|| name(one).cmp(name(other)))
}

impl Clause {
    /// With groups inside of each other, `depth` of them at most.
    fn random(random: &mut Rng, claims: bool, depth: usize) -> Clause {
        if depth == 0 || random.u8(..3) > 0 {
            return Clause::One(Condition::random(random, claims));
        }
        let count = random.usize(1..4);
        let clauses = (0..count).map(|_| Clause::random(random, claims, depth - 1)).collect();
        Clause::Group { negated: random.u8(..3) == 0, any: random.u8(..3) > 0, clauses }
    }

    fn text(&self) -> String {
        match self {
            Clause::One(condition) => condition.text(),
            Clause::Group { negated, any, clauses } => {
                let clauses: Vec<_> = clauses.iter().map(Clause::text).collect();
                let (not, word) = (if *negated { "not." } else { "" }, if *any { "or" } else { "and" });
                format!("{not}{word}=({})", clauses.join(","))
            }
        }
    }

    fn lacks(&self, caller: &Caller) -> bool {
        match self {
            Clause::One(condition) => condition.lacks(caller),
            Clause::Group { clauses, .. } => clauses.iter().any(|clause| clause.lacks(caller)),
        }
    }

    fn holds(&self, document: &Document, caller: &Caller) -> bool {
        match self {
            Clause::One(condition) => condition.holds(document, caller),
            // A comparison with a missing claim isn't known to be false, so neither is it known to be true
            // that it isn't.
            Clause::Group { negated: true, .. } if !self.can_hold(caller) => false,
            Clause::Group { negated, any, clauses } => {
                let mut holds = clauses.iter().map(|clause| clause.holds(document, caller));
                negated ^ if *any { holds.any(|holds| holds) } else { holds.all(|holds| holds) }
            }
        }
    }

    /// Returns whether it could hold for some document, as far as claims decide that.
    fn can_hold(&self, caller: &Caller) -> bool {
        match self {
            Clause::One(condition) => condition.values(caller).is_some(),
            Clause::Group { negated: true, .. } if self.lacks(caller) => false,
            Clause::Group { any, clauses, .. } => {
                let mut can = clauses.iter().map(|clause| clause.can_hold(caller));
                if *any { can.any(|can| can) } else { can.all(|can| can) }
            }
        }
    }

    fn fields(&self, fields: &mut Vec<&'static str>) {
        match self {
            Clause::One(condition) => fields.push(condition.field),
            Clause::Group { clauses, .. } => clauses.iter().for_each(|clause| clause.fields(fields)),
        }
    }
}

impl Filter {
    pub fn random(random: &mut Rng, claims: bool) -> Filter {
        let count = random.usize(1..3);
        Filter((0..count).map(|_| Clause::random(random, claims, 3)).collect())
    }

    pub fn text(&self) -> String {
        self.0.iter().map(Clause::text).collect::<Vec<_>>().join("&")
    }

    /// Writes it as a URL has it.
    pub fn escaped(&self) -> String {
        let escapes = [
            ("%", "%25"),
            ("\"", "%22"),
            (" ", "%20"),
            ("[", "%5B"),
            ("]", "%5D"),
            ("{", "%7B"),
            ("}", "%7D"),
        ];
        escapes.iter().fold(self.text(), |text, (from, to)| text.replace(from, to))
    }

    pub fn holds(&self, document: &Document, caller: &Caller) -> bool {
        self.0.iter().all(|clause| clause.holds(document, caller))
    }

    /// Returns whether it could hold for some document, as far as claims decide that.
    pub fn can_hold(&self, caller: &Caller) -> bool {
        self.0.iter().all(|clause| clause.can_hold(caller))
    }

    pub fn fields(&self) -> Vec<&'static str> {
        let mut fields = Vec::new();
        self.0.iter().for_each(|clause| clause.fields(&mut fields));
        fields
    }
}

/// A small value, such that many are alike.
pub fn value(random: &mut Rng) -> Value {
    match random.u8(..8) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 | 3 => [json!(["x"]), json!(["x", 1]), json!([])][random.usize(..3)].clone(),
        4 | 5 => json!(random.i32(0..3)),
        _ => json!(["x", "y"][random.usize(..2)]),
    }
}
