//! JSON text as a tree, with the rules and the error texts of the parser that RethinkDB uses (rapidjson).

use std::borrow::Cow;
use std::fmt;

use super::json::utf8;
use crate::budget::fuel;

/// The levels to which arrays and objects may nest. RethinkDB has no limit but its memory.
pub const MAX_DEPTH: usize = 10_000;

/// The number of digits that always make an integer that a double holds exactly. The numbers of terms have
/// three.
const EXACT_DIGITS: usize = 15;

/// The memory of the parts of trees.
pub type Arena = bumpalo::Bump;

/// A JSON value, whose parts are in the text or in an arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number, as a double, and how it was written.
    Num(f64, Notation),
    /// A string.
    Str(&'a str),
    /// An array.
    Array(&'a [Json<'a>]),
    /// An object, in the order of the text, duplicate keys included.
    Object(&'a [(&'a str, Json<'a>)]),
}

/// The notation of a number. RethinkDB's parser keeps the two notations apart, and prints each number as it
/// came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// Digits alone: `1`.
    Integer,
    /// With a fraction or an exponent: `1.0`.
    Decimal,
}

impl Json<'_> {
    /// Returns the type's name in error messages about malformed queries.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "NULL",
            Json::Bool(_) => "BOOL",
            Json::Num(..) => "NUMBER",
            Json::Str(_) => "STRING",
            Json::Array(_) => "ARRAY",
            Json::Object(_) => "OBJECT",
        }
    }
}

/// The reason why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(Cow<'static, str>);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

type Result<T> = std::result::Result<T, ParseError>;

fn fail<T>(message: &'static str) -> Result<T> {
    Err(ParseError(Cow::Borrowed(message)))
}

/// Parses one JSON value that fills the text.
pub fn parse<'a>(text: &'a [u8], arena: &'a Arena) -> Result<Json<'a>> {
    let mut parser = Parser { text, arena, at: 0 };
    parser.skip_space();
    if parser.peek().is_none() {
        return fail("The document is empty.");
    }
    let value = parser.document()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => fail("The document root must not follow by other values."),
    }
}

/// Returns an upper bound of the number of values in a text, if it is JSON.
pub fn count_values(text: &[u8]) -> usize {
    1 + text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Room for the parts of open containers, which is enough for most queries.
const ROOM: usize = 16;

/// The containers around the place that is read, outermost first, and their parts so far.
struct Around<'a> {
    open: Vec<Open<'a>>,
    items: Vec<Json<'a>>,
    fields: Vec<(&'a str, Json<'a>)>,
}

/// A container whose end has not come yet. Its parts so far lie on a stack for all containers of its type,
/// from `first` on.
enum Open<'a> {
    Array { first: usize },
    Object { first: usize, key: &'a str },
}

