//! The terms that fit each argument, so that most queries get past the first type error.

use std::collections::HashMap;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reql_embedded::term::TermType;

use super::literals;

/// The type of a term's result or argument: `n`umber, small `i`nteger, te`x`t, na`m`e, `b`ool, `o`bject,
/// `a`rray, `s`equence, `t`able, se`l`ection, ti`T`e, `g`eometry, `B`inary, database (`D`), `p`ath, any
/// `d`atum, and functions of none to three parameters (`0` to `3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort(char);

impl Sort {
    /// Any type.
    pub const ANY: Sort = Sort('d');
}

/// A line for each term: the results that it may have, its name, and the ways to call it.
const RULES: &str = "
b EQ dd nn; b NE dd; b LT dd; b LE nn; b GT TT; b GE dd; b NOT b; b AND bb bbb; b OR bb
n ADD nn nnn; x ADD xx; a ADD aa; T ADD Tn; n SUB nn TT; T SUB Tn; n MUL nn; a MUL ai; n DIV nn; n MOD ii nn
n FLOOR n; n CEIL n; n ROUND n; n BIT_AND ii nn; n BIT_OR ii; n BIT_XOR ii; n BIT_NOT i; n BIT_SAL ii nn;
n BIT_SAR ii
a APPEND ad; a PREPEND ad; a DIFFERENCE aa; a SET_INSERT ad; a SET_INTERSECTION aa; a SET_UNION aa;
a SET_DIFFERENCE aa
s SLICE si sii tii; x SLICE xi xii; B SLICE Bii; s SKIP si; s LIMIT si ti; s OFFSETS_OF sd s1;
b CONTAINS sd s1
d GET_FIELD om sm lm; d BRACKET om si sm lm; a KEYS o l; a VALUES o; o OBJECT xd mdmd; b HAS_FIELDS op;
s HAS_FIELDS sp
s WITH_FIELDS sp; o PLUCK op lp; s PLUCK sp; o WITHOUT op; s WITHOUT sp; o MERGE oo o1; s MERGE so s1;
o LITERAL d o
s BETWEEN tdd; d REDUCE s2; s MAP s1 ss2 sss3; d FOLD sd2; s FILTER s1 so t1; s CONCAT_MAP s1;
s ORDER_BY sm s1 t tm smm
s DISTINCT s t; n COUNT s sd s1 x B o; b IS_EMPTY s; s UNION ss tts; d NTH si; s INNER_JOIN ss2;
s OUTER_JOIN ss2
s EQ_JOIN smt s1t; s ZIP s; s RANGE i ii n; a INSERT_AT aid; a DELETE_AT ai aii; a CHANGE_AT aid;
a SPLICE_AT aia
d COERCE_TO dx sx ax; x TYPE_OF d t D; o UPDATE lo l1 to t1; o DELETE l t; o REPLACE l1 lo t1;
o INSERT to ts ta; o FOR_EACH s1
o DB_CREATE m; o DB_DROP m; a DB_LIST; o TABLE_CREATE m Dm; o TABLE_DROP m Dm; a TABLE_LIST D; o SYNC t
o INDEX_CREATE tm tm1; o INDEX_DROP tm; a INDEX_LIST t; a INDEX_STATUS t tm; a INDEX_WAIT t tm;
o INDEX_RENAME tmm
o CONFIG t D; o STATUS t D; o WAIT t D; o RECONFIGURE t D; o REBALANCE t D; o GRANT tmo; o SET_WRITE_HOOK t2;
d GET_WRITE_HOOK t
d FUNCALL 0 1d 2dd 3ddd; d BRANCH bdd bdbdd; d DEFAULT dd d1; s GROUP sm s1 smm; d UNGROUP s; n SUM s sm s1;
n AVG s sm
d MIN s sm t; d MAX s s1 t; s SAMPLE si; d JSON x; x TO_JSON_STRING d; o MATCH xx; a SPLIT x xx xxi;
x UPCASE x; x DOWNCASE x
T ISO8601 x; x TO_ISO8601 T; T EPOCH_TIME n; n TO_EPOCH_TIME T; T NOW; T IN_TIMEZONE Tx; b DURING TTT;
T DATE T
n TIME_OF_DAY T; x TIMEZONE T; n YEAR T; n MONTH T; n DAY T; n DAY_OF_WEEK T; n DAY_OF_YEAR T; n HOURS T;
n MINUTES T
n SECONDS T; T TIME iiix iiiiinx nnnx; g GEOJSON o; o TO_GEOJSON g; g POINT nn ii; g LINE gg ggg;
g POLYGON ggg gggg
n DISTANCE gg; b INTERSECTS gg sg; b INCLUDES gg sg; g CIRCLE gn gi; s GET_INTERSECTING tg; a GET_NEAREST tg;
g FILL g
g POLYGON_SUB gg; n RANDOM ii n; x UUID x; o INFO d t D; B BINARY x B; d JAVASCRIPT x; d ERROR x; o HTTP x;
o CHANGES s t l
t TABLE m Dm; D DB m; l GET td ti; l GET_ALL td tii; l BETWEEN tii; l FILTER t1 to; d ARGS a; x ASC m;
x DESC 1
d MINVAL; d MAXVAL; d IMPLICIT_VAR; s MAKE_ARRAY dd; x MONDAY; x JANUARY; d VAR i";

