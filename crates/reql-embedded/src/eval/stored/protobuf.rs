//! Terms as RethinkDB stored them up to version 2.1: protocol buffers (`ql2.proto`), without places.

use super::bytes::{Broken, Reader};
use crate::datum::json;
use crate::datum::syntax::{self, Arena, Json, MAX_DEPTH, Notation};
use crate::term::TermType;

/// Returns a term as it would be stored now: RethinkDB gives all of its parts the place of the whole query.
pub fn term<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<Json<'a>, Broken> {
    Parts { arena, depth: 0 }.term(bytes)
}

/// The value of a field.
enum Field<'a> {
    Whole(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message, by their numbers.
fn fields<'a>(bytes: &'a [u8]) -> impl Iterator<Item = Result<(u64, Field<'a>), Broken>> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || (!reader.is_empty()).then(|| field(&mut reader)))
}

fn field<'a>(reader: &mut Reader<'a>) -> Result<(u64, Field<'a>), Broken> {
    let tag = reader.varint()?;
    let value = match tag & 7 {
        0 => Field::Whole(reader.varint()?),
        1 => Field::Double(f64::from_le_bytes(reader.array()?)),
        2 => Field::Bytes(reader.counted()?),
        _ => return Err(Broken::Range),
    };
    Ok((tag >> 3, value))
}

fn text(bytes: &[u8]) -> Result<&str, Broken> {
    json::utf8(bytes).map_err(|_| Broken::Range)
}

/// A function that reads a part of a message.
type Part<'a> = fn(Parts<'a>, &'a [u8]) -> Result<Json<'a>, Broken>;

/// The arena of a term's parts, and their depth.
#[derive(Clone, Copy)]
struct Parts<'a> {
    arena: &'a Arena,
    depth: usize,
}

impl<'a> Parts<'a> {
    fn inner(self, bytes: &'a [u8], read: Part<'a>) -> Result<Json<'a>, Broken> {
        if self.depth > MAX_DEPTH {
            return Err(Broken::Range);
        }
        let inner = Parts { depth: self.depth + 1, ..self };
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || read(inner, bytes))
    }

    fn pair(self, bytes: &'a [u8], read: Part<'a>) -> Result<(&'a str, Json<'a>), Broken> {
        let (mut key, mut value) = (None, None);
        for field in fields(bytes) {
            match field? {
                (1, Field::Bytes(bytes)) => key = Some(text(bytes)?),
                (2, Field::Bytes(bytes)) => value = Some(self.inner(bytes, read)?),
                _ => {}
            }
        }
        key.zip(value).ok_or(Broken::Range)
    }

    fn array(self, items: &[Json<'a>]) -> Json<'a> {
        Json::Array(self.arena.alloc_slice_copy(items))
    }

    fn object(self, fields: &[(&'a str, Json<'a>)]) -> Json<'a> {
        Json::Object(self.arena.alloc_slice_copy(fields))
    }

    fn term(self, bytes: &'a [u8]) -> Result<Json<'a>, Broken> {
        let (mut kind, mut literal, mut args, mut optargs) = (None, None, Vec::new(), Vec::new());
        for field in fields(bytes) {
            match field? {
                (1, Field::Whole(number)) => {
                    kind = i64::try_from(number).ok().and_then(TermType::from_number)
                }
                (2, Field::Bytes(bytes)) => literal = Some(self.inner(bytes, Parts::datum)?),
                (3, Field::Bytes(bytes)) => args.push(self.inner(bytes, Parts::term)?),
                (4, Field::Bytes(bytes)) => optargs.push(self.pair(bytes, Parts::term)?),
                _ => {}
            }
        }
        let kind = kind.ok_or(Broken::Range)?;
        let whole = |number| Json::Num(number, Notation::Integer);
        let mut term = vec![whole(f64::from(kind.number()))];
        match kind {
            TermType::Datum => term.push(literal.ok_or(Broken::Range)?),
            TermType::MakeObj => term.push(self.object(&optargs)),
            _ => {
                if !args.is_empty() {
                    term.push(self.array(&args));
                }
                if !optargs.is_empty() {
                    term.push(self.object(&optargs));
                }
            }
        }
        term.push(whole(0.0));
        Ok(self.array(&term))
    }

    fn datum(self, bytes: &'a [u8]) -> Result<Json<'a>, Broken> {
        let (mut kind, mut flag, mut number, mut string) = (0, None, None, None);
        let (mut items, mut pairs) = (Vec::new(), Vec::new());
        for field in fields(bytes) {
            match field? {
                (1, Field::Whole(value)) => kind = value,
                (2, Field::Whole(value)) => flag = Some(value != 0),
                (3, Field::Double(value)) => number = Some(value).filter(|value| value.is_finite()),
                (4, Field::Bytes(bytes)) => string = Some(text(bytes)?),
                (5, Field::Bytes(bytes)) => items.push(self.inner(bytes, Parts::datum)?),
                (6, Field::Bytes(bytes)) => pairs.push(self.pair(bytes, Parts::datum)?),
                _ => {}
            }
        }
        let value = match kind {
            1 => Some(Json::Null),
            2 => flag.map(Json::Bool),
            3 => number.map(|number| Json::Num(number, Notation::Decimal)),
            4 => string.map(Json::Str),
            5 => Some(self.array(&items)),
            6 => Some(self.object(&pairs)),
            7 => string.and_then(|string| syntax::parse(string.as_bytes(), self.arena).ok()),
            _ => None,
        };
        value.ok_or(Broken::Range)
    }
}
