//! The parser of conditions in URLs.

use serde_json::Value;

use super::{CONDITIONS, Clause, Comparison, Condition, DEPTH, Geometry, Group, Test, VALUES};
use crate::error::Error;
use crate::json;
use crate::query::parameters::{PARAMETERS, value};
use crate::query::path::Path;
use crate::query::syntax::{Member, Name, Reader};
use crate::query::time;

/// The characters that end an unquoted name in a group.
const IN_GROUP: &str = "=,()";
/// The names of types in URLs and in the database.
const TYPES: [(&str, &str); 8] = [
    ("array", "ARRAY"),
    ("binary", "PTYPE<BINARY>"),
    ("boolean", "BOOL"),
    ("geometry", "PTYPE<GEOMETRY>"),
    ("number", "NUMBER"),
    ("object", "OBJECT"),
    ("string", "STRING"),
    ("time", "PTYPE<TIME>"),
];

impl Group {
    /// Parses the group `name=text`. Returns `None` if `name` isn't that of a group.
    pub(super) fn read(name: &str, text: &str) -> Result<Option<Self>, Error> {
        let (negated, any) = match name {
            "and" => (false, false),
            "or" => (false, true),
            "not.and" => (true, false),
            "not.or" => (true, true),
            _ => return Ok(None),
        };
        let mut reader = Reader::new(text, name);
        let clauses = clauses(&mut reader, 1)?;
        reader.finish()?;
        Ok(Some(Group { negated, any, clauses }))
    }

    /// Reads the name of a group, such as `not.or`: whether it is negated, and whether it is `or`.
    fn of_names(names: &[Name]) -> Option<(bool, bool)> {
        let (negated, word) = match names {
            [word] => (false, word),
            [not, word] if not.is_word("not") => (true, word),
            _ => return None,
        };
        if word.is_word("and") {
            return Some((negated, false));
        }
        word.is_word("or").then_some((negated, true))
    }
}

/// Parses the clauses of a group. It is recursive for nested groups, no deeper than [`DEPTH`].
fn clauses(reader: &mut Reader<'_>, depth: usize) -> Result<Vec<Clause>, Error> {
    reader.blanks();
    let start = reader.at();
    if depth > DEPTH {
        return Err(reader.wrong(start, format!("groups may be {DEPTH} deep at most")));
    }
    let clauses = reader.bracketed(CONDITIONS, |reader| clause(reader, depth))?;
    if clauses.is_empty() {
        return Err(reader.wrong(start, "it must look like `(a=eq.1,b=gt.2)`"));
    }
    Ok(clauses)
}

fn clause(reader: &mut Reader<'_>, depth: usize) -> Result<Clause, Error> {
    let start = reader.at();
    let names = reader.names(IN_GROUP)?;
    let group = Group::of_names(&names);
    let field = field(names, reader, start)?;
    reader.expect('=')?;
    reader.blanks();
    if let Some((negated, any)) = group.filter(|_| reader.peek() == Some('(')) {
        return Ok(Clause::Group(Group { negated, any, clauses: clauses(reader, depth + 1)? }));
    }
    let (negated, test) = Test::read(reader, true)?;
    Ok(Clause::One(Condition { field, negated, test }))
}

impl Condition {
    /// Parses the condition `name=text`.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(name, name);
        let start = reader.at();
        let names = reader.names("")?;
        let field = field(names, &reader, start)?;
        reader.finish()?;
        let mut reader = Reader::new(text, name);
        let (negated, test) = Test::read(&mut reader, false)?;
        reader.finish()?;
        Ok(Condition { field, negated, test })
    }
}

/// Returns the field of a condition.
fn field(names: Vec<Name>, reader: &Reader<'_>, start: usize) -> Result<Path, Error> {
    match &names[..] {
        // A backslash might be meant as an escape.
        [place, name]
            if place.is_word("where") && name.bare().is_some_and(|name| PARAMETERS.contains(&name)) =>
        {
            let name = &name.text;
            let reason = format!(
                "`\"{name}\"` is the field `{name}`, and `\"where\".{name}` that of the field `where`"
            );
            Err(reader.wrong(start, reason))
        }
        _ => Ok(Path::from(names)),
    }
}

impl Test {
    /// Parses a test, up to the end of the text, or as a member of a list. Returns whether it is negated.
    fn read(reader: &mut Reader<'_>, listed: bool) -> Result<(bool, Self), Error> {
        reader.blanks();
        let start = reader.at();
        let mut op = reader.word();
        let negated = op == "not" && reader.eat('.');
        if negated {
            op = reader.word();
        }
        if op == "has" && ends(reader.peek(), listed) {
            return Ok((negated, Test::Has));
        }
        if !reader.eat('.') {
            return Err(reader.wrong(start, expected(listed)));
        }
        let test = match op {
            "any" | "all" => Test::of_many(op == "all", reader)?,
            op => Test::of_one(op, reader, listed, start)?,
        };
        Ok((negated, test))
    }

