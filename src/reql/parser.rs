//! Expressions: from tokens to terms.

use super::call::Call;
use super::commands::{self, On};
use super::lexer::{Kind as Token, Token as Placed};
use super::node::Kind;
use super::{Fault, MAX_LEVELS, Node, Result, Span, literal, number};

/// What has been read of a text.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    /// How many brackets and functions are open.
    level: u16,
    /// The parameters of the functions around, with their numbers.
    variables: Vec<(&'a str, u32)>,
    /// How many parameters have a number.
    numbered: u32,
}

/// The words that JavaScript keeps for itself, and what to write in their place.
const WORDS: &[(&str, &str)] = &[
    ("undefined", "a query has no `undefined`; leave it out, or write `null`"),
    ("NaN", "NaN is no number of ReQL"),
    ("Infinity", "Infinity is no number of ReQL"),
    ("new", "`new` isn't read; a time is `r.ISO8601(\"2026-01-31T12:00:00Z\")` or `r.now()`"),
    ("await", "leave out `await`: the query is run as it is"),
    ("return", "`return` stands in a function only"),
    ("const", "a query is one expression: bind values by `r.do(value, name => ...)`"),
    ("let", "a query is one expression: bind values by `r.do(value, name => ...)`"),
    ("var", "a query is one expression: bind values by `r.do(value, name => ...)`"),
    ("if", "JavaScript isn't run: write `r.branch(condition, then, otherwise)`"),
    ("for", "JavaScript isn't run: write `map`, `reduce` or `forEach`"),
    ("this", "JavaScript isn't run: there is no `this`"),
    ("async", "a function of a query can't be `async`"),
];

