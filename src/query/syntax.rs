//! The only parser of the syntax of fields, values and lists in URLs. `docs/urls.md` describes it for users.
//!
//! A reader goes through a text once, from left to right, and is not recursive, so that deep nesting takes no
//! stack. Errors of syntax name the place.

use serde_json::Value;

use super::parameters::bad;
use crate::error::Error;
use crate::json;

/// The deepest nesting of a field.
pub(crate) const DEPTH: usize = 32;
/// The most bytes in the name of a field.
pub(crate) const NAME_MAX: usize = 1024;

/// The characters that need quotes in some places.
const SPECIAL: &str = ".,=()[]{}\"\\";

/// The name of a field, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    quoted: bool,
}

/// A member of a list of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Member<'a> {
    /// A member that begins with a quote or a bracket.
    Json(Value),
    /// Any other member, without surrounding blanks.
    Bare(&'a str),
}

/// A parser of a text.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    parameter: &'a str,
    text: &'a str,
    /// The number of bytes that have been read.
    at: usize,
}

impl Name {
    /// Returns whether the name is this word, and not in quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        !self.quoted && self.text == word
    }

    /// Returns the name, unless it is in quotes.
    pub(super) fn bare(&self) -> Option<&str> {
        (!self.quoted).then_some(self.text.as_str())
    }
}

impl<'a> Reader<'a> {
    /// Starts to parse a text. `parameter` names the place for errors.
    pub(super) fn new(text: &'a str, parameter: &'a str) -> Self {
        Reader { parameter, text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the text that has been read since `start`, without surrounding blanks.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default().trim()
    }

    /// Takes the rest of the text.
    pub(super) fn rest(&mut self) -> &'a str {
        let rest = self.ahead();
        self.at = self.text.len();
        rest
    }

