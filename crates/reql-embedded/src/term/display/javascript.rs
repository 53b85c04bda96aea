//! The form of each term: a link of a chain, `a.b(c).d()`, or a call of its own, `r.b(c)`.

use super::layout::Doc;
use super::value::value;
use super::{comma, field, separated};
use crate::datum::Datum;
use crate::term::{RawTerm, TermType};

/// The levels to which terms may nest before they are cut off.
const MAX_DEPTH: u32 = 15;

/// Writes terms, and keeps track of the depth and the surroundings.
pub(super) struct Writer {
    depth: u32,
    /// True if `r.` goes before terms that need it.
    prefix: bool,
    /// True if plain values are understood without `r.expr`.
    inside_expr: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Writer { depth: 0, prefix: true, inside_expr: false }
    }
}

impl Writer {
    pub(super) fn term(&mut self, term: &RawTerm) -> Doc {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            // The depth stays the same, as in RethinkDB: the rest after a term that is too deep is cut off
            // earlier.
            return Doc::text("...");
        }
        let inside_expr = self.inside_expr;
        let doc = stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.term_here(term));
        self.inside_expr = inside_expr;
        self.depth -= 1;
        doc
    }

    fn term_here(&mut self, term: &RawTerm) -> Doc {
        match term.kind {
            TermType::Datum => {
                let doc = self.datum(term);
                if self.inside_expr { doc } else { self.expr(doc) }
            }
            TermType::MakeArray => {
                let items = self.inside(|this| this.args(&term.args));
                let doc = Doc::concat([Doc::text("["), Doc::group(items), Doc::text("]")]);
                if self.inside_expr { doc } else { self.expr(doc) }
            }
            TermType::MakeObj if self.inside_expr => {
                let fields = term.optargs.iter().map(|(name, item)| field(name, self.term(item)));
                braces(separated(fields.collect::<Vec<_>>()))
            }
            TermType::MakeObj => self.object_call(term),
            TermType::Func => self.function(term),
            TermType::Var => variable(term),
            TermType::ImplicitVar => self.prefixed(Doc::text("row")),
            TermType::Funcall if term.args.len() != 2 => self.do_call(term),
            _ if is_link(term) => self.chain(term),
            kind if term.args.is_empty() && is_constant(kind) => self.prefixed(Doc::text(name(kind))),
            _ => self.call(term),
        }
    }

    fn datum(&self, term: &RawTerm) -> Doc {
        let datum = term.datum.clone().unwrap_or_default();
        value(&datum, &|name| self.prefixed(Doc::text(name)))
    }

    /// Calls `run` as in an `r.expr`, where plain values are understood.
    fn inside<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.inside_expr, true);
        let result = run(self);
        self.inside_expr = before;
        result
    }

    fn args<'a>(&mut self, terms: impl IntoIterator<Item = &'a RawTerm>) -> Vec<Doc> {
        let docs: Vec<Doc> = terms.into_iter().map(|term| self.term(term)).collect();
        separated(docs)
    }

    fn prefixed(&self, doc: Doc) -> Doc {
        if self.prefix { Doc::concat([Doc::text("r"), Doc::group([Doc::text("."), doc])]) } else { doc }
    }

    fn expr(&self, doc: Doc) -> Doc {
        self.prefixed(Doc::concat([Doc::text("expr"), parens([doc])]))
    }

    /// Writes an object where plain values are not understood: `r.object("a", 1)`.
    fn object_call(&mut self, term: &RawTerm) -> Doc {
        let fields = self.inside(|this| {
            let pair = |(name, item): &(_, RawTerm)| [Doc::text(format!("\"{name}\"")), this.term(item)];
            separated(term.optargs.iter().flat_map(pair).collect::<Vec<_>>())
        });
        self.prefixed(Doc::concat([Doc::text("object"), parens([Doc::group(fields)])]))
    }

    fn function(&mut self, term: &RawTerm) -> Doc {
        let [params, body] = &term.args[..] else { return Doc::text("...") };
        let params = Doc::group(separated(self::params(params).into_iter().map(Doc::text)));
        let before = std::mem::replace(&mut self.inside_expr, false);
        let body = self.term(body);
        self.inside_expr = before;
        let head = [Doc::text("tion ("), params, Doc::text(") {"), Doc::new_line()];
        let body = [Doc::text("return "), Doc::group([body]), Doc::text(";")];
        // The body is indented to below the `t`.
        let indented = Doc::group(head.into_iter().chain(body));
        Doc::group([Doc::text("func"), indented, Doc::new_line(), Doc::text("}")])
    }

    /// Writes an `r.do` of no value, or of several.
    fn do_call(&mut self, term: &RawTerm) -> Doc {
        let Some((function, values)) = term.args.split_first() else { return Doc::text("...") };
        let mut args = self.inside(|this| this.args(values));
        if !args.is_empty() {
            args.push(comma());
        }
        let function = self.term(function);
        self.prefixed(Doc::concat([Doc::text("do("), function, Doc::group(args), Doc::text(")")]))
    }

    /// Writes `r.name(args, {optargs})`.
    fn call(&mut self, term: &RawTerm) -> Doc {
        let args = self.inside(|this| {
            let mut args = this.args(&term.args);
            if !term.optargs.is_empty() {
                if !args.is_empty() {
                    args.push(comma());
                }
                args.push(this.optargs(term));
            }
            args
        });
        self.prefixed(Doc::concat([Doc::text(name(term.kind)), parens(args)]))
    }

    fn optargs(&mut self, term: &RawTerm) -> Doc {
        let optargs: Vec<Doc> =
            term.optargs.iter().map(|(name, arg)| field(&camel_case(name), self.term(arg))).collect();
        braces(separated(optargs))
    }

    /// Writes a chain, from its last link backwards to the term that it starts from.
    fn chain(&mut self, last: &RawTerm) -> Doc {
        let mut links = Vec::new();
        let mut current = last;
        loop {
            if current.kind == TermType::ImplicitVar {
                links.push(Doc::text("row"));
                return self.prefixed(in_order(links));
            }
            self.link(current, &mut links);
            let start =
                if current.kind == TermType::Funcall { current.args.get(1) } else { current.args.first() };
            match start {
                Some(start) if is_link(start) => current = start,
                Some(start) => return self.chain_from(start, links),
                None => return self.prefixed(in_order(links)),
            }
        }
    }

    fn chain_from(&mut self, start: &RawTerm, mut links: Vec<Doc>) -> Doc {
        if matches!(start.kind, TermType::Var | TermType::Datum) {
            // No break between a variable and its first dot.
            if links.last().is_some_and(Doc::is_break) {
                links.pop();
                links.push(Doc::text("."));
            }
            return Doc::group([self.term(start), in_order(links)]);
        }
        let before = std::mem::replace(&mut self.prefix, false);
        let start = self.term(start);
        self.prefix = before;
        self.prefixed(Doc::concat([start, in_order(links)]))
    }

    /// Adds one link, its parts from last to first.
    fn link(&mut self, term: &RawTerm, links: &mut Vec<Doc>) {
        links.push(Doc::text(")"));
        if term.kind == TermType::Funcall {
            if let Some(function) = term.args.first() {
                links.push(Doc::group([self.inside(|this| this.term(function))]));
            }
        } else {
            self.inside(|this| this.link_args(term, links));
        }
        links.push(Doc::text("("));
        if term.kind == TermType::Bracket {
            return;
        }
        links.push(Doc::text(if term.kind == TermType::Funcall { "do".to_owned() } else { name(term.kind) }));
        if !term.args.is_empty() {
            links.push(Doc::soft_break(".", "."));
        }
    }

    fn link_args(&mut self, term: &RawTerm, links: &mut Vec<Doc>) {
        let args = term.args.get(1..).unwrap_or_default();
        if !term.optargs.is_empty() {
            links.push(self.optargs(term));
            if !args.is_empty() {
                links.push(comma());
            }
        }
        if !args.is_empty() {
            let mut docs: Vec<Doc> = args.iter().rev().map(|arg| self.term(arg)).collect();
            docs.reverse();
            let docs = separated(docs);
            links.push(if term.kind == TermType::Bracket { Doc::concat(docs) } else { Doc::group(docs) });
        }
    }
}