const OPTARGS: &[&str] = &[
    "index",
    "left_bound",
    "right_bound",
    "multi",
    "group_format",
    "default",
    "ordered",
    "interleave",
    "return_changes",
    "durability",
    "conflict",
    "non_atomic",
    "num_vertices",
    "unit",
    "fill",
    "geo_system",
    "max_dist",
    "max_results",
    "float",
    "base",
    "emit",
    "final_emit",
    "overwrite",
    "geo",
    "wait_for",
    "timeout",
    "shards",
    "replicas",
    "default_timezone",
    "primary_key",
    "include_initial",
    "squash",
    "dry_run",
    "emergency_repair",
    "_NO_RECURSE_",
    "_SHORTCUT_",
    "_EVAL_FLAGS_",
    "ignore_write_hook",
    "read_mode",
    "identifier_format",
    "novel",
];

const OPTIONS: &[&str] = &[
    "array_limit",
    "db",
    "max_batch_rows",
    "min_batch_rows",
    "max_batch_bytes",
    "max_batch_seconds",
    "first_batch_scaledown_factor",
    "durability",
    "profile",
    "noreply",
    "read_mode",
    "changefeed_queue_size",
    "index",
];

type Way = (TermType, &'static str);

/// The rules, by the sorts of their results.
pub struct Grammar {
    by_result: HashMap<char, Vec<Way>>,
    all: Vec<Way>,
}

/// A query that is being made.
struct Making<'a> {
    grammar: &'a Grammar,
    random: &'a mut StdRng,
    /// Number of further terms that the query may have.
    left: usize,
    /// Number of parameters that are bound around the term.
    bound: usize,
}

impl Grammar {
    /// Reads the rules.
    pub fn new() -> Self {
        let kind = |name: &str| TermType::ALL.iter().copied().find(|kind| kind.name() == name);
        let mut grammar = Grammar { by_result: HashMap::new(), all: Vec::new() };
        for rule in RULES.split([';', '\n']).map(str::trim).filter(|rule| !rule.is_empty()) {
            let mut words = rule.split(' ');
            let result = words.next().and_then(|word| word.chars().next()).expect("a result");
            let kind = words.next().and_then(kind).unwrap_or_else(|| panic!("no term: {rule}"));
            let ways: Vec<&str> = words.collect();
            let ways = if ways.is_empty() { vec![""] } else { ways };
            grammar.by_result.entry(result).or_default().extend(ways.iter().map(|way| (kind, *way)));
            grammar.all.extend(ways.iter().map(|way| (kind, *way)));
        }
        grammar
    }

    /// Returns a term of a sort as JSON, made of about `size` terms.
    pub fn term(&self, random: &mut StdRng, sort: Sort, size: usize) -> String {
        Making { grammar: self, random, left: size, bound: 0 }.term(sort)
    }

    /// Returns options of the whole query.
    pub fn options(&self, random: &mut StdRng) -> String {
        let mut making = Making { grammar: self, random, left: 4, bound: 0 };
        let count = if making.random.random_ratio(1, 6) { making.random.random_range(1..3) } else { 0 };
        making.named(OPTIONS, count)
    }
}

