//! Character classes and escape sequences of RE2.

use std::collections::BTreeSet;

use regex_automata::util::syntax;

use super::pattern::Fault;
use crate::ranges::united;

/// The last character that may have a case. Those behind it are written apart from the others, so that the
/// crate doesn't look for the case of each of them.
const LAST_CASED: char = '\u{1FFFF}';
const FIRST_CASELESS: char = '\u{20000}';

/// A class, in the syntax of the `regex` crate.
pub(super) struct Class {
    pub(super) text: String,
    /// The bytes that were read.
    pub(super) length: usize,
    /// The number of its ranges, roughly.
    pub(super) ranges: usize,
    /// The characters whose case is looked for if case is ignored.
    pub(super) cased: usize,
}

impl Class {
    /// Returns the class of a set outside of brackets.
    pub(super) fn of_set(set: String, length: usize) -> Self {
        Class::new(false, &BTreeSet::from([set]), Vec::new(), length)
    }

    /// Writes a class.
    ///
    /// Case is folded within each set, and within the brackets around the ranges. What is put together of
    /// those isn't folded again.
    fn new(is_negated: bool, sets: &BTreeSet<String>, ranges: Vec<(char, char)>, length: usize) -> Self {
        let mut class = Class { text: String::from("["), length, ranges: 0, cased: 0 };
        if is_negated {
            class.text.push('^');
        }
        for set in sets {
            /// The ranges of a large set of Unicode's, such as that of all letters.
            const LARGE: usize = 700;
            class.text.push_str(set);
            class.ranges += if set.starts_with('\\') { LARGE } else { 8 };
        }
        let (mut cased, mut caseless) = (String::new(), String::new());
        for (low, high) in united(ranges) {
            if low <= LAST_CASED {
                let high = high.min(LAST_CASED);
                class.cased += u32::from(high) as usize - u32::from(low) as usize + 1;
                write_range(&mut cased, low, high);
            }
            if high >= FIRST_CASELESS {
                write_range(&mut caseless, low.max(FIRST_CASELESS), high);
            }
            class.ranges += 1;
        }
        for ranges in [cased, caseless].iter().filter(|ranges| !ranges.is_empty()) {
            class.text.push('[');
            class.text.push_str(ranges);
            class.text.push(']');
        }
        class.text.push(']');
        class
    }
}

fn write_range(text: &mut String, low: char, high: char) {
    text.push_str(&format!("\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high)));
}

/// An escape sequence, and the number of its bytes.
pub(super) enum Escaped {
    Char(char, usize),
    /// A set, written as inside of brackets.
    Set(String, usize),
}

/// Reads the bracketed class that the text begins with. The text is the rest of a pattern, `posix_end` the
/// bytes from its last `:]` on.
pub(super) fn translate(text: &str, posix_end: Option<usize>) -> Result<Class, Fault<'_>> {
    let mut at = 1;
    let is_negated = text[at..].starts_with('^');
    if is_negated {
        at += 1;
    }
    let first = at;
    // Each set is written once, however often it was.
    let (mut sets, mut ranges) = (BTreeSet::new(), Vec::new());
    loop {
        let rest = &text[at..];
        if rest.is_empty() {
            return Err(Fault::new("missing ]", text));
        }
        if rest.starts_with(']') && at > first {
            return Ok(Class::new(is_negated, &sets, ranges, at + 1));
        }
        if let Some((set, length)) = posix_class(rest, posix_end)? {
            sets.insert(set.to_owned());
            at += length;
        } else if let Some((set, length)) = set_escape(rest)? {
            sets.insert(set);
            at += length;
        } else {
            let (low, high, length) = range(rest, text)?;
            ranges.push((low, high));
            at += length;
        }
    }
}

/// Reads a character, or a range of them.
fn range<'a>(text: &'a str, class: &'a str) -> Result<(char, char, usize), Fault<'a>> {
    let (low, length) = class_char(text, class)?;
    match text[length..].strip_prefix('-') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(']') => {
            let (high, more) = class_char(rest, class)?;
            let length = length + 1 + more;
            if high < low {
                return Err(Fault::new("invalid character class range", &text[..length]));
            }
            Ok((low, high, length))
        }
        _ => Ok((low, low, length)),
    }
}

fn class_char<'a>(text: &'a str, class: &'a str) -> Result<(char, usize), Fault<'a>> {
    match text.chars().next() {
        None => Err(Fault::new("missing ]", class)),
        Some('\\') => char_escape(text),
        Some(c) => Ok((c, c.len_utf8())),
    }
}

/// Reads `[:alpha:]` and its like. What begins so, and has no end in the whole pattern, is none.
fn posix_class(text: &str, posix_end: Option<usize>) -> Result<Option<(&str, usize)>, Fault<'_>> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    if !text.starts_with("[:") || posix_end.is_none_or(|end| text.len() - 2 < end) {
        return Ok(None);
    }
    let Some(end) = text[2..].find(":]") else { return Ok(None) };
    let (whole, name) = (&text[..end + 4], &text[2..end + 2]);
    if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err(Fault::new("invalid character class range", whole));
    }
    Ok(Some((whole, whole.len())))
}

