//! Reads dates, clock times and offsets digit by digit, with RethinkDB's messages.

use crate::datum::text::until_nul;
use crate::error::{Error, Result};

/// A position in a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, rest: text }
    }

    /// Returns the rest of the text that was not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads exactly `count` digits.
    pub(super) fn digits(&mut self, count: usize) -> Result<u32> {
        let mut number = 0;
        for _ in 0..count {
            number = number * 10 + self.digit()?;
        }
        Ok(number)
    }

    fn digit(&mut self) -> Result<u32> {
        let text = self.text;
        let mut chars = self.rest.chars();
        // The text may be a date or a clock time, but RethinkDB's message is this one.
        let next = chars.next().ok_or_else(|| {
            Error::logic(format!(
                "Invalid time zone string `{text}`. Valid time zones are `+hh:mm`, `-hh:mm`, `+hhmm`, \
                 `-hhmm`, `+hh`, `-hh` and `Z`."
            ))
        })?;
        let digit = next.to_digit(10).ok_or_else(|| {
            Error::logic(format!(
                "Invalid date string `{}` (got `{next}` but expected a digit).",
                until_nul(text)
            ))
        })?;
        self.rest = chars.as_str();
        Ok(digit)
    }

    /// Reads the whole rest as digits.
    pub(super) fn remaining_digits(&mut self) -> Result<&'a str> {
        let digits = self.rest;
        while !self.at_end() {
            self.digit()?;
        }
        Ok(digits)
    }

    /// Reads this character if it is next.
    pub(super) fn skip(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Checks that everything was read.
    pub(super) fn finish(&self, what: &str) -> Result<()> {
        if self.at_end() {
            return Ok(());
        }
        let (rest, text) = (self.rest, self.text);
        Err(Error::logic(format!(
            "Garbage characters `{}` at end of {what} string `{}`.",
            until_nul(rest),
            until_nul(text)
        )))
    }
}
