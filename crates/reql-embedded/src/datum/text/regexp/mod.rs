//! Regular expressions in RE2's syntax, for `match`.
//!
//! The `regex` crate comes from RE2 and searches alike, but its syntax has grown: classes nest, `\d` is
//! Unicode, repetitions stack. Patterns are therefore read by RE2's rules, with RE2's errors, and written
//! anew.

mod class;
mod cost;
mod pattern;
mod search;

use regex_automata::meta::{Cache, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, Span};

use self::search::Patient;
use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The bytes that a compiled pattern may take: RE2's default is 8 MiB.
const SIZE_LIMIT: usize = 8 << 20;
/// The levels to which groups may nest, as in RE2.
const NEST_LIMIT: u32 = 1000;
/// The most bytes of a pattern. A longer one isn't compiled, since compiling can't be interrupted.
const MAX_LENGTH: usize = 256 << 10;
/// The most sets of Unicode's characters in a pattern, for the same reason. Nearly all patterns with more are
/// too large for RE2.
const MAX_SETS: usize = 400;
const TOO_LARGE: &str = "pattern too large - compile failed";
/// The most steps that compiling may take, for the same reason: some tenths of a second. Nearly all patterns
/// with more have programs that are too long for RE2.
const MAX_STEPS: u64 = 2_000_000;
/// The units of work that compiling takes at least.
const COMPILING: usize = fuel::LIGHT / 2;
/// The units of work of a step.
const STEP: usize = 4;
/// The steps of a search that aren't interrupted: some tens of milliseconds, at the worst.
const AT_ONCE: usize = 10_000_000;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// The cache of its searches, once there was one.
    cache: Option<Cache>,
    translated: String,
    /// The number of its states, about.
    states: usize,
    /// The engine for long searches, once there was one.
    patient: Option<Box<Patient>>,
    /// The units of work that compiling takes, beyond the least.
    units: usize,
}

impl Pattern {
    /// Compiles a pattern.
    pub fn compile(pattern: &str) -> Result<Self> {
        let fail = |portion: &str, reason: &str| {
            Error::logic(format!("Error in regexp `{pattern}` (portion `{portion}`): {reason}"))
        };
        fuel::spend(COMPILING + pattern.len().min(MAX_LENGTH))?;
        let sets = pattern.matches("\\p").count() + pattern.matches("\\P").count();
        if pattern.len() > MAX_LENGTH || sets > MAX_SETS {
            return Err(fail("", TOO_LARGE));
        }
        let translated =
            pattern::translate(pattern).map_err(|error| fail(error.portion, &error.to_string()))?;
        if translated.steps > MAX_STEPS {
            return Err(fail("", TOO_LARGE));
        }
        let units = STEP * translated.steps as usize;
        fuel::spend(units)?;
        let translated = translated.text;
        let regex = Regex::builder()
            .configure(Regex::config().nfa_size_limit(Some(SIZE_LIMIT)).utf8_empty(false))
            .syntax(syntax_config())
            .build(&translated)
            .map_err(|_| fail("", TOO_LARGE))?;
        /// Bytes that a state takes, in both directions.
        const STATE: usize = 64;
        let states = 1 + regex.memory_usage() / STATE;
        Ok(Pattern { regex, cache: None, translated, states, patient: None, units })
    }

    /// Returns the memory that the pattern takes, in bytes, with the caches of its searches.
    pub fn size(&self) -> usize {
        let patient = self.patient.as_ref().map_or(0, |patient| patient.size());
        let learned = self.cache.as_ref().map_or(0, Cache::memory_usage);
        self.regex.memory_usage() + learned + self.translated.len() + patient
    }

    /// Returns the leftmost match in a text, with its groups, or `null`. Positions count bytes.
    pub fn find(&mut self, text: &str) -> Result<Datum> {
        fuel::spend_bytes(text.len())?;
        let groups = if self.is_soon_done(text.len()) {
            self.groups(Input::new(text))?
        } else {
            self.find_patiently(text)?
        };
        let mut groups = groups.into_iter();
        let Some(whole) = groups.next().flatten() else { return Ok(Datum::Null) };
        let group = |found: Option<Span>| found.map_or(Datum::Null, |found| Datum::object(span(text, found)));
        let groups = groups.take_while(|_| fuel::burn(1)).map(group).collect();
        Ok(Datum::object(span(text, whole).into_iter().chain([("groups", Datum::array(groups))])))
    }

    fn is_soon_done(&self, length: usize) -> bool {
        self.states.saturating_mul(length) <= AT_ONCE
    }

    /// Returns the groups of the leftmost match; none without one.
    fn groups(&mut self, input: Input<'_>) -> Result<Vec<Option<Span>>> {
        let mut captures = self.regex.create_captures();
        // Each state may remember all groups.
        let slots = 2 * self.regex.captures_len() * size_of::<usize>();
        let _slots = fuel::aside(self.states.saturating_mul(slots))?;
        let cache = self.cache.get_or_insert_with(|| self.regex.create_cache());
        self.regex.search_captures_with(cache, &input, &mut captures);
        Ok(if captures.is_match() { captures.iter().collect() } else { Vec::new() })
    }

    fn find_patiently(&mut self, text: &str) -> Result<Vec<Option<Span>>> {
        if self.patient.is_none() {
            fuel::spend(self.units)?;
            self.patient = Some(Box::new(Patient::compile(&self.translated, syntax_config())?));
        }
        let Some(patient) = &self.patient else { return Ok(Vec::new()) };
        let Some(found) = patient.find(text.as_bytes())? else { return Ok(Vec::new()) };
        if patient.groups() == 1 {
            return Ok(vec![Some(found)]);
        }
        if self.is_soon_done(found.len()) {
            let input = Input::new(text).span(found).anchored(Anchored::Yes);
            return self.groups(input);
        }
        patient.captures(text.as_bytes(), found)
    }
}

