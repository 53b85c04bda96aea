//! Operators. ReQL has commands instead, so operators work on number literals only.

use super::lexer::Kind as Token;
use super::node::Kind;
use super::parser::Parser;
use super::{Fault, Node, Result, Span, number};

/// JavaScript's operators, their precedence, and the command of ReQL to use instead.
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

impl Parser<'_> {
    /// Parses operands and operators with JavaScript's precedence. Only literals are evaluated.
    pub(super) fn operation(&mut self) -> Result {
        // Operands that wait for an operator of higher precedence; this replaces recursion.
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

    pub(super) fn operator(&self) -> Option<&'static (&'static str, u8, &'static str)> {
        let Token::Sign(sign) = self.peek().kind else { return None };
        OPERATORS.iter().find(|(known, ..)| *known == sign)
    }

    /// Reads a value with the signs before it.
    pub(super) fn operand(&mut self) -> Result {
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
}

/// Evaluates an operator on two values.
fn combine(left: Node, operator: &(&str, u8, &str), right: Node, place: Span) -> Result {
    let (sign, _, command) = operator;
    let span = left.span.to(right.span);
    number::fold(&left, sign, &right, span).unwrap_or_else(|| {
        let message = format!("`{sign}` isn't for terms of ReQL: write `.{command}(...)`");
        Err(Fault::new(place, message))
    })
}
