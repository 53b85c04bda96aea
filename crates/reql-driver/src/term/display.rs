//! ReQL as one writes it in JavaScript, and the place of a part in it.

use std::fmt::{self, Write};
use std::ops::Range;

use super::variables::Numbers;
use super::{Content, Style, Term, TermType, Variable};
use crate::error::Frame;

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault() {
            Some(fault) => write!(f, "/* {fault} */"),
            None => f.write_str(&Printer::print(self, &[]).0),
        }
    }
}

/// Writes a term, and notes the place of one of its parts.
pub(crate) struct Printer {
    out: String,
    numbers: Numbers,
    found: Range<usize>,
}

/// The way to the part that is to be found, as long as it leads through the term that is being written.
type Way<'a> = Option<&'a [Frame]>;

/// Returns the rest of the way through an argument.
fn through_arg<'a>(way: Way<'a>, index: usize) -> Way<'a> {
    match way?.split_first()? {
        (Frame::Arg(at), rest) if usize::try_from(*at).ok() == Some(index) => Some(rest),
        _ => None,
    }
}

/// Returns the rest of the way through an option, or a field of an object.
fn through_name<'a>(way: Way<'a>, name: &str) -> Way<'a> {
    match way?.split_first()? {
        (Frame::Opt(at), rest) if at == name => Some(rest),
        _ => None,
    }
}

impl Printer {
    /// Returns the text of a term, and the bytes of it that the part at the end of a way takes, or the part
    /// that is nearest to it.
    pub(crate) fn print(term: &Term, way: &[Frame]) -> (String, Range<usize>) {
        let mut printer = Printer { out: String::new(), numbers: Numbers::default(), found: 0..0 };
        printer.term(term, Some(way));
        (printer.out, printer.found)
    }