/// The operators of JavaScript that have a command of ReQL in their place, with how tightly they bind.
const OPERATORS: &[(&str, u8, &str)] = &[
    ("||", 1, "or"),
    ("??", 1, "default"),
    ("&&", 2, "and"),
    ("|", 3, "bitOr"),
    ("^", 3, "bitXor"),
    ("&", 3, "bitAnd"),
    ("==", 4, "eq"),
    ("===", 4, "eq"),
    ("!=", 4, "ne"),
    ("!==", 4, "ne"),
    ("<", 5, "lt"),
    (">", 5, "gt"),
    ("<=", 5, "le"),
    (">=", 5, "ge"),
    ("<<", 6, "bitSal"),
    (">>", 6, "bitSar"),
    ("+", 7, "add"),
    ("-", 7, "sub"),
    ("*", 8, "mul"),
    ("/", 8, "div"),
    ("%", 8, "mod"),
];

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, tokens: Vec<Placed>) -> Self {
        Parser { text, tokens, at: 0, level: 0, variables: Vec::new(), numbered: 0 }
    }

    /// Reads all of the text.
    pub(super) fn query(mut self) -> Result {
        if self.peek().kind == Token::End {
            return Err(self.fault("there is no query here; one begins with `r.`"));
        }
        let query = self.expression()?;
        while self.eat(";") {}
        match self.peek().kind {
            Token::End => Ok(query),
            _ => Err(self.fault(format!("{} is left over: a query is one expression", self.shown()))),
        }
    }

    fn peek(&self) -> Placed {
        self.ahead(0)
    }

    /// Returns a token further on; the last one is the end.
    fn ahead(&self, count: usize) -> Placed {
        let last = self.tokens.len().saturating_sub(1);
        let end = Placed { kind: Token::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get((self.at + count).min(last)).copied().unwrap_or(end)
    }

    fn next(&mut self) -> Placed {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Returns the place of the token that was read last.
    fn last(&self) -> Span {
        self.tokens.get(self.at.saturating_sub(1)).map_or(Span::new(0, 0), |token| token.span)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek().kind, Token::Sign(found) if found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str, after: &str) -> Result<()> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.fault(format!("a `{sign}` is missing before {}: {after}", self.shown())))
    }

    fn word(&self) -> Option<&'a str> {
        let token = self.peek();
        (token.kind == Token::Name).then(|| token.span.of(self.text))
    }

    /// Returns the next token for an error.
    fn shown(&self) -> String {
        let token = self.peek();
        match token.kind {
            Token::End => "the end".to_owned(),
            Token::Text => "this text".to_owned(),
            _ => format!("`{}`", token.span.of(self.text).chars().take(40).collect::<String>()),
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.peek().span, message)
    }

    /// Reads what may hold itself.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.level == MAX_LEVELS {
            return Err(self.fault(format!("more than {MAX_LEVELS} brackets stand inside of each other")));
        }
        self.level += 1;
        let read = read(self);
        self.level -= 1;
        read
    }

    fn expression(&mut self) -> Result {
        self.deeper(|parser| match parser.arrow() {
            Some(parameters) => parser.arrow_function(parameters),
            None => parser.operation(),
        })
    }

    /// Reads operands and operators, which bind as JavaScript has it. Only plain values are worked on.
    fn operation(&mut self) -> Result {
        // Without recursion: what waits for an operand that binds more tightly.
        let mut waiting: Vec<(Node, &(&str, u8, &str), Span)> = Vec::new();
        loop {
            let mut right = self.operand()?;
            let next = self.operator();
            let binding = next.map_or(0, |operator| operator.1);
            while let Some((left, operator, place)) = waiting.pop_if(|(_, operator, _)| operator.1 >= binding)
            {
                right = combine(left, operator, right, place)?;
            }
            match next {
                Some(operator) => waiting.push((right, operator, self.next().span)),
                None if self.is("?") => {
                    return Err(
                        self.fault("JavaScript isn't run: write `r.branch(condition, then, otherwise)`")
                    );
                }
                None => return Ok(right),
            }
        }
    }

    fn operator(&self) -> Option<&'static (&'static str, u8, &'static str)> {
        let Token::Sign(sign) = self.peek().kind else { return None };
        OPERATORS.iter().find(|(known, ..)| *known == sign)
    }

    /// Reads a value with the signs before it.
    fn operand(&mut self) -> Result {
        let start = self.peek().span;
        let mut negative = false;
        let mut signs = 0;
        while matches!(self.peek().kind, Token::Sign("-" | "+")) {
            negative ^= self.next().kind == Token::Sign("-");
            signs += 1;
        }
        if self.is("!") {
            return Err(self.fault("`!` is for JavaScript's values: write `.not()` behind the term"));
        }
        let value = self.chain()?;
        if signs == 0 {
            return Ok(value);
        }
        let span = start.to(value.span);
        match value.kind() {
            Kind::Number(number) if value.is_plain() => {
                let number = number.as_f64().unwrap_or_default();
                number::node(if negative { -number } else { number }, span)
            }
            _ => {
                Err(Fault::new(span, "a sign is for JavaScript's numbers: write `.mul(-1)` behind the term"))
            }
        }
    }

    /// Reads a value and the commands that are called on it.
    fn chain(&mut self) -> Result {
        let start = self.peek().span;
        let mut value = self.primary()?;
        loop {
            if self.is(".") || self.is("(") || self.is("[") {
                if value.is_plain() && !self.ends_here() {
                    return Err(Fault::new(
                        value.span,
                        "a value of JavaScript has no commands: put it into `r.expr(...)`",
                    ));
                }
            } else if self.is("?.") || self.is("=") || self.is("++") || self.is("--") {
                return Err(self.fault(format!("JavaScript isn't run: {} means nothing here", self.shown())));
            } else {
                return Ok(value);
            }
            if self.is("[") {
                return Err(
                    self.fault("a field is `value(\"name\")`, an element `value.nth(0)`: round brackets")
                );
            }
            if self.eat(".") {
                if self.eat_run()? {
                    return Ok(value);
                }
                value = self.command(Some(value), start)?;
            } else {
                let (args, end) = self.arguments()?;
                let bracket = commands::find("bracket", true);
                let command = bracket.ok_or_else(|| self.fault("this can't be called"))?;
                let span = start.to(end);
                let call = Call { command, receiver: Some(value), args, name: end, span };
                value = call.into_term(|| 0)?;
            }
        }
    }

    /// Tells if a `.run(...)` follows, and then the end.
    fn ends_here(&self) -> bool {
        self.is(".") && self.ahead(1).span.of(self.text) == "run"
    }

    /// Reads past `run(...)`, whatever stands in its brackets: the service has its own connection.
    fn eat_run(&mut self) -> Result<bool> {
        if self.word() != Some("run") || self.ahead(1).kind != Token::Sign("(") {
            return Ok(false);
        }
        self.at += 1;
        let mut open = 0_u32;
        loop {
            let token = self.next();
            match token.kind {
                Token::Sign("(" | "[" | "{") => open += 1,
                Token::Sign(")" | "]" | "}") => open -= 1,
                Token::End => return Err(Fault::new(token.span, "`run(` has no closing bracket")),
                _ => {}
            }
            if open == 0 {
                return Ok(true);
            }
        }
    }

    /// Reads a command behind its point.
    fn command(&mut self, receiver: Option<Node>, start: Span) -> Result {
        let token = self.peek();
        let Some(word) = self.word() else {
            return Err(self.fault(format!("a command's name is missing before {}", self.shown())));
        };
        let of_value = receiver.is_some();
        let command = match commands::find(word, of_value) {
            Some(command) => command,
            None if !of_value && word == "expr" => return self.expr(start),
            None => return Err(Fault::new(token.span, unknown(word, of_value))),
        };
        self.at += 1;
        if command.on == On::Constant {
            return Node::term(start.to(token.span), command.term, Vec::new(), Vec::new());
        }
        if !self.is("(") {
            return Err(Fault::new(
                token.span,
                format!("`{word}` is a command: it needs brackets, `{word}(...)`"),
            ));
        }
        let (args, end) = self.arguments()?;
        let call = Call { command, receiver, args, name: token.span, span: start.to(end) };
        let numbered = &mut self.numbered;
        call.into_term(|| {
            *numbered += 1;
            *numbered
        })
    }

    /// Reads `expr(value)`.
    fn expr(&mut self, start: Span) -> Result {
        let name = self.next().span;
        self.wrapped(start, name)
    }

    fn wrapped(&mut self, start: Span, name: Span) -> Result {
        if !self.is("(") {
            return Err(Fault::new(name, "`r.expr` is a command: it needs brackets, `r.expr(...)`"));
        }
        let (mut args, end) = self.arguments()?;
        // The second argument is how deep the driver may look, which is bounded here anyway.
        if args.len() > 2 || args.is_empty() {
            return Err(Fault::new(name.to(end), format!("`r.expr` takes 1 argument, not {}", args.len())));
        }
        Ok(args.swap_remove(0).into_term().within(start.to(end)))
    }

    /// Reads arguments in their brackets, and returns the place of the closing one.
    fn arguments(&mut self) -> Result<(Vec<Node>, Span)> {
        self.next();
        let mut args = Vec::new();
        while !self.is(")") {
            if self.is("...") {
                return Err(self.fault("`...` isn't read: write `r.args(array)`"));
            }
            args.push(self.expression()?);
            if !self.eat(",") && !self.is(")") {
                return Err(self.fault(format!("a `,` or a `)` is missing before {}", self.shown())));
            }
        }
        Ok((args, self.next().span))
    }

    fn primary(&mut self) -> Result {
        let token = self.peek();
        match token.kind {
            Token::Number => {
                self.at += 1;
                number::node(number::literal(token.span.of(self.text), token.span)?, token.span)
            }
            Token::Text => {
                self.at += 1;
                Ok(Node::plain(token.span, Kind::Text(literal::text(self.text, token.span)?)))
            }
            Token::Sign("[") => self.array(),
            Token::Sign("{") => self.object(),
            Token::Sign("(") => {
                self.at += 1;
                let value = self.expression()?;
                self.expect(")", "the bracket before it is open")?;
                Ok(value.within(token.span.to(self.last())))
            }
            Token::Sign("/") => Err(self.fault("a regular expression is a text in ReQL: `.match(\"^a\")`")),
            Token::Name => self.named(token.span.of(self.text)),
            _ => Err(self.fault(format!("a value is missing before {}", self.shown()))),
        }
    }

    fn named(&mut self, word: &'a str) -> Result {
        let span = self.peek().span;
        if let Some((_, number)) = self.variables.iter().rev().find(|(name, _)| *name == word) {
            let number = *number;
            self.at += 1;
            return Node::variable(span, number);
        }
        let constant = match word {
            "true" | "false" => Kind::Bool(word == "true"),
            "null" => Kind::Null,
            "function" => return self.function(),
            "r" => return self.root(),
            _ => return Err(Fault::new(span, self.unknown_name(word))),
        };
        self.at += 1;
        Ok(Node::plain(span, constant))
    }

    /// Reads `r.command`, or `r(value)`, which is `r.expr(value)`.
    fn root(&mut self) -> Result {
        let start = self.next().span;
        if self.is("(") {
            return self.wrapped(start, start);
        }
        if !self.eat(".") {
            return Err(self.fault("a `.` and a command belong behind `r`"));
        }
        self.command(None, start)
    }

    fn unknown_name(&self, word: &str) -> String {
        if let Some((_, hint)) = WORDS.iter().find(|(known, _)| *known == word) {
            return (*hint).to_owned();
        }
        let more = match commands::find(word, false) {
            Some(_) => format!("did you mean `r.{word}`?"),
            None => {
                "names are `r` and the parameters of the functions around; text stands in quotes".to_owned()
            }
        };
        format!("`{}` is unknown: {more}", word.chars().take(40).collect::<String>())
    }

    fn array(&mut self) -> Result {
        let start = self.next().span;
        let mut items = Vec::new();
        while !self.is("]") {
            if self.is("...") {
                return Err(self.fault("`...` isn't read: write `.union(...)` or `.add(...)`"));
            }
            items.push(self.expression()?);
            if !self.eat(",") && !self.is("]") {
                return Err(self.fault(format!("a `,` or a `]` is missing before {}", self.shown())));
            }
        }
        let span = start.to(self.next().span);
        Node::array(span, items)
    }

    fn object(&mut self) -> Result {
        let start = self.next().span;
        let mut fields: Vec<(String, Node)> = Vec::new();
        while !self.is("}") {
            fields.push(self.field()?);
            if !self.eat(",") && !self.is("}") {
                return Err(self.fault(format!("a `,` or a `}}` is missing before {}", self.shown())));
            }
        }
        let span = start.to(self.next().span);
        Node::object(span, fields)
    }

    fn field(&mut self) -> Result<(String, Node)> {
        let token = self.peek();
        let key = match token.kind {
            Token::Name => token.span.of(self.text).to_owned(),
            Token::Text if !token.span.of(self.text).starts_with('`') => {
                literal::text(self.text, token.span)?
            }
            Token::Number => {
                match number::node(number::literal(token.span.of(self.text), token.span)?, token.span)?.kind()
                {
                    Kind::Number(number) => number.to_string(),
                    _ => String::new(),
                }
            }
            Token::Sign("[") => return Err(self.fault("a computed key is `r.object(key, value)`")),
            Token::Sign("...") => return Err(self.fault("`...` isn't read: write `.merge(...)`")),
            _ => return Err(self.fault(format!("a key is missing before {}", self.shown()))),
        };
        let is_short = matches!(self.ahead(1).kind, Token::Sign("," | "}"));
        if token.kind == Token::Name && is_short {
            return Ok((key, self.named(token.span.of(self.text))?));
        }
        self.at += 1;
        self.expect(":", "a key has a value")?;
        Ok((key, self.expression()?))
    }

    /// Reads the parameters of an arrow function up to its arrow, if that is what begins here.
    fn arrow(&mut self) -> Option<Vec<&'a str>> {
        let name = |token: Placed| (token.kind == Token::Name).then(|| token.span.of(self.text));
        if self.ahead(1).kind == Token::Sign("=>") {
            let parameter = name(self.peek())?;
            self.at += 2;
            return Some(vec![parameter]);
        }
        if !self.is("(") {
            return None;
        }
        let mut parameters = Vec::new();
        let mut at = 1;
        while self.ahead(at).kind != Token::Sign(")") {
            parameters.push(name(self.ahead(at))?);
            at += 1;
            match self.ahead(at).kind {
                Token::Sign(",") => at += 1,
                Token::Sign(")") => {}
                _ => return None,
            }
        }
        if self.ahead(at + 1).kind != Token::Sign("=>") {
            return None;
        }
        self.at += at + 2;
        Some(parameters)
    }

    fn arrow_function(&mut self, parameters: Vec<&'a str>) -> Result {
        let start = self.last();
        self.body(start, parameters, |parser| match parser.is("{") {
            true => parser.block(),
            false => parser.expression(),
        })
    }

    /// Reads `function name(parameters) { return value; }`.
    fn function(&mut self) -> Result {
        let start = self.next().span;
        if self.word().is_some() {
            self.at += 1;
        }
        self.expect("(", "a function has parameters in brackets")?;
        let mut parameters = Vec::new();
        while !self.is(")") {
            let Some(name) = self.word() else {
                return Err(self.fault(format!("a parameter is missing before {}", self.shown())));
            };
            parameters.push(name);
            self.at += 1;
            if !self.eat(",") && !self.is(")") {
                return Err(self.fault("parameters are names with a `,` between"));
            }
        }
        self.at += 1;
        self.body(start, parameters, Self::block)
    }

    fn body(
        &mut self,
        start: Span,
        parameters: Vec<&'a str>,
        read: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        let outer = self.variables.len();
        for name in parameters {
            self.numbered += 1;
            self.variables.push((name, self.numbered));
        }
        let numbers: Vec<u32> = self.variables.iter().skip(outer).map(|(_, number)| *number).collect();
        let body = self.deeper(read);
        self.variables.truncate(outer);
        Node::function(start.to(self.last()), &numbers, body?)
    }

    /// Reads `{ return value; }`.
    fn block(&mut self) -> Result {
        self.expect("{", "a function has a body")?;
        if !self.eat_word("return") {
            let hint = "a function's block is `{ return value; }`, and an object as its value stands in brackets: \
                        `x => ({ ... })`";
            return Err(self.fault(hint));
        }
        let value = self.expression()?;
        while self.eat(";") {}
        self.expect("}", "a function is one `return` with one value")?;
        Ok(value)
    }
}

/// Works out what an operator makes of two values.
fn combine(left: Node, operator: &(&str, u8, &str), right: Node, place: Span) -> Result {
    let (sign, _, command) = operator;
    let span = left.span.to(right.span);
    number::fold(&left, sign, &right, span).unwrap_or_else(|| {
        let message = format!("`{sign}` isn't for terms of ReQL: write `.{command}(...)`");
        Err(Fault::new(place, message))
    })
}

/// Says that there is no such command, and which one may have been meant.
fn unknown(word: &str, of_value: bool) -> String {
    let shown: String = word.chars().take(40).collect();
    if let Some(other) = commands::find(word, !of_value) {
        return match (of_value, other.on) {
            (true, _) => format!("`{shown}` is a command of `r`: `r.{shown}`"),
            (false, _) => format!("`{shown}` is a command of values: `value.{shown}(...)`"),
        };
    }
    let names =
        commands::COMMANDS.iter().filter(|command| command.stands_on(of_value)).map(|known| known.name);
    let near =
        names.map(|name| (strsim::jaro_winkler(name, &shown), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.75 => {
            format!("there is no command `{shown}`: did you mean `{name}`?")
        }
        _ => format!("there is no command `{shown}`"),
    }
}