    fn of_one(op: &str, reader: &mut Reader<'_>, listed: bool, start: usize) -> Result<Self, Error> {
        Ok(match op {
            "in" => Test::In(values(reader)?.into_iter().flatten().collect()),
            "match" => Test::Match(text(reader, listed)?),
            "imatch" => Test::Match(format!("(?i){}", text(reader, listed)?)),
            "starts" => Test::Starts(text(reader, listed)?),
            "contains" => Test::Contains(operand(reader, listed)?),
            "type" => Test::Type(type_of(reader)?),
            "is" => Test::is(reader)?,
            "near" | "within" | "intersects" => Test::Geometry(Geometry::read(op, reader)?),
            op => match Comparison::of_word(op) {
                Some(op) => Test::Compare(op, operand(reader, listed)?),
                None => return Err(reader.wrong(start, expected(listed))),
            },
        })
    }

    /// Parses the rest of `any.` or `all.`: `OP.(a,b)`, or `(a,b)` for the members of an array.
    fn of_many(all: bool, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let start = reader.at();
        let op = match reader.peek() {
            Some('(') => "contains",
            _ => {
                let op = reader.word();
                reader.expect('.')?;
                op
            }
        };
        let tests: Vec<Test> = match op {
            "match" => texts(reader)?.into_iter().map(Test::Match).collect(),
            "imatch" => texts(reader)?.into_iter().map(|text| Test::Match(format!("(?i){text}"))).collect(),
            "starts" => texts(reader)?.into_iter().map(Test::Starts).collect(),
            // These are a single test each, which an index can answer.
            "eq" if !all => return Ok(Test::In(values(reader)?.into_iter().flatten().collect())),
            "contains" if !all => return Ok(Test::Contains(values(reader)?.into_iter().flatten().collect())),
            "contains" => values(reader)?.into_iter().map(Test::Contains).collect(),
            op => match Comparison::of_word(op) {
                Some(op) => values(reader)?.into_iter().map(|value| Test::Compare(op, value)).collect(),
                None => {
                    let reason = "`any.` and `all.` are followed by one of eq ne lt lte gt gte match imatch \
                                  starts contains, a dot and a list, or by a list";
                    return Err(reader.wrong(start, reason));
                }
            },
        };
        Ok(if all { Test::All(tests) } else { Test::Any(tests) })
    }

    fn is(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let start = reader.at();
        let value = match reader.word() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(reader.wrong(start, "one of null, true, false is expected")),
        };
        Ok(Test::Compare(Comparison::Eq, vec![value]))
    }
}

impl Comparison {
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Comparison::Eq,
            "ne" => Comparison::Ne,
            "lt" => Comparison::Lt,
            "lte" => Comparison::Le,
            "gt" => Comparison::Gt,
            "gte" => Comparison::Ge,
            _ => return None,
        })
    }
}

fn ends(next: Option<char>, listed: bool) -> bool {
    next.is_none_or(|c| listed && (c == ',' || c == ')' || c.is_whitespace()))
}

/// Returns the message for an invalid test. Outside of lists, it may be the value of a misspelt parameter, so
/// the message mentions that.
fn expected(listed: bool) -> String {
    let unknown = if listed {
        "a condition on a field"
    } else {
        "there is none of this name, and a condition on a field"
    };
    format!(
        "{unknown} is OP.VALUE with OP among eq ne lt lte gt gte in match imatch starts contains is type \
         near within intersects, or any.OP, all.OP, or `has`, each after an optional `not.`"
    )
}

fn type_of(reader: &mut Reader<'_>) -> Result<&'static str, Error> {
    let start = reader.at();
    let word = reader.word();
    let found = TYPES.iter().find(|(name, _)| *name == word).map(|(_, name)| *name);
    found.ok_or_else(|| {
        let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        reader.wrong(start, format!("one of {} is expected", names.join(", ")))
    })
}

/// Parses the value of a comparison, in each of its meanings.
fn operand(reader: &mut Reader<'_>, listed: bool) -> Result<Vec<Value>, Error> {
    let start = reader.at();
    if !listed {
        let text = reader.rest();
        // As a text, it would be another value than what is meant.
        return match json::read(text) {
            Err(error) if json::is_too_deep(&error) => {
                Err(reader.wrong(start, "a value may be nested 127 deep at most"))
            }
            _ => Ok(meanings(text)),
        };
    }
    reader.member().map(|member| match member {
        Member::Json(value) => vec![value],
        Member::Bare(text) => meanings(text),
    })
}

/// Returns the values that a text may mean. A date or time means a string and a time; other text is JSON if
/// it is valid JSON, else a string.
fn meanings(text: &str) -> Vec<Value> {
    match time::read(text) {
        Some((text, time)) => vec![Value::String(text), time],
        None => vec![value(text)],
    }
}

/// Parses a list such as that of `in.(a,b)`, each member in all of its meanings.
fn values(reader: &mut Reader<'_>) -> Result<Vec<Vec<Value>>, Error> {
    reader.bracketed(VALUES, |reader| {
        let start = reader.at();
        match reader.member()? {
            Member::Json(value) => Ok(vec![value]),
            Member::Bare("") => Err(reader.wrong(start, "a value is missing; the empty string is `\"\"`")),
            Member::Bare(text) => Ok(meanings(text)),
        }
    })
}

/// Parses a list of texts.
fn texts(reader: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    reader.bracketed(VALUES, Reader::text_member)
}

/// Parses a text, such as a regular expression, which is JSON only if it is in quotes.
fn text(reader: &mut Reader<'_>, listed: bool) -> Result<String, Error> {
    if listed {
        return reader.text_member();
    }
    let text = reader.rest();
    match value(text) {
        Value::String(quoted) => Ok(quoted),
        _ => Ok(text.to_owned()),
    }
}
