//! Terms in the form of the wire's JSON, each part with its place in the text.

use super::TermType;
use serde_json::{Map, Number, Value, json};

use super::{Fault, MAX_DEPTH, Result, Span};

/// A term, or a value of JavaScript that becomes one.
#[derive(Debug)]
pub(crate) struct Node {
    kind: Kind,
    pub(super) span: Span,
    /// The depth of the tree, this node included.
    depth: u16,
    /// `true` if it contains `r.row`.
    has_row: bool,
    /// `true` for a JavaScript value, which has none of ReQL's methods.
    plain: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Object(Vec<(String, Node)>),
    Call { term: TermType, args: Vec<Node>, options: Vec<(&'static str, Node)> },
}

/// A step of a backtrace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// To an argument, from 0.
    Arg(u64),
    /// To an option, or the field of an object.
    Opt(&'a str),
}

impl Node {
    /// Makes a JavaScript value without children.
    pub(super) fn plain(span: Span, kind: Kind) -> Self {
        Node { kind, span, depth: 1, has_row: false, plain: true }
    }

    /// Makes an object.
    pub(super) fn object(span: Span, fields: Vec<(String, Node)>) -> Result {
        Ok(Node { plain: true, ..Node::around(span, Kind::Object(fields))? })
    }

    /// Makes an array.
    pub(super) fn array(span: Span, items: Vec<Node>) -> Result {
        let kind = Kind::Call { term: TermType::MakeArray, args: items, options: Vec::new() };
        Ok(Node { plain: true, ..Node::around(span, kind)? })
    }

    /// Makes a term.
    pub(super) fn term(
        span: Span,
        term: TermType,
        args: Vec<Node>,
        options: Vec<(&'static str, Node)>,
    ) -> Result {
        let mut node = Node::around(span, Kind::Call { term, args, options })?;
        node.has_row |= term == TermType::ImplicitVar;
        Ok(node)
    }

    /// Makes a variable of its number.
    pub(super) fn variable(span: Span, number: u32) -> Result {
        let number = Node::plain(span, Kind::Number(number.into()));
        Node::term(span, TermType::Var, vec![number], Vec::new())
    }

    /// Makes a function of the numbers of its parameters.
    pub(super) fn function(span: Span, parameters: &[u32], body: Node) -> Result {
        let number = |number: &u32| Node::plain(span, Kind::Number((*number).into()));
        let parameters = Node::array(span, parameters.iter().map(number).collect())?;
        Node::term(span, TermType::Func, vec![parameters, body], Vec::new())
    }

    fn around(span: Span, kind: Kind) -> Result {
        let (mut depth, mut has_row) = (0, false);
        for_each_child(&kind, |child| {
            depth = depth.max(child.depth);
            has_row |= child.has_row;
        });
        if depth >= MAX_DEPTH {
            return Err(Fault::new(span, format!("more than {MAX_DEPTH} terms stand inside of each other")));
        }
        Ok(Node { kind, span, depth: depth + 1, has_row, plain: false })
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Makes a term of a value, as `r.expr` does.
    pub(super) fn into_term(self) -> Self {
        Node { plain: false, ..self }
    }

    /// Returns the node with its place widened to brackets around it.
    pub(super) fn within(self, span: Span) -> Self {
        Node { span, ..self }
    }

    pub(super) fn is_object_literal(&self) -> bool {
        self.plain && matches!(self.kind, Kind::Object(_))
    }

    pub(super) fn has_row(&self) -> bool {
        self.has_row
    }

    pub(super) fn is(&self, kinds: &[TermType]) -> bool {
        matches!(&self.kind, Kind::Call { term, .. } if kinds.contains(term))
    }

    /// Takes an object literal apart.
    pub(super) fn into_fields(self) -> Vec<(String, Node)> {
        match self.kind {
            Kind::Object(fields) => fields,
            _ => Vec::new(),
        }
    }

    /// Returns the JSON of the wire format.
    pub(crate) fn to_wire(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(value) => Value::Number(value.clone()),
            Kind::Text(value) => Value::String(value.clone()),
            Kind::Object(fields) => object(fields.iter().map(|(key, value)| (key.as_str(), value))),
            Kind::Call { term, args, options } => {
                let args: Vec<Value> = args.iter().map(Node::to_wire).collect();
                match options.as_slice() {
                    [] => json!([term.number(), args]),
                    options => json!([
                        term.number(),
                        args,
                        object(options.iter().map(|(name, value)| (*name, value)))
                    ]),
                }
            }
        }
    }

    /// Returns the place of the part at the end of a backtrace, or of the part that is nearest to it.
    pub(crate) fn place_of<'a>(&self, way: impl IntoIterator<Item = Step<'a>>) -> Span {
        let mut node = self;
        for step in way {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.span
    }

    fn child(&self, step: Step<'_>) -> Option<&Node> {
        match (&self.kind, step) {
            (Kind::Call { args, .. }, Step::Arg(at)) => args.get(usize::try_from(at).ok()?),
            (Kind::Call { options, .. }, Step::Opt(name)) => {
                options.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
            }
            (Kind::Object(fields), Step::Opt(name)) => {
                fields.iter().rfind(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a Node)>) -> Value {
    Value::Object(fields.map(|(key, value)| (key.to_owned(), value.to_wire())).collect::<Map<_, _>>())
}

fn for_each_child(kind: &Kind, mut each: impl FnMut(&Node)) {
    match kind {
        Kind::Object(fields) => fields.iter().for_each(|(_, value)| each(value)),
        Kind::Call { args, options, .. } => {
            args.iter().for_each(&mut each);
            options.iter().for_each(|(_, value)| each(value));
        }
        _ => {}
    }
}
