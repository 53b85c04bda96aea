//! Tokens: a text cut into names, literals and signs, without blanks and comments.

use super::{Fault, MAX_TOKENS, Result, Span};

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    Number,
    /// A text with its quotes: `'`, `"` or a backtick.
    Text,
    /// A sign of one to three characters.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// The signs of JavaScript, those first that begin with another one.
const SIGNS: &[&str] = &[
    "...", "===", "!==", ">>>", "**", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--", "<<",
    ">>", "+=", "-=", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "+", "-", "*", "/", "%", "=", "<",
    ">", "!", "?", "&", "|", "^", "~", "@", "#",
];

/// Cuts a text into tokens, of which the last one is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(text, at)?;
        let Some(first) = text[at..].chars().next() else { break };
        let (kind, end) = match first {
            '\'' | '"' | '`' => (Kind::Text, end_of_text(text, at, first)?),
            c if is_start(c) => (Kind::Name, at + run(&text[at..], is_part)),
            c if c.is_ascii_digit() || c == '.' && digit_at(text, at + 1) => {
                (Kind::Number, end_of_number(text, at))
            }
            c => match SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
                Some(sign) => (Kind::Sign(sign), at + sign.len()),
                None => {
                    let span = Span::new(at, at + c.len_utf8());
                    return Err(Fault::new(span, format!("`{}` means nothing here", c.escape_debug())));
                }
            },
        };
        tokens.push(Token { kind, span: Span::new(at, end) });
        if tokens.len() > MAX_TOKENS {
            return Err(Fault::new(
                Span::new(at, end),
                format!("a query has at most {MAX_TOKENS} words and signs"),
            ));
        }
        at = end;
    }
    tokens.push(Token { kind: Kind::End, span: Span::new(text.len(), text.len()) });
    Ok(tokens)
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn digit_at(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}

/// Returns the length in bytes of the characters at the start that are such.
fn run(text: &str, such: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !such(c)).unwrap_or(text.len())
}

/// Returns where the next token begins, or the text ends.
fn skip_blanks(text: &str, mut at: usize) -> Result<usize> {
    loop {
        let rest = &text[at..];
        at += run(rest, |c| c.is_whitespace() || c == '\u{feff}');
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            match rest.get(2..).and_then(|rest| rest.find("*/")) {
                Some(end) => at += 2 + end + 2,
                None => return Err(Fault::new(Span::new(at, at + 2), "this comment has no end")),
            }
        } else {
            return Ok(at);
        }
    }
}

/// Returns where a number ends, with all letters that follow it: `literal` judges them.
fn end_of_number(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let is_hex = text[start..].starts_with("0x") || text[start..].starts_with("0X");
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let follows_exponent = !is_hex && at > start && matches!(bytes[at - 1], b'e' | b'E');
        let belongs = match byte {
            b'.' => !text[start..at].contains('.') && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic),
            b'+' | b'-' => follows_exponent,
            _ => byte.is_ascii_alphanumeric() || byte == b'_',
        };
        if !belongs {
            break;
        }
        at += 1;
    }
    at
}

/// Returns where a text ends, its closing quote included.
fn end_of_text(text: &str, start: usize, quote: char) -> Result<usize> {
    let mut escaped = false;
    for (at, c) in text[start..].char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Ok(start + at + quote.len_utf8()),
            '\n' | '\r' if quote != '`' => break,
            _ => {}
        }
    }
    let end = start + run(&text[start..], |c| c != '\n' && c != '\r');
    Err(Fault::new(Span::new(start, end), format!("this text has no closing {quote}")))
}
