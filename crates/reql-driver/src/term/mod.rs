//! Terms: queries as trees, from Rust's values and closures to the wire's JSON and to ReQL as people write
//! it.

mod argument;
mod call;
mod choice;
mod display;
mod key;
mod kind;
mod read;
mod value;
mod variables;
mod wire;

use std::fmt;
use std::sync::Arc;

use serde_json::Number;

pub use argument::{Args, Argument, Arguments, AsTerm, Opt, markers};
pub(crate) use call::Call;
pub use choice::{
    Bound, Choice, Conflict, Durability, EmergencyRepair, Enumeration, GeoSystem, HttpMethod,
    IdentifierFormat, ReadMode, ResultFormat, ReturnChanges, Unit, WaitFor,
};
pub(crate) use display::Printer;
pub use kind::TermType;
pub(crate) use variables::{Numbers, Variable};
pub(crate) use wire::Wire;

/// The number of terms that may stand inside of each other. Writing, printing and freeing them is recursive.
///
/// ```
/// use reql::{MAX_DEPTH, Term, r};
///
/// let deep: Term = (0..MAX_DEPTH).fold(r.expr(0), |term, _| term + 1);
/// assert!(serde_json::to_string(&deep).is_err());
/// ```
pub const MAX_DEPTH: u16 = 500;

/// A query, or a part of one.
///
/// Made by the commands of [`r`](crate::r), and continued by its own. Cheap to clone: clones share their
/// parts.
///
/// - `Serialize` is the JSON on the wire, whose variables are numbered from 1, so that the same code always
///   makes the same text. **Don't put a term into `serde_json::json!`**: in there it is data.
///   [`obj!`](crate::obj) makes objects that have terms in them, and so does a struct of your own that
///   derives `Serialize`, unless serde buffers that part of it, as an enum inside `#[serde(flatten)]`.
/// - `Display` is ReQL as one writes it in JavaScript.
/// - Values come in by `Serialize`. A value that JSON can't express, such as NaN, or more than [`MAX_DEPTH`]
///   terms inside of each other, is told by the error of the query that is run.
///
/// ```
/// use reql::r;
///
/// let adults = r.table("users").filter(r.row().g("age").ge(18)).order_by("name");
/// assert_eq!(adults.to_string(), r#"r.table("users").filter(r.row("age").ge(18)).orderBy("name")"#);
/// assert_eq!(serde_json::to_string(&r.table("users").get(1))?, r#"[16,[[15,["users"]],1]]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Term(Arc<Node>);

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    /// Number of terms that stand inside of each other, this one included.
    depth: u16,
    /// True if the term refers to the row of the function around, which is yet to be made.
    has_row: bool,
    /// The reason why the term can't be sent.
    fault: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Object(Vec<(String, Term)>),
    Variable(Variable),
    Function { parameters: Vec<Variable>, body: Term, style: Style },
    Call { kind: TermType, args: Vec<Term>, options: Vec<(&'static str, Term)> },
}

/// The origin of a function, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A closure.
    Closure,
    /// An expression of `r.row`.
    Row,
}

impl Term {
    pub(crate) fn new(content: Content) -> Self {
        let mut node = Node { content: Content::Null, depth: 1, has_row: false, fault: None };
        for_each_child(&content, |child| node.contain(child));
        match &content {
            Content::Function { .. } => node.has_row = false,
            Content::Call { kind: TermType::ImplicitVar, .. } => node.has_row = true,
            _ => {}
        }
        if node.depth > MAX_DEPTH && node.fault.is_none() {
            node.fault = Some(Arc::from(format!("more than {MAX_DEPTH} terms stand inside of each other")));
        }
        // A term that can't be sent isn't kept either, so that its depth can't grow.
        if node.fault.is_none() {
            node.content = content;
        } else {
            node.depth = 1;
        }
        Term(Arc::new(node))
    }

    pub(crate) fn faulty(fault: impl Into<Arc<str>>) -> Self {
        let fault = Some(fault.into());
        Term(Arc::new(Node { content: Content::Null, depth: 1, has_row: false, fault }))
    }

    pub(crate) fn content(&self) -> &Content {
        &self.0.content
    }

    /// Returns the reason why the term can't be sent, if there is one.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.0.fault.as_deref()
    }

    /// Returns the outermost parts of a kind, such as the tables that a query reads.
    ///
    /// ```
    /// use reql::{TermType, r};
    ///
    /// let query = r.table("users").get(1).merge(r.table("teams").get(2));
    /// assert_eq!(query.parts(TermType::Table), [r.table("users").into(), r.table("teams").into()]);
    /// ```
    pub fn parts(&self, kind: TermType) -> Vec<Term> {
        let mut found = Vec::new();
        self.collect(kind, &mut found);
        found
    }

    /// Collects the parts of a kind. It is recursive, within [`MAX_DEPTH`].
    fn collect(&self, kind: TermType, found: &mut Vec<Term>) {
        match self.content() {
            Content::Call { kind: own, .. } if *own == kind => found.push(self.clone()),
            content => for_each_child(content, |child| child.collect(kind, found)),
        }
    }

    /// Sets an option of the outermost command.
    pub(crate) fn with_option(mut self, name: &'static str, value: Term) -> Self {
        let mut content = match Arc::get_mut(&mut self.0) {
            Some(node) => std::mem::replace(&mut node.content, Content::Null),
            None => self.0.content.clone(),
        };
        if let Content::Call { options, .. } = &mut content {
            options.retain(|(known, _)| *known != name);
            options.push((name, value));
        }
        match &self.0.fault {
            Some(_) => self,
            None => Term::new(content),
        }
    }

    /// Makes a function of an expression of `r.row`; leaves anything else as it is.
    pub(crate) fn into_function(self) -> Self {
        if !self.0.has_row {
            return self;
        }
        let parameters = vec![Variable::fresh()];
        Term::new(Content::Function { parameters, body: self, style: Style::Row })
    }
}

impl Node {
    fn contain(&mut self, child: &Term) {
        self.depth = self.depth.max(child.0.depth.saturating_add(1));
        self.has_row |= child.0.has_row;
        if self.fault.is_none() {
            self.fault.clone_from(&child.0.fault);
        }
    }
}

fn for_each_child<'a>(content: &'a Content, mut each: impl FnMut(&'a Term)) {
    match content {
        Content::Object(fields) => fields.iter().for_each(|(_, value)| each(value)),
        Content::Function { body, .. } => each(body),
        Content::Call { args, options, .. } => {
            args.iter().for_each(&mut each);
            options.iter().for_each(|(_, value)| each(value));
        }
        _ => {}
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault() {
            Some(fault) => f.debug_tuple("Faulty").field(&fault).finish(),
            None => fmt::Display::fmt(self, f),
        }
    }
}

/// Terms are equal whose JSON on the wire is.
impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        let text = |term: &Term| serde_json::to_string(term).ok();
        Arc::ptr_eq(&self.0, &other.0) || text(self).is_some_and(|ours| Some(ours) == text(other))
    }
}