fn in_order(mut links: Vec<Doc>) -> Doc {
    links.reverse();
    Doc::concat(links)
}

fn parens(docs: impl IntoIterator<Item = Doc>) -> Doc {
    Doc::concat([Doc::text("("), Doc::group(docs), Doc::text(")")])
}

fn braces(docs: Vec<Doc>) -> Doc {
    Doc::concat([Doc::text("{"), Doc::group(docs), Doc::text("}")])
}

/// Returns the names of a function's parameters.
pub(super) fn params(term: &RawTerm) -> Vec<String> {
    match &term.datum {
        Some(Datum::Array(numbers)) => numbers.iter().map(|number| variable_name(&number)).collect(),
        _ => term.args.iter().map(|arg| variable_name(arg.datum.as_ref().unwrap_or(&Datum::Null))).collect(),
    }
}

fn variable(term: &RawTerm) -> Doc {
    let number = term.args.first().and_then(|arg| arg.datum.as_ref());
    Doc::text(variable_name(number.unwrap_or(&Datum::Null)))
}

/// Returns the name of a variable. Variables that the server made have negative numbers.
fn variable_name(number: &Datum) -> String {
    let number = number.as_int().unwrap_or_default();
    if number < 0 { format!("_var{}", number.unsigned_abs()) } else { format!("var{number}") }
}

/// Returns the name of a term in the JavaScript driver.
fn name(kind: TermType) -> String {
    match kind {
        TermType::Javascript => "js".to_owned(),
        _ => camel_case(kind.name()),
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut result = words.next().unwrap_or_default().to_ascii_lowercase();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        result.push_str(&first.to_ascii_uppercase());
        result.push_str(&rest.to_ascii_lowercase());
    }
    result
}

/// Returns true if a term is written after a dot behind its first argument. All terms are that aren't listed
/// here.
fn is_link(term: &RawTerm) -> bool {
    use TermType::*;
    match term.kind {
        Table | Funcall => term.args.len() == 2,
        Error | Uuid | Http | Db | Eq | Ne | Lt | Le | Gt | Ge | Not | Add | Sub | Mul | Div | Mod
        | BitAnd | BitOr | BitXor | BitNot | BitSal | BitSar | Object | Range | DbCreate | DbDrop
        | DbList | Branch | Or | And | Json | Iso8601 | EpochTime | Now | Time | Literal | Random
        | Geojson | Point | Line | Polygon | Circle | Datum | Var | MakeArray | MakeObj | Args
        | Javascript | Asc | Desc | Minval | Maxval => false,
        kind => !is_calendar(kind),
    }
}

/// Returns true if a term is written without parentheses.
fn is_constant(kind: TermType) -> bool {
    matches!(kind, TermType::Minval | TermType::Maxval) || is_calendar(kind)
}

fn is_calendar(kind: TermType) -> bool {
    (TermType::Monday.number()..=TermType::December.number()).contains(&kind.number())
}
