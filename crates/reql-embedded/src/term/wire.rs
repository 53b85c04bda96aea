//! Terms as RethinkDB stores them: JSON as the client wrote it, with each term's place as its last item.

use std::sync::Arc;

use super::{RawTerm, TermType};
use crate::datum::pseudo::Literals;
use crate::datum::syntax::{Json, Notation};
use crate::datum::{json, write_decimal, write_integer};
use crate::error::{Bt, Error, Result};
use crate::nested::Nested;

/// The client's notation of a term, as far as it makes no difference to the meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The lists that the term had.
    Lists {
        /// `true` if the term had a list of arguments.
        args: bool,
        /// `true` if the term had a list of optional arguments.
        optargs: bool,
    },
    /// The text of a literal, if its value would print differently.
    Literal(Box<str>),
}

impl Written {
    /// Returns the notation of a literal, or `None` if the literal's value determines it.
    pub(super) fn literal(tree: Json<'_>) -> Option<Box<Written>> {
        let tells = match tree {
            Json::Null | Json::Bool(_) | Json::Str(_) | Json::Num(_, Notation::Integer) => true,
            Json::Num(..) | Json::Array(_) | Json::Object(_) => false,
        };
        if tells {
            return None;
        }
        let mut text = Vec::new();
        write_tree(tree, &mut text);
        String::from_utf8(text).ok().map(|text| Box::new(Written::Literal(text.into())))
    }

    /// Returns the notation of a term with these lists.
    pub(super) fn lists(args: bool, optargs: bool) -> Option<Box<Written>> {
        Some(Box::new(Written::Lists { args, optargs }))
    }
}

impl RawTerm {
    /// Appends the term as RethinkDB stores it.
    pub fn write_wire(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'[');
        write_integer(self.kind.number(), out);
        match (&self.datum, self.written.as_deref()) {
            (Some(_), Some(Written::Literal(text))) => {
                out.push(b',');
                out.extend_from_slice(text.as_bytes());
            }
            (Some(datum), _) => {
                out.push(b',');
                json::write(datum, out)?;
            }
            (None, written) => self.write_lists(written, out)?,
        }
        out.push(b',');
        write_integer(self.bt.0, out);
        out.push(b']');
        Ok(())
    }

    fn write_lists(&self, written: Option<&Written>, out: &mut Vec<u8>) -> Result<()> {
        let (args, optargs) = match written {
            Some(Written::Lists { args, optargs }) => (*args, *optargs),
            _ => (!self.args.is_empty(), !self.optargs.is_empty()),
        };
        if args {
            out.extend_from_slice(b",[");
            for (index, arg) in self.args.iter().enumerate() {
                separate(index, out);
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || arg.write_wire(out))?;
            }
            out.push(b']');
        }
        if optargs {
            out.extend_from_slice(b",{");
            for (index, (name, arg)) in self.optargs.iter().enumerate() {
                separate(index, out);
                json::write_str(name, out);
                out.push(b':');
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || arg.write_wire(out))?;
            }
            out.push(b'}');
        }
        Ok(())
    }

    /// Reads a term in that form.
    pub fn from_wire(tree: Json<'_>) -> Result<RawTerm> {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || from_wire_here(tree))
    }
}

fn from_wire_here(tree: Json<'_>) -> Result<RawTerm> {
    let Json::Array([number, content @ .., place]) = tree else {
        return Err(Error::logic("A term is no array of its type, arguments and place."));
    };
    let kind = whole(number).and_then(TermType::from_number);
    let kind = kind.ok_or_else(|| Error::logic("A term has an unknown type."))?;
    let bt = whole(place).and_then(|place| u32::try_from(place).ok());
    let bt = Bt(bt.ok_or_else(|| Error::logic("A term has no place."))?);
    if kind == TermType::Datum {
        let &[value] = content else { return Err(Error::logic("A literal has not exactly one value.")) };
        let literal = RawTerm::literal(json::from_tree(value, Literals::Allowed)?, bt);
        return Ok(RawTerm { written: Written::literal(value), ..literal });
    }
    let (args, optargs) = match *content {
        [] => (None, None),
        [Json::Array(args)] => (Some(args), None),
        [Json::Object(optargs)] => (None, Some(optargs)),
        [Json::Array(args), Json::Object(optargs)] => (Some(args), Some(optargs)),
        _ => return Err(Error::logic("A term holds something other than arguments.")),
    };
    let written = Written::lists(args.is_some(), optargs.is_some());
    let args = args.unwrap_or_default().iter().map(|&arg| RawTerm::from_wire(arg));
    let term = RawTerm::generated(kind, bt, args.collect::<Result<_>>()?);
    let optargs = optargs.unwrap_or_default().iter();
    let optargs = optargs.map(|&(name, arg)| Ok((Arc::from(name), RawTerm::from_wire(arg)?)));
    Ok(RawTerm { optargs: optargs.collect::<Result<Nested<_>>>()?, written, ..term })
}

fn whole(number: &Json<'_>) -> Option<i64> {
    match number {
        Json::Num(value, Notation::Integer) => crate::datum::as_integer(*value),
        _ => None,
    }
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// Appends a tree as its parser would print it again: in order, duplicates included.
fn write_tree(tree: Json<'_>, out: &mut Vec<u8>) {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || match tree {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Num(value, Notation::Integer) if fits_64_bits(value) => write_integer(value as i128, out),
        Json::Num(value, _) => write_decimal(value, out),
        Json::Str(text) => json::write_str(text, out),
        Json::Array(items) => {
            out.push(b'[');
            for (index, &item) in items.iter().enumerate() {
                separate(index, out);
                write_tree(item, out);
            }
            out.push(b']');
        }
        Json::Object(fields) => {
            out.push(b'{');
            for (index, &(key, value)) in fields.iter().enumerate() {
                separate(index, out);
                json::write_str(key, out);
                out.push(b':');
                write_tree(value, out);
            }
            out.push(b'}');
        }
    });
}

/// Returns true if the parser keeps the number as an integer.
fn fits_64_bits(value: f64) -> bool {
    (i64::MIN as f64..=u64::MAX as f64).contains(&value)
}
