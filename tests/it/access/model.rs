//! Rules, written down plainly: what each caller may do, by looking at each document in turn. The property
//! test holds the service to this.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};

pub type Document = Map<String, Value>;
pub type Table = BTreeMap<String, Document>;

/// A value in a condition.
#[derive(Debug, Clone)]
pub enum Operand {
    Plain(Value),
    Claim(&'static str),
}

#[derive(Debug, Clone)]
pub struct Condition {
    pub field: &'static str,
    pub negated: bool,
    pub op: &'static str,
    pub operands: Vec<Operand>,
}

/// Clauses that must all hold, each of which is a list of alternatives.
#[derive(Debug, Clone)]
pub struct Filter(pub Vec<Vec<Condition>>);

#[derive(Debug, Clone)]
pub enum When {
    Never,
    Always,
    If(Filter),
}

#[derive(Debug, Clone)]
pub struct Rule {
    pub roles: Vec<&'static str>,
    pub read: When,
    pub create: When,
    pub change: When,
    pub delete: When,
    pub hide: Vec<&'static str>,
    pub set: Vec<(&'static str, Operand)>,
}

#[derive(Debug, Clone)]
pub struct Caller {
    pub anonymous: bool,
    pub roles: Vec<&'static str>,
    pub claims: Value,
}

const FIELDS: [&str; 4] = ["owner", "a", "b", "tags"];

impl Operand {
    fn value(&self, caller: &Caller) -> Option<Value> {
        match self {
            Operand::Plain(value) => Some(value.clone()),
            Operand::Claim(name) => Some(caller.claims[*name].clone()).filter(|value| !value.is_null()),
        }
    }

    fn text(&self) -> String {
        match self {
            Operand::Plain(value) => value.to_string(),
            Operand::Claim(name) => format!("{{{name}}}"),
        }
    }
}

impl Condition {
    pub fn random(random: &mut Rng, claims: bool) -> Condition {
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

    pub fn text(&self) -> String {
        let negation = if self.negated { "not." } else { "" };
        let operands: Vec<_> = self.operands.iter().map(Operand::text).collect();
        match self.op {
            "has" => format!("{}={negation}has", self.field),
            "in" => format!("{}={negation}in.({})", self.field, operands.join(",")),
            op => format!("{}={negation}{op}.{}", self.field, operands.join(",")),
        }
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
        Some(values)
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

impl Filter {
    pub fn random(random: &mut Rng, claims: bool) -> Filter {
        let clauses = (0..random.usize(1..3)).map(|_| {
            let count = if random.u8(..3) == 0 { 2 } else { 1 };
            (0..count).map(|_| Condition::random(random, claims)).collect()
        });
        Filter(clauses.collect())
    }

    pub fn text(&self) -> String {
        let clause = |clause: &Vec<Condition>| match &clause[..] {
            [condition] => condition.text(),
            any => format!("or=({})", any.iter().map(Condition::text).collect::<Vec<_>>().join(",")),
        };
        self.0.iter().map(clause).collect::<Vec<_>>().join("&")
    }

    pub fn holds(&self, document: &Document, caller: &Caller) -> bool {
        self.0.iter().all(|any| any.iter().any(|condition| condition.holds(document, caller)))
    }

    /// Returns whether it could hold for some document, as far as claims decide that.
    fn can_hold(&self, caller: &Caller) -> bool {
        self.0.iter().all(|any| any.iter().any(|condition| condition.values(caller).is_some()))
    }

    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flatten().map(|condition| condition.field)
    }
}

impl When {
    fn random(random: &mut Rng) -> When {
        match random.u8(..6) {
            0 => When::Never,
            1 => When::Always,
            _ => When::If(Filter::random(random, true)),
        }
    }

    fn setting(&self) -> Value {
        match self {
            When::Never => json!(false),
            When::Always => json!(true),
            When::If(filter) => json!(filter.text()),
        }
    }
}

impl Rule {
    pub fn random(random: &mut Rng) -> Rule {
        let mut roles: Vec<_> =
            ["r1", "r2", "anonymous", "*"].into_iter().filter(|_| random.u8(..3) == 0).collect();
        if roles.is_empty() {
            roles.push("r1");
        }
        let hide = ["secret", "b"].into_iter().filter(|_| random.u8(..4) == 0).collect();
        let set = match random.u8(..6) {
            0 => vec![("owner", Operand::Claim("sub"))],
            1 => vec![("a", Operand::Plain(json!(1)))],
            2 => vec![("secret", Operand::Plain(json!("set"))), ("b", Operand::Claim("groups"))],
            _ => vec![],
        };
        let mut when = || When::random(random);
        Rule { roles, read: when(), create: when(), change: when(), delete: when(), hide, set }
    }

    /// As the settings have it.
    pub fn setting(&self) -> Value {
        let set: Map<_, _> = self
            .set
            .iter()
            .map(|(field, operand)| {
                let value = match operand {
                    Operand::Plain(value) => value.clone(),
                    Operand::Claim(_) => json!(operand.text()),
                };
                ((*field).to_owned(), value)
            })
            .collect();
        json!({
            "table": "t", "roles": self.roles, "read": self.read.setting(), "create": self.create.setting(),
            "change": self.change.setting(), "delete": self.delete.setting(), "hide": self.hide, "set": set,
        })
    }

    fn concerns(&self, caller: &Caller) -> bool {
        self.roles.contains(&"*") || self.roles.iter().any(|role| caller.roles.contains(role))
    }
}

/// The rights of a caller under rules.
pub struct Rights<'a> {
    pub rules: Vec<&'a Rule>,
    pub caller: &'a Caller,
}

pub type Action = fn(&Rule) -> &When;

impl<'a> Rights<'a> {
    pub fn of(rules: &'a [Rule], caller: &'a Caller) -> Self {
        Rights { rules: rules.iter().filter(|rule| rule.concerns(caller)).collect(), caller }
    }

