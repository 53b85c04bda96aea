//! The JSON of terms on the wire.

use std::cell::RefCell;

use serde::Serialize;
use serde::ser::{Error, SerializeMap, SerializeSeq, Serializer};

use super::value::Fault;
use super::variables::{Numbers, Variable};
use super::{Content, Term, TermType};

/// The name under which a term shows itself to [`super::value::to_term`]: compared by its address, so that no
/// data can pretend to be a term.
static TOKEN: &str = "reql::Term";

thread_local! {
    /// The term that is being serialized right now, for the serializer that can take it as it is.
    static IN_HAND: RefCell<Option<Term>> = const { RefCell::new(None) };
}

/// Takes the term that is being serialized, if this newtype struct is one. A copy of a term that serde has
/// buffered is none: its parts would pass for data.
pub(super) fn take_in_hand(name: &'static str) -> Result<Option<Term>, Fault> {
    if !std::ptr::eq(name.as_ptr(), TOKEN.as_ptr()) {
        return Ok(None);
    }
    let term = IN_HAND.with_borrow_mut(Option::take);
    term.map(Some).ok_or_else(|| {
        Error::custom(
            "a term can't stand where serde buffers values, as in an enum that is flattened or has its tag \
             inside: `obj!` makes such objects",
        )
    })
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = Numbers::default();
        let wire = Wire { term: self, numbers: &numbers };
        let outer = IN_HAND.replace(Some(self.clone()));
        let written = serializer.serialize_newtype_struct(TOKEN, &wire);
        IN_HAND.set(outer);
        written
    }
}

/// A term as part of one query.
pub(crate) struct Wire<'a> {
    pub(crate) term: &'a Term,
    pub(crate) numbers: &'a Numbers,
}

impl<'a> Wire<'a> {
    fn part(&self, term: &'a Term) -> Self {
        Wire { term, numbers: self.numbers }
    }
}

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(fault) = self.term.fault() {
            return Err(S::Error::custom(fault));
        }
        match self.term.content() {
            Content::Null => serializer.serialize_unit(),
            Content::Bool(value) => serializer.serialize_bool(*value),
            Content::Number(value) => value.serialize(serializer),
            Content::Text(value) => serializer.serialize_str(value),
            Content::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, self.part(value))))
            }
            Content::Variable(variable) => {
                (TermType::Var.number(), [self.numbers.of(*variable)]).serialize(serializer)
            }
            Content::Function { parameters, body, .. } => self.function(parameters, body, serializer),
            Content::Call { kind, args, options } => {
                let mut call = serializer.serialize_seq(Some(if options.is_empty() { 2 } else { 3 }))?;
                call.serialize_element(&kind.number())?;
                call.serialize_element(&Parts(self, args))?;
                if !options.is_empty() {
                    call.serialize_element(&Options(self, options))?;
                }
                call.end()
            }
        }
    }
}

impl Wire<'_> {
    fn function<S: Serializer>(&self, params: &[Variable], body: &Term, to: S) -> Result<S::Ok, S::Error> {
        let numbers: Vec<usize> = params.iter().map(|parameter| self.numbers.of(*parameter)).collect();
        let parameters = (TermType::MakeArray.number(), numbers);
        (TermType::Func.number(), (parameters, self.part(body))).serialize(to)
    }
}

/// The arguments of a call.
struct Parts<'a>(&'a Wire<'a>, &'a [Term]);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|term| self.0.part(term)))
    }
}

/// The options of a call.
struct Options<'a>(&'a Wire<'a>, &'a [(&'static str, Term)]);

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.1.len()))?;
        for (name, value) in self.1 {
            map.serialize_entry(name, &self.0.part(value))?;
        }
        map.end()
    }
}
