//! Reads a pattern by RE2's rules and writes it in the syntax of the `regex` crate.

use std::fmt;

use super::class::{self, Class};
use super::cost::{Cost, Item};

/// The highest count of a repetition, and of nested ones multiplied.
const MAX_REPEAT: u32 = 1000;

/// The fault of a pattern: the part to blame, and RE2's name for the fault.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) portion: &'a str,
    name: &'static str,
}

impl<'a> Fault<'a> {
    pub(super) fn new(name: &'static str, portion: &'a str) -> Self {
        Fault { portion, name }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.portion.is_empty() { Ok(()) } else { write!(f, ": {}", self.portion) }
    }
}

/// A pattern in the syntax of the `regex` crate.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) text: String,
    /// The steps that compiling it takes.
    pub(super) steps: u64,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str) -> Result<Translated, Fault<'_>> {
    let mut translator = Translator {
        pattern,
        at: 0,
        out: String::with_capacity(pattern.len() * 2),
        flags: String::new(),
        cost: Cost::new(),
        folds: false,
        posix_end: pattern.rfind(":]").map(|at| pattern.len() - at),
        last_repetition: None,
    };
    while translator.at < pattern.len() {
        translator.next()?;
    }
    if translator.cost.is_in_group() {
        return Err(Fault::new("missing )", pattern));
    }
    Ok(Translated { text: translator.out, steps: translator.cost.steps() })
}

struct Translator<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    /// Flags that hold from the next item on. They are written with that item, because a repetition operator
    /// after them repeats the item before.
    flags: String,
    /// The steps of compiling, and the open groups.
    cost: Cost,
    /// True once case was ignored anywhere.
    folds: bool,
    /// The bytes of the pattern from its last `:]` on.
    posix_end: Option<usize>,
    /// Start of the repetition operator that was just read.
    last_repetition: Option<usize>,
}

