//! A function that outlives its query, in the bytes in which RethinkDB stores it (`wire_func.cc`).

use super::bytes::{Broken, Reader, varint};
use super::{protobuf, value};
use crate::datum::Datum;
use crate::datum::syntax::{self, Arena};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::eval::captures::Captures;
use crate::eval::compile::compile_function;
use crate::eval::func::Func;
use crate::term::{RawTerm, TermType, function_as_javascript};

/// The greatest size of a stored function, in bytes.
const MAX_SIZE: usize = 4 << 20;

/// The parameter of the function that an index over a field has, which RethinkDB numbers so.
const FIELD_ROW: i64 = -19;

const REQL: u8 = 0;
const JAVASCRIPT: u8 = 1;

/// A function that outlives its query.
pub struct StoredFunction {
    /// The values it has captured.
    pub captures: Captures,
    /// The names of its parameters.
    pub params: Vec<i64>,
    /// The term that it evaluates.
    pub body: RawTerm,
}

/// The reason why bytes hold no function.
pub enum Unreadable {
    /// The bytes are malformed.
    Broken(Broken),
    /// The bytes hold a value that is no function: the message.
    Wrong(String),
    /// The function is JavaScript, and may return another result each time.
    Script,
}

impl From<Broken> for Unreadable {
    fn from(broken: Broken) -> Self {
        Unreadable::Broken(broken)
    }
}

impl StoredFunction {
    /// Takes a function of a query.
    pub fn new(func: &Func) -> Result<StoredFunction> {
        let unfit = || Error::logic("Only functions that are made of terms can be stored.").at(func.bt);
        let (term, params, scope) = func.source().ok_or_else(unfit)?;
        let body = term.args.get(1).ok_or_else(unfit)?.clone();
        Ok(StoredFunction { captures: Captures::of(term, scope), params: params.to_vec(), body })
    }

    /// Makes the function of an index that is named after a field. It blames `bt`.
    pub fn of_field(name: &str, bt: Bt) -> StoredFunction {
        let row = RawTerm::literal(Datum::from(FIELD_ROW), bt);
        let row = RawTerm::generated(TermType::Var, bt, vec![row]);
        let field = RawTerm::literal(Datum::str(name), bt);
        let body = RawTerm::generated(TermType::GetField, bt, vec![row, field]);
        StoredFunction { captures: Captures::default(), params: vec![FIELD_ROW], body }
    }

    /// Compiles the function.
    pub fn compile(self) -> Result<Func> {
        let bt = self.body.bt;
        let term = self.term();
        compile_function(&term, self.captures).map_err(|error| error.moved_to(bt))
    }

    /// Returns the function as JavaScript, for people to read.
    pub fn as_javascript(&self) -> String {
        if self.captures.variables.is_empty() {
            function_as_javascript(&self.term())
        } else {
            "non-printable function (captured scope not empty)".to_owned()
        }
    }

