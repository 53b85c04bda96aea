//! Regular expressions in RE2's syntax, and what `match` finds with them.
//!
//! The `regex` crate comes from RE2 and searches alike, but its syntax has grown: classes nest, `\d` is Unicode,
//! repetitions stack. Patterns are therefore read by RE2's rules, with RE2's errors, and written anew.

mod class;
mod pattern;

use regex::bytes::{Match, Regex, RegexBuilder};

use crate::datum::Datum;
use crate::error::{Error, Result};

/// Bytes that a compiled pattern may take: RE2's default is 8 MiB.
const SIZE_LIMIT: usize = 8 << 20;
/// How deeply groups may nest, as in RE2.
const NEST_LIMIT: u32 = 1000;

/// Compiles a pattern.
pub fn compile(pattern: &str) -> Result<Regex> {
    let fail = |portion: &str, reason: &str| {
        Error::logic(format!("Error in regexp `{pattern}` (portion `{portion}`): {reason}"))
    };
    let translated = pattern::translate(pattern).map_err(|error| fail(error.portion, &error.to_string()))?;
    RegexBuilder::new(&translated)
        .size_limit(SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|_| fail("", "pattern too large - compile failed"))
}

/// The leftmost match in a text, with its groups, or `null`. Positions count bytes.
pub fn find(regex: &Regex, text: &str) -> Datum {
    let Some(captures) = regex.captures(text.as_bytes()) else { return Datum::Null };
    let mut groups = captures.iter();
    let Some(whole) = groups.next().flatten() else { return Datum::Null };
    let groups = groups.map(|group| group.map_or(Datum::Null, |group| Datum::object(span(group)))).collect();
    Datum::object(span(whole).into_iter().chain([("groups", Datum::array(groups))]))
}

fn span(found: Match<'_>) -> [(&'static str, Datum); 3] {
    [
        ("str", Datum::str(String::from_utf8_lossy(found.as_bytes()))),
        ("start", Datum::from(found.start())),
        ("end", Datum::from(found.end())),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn finds(pattern: &str, text: &str, json: &str) {
        let found = find(&compile(pattern).unwrap(), text);
        assert_eq!(crate::datum::json::to_string(&found).unwrap(), json, "{pattern}");
    }

    #[track_caller]
    fn matches(pattern: &str, text: &str, expected: &str) {
        let regex = compile(pattern).unwrap();
        let found = regex.find(text.as_bytes()).map(|found| found.as_bytes());
        assert_eq!(found, Some(expected.as_bytes()), "{pattern}");
    }

    #[track_caller]
    fn refuses(pattern: &str, portion: &str, reason: &str) {
        assert_eq!(
            compile(pattern).unwrap_err().message(),
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
        assert_eq!(compile(r"é\C").unwrap().find("éü".as_bytes()).map(|found| found.range()), Some(0..3));
        matches("a(?i)*B", "aab", "aab");
    }

    /// Each line: a pattern, the portion that RE2 blames, and its reason. From RE2 itself.
    #[test]
    fn faults_are_re2s() {
        for line in include_str!("faults.tsv").lines() {
            let [pattern, portion, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}");
            };
            refuses(pattern, portion, reason);
        }
    }

    /// Patterns that RE2 takes.
    #[test]
    fn all_other_patterns_compile() {
        for pattern in include_str!("patterns.txt").lines() {
            assert!(compile(pattern).is_ok(), "{:?}", compile(pattern));
        }
    }

    #[test]
    fn large_patterns_are_refused() {
        refuses(&"\\pL{1000}".repeat(9), "", "pattern too large - compile failed");
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[(\[{\\?*+|)\]}:^,PQEabdpx0-9<>-]{0,20}") {
            let _ = compile(&pattern);
        }

        #[test]
        fn quoted_text_is_found(text in "\\PC{1,20}") {
            prop_assume!(!text.contains("\\E"));
            let found = find(&compile(&format!("\\Q{text}")).unwrap(), &text);
            prop_assert_eq!(found.get("str").unwrap(), Datum::from(text));
        }
    }
}