impl Making<'_> {
    fn term(&mut self, sort: Sort) -> String {
        // One in fifteen is out of place.
        let sort = if self.random.random_ratio(1, 15) { Sort::ANY } else { sort };
        if let Some(parameters) = sort.0.to_digit(10) {
            return self.function(parameters as usize);
        }
        if self.left == 0 || self.random.random_ratio(1, 5) {
            return self.literal(sort);
        }
        self.left -= 1;
        if self.bound > 0 && self.random.random_ratio(1, 4) {
            return self.variable();
        }
        if self.random.random_ratio(1, 12) {
            return self.anything();
        }
        let rules = match sort.0 {
            'd' => &self.grammar.all,
            'i' | 'm' | 'p' => return self.literal(sort),
            other => self.grammar.by_result.get(&other).unwrap_or(&self.grammar.all),
        };
        let Some(&(kind, way)) = rules.choose(self.random) else { return self.literal(sort) };
        let mut sorts: Vec<Sort> = way.chars().map(Sort).collect();
        match self.random.random_range(0..20) {
            0 => drop(sorts.pop()),
            1 => sorts.push(Sort::ANY),
            _ => {}
        }
        self.call(kind, &sorts)
    }

    /// Returns any term of the protocol with any arguments.
    fn anything(&mut self) -> String {
        let kind = TermType::ALL.choose(self.random).copied().unwrap_or(TermType::Now);
        let sorts = vec![Sort::ANY; self.random.random_range(0..5)];
        self.call(kind, &sorts)
    }

    fn call(&mut self, kind: TermType, sorts: &[Sort]) -> String {
        let args: Vec<String> = sorts.iter().map(|&sort| self.term(sort)).collect();
        let count = if self.random.random_ratio(1, 5) { self.random.random_range(1..3) } else { 0 };
        let optargs = self.named(OPTARGS, count);
        format!("[{},[{}],{{{optargs}}}]", kind.number(), args.join(","))
    }

    fn named(&mut self, names: &[&str], count: usize) -> String {
        let mut optargs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = literals::pick(self.random, names);
            let value = match self.random.random_range(0..4) {
                0 => self.term(Sort::ANY),
                1 => literals::number(self.random),
                2 if matches!(name, "emit" | "final_emit" | "conflict") => self.function(3),
                2 => literals::name(self.random),
                _ => literals::scalar(self.random),
            };
            optargs.push(format!("\"{name}\":{value}"));
        }
        optargs.join(",")
    }

    fn function(&mut self, parameters: usize) -> String {
        let names: Vec<String> =
            (self.bound..self.bound + parameters).map(|name| (name + 1).to_string()).collect();
        self.bound += parameters;
        let body = self.term(Sort::ANY);
        self.bound -= parameters;
        format!("[69,[[2,[{}]],{body}]]", names.join(","))
    }

    /// Returns a variable that is bound, or once in a while one that is not.
    fn variable(&mut self) -> String {
        let last = if self.random.random_ratio(1, 50) { self.bound + 1 } else { self.bound };
        format!("[10,[{}]]", self.random.random_range(1..=last))
    }

    fn literal(&mut self, sort: Sort) -> String {
        let random = &mut *self.random;
        match sort.0 {
            'n' => literals::number(random),
            'i' => literals::integer(random),
            'x' => literals::string(random),
            'm' => literals::name(random),
            'b' => random.random::<bool>().to_string(),
            'o' => self.object(),
            'a' => self.array(),
            's' if random.random_ratio(1, 3) => self.array(),
            's' if random.random_ratio(1, 3) => format!("[173,[{}]]", random.random_range(0..500)),
            's' | 't' => literals::pick(random, &["[15,[\"t\"]]", "[15,[\"t\"]]", "[15,[\"u\"]]"]).to_owned(),
            'l' => format!("[16,[[15,[\"t\"]],{}]]", literals::integer(random)),
            'T' => "[103,[]]".to_owned(),
            'g' => format!("[159,[{},{}]]", literals::integer(random), literals::integer(random)),
            'B' => r#"{"$reql_type$":"BINARY","data":"AAEC/w=="}"#.to_owned(),
            'D' => "[14,[\"test\"]]".to_owned(),
            'p' if random.random_ratio(1, 3) => self.object(),
            'p' => literals::name(random),
            _ if random.random_ratio(1, 4) => self.array(),
            _ if random.random_ratio(1, 4) => self.object(),
            _ => literals::scalar(random),
        }
    }

    fn array(&mut self) -> String {
        let items: Vec<String> = self.several(|making| making.term(Sort::ANY));
        format!("[2,[{}]]", items.join(","))
    }

    fn object(&mut self) -> String {
        let fields = self.several(|making| {
            let name = literals::name(making.random);
            format!("{name}:{}", making.term(Sort::ANY))
        });
        format!("{{{}}}", fields.join(","))
    }

    fn several(&mut self, mut make: impl FnMut(&mut Self) -> String) -> Vec<String> {
        let count = self.random.random_range(0..4);
        if self.left == 0 {
            return Vec::new();
        }
        self.left -= 1;
        (0..count).map(|_| make(self)).collect()
    }
}
