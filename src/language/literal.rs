//! String literals and their escapes.

use super::{Fault, Result, Span};

/// Returns the text of a literal in quotes.
pub(super) fn text(source: &str, span: Span) -> Result<String> {
    let raw = span.of(source);
    let quote = raw.chars().next().unwrap_or_default();
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    let mut chars = Chars { inner, at: 0, start: span.start as usize + 1 };
    let mut text = String::with_capacity(inner.len());
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.escape()?),
            '$' if quote == '`' && chars.inner[chars.at..].starts_with('{') => {
                return Err(
                    chars.fault(1, "templates have no placeholders here; join texts with `.add(...)`")
                );
            }
            // A line's end is always one character in a template (ECMA-262, 12.9.6).
            '\r' if quote == '`' => {
                chars.eat('\n');
                text.push('\n');
            }
            _ => text.push(c),
        }
    }
    Ok(text)
}

/// The characters between the quotes.
struct Chars<'a> {
    inner: &'a str,
    at: usize,
    /// Their start in the source.
    start: usize,
}

impl Chars<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.inner[self.at..].chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.inner[self.at..].starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    /// Makes a fault at the last `length` bytes.
    fn fault(&self, length: usize, message: &str) -> Fault {
        let end = self.start + self.at;
        Fault::new(Span::new(end.saturating_sub(length), end), message)
    }

    /// Returns the character of an escape, whose backslash has been read; `None` for one that joins lines.
    fn escape(&mut self) -> Result<Option<char>> {
        let Some(c) = self.next() else { return Err(self.fault(1, "this escape has no end")) };
        Ok(Some(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' if !self.inner[self.at..].starts_with(|c: char| c.is_ascii_digit()) => '\0',
            '\r' => {
                self.eat('\n');
                return Ok(None);
            }
            '\n' | '\u{2028}' | '\u{2029}' => return Ok(None),
            'x' => {
                let code = self.digits(2)?;
                self.character(code)?
            }
            'u' => self.unicode()?,
            '0'..='9' => return Err(self.fault(2, "octal escapes aren't read; write `\\x` and two digits")),
            other => other,
        }))
    }

    /// Reads `XXXX` or `{X...}`, and both halves of a pair of surrogates.
    fn unicode(&mut self) -> Result<char> {
        if self.eat('{') {
            let rest = &self.inner[self.at..];
            let length = rest.find('}').filter(|length| (1..=6).contains(length));
            let length = length.ok_or_else(|| self.fault(3, "this escape has 1 to 6 digits and a `}`"))?;
            let code = self.digits(length)?;
            self.eat('}');
            return self.character(code);
        }
        let first = self.digits(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return self.character(first);
        }
        if self.inner[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.digits(4)?;
            if (0xdc00..0xe000).contains(&second) {
                return self.character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
        }
        Err(self.fault(6, "half a pair of surrogates is no character"))
    }

    fn character(&self, code: u32) -> Result<char> {
        char::from_u32(code).ok_or_else(|| self.fault(4, "there is no such character"))
    }

    fn digits(&mut self, length: usize) -> Result<u32> {
        let digits = self.inner.get(self.at..self.at + length).unwrap_or_default();
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(code) if is_hex => {
                self.at += length;
                Ok(code)
            }
            _ => Err(self.fault(2, "this escape lacks hexadecimal digits")),
        }
    }
}
