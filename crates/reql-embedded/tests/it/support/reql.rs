//! ReQL as people write it, in the syntax of JavaScript, and the JSON that drivers make of it.
//!
//! Methods and options have the names of JavaScript's driver or of `ql2.proto`: `coerceTo` and `coerce_to`
//! are the same. A last argument that is an object whose keys are all options of the term is its options.

use reql_embedded::eval::terms;
use reql_embedded::term::TermType;
use serde_json::{Map, Value, json};

/// Returns the wire form of an expression.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0, variables: Vec::new(), named: 0 };
    let value = parser.expression()?;
    match parser.peek() {
        None => Ok(value),
        Some(found) => Err(parser.error(&format!("unexpected `{found}`"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Parameters of the functions around, with their numbers.
    variables: Vec<(&'a str, u32)>,
    /// Number of parameters that have been numbered.
    named: u32,
}

type Parsed<T = Value> = Result<T, String>;

fn term(kind: TermType, args: Vec<Value>) -> Value {
    json!([kind.number(), args])
}

impl<'a> Parser<'a> {
    fn error(&self, message: &str) -> String {
        format!("{message} at `{}`", &self.text[self.at.min(self.text.len())..])
    }

    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("expected `{token}`"))) }
    }

    fn name(&mut self) -> Parsed<&'a str> {
        self.peek();
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error("expected a name"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// Reads items up to a closing token.
    fn list<T>(&mut self, close: &str, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn expression(&mut self) -> Parsed {
        let mut value = self.primary()?;
        loop {
            if self.eat(".") {
                let method = self.name()?;
                value = self.method(Some(value), method)?;
            } else if self.eat("(") {
                let mut args = vec![value];
                args.extend(self.list(")", Self::argument)?.into_iter().map(|(arg, _)| arg));
                value = term(TermType::Bracket, args);
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        match self.peek() {
            Some('"' | '\'') => self.string().map(Value::from),
            Some('[') => {
                self.expect("[")?;
                Ok(term(TermType::MakeArray, self.list("]", Self::expression)?))
            }
            Some('{') => self.object(),
            Some('(') => match self.parameters() {
                Some(params) => self.function(params),
                None => {
                    self.expect("(")?;
                    let value = self.expression()?;
                    self.expect(")")?;
                    Ok(value)
                }
            },
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Parsed {
        let word = self.name()?;
        if self.eat("=>") {
            return self.function(vec![word]);
        }
        match word {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            "r" => {
                self.expect(".")?;
                let method = self.name()?;
                self.method(None, method)
            }
            _ => match self.variables.iter().rev().find(|(name, _)| *name == word) {
                Some((_, number)) => Ok(term(TermType::Var, vec![json!(number)])),
                None => Err(self.error(&format!("unknown name `{word}`"))),
            },
        }
    }

    /// Reads the parameters of an arrow function; `None` if none begins here.
    fn parameters(&mut self) -> Option<Vec<&'a str>> {
        let start = self.at;
        let params = self.expect("(").and_then(|()| self.list(")", Self::name)).ok();
        let params = params.filter(|_| self.eat("=>"));
        if params.is_none() {
            self.at = start;
        }
        params
    }

    fn function(&mut self, params: Vec<&'a str>) -> Parsed {
        let outer = self.variables.len();
        for name in params {
            self.named += 1;
            self.variables.push((name, self.named));
        }
        let numbers = self.variables[outer..].iter().map(|(_, number)| json!(number)).collect();
        let body = self.expression()?;
        self.variables.truncate(outer);
        Ok(term(TermType::Func, vec![term(TermType::MakeArray, numbers), body]))
    }

    fn object(&mut self) -> Parsed {
        self.expect("{")?;
        let fields = self.list("}", |parser| {
            let key = match parser.peek() {
                Some('"' | '\'') => parser.string()?,
                _ => parser.name()?.to_owned(),
            };
            parser.expect(":")?;
            Ok((key, parser.expression()?))
        })?;
        Ok(Value::Object(fields.into_iter().collect()))
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = self.peek().ok_or_else(|| self.error("expected a string"))?;
        self.at += 1;
        let mut text = String::new();
        loop {
            let c = self.next_char()?;
            match c {
                '\\' => text.push(self.escape()?),
                _ if c == quote => return Ok(text),
                _ => text.push(c),
            }
        }
    }

    fn next_char(&mut self) -> Parsed<char> {
        let c = self.text[self.at..].chars().next().ok_or_else(|| self.error("unexpected end"))?;
        self.at += c.len_utf8();
        Ok(c)
    }

    fn escape(&mut self) -> Parsed<char> {
        Ok(match self.next_char()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
                let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                let c = code.ok_or_else(|| self.error("no such character"))?;
                self.at += 4;
                c
            }
            other => other,
        })
    }

    fn number(&mut self) -> Parsed {
        let rest = &self.text[self.at..];
        let mut end = 1;
        for (at, c) in rest.char_indices().skip(1) {
            let is_sign = matches!(c, '-' | '+') && rest[..at].ends_with(['e', 'E']);
            if !(c.is_ascii_alphanumeric()
                || is_sign
                || c == '.' && !rest[at + 1..].starts_with(char::is_alphabetic))
            {
                break;
            }
            end = at + 1;
        }
        let digits = &rest[..end];
        let number = serde_json::from_str(digits).map_err(|_| self.error("no number"))?;
        self.at += end;
        Ok(number)
    }

    /// Reads an argument. Returns true with it if it was written as an object.
    fn argument(&mut self) -> Parsed<(Value, bool)> {
        let is_object = self.peek() == Some('{');
        Ok((self.expression()?, is_object))
    }

    fn method(&mut self, receiver: Option<Value>, method: &str) -> Parsed {
        if receiver.is_none() && method == "row" {
            // Only calls have arguments; `r.row("a")` gets a field.
            return Ok(term(TermType::ImplicitVar, Vec::new()));
        }
        let has_receiver = receiver.is_some();
        let mut args = Vec::from_iter(receiver.map(|value| (value, false)));
        if !has_receiver && method == "expr" {
            self.expect("(")?;
            let mut values = self.list(")", Self::expression)?;
            return values
                .pop()
                .filter(|_| values.is_empty())
                .ok_or_else(|| self.error("expr takes a value"));
        }
        let kind = kind(method).ok_or_else(|| self.error(&format!("no term `{method}`")))?;
        if self.eat("(") {
            args.extend(self.list(")", Self::argument)?);
        } else if has_receiver {
            return Err(self.error(&format!("`{method}` is not called")));
        }
        let options = self.options(kind, &mut args);
        let mut args: Vec<Value> = args.into_iter().map(|(arg, _)| arg).collect();
        if kind == TermType::Funcall {
            args.rotate_right(1);
        }
        let first_that_wraps = usize::from(has_receiver && kind != TermType::Funcall);
        for arg in args.iter_mut().skip(first_that_wraps) {
            if wraps(kind) && mentions_row(arg) {
                self.named += 1;
                let params = term(TermType::MakeArray, vec![json!(self.named)]);
                *arg = term(TermType::Func, vec![params, arg.take()]);
            }
        }
        Ok(match options {
            Some(options) => json!([kind.number(), args, options]),
            None => term(kind, args),
        })
    }

    /// Takes the options off the end of the arguments.
    fn options(&self, kind: TermType, args: &mut Vec<(Value, bool)>) -> Option<Map<String, Value>> {
        // A term that is short for another one has that one's options.
        let spec = terms::spec(match kind {
            TermType::Update | TermType::Delete => TermType::Replace,
            kind => kind,
        })?;
        let (Value::Object(last), true) = args.last()? else { return None };
        let are_options =
            !last.is_empty() && last.keys().all(|key| spec.optargs.contains(&&*snake_case(key)));
        if !are_options || kind != TermType::Delete && !spec.arity.admits(args.len() - 1) {
            return None;
        }
        let (options, _) = args.pop()?;
        let options = options.as_object()?.clone();
        Some(options.into_iter().map(|(key, value)| (snake_case(&key), value)).collect())
    }
}

/// Returns the term of a method.
fn kind(method: &str) -> Option<TermType> {
    let name = match method {
        "do" => "FUNCALL".to_owned(),
        "js" => "JAVASCRIPT".to_owned(),
        "toISO8601" => "TO_ISO8601".to_owned(),
        "toJSON" => "TO_JSON_STRING".to_owned(),
        "ISO8601" => method.to_owned(),
        _ => snake_case(method).to_uppercase(),
    };
    TermType::ALL.iter().copied().find(|kind| kind.name() == name)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Returns true for terms whose arguments become functions in drivers when they mention `r.row`.
fn wraps(kind: TermType) -> bool {
    use TermType::*;
    matches!(
        kind,
        Map | Filter
            | ConcatMap
            | OrderBy
            | Group
            | Merge
            | Update
            | Replace
            | ForEach
            | OffsetsOf
            | Contains
            | Funcall
            | Sum
            | Avg
            | Min
            | Max
            | Count
            | IndexCreate
    )
}

fn mentions_row(value: &Value) -> bool {
    match value {
        Value::Array(items) => match items.first().and_then(Value::as_u64) {
            Some(number) if number == u64::from(TermType::ImplicitVar.number()) => true,
            Some(number) if number == u64::from(TermType::Func.number()) => false,
            _ => items.iter().any(mentions_row),
        },
        Value::Object(fields) => fields.values().any(mentions_row),
        _ => false,
    }
}