    /// Returns the whole function as a term.
    fn term(&self) -> RawTerm {
        let bt = self.body.bt;
        let params = self.params.iter().map(|name| RawTerm::literal(Datum::from(*name), bt)).collect();
        let params = RawTerm::generated(TermType::MakeArray, bt, params);
        RawTerm::generated(TermType::Func, bt, vec![params, self.body.clone()])
    }

    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = vec![REQL];
        self.write_captures(&mut out).map_err(|value::TooLarge| too_large())?;
        out.extend(varint(self.params.len() as u64));
        out.extend(self.params.iter().flat_map(|name| name.to_le_bytes()));
        let mut body = Vec::new();
        self.body.write_wire(&mut body)?;
        // The text ends with a NUL, as in C.
        body.push(0);
        let length = i32::try_from(body.len()).map_err(|_| too_large())?;
        out.extend(length.to_le_bytes());
        out.append(&mut body);
        out.extend(self.body.bt.0.to_le_bytes());
        if out.len() > MAX_SIZE {
            return Err(too_large());
        }
        Ok(out)
    }

    fn write_captures(&self, out: &mut Vec<u8>) -> std::result::Result<(), value::TooLarge> {
        out.extend(varint(self.captures.variables.len() as u64));
        for (name, value) in &self.captures.variables {
            out.extend(name.to_le_bytes());
            out.extend(value::to_bytes(value, MAX_SIZE)?);
        }
        out.extend(self.captures.implicit_depth.to_le_bytes());
        if self.captures.implicit_depth == 1 {
            out.push(u8::from(self.captures.implicit.is_some()));
            if let Some(row) = &self.captures.implicit {
                out.extend(value::to_bytes(row, MAX_SIZE)?);
            }
        }
        Ok(())
    }

    /// Reads a function, whose terms are not compiled yet.
    pub fn read(reader: &mut Reader<'_>) -> std::result::Result<StoredFunction, Unreadable> {
        StoredFunction::read_of(reader, Era::Json)
    }

    /// Reads a function that was written in an earlier era.
    pub fn read_of(reader: &mut Reader<'_>, era: Era) -> std::result::Result<StoredFunction, Unreadable> {
        match reader.byte()? {
            REQL => {}
            JAVASCRIPT => return Err(Unreadable::Script),
            _ => return Err(Broken::Range.into()),
        }
        let captures = read_captures(reader)?;
        let count = reader.varint()?;
        let params = (0..count)
            .map(|_| reader.array().map(i64::from_le_bytes))
            .collect::<std::result::Result<_, _>>()?;
        let body = read_body(sized(reader)?, era)?;
        // The function's place, which the body has too.
        match era {
            Era::Json | Era::NumberedProtobuf => reader.array::<4>().map(drop)?,
            Era::Protobuf => sized(reader).map(drop)?,
        }
        Ok(StoredFunction { captures, params, body })
    }
}

/// The formats in which RethinkDB has stored terms and their places over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Both as protocol buffers, up to version 2.0.
    Protobuf,
    /// Places as numbers, in version 2.1.
    NumberedProtobuf,
    /// Terms as JSON, since version 2.2.
    Json,
}

/// Reads bytes with their number before them, in 32 bits.
fn sized<'a>(reader: &mut Reader<'a>) -> std::result::Result<&'a [u8], Broken> {
    let length = i32::from_le_bytes(reader.array()?);
    reader.take(u64::try_from(length).map_err(|_| Broken::Range)?)
}

fn too_large() -> Error {
    let message = format!("Function too large to be stored (max {} MiB).", MAX_SIZE >> 20);
    Error::new(ErrorKind::ResourceLimit, message)
}

fn read_captures(reader: &mut Reader<'_>) -> std::result::Result<Captures, Broken> {
    let mut captures = Captures::default();
    for _ in 0..reader.varint()? {
        let name = i64::from_le_bytes(reader.array()?);
        captures.variables.insert(name, value::read(reader)?);
    }
    captures.implicit_depth = u32::from_le_bytes(reader.array()?);
    if captures.implicit_depth == 1 && reader.flag()? {
        captures.implicit = Some(value::read(reader)?);
    }
    Ok(captures)
}

/// Reads the term of some bytes.
fn read_body(bytes: &[u8], era: Era) -> std::result::Result<RawTerm, Unreadable> {
    if bytes.len() > MAX_SIZE {
        return Err(Broken::Range.into());
    }
    let arena = Arena::new();
    let tree = if era == Era::Json {
        // The text ends with a NUL, as in C.
        let text = bytes.strip_suffix(&[0]).ok_or(Broken::Range)?;
        syntax::parse(text, &arena).map_err(|error| Unreadable::Wrong(error.to_string()))?
    } else {
        protobuf::term(bytes, &arena)?
    };
    RawTerm::from_wire(tree).map_err(|error| Unreadable::Wrong(error.message().to_owned()))
}