/// Reads the escape sequence that the text begins with, outside of brackets.
pub(super) fn escaped(text: &str) -> Result<Escaped, Fault<'_>> {
    match set_escape(text)? {
        Some((set, length)) => Ok(Escaped::Set(set, length)),
        None => char_escape(text).map(|(c, length)| Escaped::Char(c, length)),
    }
}

/// Reads `\d` and its like, which are ASCII in RE2, and `\p`. If case is ignored, those with a capital letter
/// are what the others aren't, long s and the sign for kelvin, `\w` by their other case, included.
fn set_escape(text: &str) -> Result<Option<(String, usize)>, Fault<'_>> {
    let mut chars = text.chars();
    if chars.next() != Some('\\') {
        return Ok(None);
    }
    let set = match chars.next() {
        Some('d') => "[:digit:]",
        Some('D') => "[:^digit:]",
        Some('s') => r"[\t\n\x0C\r ]",
        Some('S') => r"[^\t\n\x0C\r ]",
        Some('w') => "[:word:]",
        Some('W') => "[:^word:]",
        Some('p' | 'P') => return unicode_class(text).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((set.to_owned(), 2)))
}

/// Reads `\pN`, `\p{Greek}`, `\P{^Lu}`: a script or a general category, by its exact name.
fn unicode_class(text: &str) -> Result<(String, usize), Fault<'_>> {
    const CATEGORIES: &str = " C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S \
        Sc Sk Sm So Z Zl Zp Zs ";
    const ALL: &str = "[:ascii:][:^ascii:]";
    let invalid = |portion| Fault::new("invalid character class range", portion);
    let rest = &text[2..];
    let (name, length) = match rest.strip_prefix('{') {
        Some(braced) => {
            let end = braced.find('}').ok_or_else(|| invalid(text))?;
            (&braced[..end], 2 + 1 + end + 1)
        }
        None => {
            let c = rest.chars().next().ok_or_else(|| invalid(text))?;
            (&rest[..c.len_utf8()], 2 + c.len_utf8())
        }
    };
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (!text.starts_with("\\P"), name),
        None => (text.starts_with("\\P"), name),
    };
    let letter = if negated { 'P' } else { 'p' };
    let set = if name.contains(' ') || name.is_empty() {
        None
    } else if name == "Any" {
        Some(if negated { format!("[^{ALL}]") } else { ALL.to_owned() })
    } else if CATEGORIES.contains(&format!(" {name} ")) {
        Some(format!("\\{letter}{{{name}}}"))
    } else {
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        let script = format!("\\{letter}{{Script={name}}}");
        (is_name && syntax::parse(&script).is_ok()).then_some(script)
    };
    set.map(|set| (set, length)).ok_or_else(|| invalid(&text[..length]))
}

/// Reads an escape sequence for one character.
fn char_escape(text: &str) -> Result<(char, usize), Fault<'_>> {
    let mut chars = text.char_indices().skip(1);
    let Some((_, c)) = chars.next() else { return Err(Fault::new("trailing \\", "")) };
    let simple = match c {
        'a' => '\x07',
        'f' => '\x0C',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0B',
        'x' => return hexadecimal(text),
        '0'..='7' => return octal(text),
        '8' | '9' => return Err(invalid_escape(text, 2)),
        c if c.is_ascii() && !c.is_ascii_alphabetic() => c,
        _ => return Err(invalid_escape(text, 1 + c.len_utf8())),
    };
    Ok((simple, 2))
}

fn invalid_escape(text: &str, length: usize) -> Fault<'_> {
    Fault::new("invalid escape sequence", text.get(..length).unwrap_or(text))
}

/// Reads up to three octal digits. One alone, other than 0, would be a reference to a group, which RE2
/// doesn't have.
fn octal(text: &str) -> Result<(char, usize), Fault<'_>> {
    let digits = text[1..].bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let code = u32::from_str_radix(&text[1..=digits], 8).ok().and_then(char::from_u32);
    match code {
        Some(c) if digits > 1 || text[1..].starts_with('0') => Ok((c, 1 + digits)),
        _ => Err(invalid_escape(text, 2)),
    }
}

/// Reads `\x7F` or `\x{10FFFF}`.
fn hexadecimal(text: &str) -> Result<(char, usize), Fault<'_>> {
    let rest = &text[2..];
    let (digits, length) = match rest.strip_prefix('{') {
        None => {
            let digits = rest.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
            if digits < 2 {
                let shown = rest.chars().take(digits + 1).map(char::len_utf8).sum::<usize>();
                return Err(invalid_escape(text, 2 + shown));
            }
            (&rest[..2], 4)
        }
        Some(braced) => {
            let (mut digits, mut code) = (0, 0);
            for digit in braced.chars().map_while(|c| c.to_digit(16)) {
                digits += 1;
                code = 16 * code + digit;
                // A number that is too large is noticed at the digit that makes it so.
                if code > u32::from(char::MAX) {
                    return Err(invalid_escape(text, 3 + digits));
                }
            }
            let end = braced[digits..].chars().next();
            if digits == 0 || end != Some('}') {
                return Err(invalid_escape(text, 3 + digits + end.map_or(0, char::len_utf8)));
            }
            (&braced[..digits], 3 + digits + 1)
        }
    };
    u32::from_str_radix(digits, 16)
        .ok()
        .and_then(char::from_u32)
        .map(|c| (c, length))
        .ok_or_else(|| invalid_escape(text, length))
}
