//! Regular expressions in RE2's syntax, for `match`.
//!
//! The `regex` crate comes from RE2 and searches alike, but its syntax has grown: classes nest, `\d` is
//! Unicode, repetitions stack. Patterns are therefore read by RE2's rules, with RE2's errors, and written
//! anew.

mod class;
mod pattern;

use std::sync::Arc;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, Span};

use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The bytes that a compiled pattern may take: RE2's default is 8 MiB.
const SIZE_LIMIT: usize = 8 << 20;
/// The levels to which groups may nest, as in RE2.
const NEST_LIMIT: u32 = 1000;
/// The units of work that compiling takes, while the size of the pattern isn't known.
const COMPILING: usize = fuel::LIGHT / 2;

/// A compiled pattern. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Regex>);

impl Pattern {
    /// Compiles a pattern.
    pub fn compile(pattern: &str) -> Result<Self> {
        let fail = |portion: &str, reason: &str| {
            Error::logic(format!("Error in regexp `{pattern}` (portion `{portion}`): {reason}"))
        };
        fuel::spend(COMPILING)?;
        let translated =
            pattern::translate(pattern).map_err(|error| fail(error.portion, &error.to_string()))?;
        let regex = Regex::builder()
            .configure(Regex::config().nfa_size_limit(Some(SIZE_LIMIT)).utf8_empty(false))
            .syntax(syntax::Config::new().nest_limit(NEST_LIMIT).utf8(false))
            .build(&translated)
            .map_err(|_| fail("", "pattern too large - compile failed"))?;
        Ok(Pattern(Arc::new(regex)))
    }

    /// Returns the memory that the pattern takes, in bytes, with the caches that a search usually needs.
    pub fn size(&self) -> usize {
        const SEARCH: usize = 64 << 10;
        self.0.memory_usage() + SEARCH
    }

    /// Returns the leftmost match in a text, with its groups, or `null`. Positions count bytes.
    pub fn find(&self, text: &str) -> Result<Datum> {
        fuel::spend_bytes(text.len())?;
        let mut captures = self.0.create_captures();
        self.0.search_captures(&Input::new(text), &mut captures);
        let mut groups = captures.iter();
        let Some(whole) = groups.next().flatten() else { return Ok(Datum::Null) };
        let group = |found: Option<Span>| found.map_or(Datum::Null, |found| Datum::object(span(text, found)));
        let groups = groups.map(group).collect();
        Ok(Datum::object(span(text, whole).into_iter().chain([("groups", Datum::array(groups))])))
    }
}

fn span(text: &str, found: Span) -> [(&'static str, Datum); 3] {
    [
        ("str", Datum::str(String::from_utf8_lossy(&text.as_bytes()[found.range()]))),
        ("start", Datum::from(found.start)),
        ("end", Datum::from(found.end)),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn finds(pattern: &str, text: &str, json: &str) {
        let found = Pattern::compile(pattern).unwrap().find(text).unwrap();
        assert_eq!(crate::datum::json::to_string(&found).unwrap(), json, "{pattern}");
    }

    #[track_caller]
    fn matches(pattern: &str, text: &str, expected: &str) {
        let found =
            Pattern::compile(pattern).unwrap().0.find(text).map(|found| &text.as_bytes()[found.range()]);
        assert_eq!(found, Some(expected.as_bytes()), "{pattern}");
    }

    #[track_caller]
    fn refuses(pattern: &str, portion: &str, reason: &str) {
        assert_eq!(
            Pattern::compile(pattern).unwrap_err().message(),
            format!("Error in regexp `{pattern}` (portion `{portion}`): {reason}")
        );
    }

    #[test]
    fn groups_that_took_no_part_are_null() {
        finds(
            "a(b.e)|b(c.e)",
            "abcdefg",
            r#"{"end":5,"groups":[null,{"end":5,"start":2,"str":"cde"}],"start":1,"str":"bcde"}"#,
        );
        finds("a(b.e)|B(c.e)", "abcdefg", "null");
        finds(
            "(h)(?P<name>e)?(z)?",
            "hello",
            r#"{"end":2,"groups":[{"end":1,"start":0,"str":"h"},{"end":2,"start":1,"str":"e"},null],"start":0,"str":"he"}"#,
        );
    }

    #[test]
    fn positions_count_bytes() {
        finds("ü", "größe für", r#"{"end":11,"groups":[],"start":9,"str":"ü"}"#);
    }

    #[test]
    fn flags_reach_to_the_end_of_their_group() {
        matches("(?i)a(?-i:B)|c", "abAB C", "AB");
        matches("(?i)x|c", "abC", "C");
        matches("(?s)a.b", "a\nb", "a\nb");
        matches("(?m)^b$", "a\nb\nc", "b");
        matches("(?U)a+", "aaa", "a");
    }

    #[test]
    fn perl_classes_are_ascii() {
        matches(r"\w+", "été_1", "t");
        matches(r"\d+", "٣4", "4");
        matches(r"[\s\d]+", "a \t1\u{A0}", " \t1");
        matches(r"\W+", "aéb", "é");
        matches(r"\bx", "éx", "x");
        matches(r"[^\D3]+", "a31", "1");
    }

    #[test]
    fn classes_do_not_nest() {
        matches("[a&&b]+", "x&a&b", "&a&b");
        matches("[[a]]", "a[]", "[]");
        matches("[]a]+", "x]a", "]a");
        matches("[^]]", "]x", "x");
        matches("[a~~b-]+", "x~-a", "~-a");
        matches("[[:alpha:][:^word:]]+", "1é a_", "é a");
        matches(r"\pL\p{Greek}[\p{^Lu}]", "aβc", "aβc");
    }

    #[test]
    fn escapes_are_re2s() {
        matches(r"\Q.*\E+", "x.**", ".**");
        matches(r"\x41\x{42}\103\0?", "ABC", "ABC");
        matches(r"\-\_\.\<", "-_.<", "-_.<");
        matches("a{,2}b{2,", "a{,2}b{2,", "a{,2}b{2,");
        let found = Pattern::compile(r"é\C").unwrap().0.find("éü");
        assert_eq!(found.map(|found| found.range()), Some(0..3));
        matches("a(?i)*B", "aab", "aab");
    }

    /// Checks faults. Each line: a pattern, the part that RE2 blames, and RE2's own reason.
    #[test]
    fn faults_are_re2s() {
        for line in include_str!("faults.tsv").lines() {
            let [pattern, portion, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}");
            };
            refuses(pattern, portion, reason);
        }
    }

    /// Checks patterns that RE2 takes.
    #[test]
    fn all_other_patterns_compile() {
        for pattern in include_str!("patterns.txt").lines() {
            let compiled = Pattern::compile(pattern);
            assert!(compiled.is_ok(), "{compiled:?}");
        }
    }

    #[test]
    fn large_patterns_are_refused() {
        refuses(&"\\pL{1000}".repeat(9), "", "pattern too large - compile failed");
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[(\[{\\?*+|)\]}:^,PQEabdpx0-9<>-]{0,20}") {
            let _ = Pattern::compile(&pattern);
        }

        #[test]
        fn quoted_text_is_found(text in "\\PC{1,20}") {
            prop_assume!(!text.contains("\\E"));
            let found = Pattern::compile(&format!("\\Q{text}")).unwrap().find(&text).unwrap();
            prop_assert_eq!(found.get("str").unwrap(), Datum::from(text));
        }
    }
}
