//! From values of Rust to terms, by `Serialize`: arrays become `MAKE_ARRAY`, bytes become binary data.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::ser::{self, Serializer};
use serde_json::{Number, Value};

use super::key::ToKey;
use super::wire::take_in_hand;
use super::{Content, MAX_DEPTH, Term, TermType};

/// The names under which `serde_json` hands on JSON that is text already.
const RAW_VALUE: &str = "$serde_json::private::RawValue";
const RAW_NUMBER: &str = "$serde_json::private::Number";

/// Makes a term of a value. A value that can't be one makes a term that can't be sent.
pub(super) fn to_term<T: Serialize + ?Sized>(value: &T) -> Term {
    value.serialize(ToTerm { levels: MAX_DEPTH }).unwrap_or_else(|Fault(fault)| Term::faulty(fault))
}

/// The reason why a value can't be a term.
#[derive(Debug)]
pub(super) struct Fault(Arc<str>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault(message.to_string().into())
    }
}

type Result<T = Term> = std::result::Result<T, Fault>;

fn null() -> Term {
    Term::new(Content::Null)
}

fn text(value: impl Into<String>) -> Term {
    Term::new(Content::Text(value.into()))
}

fn number(value: impl Into<Number>) -> Term {
    Term::new(Content::Number(value.into()))
}

fn array(items: Vec<Term>) -> Term {
    Term::new(Content::Call { kind: TermType::MakeArray, args: items, options: Vec::new() })
}

fn variant(name: &str, value: Term) -> Term {
    Term::object([(name.to_owned(), value)])
}

/// Makes a term of JSON as it was written, which is never deeper than `serde_json` reads.
fn from_json(json: Value) -> Term {
    match json {
        Value::Null => null(),
        Value::Bool(value) => Term::new(Content::Bool(value)),
        Value::Number(value) => number(value),
        Value::String(value) => text(value),
        Value::Array(items) => array(items.into_iter().map(from_json).collect()),
        Value::Object(fields) => Term::object(fields.into_iter().map(|(key, value)| (key, from_json(value)))),
    }
}

#[derive(Clone, Copy)]
struct ToTerm {
    /// The number of levels that may still come.
    levels: u16,
}

impl ToTerm {
    fn inner(self) -> Result<ToTerm> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| {
            ser::Error::custom(format_args!("more than {MAX_DEPTH} values stand inside of each other"))
        })?;
        Ok(ToTerm { levels })
    }

    fn items(self, len: Option<usize>, name: Option<&'static str>) -> Result<Items> {
        // The length is only a claim of the value's type.
        let items = Vec::with_capacity(len.unwrap_or(0).min(1024));
        Ok(Items { items, to: self.inner()?, variant: name })
    }

    fn fields(self, name: &'static str, variant: Option<&'static str>) -> Result<Fields> {
        let is_json = [RAW_VALUE, RAW_NUMBER].contains(&name);
        Ok(Fields { fields: Vec::new(), key: None, to: self.inner()?, variant, is_json })
    }
}

macro_rules! numbers {
    ($($name:ident $type:ty),*) => { $(
        fn $name(self, value: $type) -> Result {
            Ok(number(value))
        }
    )* };
}

impl Serializer for ToTerm {
    type Ok = Term;
    type Error = Fault;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64
    }

    fn serialize_bool(self, value: bool) -> Result {
        Ok(Term::new(Content::Bool(value)))
    }
    fn serialize_i128(self, value: i128) -> Result {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => Ok(number(value)),
            (_, Ok(value)) => Ok(number(value)),
            _ => Err(ser::Error::custom(format_args!("{value} has more than 64 bits"))),
        }
    }
    fn serialize_u128(self, value: u128) -> Result {
        let value = u64::try_from(value);
        value.map(number).map_err(|_| ser::Error::custom("a number has more than 64 bits"))
    }
    fn serialize_f32(self, value: f32) -> Result {
        self.serialize_f64(f64::from(value))
    }
    fn serialize_f64(self, value: f64) -> Result {
        let finite = Number::from_f64(value);
        finite.map(number).ok_or_else(|| ser::Error::custom(format_args!("{value} is no number in JSON")))
    }
    fn serialize_char(self, value: char) -> Result {
        Ok(text(value))
    }
    fn serialize_str(self, value: &str) -> Result {
        Ok(text(value))
    }
    fn serialize_bytes(self, value: &[u8]) -> Result {
        Ok(Term::object([
            ("$reql_type$".to_owned(), text("BINARY")),
            ("data".to_owned(), text(BASE64_STANDARD.encode(value))),
        ]))
    }
    fn serialize_none(self) -> Result {
        Ok(null())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result {
        Ok(null())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(null())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(text(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result {
        match take_in_hand(name)? {
            Some(term) => Ok(term),
            None => value.serialize(self.inner()?),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result {
        Ok(variant(name, value.serialize(self.inner()?)?))
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Items> {
        self.items(len, None)
    }
    fn serialize_tuple(self, len: usize) -> Result<Items> {
        self.items(Some(len), None)
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items> {
        self.items(Some(len), None)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items> {
        self.items(Some(len), Some(variant))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Fields> {
        self.fields("", None)
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields> {
        self.fields(name, None)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields> {
        self.fields("", Some(variant))
    }
}

/// An array that is being read.
struct Items {
    items: Vec<Term>,
    to: ToTerm,
    variant: Option<&'static str>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.items.push(value.serialize(self.to)?);
        Ok(())
    }

    fn finish(self) -> Result {
        let array = array(self.items);
        Ok(match self.variant {
            Some(name) => variant(name, array),
            None => array,
        })
    }
}

macro_rules! sequences {
    ($($trait:ident $push:ident),*) => { $(
        impl ser::$trait for Items {
            type Ok = Term;
            type Error = Fault;
            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }
            fn end(self) -> Result {
                self.finish()
            }
        }
    )* };
}

sequences!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// An object that is being read.
struct Fields {
    fields: Vec<(String, Term)>,
    key: Option<String>,
    to: ToTerm,
    variant: Option<&'static str>,
    /// True for JSON in the form of text, rather than an object.
    is_json: bool,
}

impl Fields {
    fn push<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<()> {
        self.fields.push((key, value.serialize(self.to)?));
        Ok(())
    }

    fn finish(self) -> Result {
        if self.is_json
            && let [(_, term)] = &self.fields[..]
            && let Content::Text(json) = term.content()
        {
            return serde_json::from_str(json).map(from_json).map_err(ser::Error::custom);
        }
        let object = Term::object(self.fields);
        Ok(match self.variant {
            Some(name) => variant(name, object),
            None => object,
        })
    }
}

impl ser::SerializeMap for Fields {
    type Ok = Term;
    type Error = Fault;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(ToKey)?);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take().ok_or_else(|| Fault("a value without a key".into()))?;
        self.push(key, value)
    }
    fn end(self) -> Result {
        self.finish()
    }
}

impl ser::SerializeStruct for Fields {
    type Ok = Term;
    type Error = Fault;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.push(key.to_owned(), value)
    }
    fn end(self) -> Result {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Fields {
    type Ok = Term;
    type Error = Fault;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.push(key.to_owned(), value)
    }
    fn end(self) -> Result {
        self.finish()
    }
}
