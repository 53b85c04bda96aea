//! Texts that are no queries, or none that anybody would write: no panic, bounds, and time that grows with
//! the length only.

use std::time::{Duration, Instant};

use super::*;

/// The pieces of queries, and of what isn't one.
const PARTS: &[&str] = &[
    "r",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    "=>",
    "x",
    "x => ",
    "function (x) { return ",
    "'a'",
    "`b`",
    "\"c",
    "1",
    "0x",
    "1e",
    "-",
    "+",
    "*",
    "/",
    "//",
    "/*",
    "*/",
    "\n",
    "\\",
    "\\u{",
    "é",
    "\u{2028}",
    "table",
    "filter",
    "row",
    "expr",
    "orderBy",
    "run",
    "insert",
    "default",
    "index",
    "true",
    "null",
    "😀",
    "r.table('a')",
    ".filter(",
    "r.row('a')",
    ".gt(1)",
    "{index: 'a'}",
    "...",
    "?",
    "=",
    "`${",
    "\0",
    "await ",
    "(a, b) => ",
    "'\\",
    "return ",
    ".run(",
    "{a: ",
    "1 + ",
    "1_",
    "r.do(",
    "r.args(",
    "r.literal(",
    ".5",
    "\r\n",
    "x, ",
    "x => x => ",
];

/// The longest time for which a text of the greatest length may be read, in a build without optimization on a
/// machine with other work. Time by the square of the length would be hours.
const LONG: Duration = Duration::from_secs(10);

fn random() -> fastrand::Rng {
    let seed = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn piece(random: &mut fastrand::Rng) -> &'static str {
    PARTS[random.usize(..PARTS.len())]
}

/// Changes a text at random places: characters come and go, parts are doubled, cut out, and put elsewhere.
fn mutated(text: &str, random: &mut fastrand::Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=chars.len());
        let end = (at + random.usize(..12)).min(chars.len());
        let part: Vec<char> = match random.u8(..5) {
            0 => vec![random.char(..)],
            1 => piece(random).chars().collect(),
            2 => {
                chars.drain(at..end);
                Vec::new()
            }
            3 => chars.drain(at..end).collect(),
            _ => chars[at..end].repeat(random.usize(1..4)),
        };
        let place = random.usize(..=chars.len());
        chars.splice(place..place, part);
    }
    chars.into_iter().collect()
}

/// Checks that a text is a query, or has a fault with a place in it.
fn is_query_or_fault(text: &str) {
    match parse(text) {
        Ok(node) => drop(node.to_wire()),
        Err(fault) => {
            let Span { start, end } = fault.span;
            assert!(start <= end && end as usize <= text.len(), "{text:?}: {fault:?}");
            let place = Place::of(fault.span, text);
            assert!(place.line > 0 && place.excerpt.len() < 2000, "{text:?}: {place:?}");
        }
    }
}

#[test]
fn anything_is_a_query_or_a_fault() {
    let mut random = random();
    let queries: Vec<&str> = include_str!("../../../tests/it/reql/cases.txt").lines().collect();
    for _ in 0..20_000 {
        let query = queries[random.usize(..queries.len())];
        let text = match random.u8(..4) {
            0 => (0..random.usize(..60)).map(|_| piece(&mut random)).collect(),
            1 => (0..random.usize(..40)).map(|_| random.char(..)).collect(),
            _ => mutated(query, &mut random),
        };
        is_query_or_fault(&text);
    }
}

#[test]
fn the_longest_texts_are_read_soon() {
    let mut random = random();
    let names: String = (0..).map(|n| format!("v{n},")).take(24_000).collect();
    let mut texts = vec![
        // Names that are looked for among very many.
        format!("r.do({names}({names}) => [{}])", "v0,".repeat(24_000)).chars().take(MAX_LENGTH).collect(),
        format!("({names}) => [{}]", "v0,".repeat(10_000)),
        // Brackets before which it takes a look ahead to tell what they are.
        format!("[{}", "(a,b,c,".repeat(30_000)),
        format!("[{}", format!("({}), ", "r.row, ".repeat(1000)).repeat(37)),
        format!("r.expr('{}", "\\u0041".repeat(40_000)),
        format!("{}1", "1+".repeat(49_000)),
        format!("{}1", "- ".repeat(49_000)),
        format!("{{{}}}", "a:1,".repeat(24_000)),
        format!("r.table('a').insert({{{}}})", "a:{},".repeat(16_000)),
    ];
    for _ in 0..60 {
        let unit: String = (0..random.usize(1..4)).map(|_| piece(&mut random)).collect();
        let start: String = (0..random.usize(..4)).map(|_| piece(&mut random)).collect();
        let text = start + &unit.repeat(MAX_LENGTH / unit.len());
        texts.push(text[..text.floor_char_boundary(MAX_LENGTH)].to_owned());
    }
    for text in texts {
        let begun = Instant::now();
        is_query_or_fault(&text);
        let taken = begun.elapsed();
        assert!(taken < LONG, "{taken:?} for {} ...", text.chars().take(60).collect::<String>());
    }
}

#[test]
fn what_a_text_may_have_is_bounded() {
    let levels = usize::from(MAX_LEVELS);
    let nested =
        |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    for (open, close) in [("[", "]"), ("(", ")"), ("{a:", "}"), ("r(", ")"), ("r.not(", ")"), ("x => ", "")] {
        let message = parse(&nested(open, close, levels + 1)).unwrap_err().message;
        assert!(message.contains("inside of each other"), "{open}: {message}");
        let read = parse(&nested(open, close, levels / 2 - 1));
        assert!(read.is_ok(), "{open}: {read:?}");
    }
    for open in ["[", "(", "{a:", "r.do(", "function(){return ", "x=>", "-", "!", "r.expr([x=>{return "] {
        assert!(parse(&open.repeat(MAX_LENGTH / open.len())).is_err(), "{open}");
    }
    let chain = |commands: usize| format!("r.expr(1){}", ".add(1)".repeat(commands));
    assert!(parse(&chain(usize::from(MAX_DEPTH) - 1)).is_ok());
    assert!(parse(&chain(10_000)).unwrap_err().message.contains("inside of each other"));
    let many = format!("[{}]", "1,".repeat(MAX_TOKENS / 2 + 1));
    assert!(parse(&many).unwrap_err().message.contains("words and signs"));
    assert!(parse(&" ".repeat(MAX_LENGTH + 1)).unwrap_err().message.contains("KiB"));
    let function = |parameters: usize| format!("r.do(({}) => 1)", "x, ".repeat(parameters));
    assert!(parse(&function(MAX_VARIABLES)).is_ok());
    assert!(parse(&function(MAX_VARIABLES + 1)).unwrap_err().message.contains("parameters"));
}
