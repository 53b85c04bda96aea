//! Chains of commands: method calls and brackets.

use super::call::Call;
use super::commands::{self, On};
use super::lexer::{Kind as Token, Token as Placed};
use super::parser::Parser;
use super::{Fault, Node, Result, Span};

impl Parser<'_> {
    /// Reads a value and the commands that are called on it.
    pub(super) fn chain(&mut self) -> Result {
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

    /// Returns whether a `.run(...)` follows, and then the end.
    pub(super) fn ends_here(&self) -> bool {
        self.is(".") && self.ahead(1).span.of(self.text) == "run"
    }

    /// Skips `run(...)` with its arguments, since the service has its own connection.
    pub(super) fn eat_run(&mut self) -> Result<bool> {
        if self.word() != Some("run") || self.ahead(1).kind != Token::Sign("(") {
            return Ok(false);
        }
        self.pass(1);
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

    /// Parses a command after its point.
    pub(super) fn command(&mut self, receiver: Option<Node>, start: Span) -> Result {
        let token = self.peek();
        let Some(word) = self.word() else {
            return Err(self.fault(format!("a command's name is missing before {}", self.shown())));
        };
        let of_value = receiver.is_some();
        let command = match commands::find(word, of_value) {
            Some(command) => command,
            None if !of_value && word == "expr" => return self.expr(start),
            None => return Err(Fault::new(token.span, unknown(word, of_value, self.ahead(1)))),
        };
        self.pass(1);
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
    pub(super) fn expr(&mut self, start: Span) -> Result {
        let name = self.next().span;
        self.wrapped(start, name)
    }

    pub(super) fn wrapped(&mut self, start: Span, name: Span) -> Result {
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
    pub(super) fn arguments(&mut self) -> Result<(Vec<Node>, Span)> {
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

    /// Reads `r.command`, or `r(value)`, which is `r.expr(value)`.
    pub(super) fn root(&mut self) -> Result {
        let start = self.next().span;
        if self.is("(") {
            return self.wrapped(start, start);
        }
        if !self.eat(".") {
            return Err(self.fault("a `.` and a command belong behind `r`"));
        }
        self.command(None, start)
    }
}

/// The likeness from which on another command is meant, and that from which on even a word without brackets
/// is no field.
const LIKE: f64 = 0.75;
const VERY_LIKE: f64 = 0.9;

/// Returns the message for an unknown command, with what may have been meant.
fn unknown(word: &str, of_value: bool, next: Placed) -> String {
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
    let is_field = of_value && next.kind != Token::Sign("(");
    match near {
        Some((likeness, name)) if likeness > if is_field { VERY_LIKE } else { LIKE } => {
            format!("there is no command `{shown}`: did you mean `{name}`?")
        }
        _ if is_field => format!("there is no command `{shown}`; a field is `value(\"{shown}\")`"),
        _ => format!("there is no command `{shown}`"),
    }
}