    fn term(&mut self, term: &Term, way: Way<'_>) {
        let start = self.out.len();
        let found = self.found.clone();
        match term.content() {
            Content::Null => self.out.push_str("null"),
            Content::Bool(value) => self.write(format_args!("{value}")),
            Content::Number(value) => self.write(format_args!("{value}")),
            Content::Text(value) => self.text(value),
            Content::Object(fields) => self.object(fields, way),
            Content::Variable(variable) => self.variable(*variable),
            Content::Function { parameters, body, style } => self.function(parameters, body, *style, way),
            Content::Call { kind, args, options } => self.call(*kind, args, options, way),
        }
        // No inner part was found, so it is this one.
        if way.is_some() && self.found == found {
            self.found = start..self.out.len();
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a `String` can't fail.
        let _ = self.out.write_fmt(text);
    }

    fn text(&mut self, text: &str) {
        match serde_json::to_string(text) {
            Ok(json) => self.out.push_str(&json),
            // Text is always JSON.
            Err(_) => self.out.push_str("\"\""),
        }
    }

    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            each(self, item);
        }
    }

    fn object(&mut self, fields: &[(String, Term)], way: Way<'_>) {
        self.out.push('{');
        self.list(fields, |printer, (key, value)| {
            if is_name(key) {
                printer.out.push_str(key);
            } else {
                printer.text(key);
            }
            printer.out.push_str(": ");
            printer.term(value, through_name(way, key));
        });
        self.out.push('}');
    }

    fn variable(&mut self, variable: Variable) {
        let number = self.numbers.of(variable);
        self.write(format_args!("var{number}"));
    }

    fn function(&mut self, parameters: &[Variable], body: &Term, style: Style, way: Way<'_>) {
        let way = through_arg(way, 1);
        if style == Style::Row {
            return self.term(body, way);
        }
        if let [parameter] = parameters {
            self.variable(*parameter);
        } else {
            self.out.push('(');
            self.list(parameters, |printer, parameter| printer.variable(*parameter));
            self.out.push(')');
        }
        self.out.push_str(" => ");
        if matches!(body.content(), Content::Object(_)) {
            self.out.push('(');
            self.term(body, way);
            self.out.push(')');
        } else {
            self.term(body, way);
        }
    }

    fn call(&mut self, kind: TermType, args: &[Term], options: &[(&'static str, Term)], way: Way<'_>) {
        match (kind, args) {
            (TermType::MakeArray, _) => {
                self.out.push('[');
                self.list(args.iter().enumerate(), |out, (at, arg)| out.term(arg, through_arg(way, at)));
                self.out.push(']');
            }
            (TermType::ImplicitVar, _) => self.out.push_str("r.row"),
            (TermType::Funcall, [_, ..]) => self.funcall(args, way),
            (TermType::Bracket, [receiver, rest @ ..]) => {
                self.receiver(receiver, through_arg(way, 0));
                self.arguments(kind, 1, rest, options, way);
            }
            (_, [receiver, rest @ ..]) if is_method(kind, receiver) => {
                self.receiver(receiver, through_arg(way, 0));
                self.write(format_args!(".{}", kind.javascript()));
                self.arguments(kind, 1, rest, options, way);
            }
            (TermType::Minval | TermType::Maxval, _) => self.write(format_args!("r.{}", kind.javascript())),
            _ if is_calendar(kind) => self.write(format_args!("r.{}", kind.javascript())),
            _ => {
                self.write(format_args!("r.{}", kind.javascript()));
                self.arguments(kind, 0, args, options, way);
            }
        }
    }

    /// Writes `r.do(arguments.., function)`, whose function comes first on the wire.
    fn funcall(&mut self, args: &[Term], way: Way<'_>) {
        self.out.push_str("r.do(");
        self.list((1..args.len()).chain([0]), |printer, at| {
            if let Some(arg) = args.get(at) {
                printer.term(arg, through_arg(way, at));
            }
        });
        self.out.push(')');
    }

    /// Writes a term, by `r.expr` if it is a plain value: those have no commands, and may pass for something
    /// else.
    fn receiver(&mut self, term: &Term, way: Way<'_>) {
        let is_plain = match term.content() {
            Content::Variable(_) => false,
            Content::Call { kind, .. } => *kind == TermType::MakeArray,
            Content::Function { style: Style::Row, .. } => is_object(term),
            _ => true,
        };
        if is_plain {
            self.out.push_str("r.expr(");
            self.term(term, way);
            self.out.push(')');
        } else {
            self.term(term, way);
        }
    }

    fn arguments(
        &mut self,
        kind: TermType,
        from: usize,
        args: &[Term],
        options: &[(&'static str, Term)],
        way: Way<'_>,
    ) {
        self.out.push('(');
        let last = args.len().wrapping_sub(1);
        self.list(args.iter().enumerate(), |out, (at, arg)| {
            let way = through_arg(way, from + at);
            if at == last && options.is_empty() && may_be_options(kind, arg) || kind == TermType::Binary {
                out.receiver(arg, way);
            } else {
                out.term(arg, way);
            }
        });
        if !options.is_empty() {
            self.out.push_str(if args.is_empty() { "{" } else { ", {" });
            self.list(options, |printer, (name, value)| {
                printer.camel_case(name);
                printer.out.push_str(": ");
                printer.term(value, through_name(way, name));
            });
            self.out.push('}');
        }
        self.out.push(')');
    }

    fn camel_case(&mut self, name: &str) {
        let mut pieces = name.split('_');
        self.out.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let mut chars = piece.chars();
            self.out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
            self.out.push_str(chars.as_str());
        }
    }
}

/// Tells if a key needs no quotes in JavaScript.
fn is_name(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == '$')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// Tells if the last argument of a command would be read as its options: it may have any number of arguments.
fn may_be_options(kind: TermType, last: &Term) -> bool {
    use TermType::*;
    matches!(kind, GetAll | Group | IndexCreate | Max | Min | OrderBy | Random | Slice | Union)
        && is_object(last)
}

/// Tells if the term is shown as an object, as is a function that is one of expressions of `r.row`.
fn is_object(term: &Term) -> bool {
    match term.content() {
        Content::Function { body, style: Style::Row, .. } => is_object(body),
        content => matches!(content, Content::Object(_)),
    }
}

/// Tells if a command with this first argument is written as `first.command(..)`, and not as
/// `r.command(first, ..)`.
fn is_method(kind: TermType, first: &Term) -> bool {
    use TermType::*;
    let is_on =
        |kinds: &[TermType]| matches!(first.content(), Content::Call { kind, .. } if kinds.contains(kind));
    match kind {
        Table | TableCreate | TableDrop | TableList => is_on(&[Db]),
        Grant => is_on(&[Db, Table]),
        Javascript | Http | Error | Random | Json | Args | Db | DbCreate | DbDrop | DbList | Time
        | Iso8601 | EpochTime | Now | Branch | Object | Binary | Uuid | Range | Literal | Asc | Desc
        | Geojson | Point | Line | Polygon | Circle => false,
        _ => true,
    }
}

/// Tells if the term is a day of the week or a month, which is no call.
fn is_calendar(kind: TermType) -> bool {
    (TermType::Monday.number()..=TermType::December.number()).contains(&kind.number())
}
