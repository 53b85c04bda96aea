//! Functions, of both spellings: their parameters, and the one value that they return.

use super::lexer::{Kind as Token, Token as Placed};
use super::parser::Parser;
use super::{Fault, MAX_VARIABLES, Node, Result, Span};

impl<'a> Parser<'a> {
    /// Reads the parameters of an arrow function up to its arrow, if that is what begins here.
    pub(super) fn arrow(&mut self) -> Option<Vec<&'a str>> {
        let name = |token: Placed| (token.kind == Token::Name).then(|| token.span.of(self.text));
        if self.ahead(1).kind == Token::Sign("=>") {
            let parameter = name(self.peek())?;
            self.pass(2);
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
        self.pass(at + 2);
        Some(parameters)
    }

    pub(super) fn arrow_function(&mut self, parameters: Vec<&'a str>) -> Result {
        let start = self.last();
        self.body(start, parameters, |parser| match parser.is("{") {
            true => parser.block(),
            false => parser.expression(),
        })
    }

    /// Reads `function name(parameters) { return value; }`.
    pub(super) fn function(&mut self) -> Result {
        let start = self.next().span;
        if self.word().is_some() {
            self.pass(1);
        }
        self.expect("(", "a function has parameters in brackets")?;
        let mut parameters = Vec::new();
        while !self.is(")") {
            let Some(name) = self.word() else {
                return Err(self.fault(format!("a parameter is missing before {}", self.shown())));
            };
            parameters.push(name);
            self.pass(1);
            if !self.eat(",") && !self.is(")") {
                return Err(self.fault("parameters are names with a `,` between"));
            }
        }
        self.pass(1);
        self.body(start, parameters, Self::block)
    }

    pub(super) fn body(
        &mut self,
        start: Span,
        parameters: Vec<&'a str>,
        read: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        let outer = self.variables.len();
        if outer + parameters.len() > MAX_VARIABLES {
            let message = format!("the functions around have more than {MAX_VARIABLES} parameters");
            return Err(Fault::new(start.to(self.last()), message));
        }
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
    pub(super) fn block(&mut self) -> Result {
        self.expect("{", "a function has a body")?;
        if !self.eat_word("return") {
            let hint = "a function's block is `{ return value; }`, and an object as its value stands in \
                        brackets: `x => ({ ... })`";
            return Err(self.fault(hint));
        }
        let value = self.expression()?;
        while self.eat(";") {}
        self.expect("}", "a function is one `return` with one value")?;
        Ok(value)
    }
}
