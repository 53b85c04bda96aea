//! Terms as one would write them in JavaScript: `r.table("t").getAll(1, {index: "id"})`.

use std::cell::RefCell;
use std::fmt::{self, Display, Formatter, Write};

use ql2::term::TermType;
use serde_json::Value;

use super::{Options, Term};

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Writer::default().term(f, self)
    }
}

/// Writes a whole query, and gives its variables names in their order, whatever their numbers are.
#[derive(Default)]
struct Writer {
    variables: RefCell<Vec<u64>>,
}

impl Writer {
    fn term(&self, f: &mut Formatter<'_>, term: &Term) -> fmt::Result {
        let (typ, args, options) = match term {
            Term::Datum(value) => return write!(f, "{value}"),
            Term::Call { typ, args, options } => (*typ, &args[..], options),
        };
        match (typ, args) {
            (TermType::Var, [id]) => f.write_str(&self.name(id)),
            (TermType::Func, [parameters, body]) => self.function(f, parameters, body),
            (TermType::Funcall, [function, value]) => {
                self.expression(f, value)?;
                f.write_str(".do(")?;
                self.term(f, function)?;
                f.write_char(')')
            }
            (TermType::MakeArray, items) => {
                f.write_char('[')?;
                self.list(f, items, &Options::default())?;
                f.write_char(']')
            }
            (TermType::Bracket, [object, name]) => {
                self.expression(f, object)?;
                f.write_char('(')?;
                self.term(f, name)?;
                f.write_char(')')
            }
            (TermType::Minval | TermType::Maxval, _) => write!(f, "r.{}", name(typ)),
            (
                TermType::Table
                | TermType::Branch
                | TermType::And
                | TermType::Or
                | TermType::Not
                | TermType::Object
                | TermType::Asc
                | TermType::Desc,
                args,
            ) => {
                write!(f, "r.{}(", name(typ))?;
                self.list(f, args, options)?;
                f.write_char(')')
            }
            (_, [receiver, rest @ ..]) => {
                self.expression(f, receiver)?;
                write!(f, ".{}(", name(typ))?;
                self.list(f, rest, options)?;
                f.write_char(')')
            }
            (_, []) => write!(f, "r.{}()", name(typ)),
        }
    }

    /// A term of which a method is called.
    fn expression(&self, f: &mut Formatter<'_>, term: &Term) -> fmt::Result {
        match term {
            Term::Datum(_) | Term::Call { typ: TermType::MakeArray, .. } => {
                f.write_str("r.expr(")?;
                self.term(f, term)?;
                f.write_char(')')
            }
            term => self.term(f, term),
        }
    }

    fn list(&self, f: &mut Formatter<'_>, args: &[Term], options: &Options) -> fmt::Result {
        for (at, arg) in args.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            self.term(f, arg)?;
        }
        match written(options) {
            Some(options) => write!(f, "{}{options}", if args.is_empty() { "" } else { ", " }),
            None => Ok(()),
        }
    }

    fn function(&self, f: &mut Formatter<'_>, parameters: &Term, body: &Term) -> fmt::Result {
        let Term::Datum(Value::Array(ids)) = parameters else { return Err(fmt::Error) };
        let names: Vec<_> = ids.iter().map(|id| self.name(&Term::Datum(id.clone()))).collect();
        write!(f, "function({}) {{ return ", names.join(", "))?;
        self.term(f, body)?;
        f.write_str("; }")
    }

    fn name(&self, id: &Term) -> String {
        let Term::Datum(id) = id else { return String::new() };
        let id = id.as_u64().unwrap_or_default();
        let mut variables = self.variables.borrow_mut();
        let at = variables.iter().position(|own| *own == id).unwrap_or_else(|| {
            variables.push(id);
            variables.len() - 1
        });
        format!("var{}", at + 1)
    }
}

/// A term's name as drivers have it: `orderBy` for `OrderBy`.
fn name(typ: TermType) -> String {
    let name = format!("{typ:?}");
    name.chars().enumerate().map(|(at, c)| if at == 0 { c.to_ascii_lowercase() } else { c }).collect()
}

fn written(options: &Options) -> Option<String> {
    let index = options.index.as_ref().map(|name| format!("index: {}", Value::from(name.as_str())));
    let left = options.left_open.then(|| "leftBound: \"open\"".to_owned());
    let right = options.right_closed.then(|| "rightBound: \"closed\"".to_owned());
    let parts: Vec<_> = [index, left, right].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::*;

    #[test]
    fn queries_read_like_javascript() {
        let rows = between(
            table::<Term>("t\"x"),
            datum(1),
            Node::call(TermType::Maxval, Vec::new(), Options::default()),
            Options { index: Some("a".to_owned()), left_open: true, right_closed: true },
        );
        let rows = term(TermType::Filter, [rows, func(|row| eq(field(row, "a"), array([datum(1), null()])))]);
        assert_eq!(
            rows.to_string(),
            r#"r.table("t\"x").between(1, r.maxval, {index: "a", leftBound: "open", rightBound: "closed"}).filter(function(var1) { return var1("a").eq([1, null]); })"#
        );
    }
}
