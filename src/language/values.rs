//! Values: literals, names, arrays, objects.

use super::commands;
use super::lexer::Kind as Token;
use super::node::Kind;
use super::parser::Parser;
use super::{Fault, Node, Result, literal, number};

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

impl<'a> Parser<'a> {
    pub(super) fn primary(&mut self) -> Result {
        let token = self.peek();
        match token.kind {
            Token::Number => {
                self.pass(1);
                number::node(number::literal(token.span.of(self.text), token.span)?, token.span)
            }
            Token::Text => {
                self.pass(1);
                Ok(Node::plain(token.span, Kind::Text(literal::text(self.text, token.span)?)))
            }
            Token::Sign("[") => self.array(),
            Token::Sign("{") => self.object(),
            Token::Sign("(") => {
                self.pass(1);
                let value = self.expression()?;
                self.expect(")", "the bracket before it is open")?;
                Ok(value.within(token.span.to(self.last())))
            }
            Token::Sign("/") => Err(self.fault("a regular expression is a text in ReQL: `.match(\"^a\")`")),
            Token::Name => self.named(token.span.of(self.text)),
            _ => Err(self.fault(format!("a value is missing before {}", self.shown()))),
        }
    }

    pub(super) fn named(&mut self, word: &'a str) -> Result {
        let span = self.peek().span;
        if let Some((_, number)) = self.variables.iter().rev().find(|(name, _)| *name == word) {
            let number = *number;
            self.pass(1);
            return Node::variable(span, number);
        }
        let constant = match word {
            "true" | "false" => Kind::Bool(word == "true"),
            "null" => Kind::Null,
            "function" => return self.function(),
            "r" => return self.root(),
            _ => return Err(Fault::new(span, self.unknown_name(word))),
        };
        self.pass(1);
        Ok(Node::plain(span, constant))
    }

    pub(super) fn unknown_name(&self, word: &str) -> String {
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

    pub(super) fn array(&mut self) -> Result {
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

    pub(super) fn object(&mut self) -> Result {
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

    pub(super) fn field(&mut self) -> Result<(String, Node)> {
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
        self.pass(1);
        self.expect(":", "a key has a value")?;
        Ok((key, self.expression()?))
    }
}
