//! The state of the parser, and its errors.

use super::lexer::{Kind as Token, Token as Placed};
use super::{Fault, MAX_LEVELS, Result, Span};

/// A parser at its position in the tokens of a text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    /// The number of brackets and functions that are open.
    level: u16,
    /// The parameters of the functions around, with their numbers.
    pub(super) variables: Vec<(&'a str, u32)>,
    /// The number of parameters that have a number.
    pub(super) numbered: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, tokens: Vec<Placed>) -> Self {
        Parser { text, tokens, at: 0, level: 0, variables: Vec::new(), numbered: 0 }
    }

    /// Parses the whole text.
    pub(super) fn query(mut self) -> Result {
        if self.peek().kind == Token::End {
            return Err(self.fault("there is no query here; one begins with `r.`"));
        }
        // What is pasted from a program is run anyway.
        self.eat_word("await");
        let query = self.expression()?;
        let is_run = self.is(".");
        while self.eat(";") {}
        match self.peek().kind {
            Token::End => Ok(query),
            _ if is_run => Err(self.fault("JavaScript isn't run: leave out what follows `.run(...)`")),
            _ => Err(self.fault(format!("{} is left over: a query is one expression", self.shown()))),
        }
    }

    pub(super) fn peek(&self) -> Placed {
        self.ahead(0)
    }

    /// Returns a token further on; the last one is the end.
    pub(super) fn ahead(&self, count: usize) -> Placed {
        let last = self.tokens.len().saturating_sub(1);
        let end = Placed { kind: Token::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get((self.at + count).min(last)).copied().unwrap_or(end)
    }

    pub(super) fn next(&mut self) -> Placed {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Goes on by so many tokens.
    pub(super) fn pass(&mut self, count: usize) {
        self.at += count;
    }

    /// Returns the place of the token that was read last.
    pub(super) fn last(&self) -> Span {
        self.tokens.get(self.at.saturating_sub(1)).map_or(Span::new(0, 0), |token| token.span)
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self.peek().kind, Token::Sign(found) if found == sign)
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str, after: &str) -> Result<()> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.fault(format!("a `{sign}` is missing before {}: {after}", self.shown())))
    }

    pub(super) fn word(&self) -> Option<&'a str> {
        let token = self.peek();
        (token.kind == Token::Name).then(|| token.span.of(self.text))
    }

    /// Returns the next token for an error.
    pub(super) fn shown(&self) -> String {
        let token = self.peek();
        match token.kind {
            Token::End => "the end".to_owned(),
            Token::Text => "this text".to_owned(),
            _ => format!("`{}`", token.span.of(self.text).chars().take(40).collect::<String>()),
        }
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.peek().span, message)
    }

    /// Reads what may hold itself.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.level == MAX_LEVELS {
            return Err(self.fault(format!("more than {MAX_LEVELS} brackets stand inside of each other")));
        }
        self.level += 1;
        let read = read(self);
        self.level -= 1;
        read
    }

    pub(super) fn expression(&mut self) -> Result {
        self.deeper(|parser| match parser.arrow() {
            Some(parameters) => parser.arrow_function(parameters),
            None => parser.operation(),
        })
    }
}
