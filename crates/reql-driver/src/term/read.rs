//! Terms out of the JSON that goes over the wire.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Content, MAX_DEPTH, Style, Term, TermType, Variable};
use crate::error::{Error, ErrorKind, Result};

/// The names that options have on the wire.
const OPTIONS: &[&str] = &[
    "array_limit",
    "attempts",
    "auth",
    "base",
    "changefeed_queue_size",
    "conflict",
    "data",
    "default",
    "default_timezone",
    "dry_run",
    "durability",
    "emergency_repair",
    "emit",
    "fill",
    "final_emit",
    "float",
    "geo",
    "geo_system",
    "header",
    "identifier_format",
    "ignore_write_hook",
    "include_initial",
    "include_offsets",
    "include_states",
    "include_types",
    "index",
    "interleave",
    "left_bound",
    "max_dist",
    "max_results",
    "method",
    "multi",
    "non_atomic",
    "nonvoting_replica_tags",
    "num_vertices",
    "ordered",
    "overwrite",
    "page",
    "page_limit",
    "params",
    "primary_key",
    "primary_replica_tag",
    "read_mode",
    "redirects",
    "replicas",
    "result_format",
    "return_changes",
    "right_bound",
    "shards",
    "squash",
    "timeout",
    "unit",
    "use_outdated",
    "verify",
    "wait_for",
];

impl Term {
    /// Reads a term from the JSON that goes over the wire, as `Serialize` writes it: a proxy passes queries
    /// of others on by it. Variables are numbered anew.
    ///
    /// ```
    /// use reql::Term;
    ///
    /// let wire = serde_json::json!([39, [[15, ["users"]], [69, [[2, [7]], [170, [[10, [7]], "old"]]]]]]);
    /// let term = Term::from_wire(&wire)?;
    /// assert_eq!(term.to_string(), r#"r.table("users").filter(var1 => var1("old"))"#);
    /// # Ok::<(), reql::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for JSON that is no term, with an option or a kind of term that this driver
    /// doesn't know, a variable of no function around it, or more than [`MAX_DEPTH`] terms inside of each
    /// other.
    pub fn from_wire(wire: &Value) -> Result<Term> {
        Reader { parameters: HashMap::new() }.term(wire, MAX_DEPTH)
    }
}

/// Reads one query.
struct Reader {
    /// The parameters of the functions around by their numbers on the wire, of which inner ones hide outer
    /// ones. A query may have hundreds of thousands.
    parameters: HashMap<u64, Parameter>,
}

struct Parameter {
    variable: Variable,
    used: bool,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message.into())
}

impl Reader {
    /// Reads a term of at most `levels` levels.
    fn term(&mut self, wire: &Value, levels: u16) -> Result<Term> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(invalid(format!("more than {MAX_DEPTH} terms stand inside of each other")));
        };
        Ok(Term::new(match wire {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(*value),
            Value::Number(value) => Content::Number(value.clone()),
            Value::String(value) => Content::Text(value.clone()),
            Value::Object(fields) => self.object(fields, levels)?,
            Value::Array(parts) => self.call(parts, levels)?,
        }))
    }

    fn object(&mut self, fields: &Map<String, Value>, levels: u16) -> Result<Content> {
        let field = |(key, value): (&String, &Value)| Ok((key.clone(), self.term(value, levels)?));
        Ok(Content::Object(fields.iter().map(field).collect::<Result<_>>()?))
    }

    /// Reads `[number, [arguments], {options}]`, whose last two may be missing.
    fn call(&mut self, parts: &[Value], levels: u16) -> Result<Content> {
        let no_term = || invalid("a term is [number, [arguments], {options}], and an array [2, [elements]]");
        let kind = parts.first().and_then(Value::as_u64).ok_or_else(no_term)?;
        let kind = TermType::ALL.iter().copied().find(|known| u64::from(known.number()) == kind);
        let kind = kind.ok_or_else(|| invalid("a term has a number that no term has"))?;
        let (args, options): (&[Value], _) = match parts.get(1..).unwrap_or_default() {
            [] => (&[], None),
            [Value::Array(args)] => (args, None),
            [Value::Array(args), Value::Object(options)] => (args, Some(options)),
            _ => return Err(no_term()),
        };
        match (kind, args, options) {
            (TermType::Func, [parameters, body], None) => self.function(parameters, body, levels),
            (TermType::Var, [number], None) => self.variable(number),
            (TermType::Datum, [value], None) if !value.is_array() && !value.is_object() => {
                Ok(self.term(value, levels)?.content().clone())
            }
            (TermType::MakeObj, [], Some(fields)) => self.object(fields, levels),
            (TermType::Func | TermType::Var | TermType::Datum | TermType::MakeObj, ..) => Err(no_term()),
            _ => {
                let args = args.iter().map(|arg| self.term(arg, levels)).collect::<Result<_>>()?;
                let options = options.into_iter().flatten();
                let options = options.map(|(name, value)| self.option(name, value, levels));
                Ok(Content::Call { kind, args, options: options.collect::<Result<_>>()? })
            }
        }
    }

    fn option(&mut self, name: &str, value: &Value, levels: u16) -> Result<(&'static str, Term)> {
        let known = OPTIONS.iter().find(|known| **known == name);
        let known = known.ok_or_else(|| invalid(format!("there is no option `{}`", name.escape_debug())))?;
        Ok((known, self.term(value, levels)?))
    }

    fn function(&mut self, parameters: &Value, body: &Value, levels: u16) -> Result<Content> {
        let no_parameters = || invalid("the parameters of a function are [2, [numbers]]");
        let numbers = match parameters.as_array().map(Vec::as_slice) {
            Some([kind, Value::Array(numbers)])
                if kind.as_u64() == Some(u64::from(TermType::MakeArray.number())) =>
            {
                numbers
            }
            _ => return Err(no_parameters()),
        };
        let mut parameters = Vec::with_capacity(numbers.len());
        let mut hidden = Vec::with_capacity(numbers.len());
        for number in numbers {
            let number = number.as_u64().ok_or_else(no_parameters)?;
            let variable = Variable::fresh();
            parameters.push(variable);
            hidden.push((number, self.parameters.insert(number, Parameter { variable, used: false })));
        }
        let body = self.term(body, levels)?;
        let is_used = self.leave(hidden);
        // Drivers make such a function of an expression of `r.row`.
        let is_row = body.0.has_row && !is_used && parameters.len() == 1;
        let style = if is_row { Style::Row } else { Style::Closure };
        Ok(Content::Function { parameters, body, style })
    }

    /// Leaves a function: the parameters that its own have hidden are back. Tells if one of its own was used.
    fn leave(&mut self, hidden: Vec<(u64, Option<Parameter>)>) -> bool {
        let mut is_used = false;
        for (number, outer) in hidden.into_iter().rev() {
            let own = match outer {
                Some(outer) => self.parameters.insert(number, outer),
                None => self.parameters.remove(&number),
            };
            is_used |= own.is_some_and(|own| own.used);
        }
        is_used
    }

    fn variable(&mut self, number: &Value) -> Result<Content> {
        let known = number.as_u64().and_then(|number| self.parameters.get_mut(&number));
        let known = known.ok_or_else(|| invalid("a variable belongs to no function around it"))?;
        known.used = true;
        Ok(Content::Variable(known.variable))
    }
}
