//! Calls: from a command's name and its arguments to its term.

use super::TermType;

use super::commands::{Command, Functions, On};
use super::{Fault, Node, Result, Span};

/// The options that take functions, also those that are made of `r.row`.
const FUNCTIONS: [&str; 3] = ["interleave", "emit", "final_emit"];

/// A call that has been read.
pub(super) struct Call {
    pub(super) command: &'static Command,
    /// The term that a method is called on.
    pub(super) receiver: Option<Node>,
    pub(super) args: Vec<Node>,
    /// The command's name.
    pub(super) name: Span,
    /// All of it.
    pub(super) span: Span,
}

impl Call {
    /// Makes its term. `number` gives the parameter of a function that is made of `r.row`.
    pub(super) fn into_term(mut self, mut number: impl FnMut() -> u32) -> Result {
        let mut options = self.options()?;
        self.check_count()?;
        let of_value = self.receiver.is_some() || self.command.on == On::Both;
        let mut args = Vec::from_iter(self.receiver);
        args.extend(self.args);
        let first = usize::from(of_value);
        let last = args.len().saturating_sub(1);
        for (at, arg) in args.iter_mut().enumerate().skip(first) {
            let is_due = match self.command.functions {
                Functions::None => false,
                Functions::All => true,
                Functions::Nth(index) => at == first + usize::from(index),
                Functions::Last => at == last,
            };
            if is_due {
                make_function(arg, &mut number)?;
            }
        }
        for (_, value) in options.iter_mut().filter(|(name, _)| FUNCTIONS.contains(name)) {
            make_function(value, &mut number)?;
        }
        if self.command.term == TermType::Funcall {
            // On the wire the function comes first.
            args.rotate_right(1);
        }
        Node::term(self.span, self.command.term, args, options)
    }

    /// Takes the options off the end of the arguments: an object literal that can be nothing else, as the
    /// official driver has it.
    fn options(&mut self) -> Result<Vec<(&'static str, Node)>> {
        let (least, most) = self.bounds();
        let count = self.args.len();
        let fixed = most == Some(least);
        // A single object is the key that is looked for.
        let least = if self.command.term == TermType::GetAll { least.max(1) } else { least };
        let are_due =
            if fixed { count > least } else { count > least || most.is_some_and(|most| count > most) };
        if self.command.options.is_empty() || !are_due {
            return Ok(Vec::new());
        }
        match self.args.pop_if(|last| last.is_object_literal()) {
            Some(last) => {
                last.into_fields().into_iter().map(|(name, value)| self.option(&name, value)).collect()
            }
            None => Ok(Vec::new()),
        }
    }

    fn option(&self, name: &str, value: Node) -> Result<(&'static str, Node)> {
        let snake = snake_case(name);
        match self.command.options.iter().find(|known| **known == snake) {
            Some(known) => Ok((known, value)),
            None => {
                let known: Vec<String> = self.command.options.iter().map(|name| camel_case(name)).collect();
                let message =
                    format!("`{}` has no option `{name}`; it has {}", self.command.name, known.join(", "));
                Err(Fault::new(value.span, message))
            }
        }
    }

    /// Returns the fewest and the most arguments that it may have besides its receiver.
    fn bounds(&self) -> (usize, Option<usize>) {
        let extra = usize::from(self.receiver.is_none() && self.command.on == On::Both);
        let most = self.command.most.map(|most| usize::from(most) + extra);
        (usize::from(self.command.least) + extra, most)
    }

    fn check_count(&self) -> Result<()> {
        let (least, most) = self.bounds();
        let count = self.args.len();
        // How many `r.args(array)` stands for, the server finds out.
        let is_open = self.receiver.iter().chain(&self.args).any(|arg| arg.is(&[TermType::Args]));
        if is_open || count >= least && most.is_none_or(|most| count <= most) {
            return Ok(());
        }
        let expected = match most {
            Some(most) if most == least => least.to_string(),
            Some(most) => format!("{least} to {most}"),
            None => format!("at least {least}"),
        };
        let noun = if expected == "1" || expected == "at least 1" { "argument" } else { "arguments" };
        let message = format!("`{}` takes {expected} {noun}, not {count}", self.command.name);
        Err(Fault::new(self.name.to(self.span), message))
    }
}

/// Makes a function of an expression of `r.row`.
fn make_function(value: &mut Node, number: impl FnOnce() -> u32) -> Result<()> {
    if value.has_row() && !value.is(&[TermType::Asc, TermType::Desc]) {
        let row = std::mem::replace(value, Node::plain(value.span, super::node::Kind::Null));
        *value = Node::function(row.span, &[number()], row)?;
    }
    Ok(())
}

/// Returns the wire's spelling of an option.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Returns JavaScript's spelling of an option.
pub(crate) fn camel_case(name: &str) -> String {
    let mut upper = false;
    name.chars().fold(String::with_capacity(name.len()), |mut camel, c| {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => camel.push(c.to_ascii_uppercase()),
            c => camel.push(c),
        }
        camel
    })
}
