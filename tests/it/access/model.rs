//! Rules, written down plainly: what each caller may do, by looking at each document in turn. The property
//! test holds the service to this.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::filters::{Filter, Operand, value};
use super::token;

pub type Document = Map<String, Value>;
pub type Table = BTreeMap<String, Document>;

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

    /// Returns the rule as the settings have it.
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

impl Caller {
    /// Its token; empty if it has none.
    pub fn token(&self) -> String {
        if self.anonymous { String::new() } else { token(self.claims.clone()) }
    }
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
        ("groups", [json!(["x", 1]), json!(["x", 1]), json!([])][random.usize(..3)].clone()),
    ] {
        if random.u8(..4) > 0 {
            claims[name] = value;
        }
    }
    Caller { anonymous: false, roles, claims }
}