    /// Returns whether an action may be allowed for some document.
    pub fn ever(&self, action: Action) -> bool {
        self.rules.iter().any(|rule| match action(rule) {
            When::Never => false,
            When::Always => true,
            When::If(filter) => filter.can_hold(self.caller),
        })
    }

    pub fn may(&self, action: Action, document: &Document) -> bool {
        self.rules.iter().any(|rule| self.by(action(rule), document))
    }

    fn by(&self, when: &When, document: &Document) -> bool {
        match when {
            When::Never => false,
            When::Always => true,
            When::If(filter) => filter.holds(document, self.caller),
        }
    }

    pub fn hides(&self, field: &str) -> bool {
        self.rules.iter().any(|rule| rule.hide.contains(&field))
    }

    /// The fields that are set; `None` if one of their claims is missing.
    pub fn set(&self) -> Option<Vec<(&'static str, Value)>> {
        // The last one counts, whatever the ones before say.
        let mut last: BTreeMap<&'static str, &Operand> = BTreeMap::new();
        for (field, operand) in self.rules.iter().flat_map(|rule| &rule.set) {
            last.insert(*field, operand);
        }
        last.into_iter().map(|(field, operand)| Some((field, operand.value(self.caller)?))).collect()
    }

    /// The document as the caller sees it.
    pub fn seen(&self, document: &Document) -> Option<Document> {
        let bare = || document.iter().filter(|(field, _)| !self.hides(field));
        self.may(|rule| &rule.read, document)
            .then(|| bare().map(|(field, value)| (field.clone(), value.clone())).collect())
    }

    /// Returns the stored document if the caller changes `old` to `new`; `None` if that isn't allowed.
    pub fn changed(&self, old: &Document, new: &Document) -> Option<Document> {
        let mut new: Document = new.clone();
        for (field, value) in old.iter().filter(|(field, _)| self.hides(field)) {
            new.insert(field.clone(), value.clone());
        }
        new.extend(self.set()?.into_iter().map(|(field, value)| (field.to_owned(), value)));
        self.rules.iter().any(|rule| self.by(&rule.change, old) && self.by(&rule.change, &new)).then_some(new)
    }

    /// Returns the stored document if the caller creates `new`; `None` if that isn't allowed.
    pub fn created(&self, new: &Document) -> Option<Document> {
        let mut new = new.clone();
        new.extend(self.set()?.into_iter().map(|(field, value)| (field.to_owned(), value)));
        self.may(|rule| &rule.create, &new).then_some(new)
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

pub fn document(random: &mut Rng) -> Document {
    let mut document = Document::new();
    for field in ["owner", "a", "b", "tags", "secret"] {
        if random.u8(..3) > 0 {
            document.insert(field.to_owned(), value(random));
        }
    }
    document
}

pub fn caller(random: &mut Rng) -> Caller {
    if random.u8(..5) == 0 {
        return Caller { anonymous: true, roles: vec!["anonymous"], claims: json!({}) };
    }
    let roles: Vec<_> = ["r1", "r2"].into_iter().filter(|_| random.bool()).collect();
    let mut claims = json!({"role": roles});
    for (name, value) in [
        ("sub", json!(["x", "y"][random.usize(..2)])),
        ("n", json!(random.i32(0..3))),
        ("groups", json!(["x", 1])),
    ] {
        if random.u8(..4) > 0 {
            claims[name] = value;
        }
    }
    Caller { anonymous: false, roles, claims }
}