struct Parser<'a> {
    text: &'a [u8],
    arena: &'a Arena,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Reads a value with all of its parts. Depth takes no stack.
    fn document(&mut self) -> Result<Json<'a>> {
        let mut around =
            Around { open: Vec::with_capacity(ROOM), items: Vec::with_capacity(ROOM), fields: Vec::new() };
        while fuel::burn(1) {
            self.skip_space();
            let Some(value) = self.begin(&mut around)? else { continue };
            if let Some(root) = self.put(value, &mut around)? {
                return Ok(root);
            }
        }
        // Nobody is going to see this error.
        fail("Terminate parsing.")
    }

    /// Reads a value without parts; or opens a container, whose parts follow.
    #[inline]
    fn begin(&mut self, around: &mut Around<'a>) -> Result<Option<Json<'a>>> {
        let first = self.peek();
        if !matches!(first, Some(b'[' | b'{')) {
            return self.scalar().map(Some);
        }
        check_depth(around.open.len())?;
        self.at += 1;
        self.skip_space();
        if first == Some(b'[') {
            if self.eat(b']') {
                return Ok(Some(Json::Array(&[])));
            }
            around.open.push(Open::Array { first: around.items.len() });
        } else {
            if self.eat(b'}') {
                return Ok(Some(Json::Object(&[])));
            }
            around.open.push(Open::Object { first: around.fields.len(), key: self.key()? });
        }
        Ok(None)
    }

    /// Puts a value into its container. If that ends with it, the container goes into its own. Returns the
    /// value that is in none.
    #[inline]
    fn put(&mut self, mut value: Json<'a>, around: &mut Around<'a>) -> Result<Option<Json<'a>>> {
        let Around { open, items, fields } = around;
        loop {
            match open.last_mut() {
                None => return Ok(Some(value)),
                Some(Open::Array { first }) => {
                    items.push(value);
                    self.skip_space();
                    if self.eat(b',') {
                        return Ok(None);
                    }
                    if !self.eat(b']') {
                        return fail("Missing a comma or ']' after an array element.");
                    }
                    value = Json::Array(self.arena.alloc_slice_copy(&items[*first..]));
                    items.truncate(*first);
                }
                Some(Open::Object { first, key }) => {
                    fields.push((*key, value));
                    self.skip_space();
                    if self.eat(b',') {
                        self.skip_space();
                        *key = self.key()?;
                        return Ok(None);
                    }
                    if !self.eat(b'}') {
                        return fail("Missing a comma or '}' after an object member.");
                    }
                    value = Json::Object(self.arena.alloc_slice_copy(&fields[*first..]));
                    fields.truncate(*first);
                }
            }
            open.pop();
        }
    }

    /// Reads the key of a field, and the colon after it.
    fn key(&mut self) -> Result<&'a str> {
        if self.peek() != Some(b'"') {
            return fail("Missing a name for object member.");
        }
        let key = self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return fail("Missing a colon after a name of object member.");
        }
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Json<'a>> {
        match self.peek() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => Ok(Json::Str(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => fail("Invalid value."),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            fail("Invalid value.")
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json<'a>> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && self.digits() == 0 {
            return fail("Invalid value.");
        }
        let mut is_integer = true;
        if self.eat(b'.') {
            is_integer = false;
            if self.digits() == 0 {
                return fail("Miss fraction part in number.");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            if self.digits() == 0 {
                return fail("Miss exponent in number.");
            }
        }
        let digits = &self.text[start..self.at];
        if is_integer && digits.len() <= EXACT_DIGITS && digits[0] != b'-' {
            let value = digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            return Ok(Json::Num(value as f64, Notation::Integer));
        }
        // Integers lose the sign of zero, as in rapidjson: `-0` is 0, `-0.0` is -0.
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let notation = if is_integer { Notation::Integer } else { Notation::Decimal };
        match text.parse::<f64>() {
            Ok(value) if is_integer && value == 0.0 => Ok(Json::Num(0.0, notation)),
            Ok(value) if value.is_finite() => Ok(Json::Num(value, notation)),
            _ => fail("Number too big to be stored in double."),
        }
    }

    fn string(&mut self) -> Result<&'a str> {
        self.at += 1;
        let plain = self.plain();
        if self.eat(b'"') {
            return checked(plain);
        }
        let mut unescaped = plain.to_vec();
        loop {
            match self.peek() {
                None | Some(0) => return fail("Missing a closing quotation mark in string."),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let mut piece = [0; 4];
                    unescaped.extend_from_slice(Self::escape(self.text, &mut self.at, &mut piece)?);
                }
                Some(_) => return fail("Invalid escape character in string."),
            }
            unescaped.extend_from_slice(self.plain());
        }
        self.at += 1;
        Ok(self.arena.alloc_str(checked(&unescaped)?))
    }

    /// Returns the text before the next quotation mark, backslash or control character.
    fn plain(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Reads the rest of an escape sequence, after its backslash.
    fn escape<'b>(text: &[u8], at: &mut usize, piece: &'b mut [u8; 4]) -> Result<&'b [u8]> {
        let Some(&byte) = text.get(*at) else { return fail("Missing a closing quotation mark in string.") };
        *at += 1;
        let c = match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => Self::unicode_escape(text, at)?,
            _ => return fail("Invalid escape character in string."),
        };
        Ok(c.encode_utf8(piece).as_bytes())
    }

    fn unicode_escape(text: &[u8], at: &mut usize) -> Result<char> {
        const INVALID: &str = "The surrogate pair in string is invalid.";
        let first = Self::hex4(text, at)?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !text[*at..].starts_with(b"\\u") {
                return fail(INVALID);
            }
            *at += 2;
            let second = Self::hex4(text, at)?;
            if !(0xdc00..0xe000).contains(&second) {
                return fail(INVALID);
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).map_or_else(|| fail(INVALID), Ok)
    }

    fn hex4(text: &[u8], at: &mut usize) -> Result<u32> {
        let digits = text.get(*at..*at + 4).and_then(|digits| {
            digits.iter().try_fold(0, |value, digit| Some(value * 16 + (*digit as char).to_digit(16)?))
        });
        *at += 4;
        digits.map_or_else(|| fail("Incorrect hex digit after \\u escape in string."), Ok)
    }
}

fn check_depth(depth: usize) -> Result<()> {
    if depth < MAX_DEPTH { Ok(()) } else { fail("Terminate parsing due to Handler error.") }
}

fn checked(bytes: &[u8]) -> Result<&str> {
    utf8(bytes).map_err(|error| ParseError(Cow::Owned(error.message().to_owned())))
}