    /// Makes an error at a place, which is shown as a number of characters, counted from 1.
    pub(super) fn wrong(&self, at: usize, reason: impl AsRef<str>) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text).chars().count();
        bad(self.parameter, format!("{}, at character {}", reason.as_ref(), before + 1))
    }

    /// Checks that nothing is left but blanks.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.blanks();
        match self.peek() {
            None => Ok(()),
            Some(c) => Err(self.wrong(self.at, format!("`{c}` is not expected"))),
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.ahead().chars().next()
    }

    /// Skips a character, if it is the next one.
    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// Skips a character that must be the next one.
    pub(super) fn expect(&mut self, c: char) -> Result<(), Error> {
        if self.eat(c) { Ok(()) } else { Err(self.wrong(self.at, format!("`{c}` is expected"))) }
    }

    pub(super) fn blanks(&mut self) {
        self.take_until(|c| !c.is_whitespace());
    }

    /// Takes the letters that follow.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_until(|c| !c.is_ascii_alphabetic())
    }

    /// Parses a field: names with dots between them. Unquoted names end before any of `ends`.
    pub(super) fn names(&mut self, ends: &str) -> Result<Vec<Name>, Error> {
        self.names_and_words(ends, &[]).map(|(names, _)| names)
    }

    /// Parses a field and the words that follow it, each after a dot: any of `words`, in their order. The
    /// first name is always part of the field.
    pub(super) fn names_and_words(
        &mut self,
        ends: &str,
        words: &[&'static str],
    ) -> Result<(Vec<Name>, Vec<&'static str>), Error> {
        let start = self.at;
        let mut names = vec![self.name(ends)?];
        while names.len() <= DEPTH + words.len() && self.eat('.') {
            names.push(self.name(ends)?);
        }
        let mut found = Vec::new();
        for word in words.iter().rev() {
            if names.len() > 1 && names.pop_if(|name| name.is_word(word)).is_some() {
                found.insert(0, *word);
            }
        }
        if names.len() > DEPTH {
            return Err(self.wrong(start, format!("a field may be {DEPTH} levels deep at most")));
        }
        Ok((names, found))
    }

    fn name(&mut self, ends: &str) -> Result<Name, Error> {
        self.blanks();
        let start = self.at;
        let name = match self.peek() {
            Some('"') => match self.json()? {
                Value::String(text) => Name { text, quoted: true },
                _ => return Err(self.wrong(start, "the name of a field is expected")),
            },
            _ => {
                let text = self.take_until(|c| c == '.' || ends.contains(c)).trim_end();
                if let Some(at) = text.find('"') {
                    let reason = "a name with a quote in it has to be quoted as a whole, as JSON";
                    return Err(self.wrong(start + at, reason));
                }
                Name { text: text.to_owned(), quoted: false }
            }
        };
        self.blanks();
        // The database cuts names off at a NUL.
        if name.text.contains('\0') || (name.text.is_empty() && !name.quoted) {
            return Err(self.wrong(start, "the name of a field is expected"));
        }
        if name.text.len() > NAME_MAX {
            return Err(self.wrong(start, format!("a name may have {NAME_MAX} bytes at most")));
        }
        Ok(name)
    }

    /// Parses items with commas between them: at least one, and at most `most`.
    pub(super) fn separated<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        loop {
            if items.len() == most {
                return Err(self.wrong(self.at, format!("a list may have {most} members at most")));
            }
            items.push(item(self)?);
            self.blanks();
            if !self.eat(',') {
                return Ok(items);
            }
        }
    }

    /// Parses items in brackets, with commas between them: none, or at most `most`.
    pub(super) fn bracketed<T>(
        &mut self,
        most: usize,
        item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.blanks();
        self.expect('(')?;
        self.blanks();
        if self.eat(')') {
            return Ok(Vec::new());
        }
        let items = self.separated(most, item)?;
        self.expect(')')?;
        Ok(items)
    }

    /// Parses a member of a list, up to the comma or the bracket that ends it.
    pub(super) fn member(&mut self) -> Result<Member<'a>, Error> {
        self.blanks();
        match self.peek() {
            Some('"' | '[' | '{') => self.json().map(Member::Json),
            _ => self.bare().map(Member::Bare),
        }
    }

    /// Parses a member of a list of texts, up to the comma or the bracket that ends it. It is JSON only if it
    /// is in quotes.
    pub(super) fn text_member(&mut self) -> Result<String, Error> {
        self.blanks();
        let start = self.at;
        match self.peek() {
            Some('"') => match self.json()? {
                Value::String(text) => Ok(text),
                _ => Err(self.wrong(start, "a text is expected")),
            },
            _ => self.bare().map(str::to_owned),
        }
    }

    /// Parses JSON that is self-delimiting: a string, an array or an object.
    fn json(&mut self) -> Result<Value, Error> {
        let mut values = serde_json::Deserializer::from_str(self.ahead()).into_iter();
        match values.next() {
            Some(Ok(json::Read(value))) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            _ => {
                let reason =
                    "what begins with a quote or a bracket has to be JSON, and text that does to be quoted";
                Err(self.wrong(self.at, reason))
            }
        }
    }

    /// Parses text without quotes. Brackets in it must be balanced, and commas inside of them belong to it.
    fn bare(&mut self) -> Result<&'a str, Error> {
        const QUOTE: &str = "text like this has to be quoted, as JSON";
        let start = self.at;
        let mut open = Vec::new();
        let mut escaped = None;
        while let Some(c) = self.peek() {
            match c {
                ',' | ')' if open.is_empty() => break,
                '(' => open.push((')', self.at)),
                '[' => open.push((']', self.at)),
                '{' => open.push(('}', self.at)),
                ')' | ']' | '}' => match open.pop() {
                    Some((closing, _)) if closing == c => {}
                    _ => return Err(self.wrong(self.at, format!("`{c}` closes no bracket: {QUOTE}"))),
                },
                '"' => return Err(self.wrong(self.at, format!("a quote in the middle: {QUOTE}"))),
                _ => {}
            }
            escaped = (c == '\\').then_some(self.at);
            self.at += c.len_utf8();
        }
        match (open.last(), escaped) {
            (Some((_, at)), _) => Err(self.wrong(*at, format!("a bracket is not closed: {QUOTE}"))),
            // A backslash before a comma or bracket is ambiguous: it might be an escape, or a part of the
            // text.
            (None, Some(at)) => {
                Err(self.wrong(at, format!("a backslash before the end of a member: {QUOTE}")))
            }
            (None, None) => Ok(self.since(start)),
        }
    }

    /// Takes the text up to the semicolon or bracket that ends it. Those in quotes or brackets belong to it.
    pub(super) fn option(&mut self) -> &'a str {
        let (mut open, mut quoted, mut escaped) = (0_usize, false, false);
        self.take_until(|c| {
            let is_escaped = escaped;
            escaped = quoted && !is_escaped && c == '\\';
            match c {
                '"' if !is_escaped => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => open += 1,
                ';' | ')' if open == 0 => return true,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            false
        })
    }

    fn take_until(&mut self, ends: impl FnMut(char) -> bool) -> &'a str {
        let ahead = self.ahead();
        let taken = ahead.find(ends).and_then(|end| ahead.get(..end)).unwrap_or(ahead);
        self.at += taken.len();
        taken
    }

    fn ahead(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// Writes a name so that it can be read back in all places for fields.
pub(super) fn written(name: &str) -> String {
    let is_special = |c: char| c.is_control() || SPECIAL.contains(c);
    let plain = !name.is_empty() && name.trim() == name && !name.contains(is_special);
    if plain && !name.starts_with(['-', '*']) { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(text: &str) -> Result<Vec<Member<'_>>, String> {
        let mut reader = Reader::new(text, "v");
        let members = reader.bracketed(10, Reader::member);
        let members = members.and_then(|members| reader.finish().map(|()| members));
        members.map_err(|error| error.to_string())
    }

    #[test]
    fn members_are_json_or_plain_text() {
        use Member::{Bare, Json};
        for (text, expected) in [
            ("()", vec![]),
            ("( )", vec![]),
            ("(a)", vec![Bare("a")]),
            (" ( a b , c.d )", vec![Bare("a b"), Bare("c.d")]),
            (
                "(\"a,b)\", [1, \"]\"],{\"a\":\"}\"})",
                vec![Json(json!("a,b)")), Json(json!([1, "]"])), Json(json!({"a": "}"}))],
            ),
            ("(f(x,y),a[0],\\d+)", vec![Bare("f(x,y)"), Bare("a[0]"), Bare("\\d+")]),
            ("(,)", vec![Bare(""), Bare("")]),
        ] {
            assert_eq!(members(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_list_that_is_not_well_formed_is_wrong_at_a_place() {
        for (text, place) in [
            ("", 1),
            ("a", 1),
            ("(a", 3),
            ("(a)b", 4),
            ("(a))", 4),
            ("(O\"Brien,keep)", 3),
            ("(keep,O\"Brien)", 8),
            ("(:(,plain)", 11),
            ("((a)", 5),
            ("(é:(a,b", 4),
            ("({a,plain)", 2),
            ("(plain,[1,2)", 8),
            ("(\"unterminated,plain)", 2),
            ("(\"a\"b,c)", 5),
            ("(\"a\" b)", 6),
            ("([1]2)", 5),
            ("(a],b)", 3),
            ("(a(b],c)", 5),
            ("(a\\,b)", 3),
            ("(a,b\\)", 5),
            ("(\"\\ud800\")", 2),
        ] {
            let error = members(text).expect_err(text);
            assert!(error.contains(&format!("at character {place}.")), "{text}: {error}");
        }
    }

    #[test]
    fn lists_and_fields_have_bounds() {
        assert!(members("(1,2,3,4,5,6,7,8,9,10)").is_ok());
        assert!(members("(1,2,3,4,5,6,7,8,9,10,11)").is_err());
        let names = |levels: usize| Reader::new(&vec!["a"; levels].join("."), "f").names("").map(|_| ());
        assert!(names(DEPTH).is_ok() && names(DEPTH + 1).is_err() && names(100_000).is_err());
        let name = |length: usize| Reader::new(&"a".repeat(length), "f").names("").map(|_| ());
        assert!(name(NAME_MAX).is_ok() && name(NAME_MAX + 1).is_err());
        // Nesting costs no stack, closed or not.
        for text in [format!("({}", "(".repeat(1_000_000)), format!("({}", "[".repeat(1_000_000))] {
            assert!(members(&text).is_err());
        }
    }
}