impl<'a> Translator<'a> {
    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn since(&self, start: usize) -> &'a str {
        &self.pattern[start..self.at]
    }

    fn skip(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn write(&mut self, text: &str) {
        self.out.push_str(&self.flags);
        self.flags.clear();
        self.out.push_str(text);
    }

    /// Writes an item that can be repeated.
    fn item(&mut self, text: &str, item: Item) {
        self.write(text);
        self.cost.add(item);
    }

    fn literal(&mut self, c: char) {
        // With its other case, it's a class.
        let item = Item::new(c.len_utf8(), usize::from(self.folds));
        self.item(&regex::escape(c.encode_utf8(&mut [0; 4])), item);
    }

    fn class(&mut self, class: &Class) {
        if self.folds {
            self.cost.fold(class.cased);
        }
        self.item(&class.text, Item::class(class.ranges));
    }

    fn next(&mut self) -> Result<(), Fault<'a>> {
        let start = self.at;
        let last_repetition = self.last_repetition.take();
        match self.bump() {
            None => {}
            Some('(') => self.open(start)?,
            Some(')') => self.close()?,
            Some('|') => {
                self.write("|");
                self.cost.end_branch();
            }
            Some(c @ ('^' | '$' | '.')) => self.item(c.encode_utf8(&mut [0; 4]), Item::class(2)),
            Some('[') => {
                let class = class::translate(&self.pattern[start..], self.posix_end)?;
                self.at = start + class.length;
                self.class(&class);
            }
            Some(operator @ ('*' | '+' | '?')) => {
                let text = operator.to_string();
                self.repeat(start, &text, last_repetition, None)?;
            }
            Some('{') => match self.counts() {
                Some((min, max)) => {
                    let text = self.since(start).to_owned();
                    self.repeat(start, &text, last_repetition, Some((min, max)))?;
                }
                None => self.literal('{'),
            },
            Some('\\') => self.escape(start)?,
            Some(c) => self.literal(c),
        }
        Ok(())
    }

    fn open(&mut self, start: usize) -> Result<(), Fault<'a>> {
        if self.skip("?P<") {
            let rest = &self.pattern[start..];
            let end = rest.find('>').ok_or_else(|| Fault::new("invalid named capture group", rest))?;
            let name = &rest["(?P<".len()..end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(Fault::new("invalid named capture group", &rest[..=end]));
            }
            // Names have no effect on the result of `match`.
            self.at = start + end + 1;
            self.begin("(");
        } else if self.skip("?") {
            self.flags(start)?;
        } else {
            self.begin("(");
        }
        Ok(())
    }

    fn begin(&mut self, text: &str) {
        self.write(text);
        self.cost.begin_group();
    }

    /// Reads the text after `(?`: flags, and possibly a group that they hold for.
    fn flags(&mut self, start: usize) -> Result<(), Fault<'a>> {
        let bad = |this: &Self| Fault::new("invalid perl operator", this.since(start));
        let (mut negated, mut any) = (false, false);
        loop {
            match self.bump() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    self.folds |= flag == 'i' && !negated;
                    any = true;
                }
                Some('-') if !negated => (negated, any) = (true, false),
                Some(end @ (':' | ')')) if any || !negated => {
                    let flags = self.since(start).to_owned();
                    match (end, flags.as_str()) {
                        (':', _) => self.begin(&flags),
                        (_, "(?)") => {}
                        _ => self.flags.push_str(&flags),
                    }
                    return Ok(());
                }
                _ => return Err(bad(self)),
            }
        }
    }

    fn close(&mut self) -> Result<(), Fault<'a>> {
        if !self.cost.end_group() {
            return Err(Fault::new("missing )", self.pattern));
        }
        self.flags.clear();
        self.write(")");
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; anything else is plain text.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let start = self.at;
        let counts = self.read_counts();
        if counts.is_none() {
            self.at = start;
        }
        counts
    }

    fn read_counts(&mut self) -> Option<(u32, Option<u32>)> {
        let min = self.number()?;
        let max = if !self.skip(",") {
            Some(min)
        } else if self.rest().starts_with('}') {
            None
        } else {
            Some(self.number()?)
        };
        self.skip("}").then_some((min, max))
    }

    /// Reads a number without leading zeros, of at most eight digits.
    fn number(&mut self) -> Option<u32> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = &rest[..length];
        if digits.is_empty() || digits.len() > 8 || digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.at += length;
        digits.parse().ok()
    }

    fn repeat(
        &mut self,
        start: usize,
        operator: &str,
        last_repetition: Option<usize>,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), Fault<'a>> {
        let lazy = self.skip("?");
        if let Some(last) = last_repetition {
            return Err(Fault::new("bad repetition operator", self.since(last)));
        }
        let bad_size = Fault::new("invalid repetition size", self.since(start));
        if counts.is_some_and(|(min, max)| {
            min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min)
        }) {
            return Err(bad_size);
        }
        let Some(repeats) = self.cost.repeats() else {
            return Err(Fault::new("no argument for repetition operator", self.since(start)));
        };
        let times = counts.map_or(1, |(min, max)| max.unwrap_or(min).max(1));
        let repeats = repeats.saturating_mul(times);
        if times > 1 && repeats > MAX_REPEAT {
            return Err(bad_size);
        }
        self.out.push_str(operator);
        let is_left_out = counts.is_some_and(|(_, max)| max == Some(0));
        self.cost.repeat(if is_left_out { 0 } else { times }, repeats);
        if lazy {
            self.out.push('?');
        }
        self.last_repetition = Some(start);
        Ok(())
    }

    fn escape(&mut self, start: usize) -> Result<(), Fault<'a>> {
        match self.rest().chars().next() {
            Some('Q') => {
                self.at += 1;
                let (quoted, end) = self.rest().split_once("\\E").unwrap_or((self.rest(), ""));
                self.at = self.pattern.len() - end.len();
                quoted.chars().for_each(|c| self.literal(c));
            }
            Some('b') => self.escaped_item("(?-u:\\b)"),
            Some('B') => self.escaped_item("(?-u:\\B)"),
            Some('A') => self.escaped_item("\\A"),
            Some('z') => self.escaped_item("\\z"),
            // Any byte, even one in the middle of a character.
            Some('C') => self.escaped_item("(?s-u:.)"),
            _ => match class::escaped(&self.pattern[start..])? {
                class::Escaped::Char(c, length) => {
                    self.at = start + length;
                    self.literal(c);
                }
                class::Escaped::Set(set, length) => {
                    self.at = start + length;
                    self.class(&Class::of_set(set, length));
                }
            },
        }
        Ok(())
    }

    fn escaped_item(&mut self, text: &str) {
        self.at += 1;
        self.item(text, Item::class(2));
    }
}
