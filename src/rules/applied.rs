//! Rules as they are applied: parsed once, at the start, and evaluated for each request.

use serde_json::Value;

use super::caller::Caller;
use super::grant::{Draft, Grant};
use super::written::{ALL, AccessRule, Allowed, Names};
use crate::names::is_name;
use crate::query::{Path, Permit, Template, placed};

/// All rules, in the order of the settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    tables: Names,
    roles: Names,
    read: When,
    create: When,
    change: When,
    delete: When,
    hide: Vec<Path>,
    set: Vec<(Path, Setting)>,
}

#[derive(Debug, Clone)]
enum When {
    Never,
    Always,
    If(Template),
}

/// The value that a field is set to.
#[derive(Debug, Clone)]
enum Setting {
    Value(Value),
    Claim(Vec<String>),
}

/// The key of an invalid setting, and a description of valid values.
type Wrong = (String, String);

impl Rules {
    /// Parses rules.
    ///
    /// # Errors
    ///
    /// The first invalid setting, such as `rules.0.read`, and a description of valid values.
    pub(crate) fn read(rules: &[AccessRule]) -> Result<Self, Wrong> {
        let rules = rules.iter().enumerate();
        rules.map(|(at, rule)| Rule::read(&format!("rules.{at}"), rule)).collect::<Result<_, _>>().map(Rules)
    }

    /// Returns whether there are no rules.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the grant of a caller for a table, from all rules of its roles. It allows what any of them
    /// allows, hides what any of them hides, and sets what any of them sets, to the value of the last one.
    pub(crate) fn grant(&self, caller: &Caller, table: &str) -> Grant {
        let mut grant = Draft::new();
        for rule in self.0.iter().filter(|rule| rule.concerns(caller, table)) {
            let add = |permit: &mut Permit, when: &When| match when {
                When::Never => {}
                When::Always => *permit = Permit::All,
                When::If(template) => permit.add(template.with(|names| caller.claim(names))),
            };
            add(&mut grant.read, &rule.read);
            add(&mut grant.create, &rule.create);
            add(&mut grant.change, &rule.change);
            add(&mut grant.delete, &rule.delete);
            grant.hide(&rule.hide);
            for (path, setting) in &rule.set {
                let value = match setting {
                    Setting::Value(value) => Some(value),
                    Setting::Claim(names) => caller.claim(names),
                };
                grant.set(path, value.cloned());
            }
        }
        grant.finish(caller)
    }
}

impl Rule {
    fn read(key: &str, rule: &AccessRule) -> Result<Self, Wrong> {
        let wrong = |name: &str, expected: &str| (format!("{key}.{name}"), expected.to_owned());
        let is_table = |name: &String| name == ALL || is_name(name);
        if rule.table.0.is_empty() || !rule.table.0.iter().all(is_table) {
            return Err(wrong("table", "a table, a list of tables, or \"*\""));
        }
        if rule.roles.0.is_empty() || rule.roles.0.iter().any(String::is_empty) {
            return Err(wrong("roles", "a role, a list of roles, or \"*\""));
        }
        let when = |name: &str, allowed: &Allowed| match allowed {
            Allowed::Never => Ok(When::Never),
            Allowed::Always => Ok(When::Always),
            Allowed::If(text) => Template::read(text).map(When::If).map_err(|error| {
                wrong(name, &format!("a filter such as \"owner=eq.{{sub}}\", but: {error}"))
            }),
        };
        let path = |name: &str, text: &str| {
            Path::parse(text, name).map_err(|error| wrong(name, &format!("fields, but: {error}")))
        };
        let set = rule.set.iter().map(|(field, value)| {
            let setting = Setting::read(value).map_err(|expected| wrong("set", expected))?;
            path("set", field).map(|path| (path, setting))
        });
        Ok(Rule {
            tables: rule.table.clone(),
            roles: rule.roles.clone(),
            read: when("read", &rule.read)?,
            create: when("create", &rule.create)?,
            change: when("change", &rule.change)?,
            delete: when("delete", &rule.delete)?,
            hide: rule.hide.iter().map(|field| path("hide", field)).collect::<Result<_, _>>()?,
            set: set.collect::<Result<_, _>>()?,
        })
    }

    fn concerns(&self, caller: &Caller, table: &str) -> bool {
        self.tables.has(table) && self.roles.of_any(caller.roles())
    }
}

impl Setting {
    fn read(value: &Value) -> Result<Self, &'static str> {
        const EXPECTED: &str = "values, of which \"{claim}\" is that of a claim, as a whole";
        let Value::String(text) = value else {
            // A claim inside of a list or a table would not be replaced, which the author of the rule
            // expects.
            let holds_one = value.to_string().contains("\"{") && !value.is_string();
            return if holds_one { Err(EXPECTED) } else { Ok(Setting::Value(value.clone())) };
        };
        match placed(text) {
            Some(names) => Ok(Setting::Claim(names)),
            None if text.contains('{') && text.contains('}') => Err(EXPECTED),
            None => Ok(Setting::Value(value.clone())),
        }
    }
}