fn syntax_config() -> syntax::Config {
    syntax::Config::new().nest_limit(NEST_LIMIT).utf8(false)
}

fn span(text: &str, found: Span) -> [(&'static str, Datum); 3] {
    [
        ("str", part(&text.as_bytes()[found.range()])),
        ("start", Datum::from(found.start)),
        ("end", Datum::from(found.end)),
    ]
}

fn part(bytes: &[u8]) -> Datum {
    if fuel::burn_bytes(bytes.len()) { Datum::str(String::from_utf8_lossy(bytes)) } else { Datum::Null }
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
            Pattern::compile(pattern).unwrap().regex.find(text).map(|found| &text.as_bytes()[found.range()]);
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
            concat!(
                r#"{"end":2,"groups":[{"end":1,"start":0,"str":"h"},{"end":2,"start":1,"str":"e"},null],"#,
                r#""start":0,"str":"he"}"#,
            ),
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

    #[track_caller]
    fn finds_nothing(pattern: &str, text: &str) {
        assert_eq!(Pattern::compile(pattern).unwrap().regex.find(text), None, "{pattern}");
    }

    #[test]
    fn classes_are_folded_before_they_are_negated() {
        for text in ["s", "S", "k", "K", "\u{17F}", "\u{212A}"] {
            matches(r"(?i)^\w$", text, text);
            matches(r"(?i)^[^\W]$", text, text);
            matches(r"(?i)^[\W\w]$", text, text);
            matches(r"(?i)^[[:word:]]$", text, text);
            finds_nothing(r"(?i)\W", text);
            finds_nothing(r"(?i)[\W\d]", text);
            finds_nothing(r"(?i)[^\w]", text);
        }
        matches(r"(?i)^[^\W]+$", "Ask", "Ask");
        matches(r"\W+", "k\u{212A}\u{17F}", "\u{212A}\u{17F}");
        finds_nothing("(?i)[^kx]", "KX\u{212A}");
        // The sign for kelvin is in it.
        finds_nothing("(?i)[^\\x00-jl-\\x{10FFFF}]", "kK");
        matches("(?i)[\\x{3b1}-\\x{10FFFF}]+", "aΑβ\u{20000}", "Αβ\u{20000}");
        matches(r"(?i)[\p{Any}]+\pL\p{Any}", "a\u{17F}b", "a\u{17F}b");
        finds_nothing(r"(?i)\P{Any}|[\P{Any}]|[^\p{Any}]", "a\u{17F}b");
        matches(r"[^\P{Any}]\PN", "a\u{17F}", "a\u{17F}");
    }

    /// Checks what was searched for to the end again and again.
    #[test]
    fn long_patterns_are_read_soon() {
        matches(&format!("[{}a]+", "[:".repeat(100_000)), "x[:a", "[:a");
        matches(&format!(r"\x{{{}41}}", "0".repeat(200_000)), "A", "A");
    }

    #[test]
    fn ranges_come_in_any_order() {
        matches("[x-za-cb-dB]+", "eabcdxyzBe", "abcdxyzB");
        matches("[^x-zb-da-c]+", "abwxyz", "w");
        matches(r"[\x{10000}-\x{30000}a]+", "\u{1FFFF}\u{20000}a\u{30000}b", "\u{1FFFF}\u{20000}a\u{30000}");
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
        let found = Pattern::compile(r"é\C").unwrap().regex.find("éü");
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
        refuses(&"\\pL{1000}".repeat(9), "", TOO_LARGE);
        refuses(&"x".repeat(MAX_LENGTH + 1), "", TOO_LARGE);
        refuses(&format!("[{}]", "\\p{Greek}".repeat(MAX_SETS + 1)), "", TOO_LARGE);
    }

    /// Checks that the interruptible search finds the groups that the crate's search finds.
    #[track_caller]
    fn agrees(pattern: &str, text: &str) {
        let Ok(mut compiled) = Pattern::compile(pattern) else { return };
        let groups = compiled.groups(Input::new(text)).unwrap();
        assert_eq!(compiled.find_patiently(text).unwrap(), groups, "{pattern:?} in {text:?}");
        let patient = compiled.patient.as_ref().unwrap();
        if let Some(found) = patient.find(text.as_bytes()).unwrap() {
            assert_eq!(patient.captures(text.as_bytes(), found).unwrap(), groups, "{pattern:?} in {text:?}");
        }
    }

    #[test]
    fn patience_finds_the_same() {
        for pattern in include_str!("patterns.txt").lines() {
            for text in ["", "a", "abcabc aéb\nXYZ 0123", "\u{301}\u{301}", "aaaaaaaaaaaaaaaaaaaaaaaaaa"] {
                agrees(pattern, text);
            }
        }
        agrees(r"(a|ab)(c|bcd)(d*)", "xabcd");
        agrees(r"(a*)(a|b)*?(b+)$", &"ab".repeat(300));
        agrees(r"\b(\w+)\b|^$", "é été x");
    }

    proptest! {
        #[test]
        fn patience_finds_what_haste_does(
            pattern in r"([ab.]|\([ab]\||\)|[*+?]|\|){1,12}",
            text in "[abé\n]{0,40}",
        ) {
            agrees(&pattern, &text);
        }

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
