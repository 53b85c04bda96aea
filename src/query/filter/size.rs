//! The size of the conditions of a request, which is limited.

use std::iter::Sum;

use super::Test;
use crate::error::Error;
use crate::query::parameters::bad;

/// The most conditions of a request.
pub(super) const CONDITIONS: usize = 256;
/// The most values in the lists of all conditions together.
pub(super) const VALUES: usize = 1000;
/// The most patterns of a request. A compiled pattern may take megabytes.
pub(super) const PATTERNS: usize = 10;
/// The most bytes of all patterns together.
pub(super) const PATTERN_BYTES: usize = 1000;

/// The size of conditions.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::query) struct Size {
    conditions: usize,
    values: usize,
    patterns: usize,
    pattern_bytes: usize,
}

impl Size {
    /// Adds the test of a condition.
    pub(super) fn add(&mut self, test: &Test) {
        self.conditions += 1;
        match test {
            Test::In(values) | Test::Contains(values) => self.values += values.len(),
            Test::Any(tests) | Test::All(tests) => self.values += tests.len(),
            _ => {}
        }
        test.each(&mut |test| {
            if let Test::Match(pattern) = test {
                self.patterns += 1;
                self.pattern_bytes += pattern.len();
            }
        });
    }

    /// Checks that a request may have as many. `parameter` names the place for errors.
    pub(in crate::query) fn check(self, parameter: &str) -> Result<(), Error> {
        for (count, most, what) in [
            (self.conditions, CONDITIONS, "conditions"),
            (self.values, VALUES, "values in lists"),
            (self.patterns, PATTERNS, "patterns"),
            (self.pattern_bytes, PATTERN_BYTES, "bytes of patterns"),
        ] {
            if count > most {
                return Err(bad(parameter, format!("a request may have {most} {what} at most")));
            }
        }
        Ok(())
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), |one, other| Size {
            conditions: one.conditions + other.conditions,
            values: one.values + other.values,
            patterns: one.patterns + other.patterns,
            pattern_bytes: one.pattern_bytes + other.pattern_bytes,
        })
    }
}
