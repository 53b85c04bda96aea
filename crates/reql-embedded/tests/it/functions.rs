//! Functions of indexes and write hooks as RethinkDB stores them: byte for byte as version 2.4.4 does for the
//! same query, and understood when they come back.
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reql_embedded::datum::{json, syntax};
use reql_embedded::engine::Interrupt;
use reql_embedded::eval::{self, Answer, Env};
use reql_embedded::instance::Instance;
use reql_embedded::storage::{IndexSpec, Options, Store};
use reql_embedded::term::Query;
use serde_json::{Value, json};

/// A server in memory.
struct Target(Arc<Instance>);

impl Target {
    fn new() -> Self {
        Target::on(Options::new(Arc::new(eval::Functions)))
    }

    fn on(options: Options) -> Self {
        let cache_bytes = options.cache_bytes;
        let store = Store::open(options).unwrap();
        Target(Arc::new(Instance::new(store, cache_bytes, "", Some("server".to_owned())).unwrap()))
    }

    /// Returns the answer to a term, or the message of its error.
    fn ask(&self, term: &str) -> Result<Value, String> {
        let arena = syntax::Arena::new();
        let tree = syntax::parse(term.as_bytes(), &arena).unwrap();
        let query = Query::new(Some(tree), &[]).unwrap();
        let env = Env::new(self.0.clone(), "admin".into(), Interrupt::default(), true);
        match eval::run(&query, env).map_err(|error| error.message().to_owned())? {
            Answer::Atom(datum) => Ok(serde_json::from_str(&json::to_string(&datum).unwrap()).unwrap()),
            Answer::Cursor(mut cursor) => {
                let mut rows = b"[".to_vec();
                let batch = cursor.next_batch(&mut rows).map_err(|error| error.message().to_owned())?;
                assert!(batch.done);
                rows.push(b']');
                Ok(serde_json::from_slice(&rows).unwrap())
            }
            Answer::Later(_) => unreachable!("nothing is put off where it may wait"),
        }
    }

    fn get(&self, term: &Value) -> Value {
        self.ask(&term.to_string()).unwrap_or_else(|message| panic!("{term}: {message}"))
    }

    /// Makes the table of a term, and its database.
    fn make(&self, table: &Value) {
        let (db, name) = match &table[1] {
            Value::Array(args) if args.len() == 2 => (args[0][1][0].clone(), &args[1]),
            args => (json!("test"), &args[0]),
        };
        // The database may exist already.
        let _ = self.ask(&json!([57, [db]]).to_string());
        let _ = self.ask(&json!([60, [[14, [db]], name]]).to_string());
    }

    fn index(&self, table: &Value, name: &Value) -> Value {
        self.get(&json!([139, [table, name]]))[0].clone()
    }
}

fn corpus() -> Value {
    serde_json::from_str(include_str!("../data/functions.json")).unwrap()
}

fn binary(bytes: &[u8]) -> Value {
    json!({"$reql_type$": "BINARY", "data": STANDARD.encode(bytes)})
}

fn bytes(binary: &Value) -> Vec<u8> {
    let text: String = binary["data"].as_str().unwrap().chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(text).unwrap()
}

/// Returns the bytes of an index function, or of a hook, as text that can be read if they are wrong.
fn readable(binary: &Value) -> String {
    bytes(binary).escape_ascii().to_string()
}

#[test]
fn indexes_are_stored_as_rethinkdb_does() {
    let target = Target::new();
    for case in corpus()["indexes"].as_array().unwrap() {
        let [table, name] = [0, 1].map(|at| case["query"][1][at].clone());
        target.make(&table);
        target.get(&case["query"]);
        let made = target.index(&table, &name);
        let stored = json!({"data": case["function"]});
        assert_eq!(readable(&made["function"]), readable(&stored), "{name}");
        assert_eq!(made["query"], case["shown"], "{name}");
        // And back, under another name.
        let copy = json!(format!("{} again", name.as_str().unwrap()));
        target.get(&json!([75, [table, copy, binary(&bytes(&stored))]]));
        let copied = target.index(&table, &copy);
        for field in ["function", "multi", "geo"] {
            assert_eq!(copied[field], made[field], "{name}");
        }
    }
}

#[test]
fn hooks_are_stored_as_rethinkdb_does() {
    let target = Target::new();
    for case in corpus()["hooks"].as_array().unwrap() {
        let table = &case["query"][1][0];
        target.make(table);
        target.get(&case["query"]);
        let hook = target.get(&json!([190, [table]]));
        assert_eq!(readable(&hook["function"]), readable(&json!({"data": case["function"]})));
        assert_eq!(hook["query"], case["shown"]);
        target.get(&json!([189, [table, null]]));
        assert_eq!(target.get(&json!([189, [table, hook["function"]]])), json!({"created": 1}));
        assert_eq!(target.get(&json!([190, [table]])), hook);
    }
}

/// Returns the text of the terms in some bytes of a function.
fn terms(function: &Value) -> String {
    let bytes = bytes(function);
    let start = bytes.iter().rposition(|byte| *byte == b'$').unwrap();
    let from = start + bytes[start..].iter().position(|byte| *byte == b'[').unwrap();
    let to = bytes.iter().rposition(|byte| *byte == b']').unwrap();
    String::from_utf8(bytes[from..=to].to_vec()).unwrap()
}

/// Checks that the query's notation is kept: RethinkDB's parser reads it and prints it again.
#[test]
fn terms_are_stored_as_they_were_written() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    for (number, (body, stored)) in [
        ("[13]", "[13,7]"),
        (" [ 13, [] ] ", "[13,[],7]"),
        ("[13,{}]", "[13,{},7]"),
        ("[13,[],{}]", "[13,[],{},7]"),
        ("[170,[[13],\"a\"],{}]", "[170,[[13,8],[1,\"a\",9]],{},7]"),
        ("{}", "[3,{},7]"),
        ("[3]", "[3,7]"),
        ("[1,2]", "[1,2,7]"),
        (
            "[2,[1,1.0,1e2,-0,-0.0,0.10]]",
            "[2,[[1,1,8],[1,1.0,9],[1,100.0,10],[1,0,11],[1,-0.0,12],[1,0.1,13]],7]",
        ),
        (
            "[2,[1e21,1e20,1.5E+300,4294967296,-5]]",
            "[2,[[1,1e21,8],[1,100000000000000000000.0,9],[1,1.5e300,10],[1,4294967296,11],[1,-5,12]],7]",
        ),
        ("[1,{\"b\":1.0,\"a\":[2,{}]}]", "[1,{\"b\":1.0,\"a\":[2,{}]},7]"),
        ("{\"b\":[13,[]],\"a\":{\"c\":true}}", "[3,{\"b\":[13,[],8],\"a\":[3,{\"c\":[1,true,10]},9]},7]"),
        (r#""\u0001\u001f\/\u00e9\n\u007f\\\"""#, "[1,\"\\u0001\\u001F/\u{e9}\\n\u{7f}\\\\\\\"\",7]"),
        // Optional arguments come after the others.
        (
            "[30,[[13,[]],1],{\"right_bound\":\"closed\"}]",
            "[30,[[13,[],8],[1,1,9]],{\"right_bound\":[1,\"closed\",10]},7]",
        ),
        // A term that is short for others is stored as the client sent it.
        ("[35,[[13,[]],{\"a\":1}]]", "[35,[[13,[],8],[3,{\"a\":[1,1,10]},9]],7]"),
    ]
    .into_iter()
    .enumerate()
    {
        let create = format!("[75,[{table},\"i{number}\",[69,[[2,[1]],{body}]]]]");
        target.ask(&create).unwrap_or_else(|message| panic!("{body}: {message}"));
        let made = target.index(&table, &json!(format!("i{number}")));
        assert_eq!(terms(&made["function"]), stored);
    }
}

/// Checks that variables from around an index function are stored with it, as far as the function uses them.
#[test]
fn captured_variables_are_stored() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    // r.do({a: [1, 2.5], b: "x"}, 7, (u, v) => t.indexCreate('i', w => [w('id'), u('a')]))
    let create = json!([64, [
        [69, [[2, [1, 2]], [75, [table, "i", [69, [[2, [3]],
            [2, [[170, [[10, [3]], "id"]], [170, [[10, [1]], "a"]]]]]]]]]],
        {"a": [2, [1, 2.5]], "b": "x"},
        7,
    ]]);
    target.get(&create);
    let made = target.index(&table, &json!("i"));
    let mut expected = b"$reql_index_function$\x09\x07\x07\x07\x00".to_vec();
    // One variable, 1, which is an object of 24 bytes: two fields, the second 15 bytes after the first.
    expected.extend(b"\x01\x01\0\0\0\0\0\0\0\x0b\x18\x02\x11");
    // `a`: an array of 13 bytes, two items, the second after 2 bytes: 1 and 2.5. `b`: a text.
    expected.extend(b"\x01a\x0a\x0d\x02\x02\x08\x01\x04\0\0\0\0\0\0\x04\x40\x01b\x06\x01x");
    // Nothing binds `r.row`; one parameter, 3.
    expected.extend(b"\0\0\0\0\x01\x03\0\0\0\0\0\0\0");
    let body =
        b"[2,[[170,[[10,[[1,3,15]],14],[1,\"id\",16]],13],[170,[[10,[[1,1,19]],18],[1,\"a\",20]],17]],12]\0";
    expected.extend([body.len() as u8, 0, 0, 0]);
    expected.extend(body);
    expected.extend(b"\x0c\0\0\0\0\0");
    assert_eq!(readable(&made["function"]), readable(&binary(&expected)));
    let shown = "indexCreate('i', non-printable function (captured scope not empty))";
    assert_eq!(made["query"], shown);
    target.get(&json!([75, [table, "again", made["function"]]]));
    assert_eq!(target.index(&table, &json!("again"))["function"], made["function"]);
    // Its value is used when rows are indexed.
    target.get(&json!([56, [table, {"id": 1}]]));
    target.get(&json!([140, [table]]));
    let key = json!([2, [1, [2, [1, 2.5]]]]);
    assert_eq!(target.get(&json!([78, [table, key], {"index": "again"}])), json!([{"id": 1}]));
    // r.do(5, x => t.indexCreate('j', (a, b) => r.row))
    target.get(&json!([
        64,
        [[69, [[2, [1]], [75, [table, "j", [69, [[2, [2, 3]], [2, [[13, []], [10, [2]]]]]]]]]], 5,]
    ]));
    let made = target.index(&table, &json!("j"));
    let head =
        "$reql_index_function$\\t\\x07\\x07\\x07\\x00\\x00\\x01\\x00\\x00\\x00\\x01\\x08\\x05\\x02\\x02\\x00";
    assert!(readable(&made["function"]).starts_with(head), "{}", readable(&made["function"]));
}

/// Checks the form that functions had in earlier versions, in data files and in archives.
#[test]
fn former_forms_are_understood() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    let field = "[69,[[2,[[1,-19]],{}],[31,[[10,[[1,-19]],{}],[1,\"a\"]],{}]],{}]";
    let other = "[69,[[2,[[1,1]],{}],[35,[[13,[],{}],[3,[],{\"b\":[1,true]}]],{}]],{}]";
    let field_now = "[31,[[10,[[1,-19,0]],0],[1,\"a\",0]],0]";
    let other_now = "[35,[[13,[],0],[3,{\"b\":[1,true,0]},0]],0]";
    for (name, source, now) in [("field", field, field_now), ("other", other, other_now)] {
        let spec = IndexSpec { name: name.into(), source: source.into(), multi: false, geo: false };
        target.0.store.table("test", "t").unwrap().create_index(spec, false).unwrap();
        let stored = target.index(&table, &json!(name));
        assert_eq!(terms(&stored["function"]), now);
        let definition = json!({"function": source, "geo": false, "multi": true}).to_string();
        let archived = binary(format!("$reql_index_function${definition}").as_bytes());
        let again = json!(format!("{name} again"));
        target.get(&json!([75, [table, again, archived]]));
        let restored = target.index(&table, &again);
        assert_eq!(terms(&restored["function"]), now);
        assert_eq!([&restored["multi"], &restored["geo"]], [true, false]);
    }
    target.get(&json!([56, [table, {"id": 1, "a": "x"}]]));
    target.get(&json!([140, [table]]));
    let found = target.get(&json!([78, [table, "x"], {"index": "field"}]));
    assert_eq!(found, json!([{"id": 1, "a": "x"}]));
    let hook = "[69,[[2,[[1,1],[1,2],[1,3]],{}],[10,[[1,3]],{}]],{}]";
    target.get(&json!([189, [table, binary(format!("$reql_write_hook_function${hook}").as_bytes())]]));
    let shown = target.get(&json!([190, [table]]));
    assert_eq!(shown["query"], "setWriteHook(function(var1, var2, var3) { return var3; })");
    assert_eq!(terms(&shown["function"]), "[10,[[1,3,0]],0]");
    target
        .0
        .store
        .table("test", "t")
        .unwrap()
        .alter(|config| {
            config.write_hook = Some(hook.into());
            Ok(())
        })
        .unwrap();
    assert_eq!(target.get(&json!([190, [table]])), shown);
}

#[test]
fn functions_survive_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options::new(Arc::new(eval::Functions)).path(directory.path());
    let case = &corpus()["indexes"][1];
    let table = &case["query"][1][0];
    {
        let target = Target::on(options());
        target.make(table);
        target.get(&case["query"]);
        target.0.store.close();
    }
    let made = Target::on(options()).index(table, &case["name"]);
    assert_eq!(readable(&made["function"]), readable(&json!({"data": case["function"]})));
}

#[test]
fn other_bytes_are_refused_as_rethinkdb_does() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    let unreadable = |reason: &str| {
        format!(
            "Binary blob passed to index create could not be interpreted as a reql_index_function ({reason})."
        )
    };
    let unrecognized = "Unrecognized secondary index version, secondary index not created.".to_owned();
    let ended = |what: &str| {
        unreadable(&format!("Deserialization of {what} failed with error archive_result_t::SOCK_EOF."))
    };
    let out_of_range = |what: &str| {
        unreadable(&format!("Deserialization of {what} failed with error archive_result_t::RANGE_ERROR."))
    };
    let description = "sindex description";
    let not_deterministic = "Could not prove function deterministic.  Index functions must be deterministic.";
    let function = |body: &str| {
        let mut bytes = b"\x09\x07\x07\x07\0\0\0\0\0\0\0".to_vec();
        bytes.extend((body.len() as u32 + 1).to_le_bytes());
        bytes.extend(body.as_bytes());
        bytes.extend(b"\0\x07\0\0\0\0\0");
        bytes
    };
    for (bytes, message) in [
        (b"".to_vec(), unrecognized.clone()),
        (b"\x0a".to_vec(), unrecognized),
        (
            b"\x01".to_vec(),
            "Attempted to import a RethinkDB 1.13 secondary index, which is no longer supported.  This \
          secondary index may be updated by importing into RethinkDB 2.0."
                .to_owned(),
        ),
        (
            b"\x03\x01\x01\x01".to_vec(),
            "Attempted to import a secondary index from before RethinkDB 1.16, which is no \
          longer supported.  This secondary index may be updated by importing into RethinkDB 2.1."
                .to_owned(),
        ),
        (b"\x09".to_vec(), ended("original_reql_version")),
        (b"\x09\x07\x08\x07".to_vec(), out_of_range("latest_compatible_reql_version")),
        (b"\x09\x07\x07\x07\x02".to_vec(), out_of_range(description)),
        (b"\x09\x07\x07\x07\0\0\0\0\0".to_vec(), ended(description)),
        (b"\x09\x07\x07\x07\x01".to_vec(), not_deterministic.to_owned()),
        (function("[13,7"), unreadable("Missing a comma or ']' after an array element.")),
        (function("[10,[[1,5,9]],8]"), unreadable("Variable name not found.")),
        (function("[151,[],7]"), not_deterministic.to_owned()),
        ([function("[1,2,7]"), vec![0]].concat(), out_of_range(description)),
        (function("[1,2,7]").split_last().unwrap().1.to_vec(), ended(description)),
    ] {
        let blob = [b"$reql_index_function$".as_slice(), &bytes].concat();
        let refused = target.ask(&json!([75, [table, "i", binary(&blob)]]).to_string());
        assert_eq!(refused, Err(message), "{}", bytes.escape_ascii());
    }
    let refused = target.ask(&json!([75, [table, "i", binary(b"?")]]).to_string());
    let message = "Cannot create an sindex except from a reql_index_function returned from `index_status` in \
        the field `function`.";
    assert_eq!(refused, Err(message.to_owned()));
}

/// Returns a field of a protocol buffer: its number, and bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

/// Returns `r.row('a')`, or a literal, as a protocol buffer; see `ql2.proto`.
fn old_term(kind: &[u8], fields: &[Vec<u8>]) -> Vec<u8> {
    [[&[1 << 3][..], kind].concat(), fields.concat()].concat()
}

/// Checks functions of versions 1.16 to 2.1, which are protocol buffers.
#[test]
fn functions_of_old_versions_are_understood() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    let text = old_term(&[1], &[field(2, &[&[1 << 3, 4][..], &field(4, b"a")].concat())]);
    let number = [&[1 << 3, 3, 3 << 3 | 1][..], &1f64.to_le_bytes()].concat();
    let number = old_term(&[1], &[field(2, &number)]);
    let variable = old_term(&[10], &[field(3, &number)]);
    // 170 takes two bytes.
    let bracket = old_term(&[0xaa, 1], &[field(3, &variable), field(3, &text)]);
    let pair = [field(1, b"k"), field(2, &bracket)].concat();
    let body = old_term(&[3], &[field(4, &pair)]);
    let backtrace = [3, 0, 0, 0, 10, 1, 0];
    for (versions, place) in
        [([4, 2, 2, 2], &backtrace[..]), ([5, 3, 3, 3], &backtrace[..]), ([6, 4, 4, 4], &[7, 0, 0, 0][..])]
    {
        let mut bytes = b"$reql_index_function$".to_vec();
        bytes.extend(versions);
        bytes.extend(b"\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0");
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(&body);
        bytes.extend(place);
        bytes.extend([1, 0]);
        let name = json!(format!("i{}", versions[0]));
        target.get(&json!([75, [table, name, binary(&bytes)]]));
        let made = target.index(&table, &name);
        assert_eq!(terms(&made["function"]), "[3,{\"k\":[170,[[10,[[1,1.0,0]],0],[1,\"a\",0]],0]},0]");
        assert_eq!(made["multi"], true);
        let broken = target.ask(&json!([75, [table, "x", binary(&bytes[..bytes.len() - 6])]]).to_string());
        assert!(broken.unwrap_err().contains("sindex description"));
    }
}

/// Changes the bytes of functions at random: they are taken or refused. A function that is taken is shown,
/// and its shown bytes are taken again.
#[test]
fn changed_bytes_are_taken_or_refused() {
    let seed = std::env::var("FUNCTIONS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("FUNCTIONS_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    let corpus = corpus();
    let functions: Vec<Vec<u8>> = ["indexes", "hooks"]
        .iter()
        .flat_map(|kind| corpus[kind].as_array().unwrap())
        .map(|case| bytes(&json!({"data": case["function"]})))
        .collect();
    let mut taken = 0;
    for number in 0..3_000 {
        let mut bytes = functions.choose(random).unwrap().clone();
        for _ in 0..random.random_range(1..4) {
            change(&mut bytes, random);
        }
        let name = json!(format!("i{number}"));
        let (make, drop) = (json!([75, [table, name, binary(&bytes)]]), json!([76, [table, name]]));
        if target.ask(&make.to_string()).is_ok() {
            let shown = target.index(&table, &name)["function"].clone();
            target.get(&drop);
            target.get(&json!([75, [table, name, shown]]));
            assert_eq!(target.index(&table, &name)["function"], shown);
            target.get(&drop);
            taken += 1;
        }
        let hook = json!([189, [table, binary(&bytes)]]);
        if target.ask(&hook.to_string()).is_ok() {
            target.get(&json!([190, [table]]));
            target.get(&json!([189, [table, null]]));
            taken += 1;
        }
    }
    assert!(taken > 30, "hardly any is taken: {taken}");
}

fn change(bytes: &mut Vec<u8>, random: &mut StdRng) {
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..5) {
        0 => bytes[at] = random.random(),
        // Another digit makes another term, or another place.
        1 => bytes[at] = random.random_range(b'0'..=b'9'),
        2 => bytes.truncate(at.max(1)),
        3 => bytes.insert(at, random.random()),
        _ => bytes[at] ^= 1 << random.random_range(0..8),
    }
}

/// Checks that functions may have the parts that a query may have, up to a size and a depth. An object takes
/// two levels of that depth.
#[test]
fn deep_functions_are_stored_or_refused() {
    let target = Target::new();
    let table = json!([15, ["t"]]);
    target.make(&table);
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let create = |depth| format!("[75,[{table},\"i{depth}\",[69,[[2,[1]],{}]]]]", nested(depth));
    target.ask(&create(4_000)).unwrap();
    let made = target.index(&table, &json!("i4000"));
    target.get(&json!([75, [table, "again", made["function"]]]));
    assert_eq!(target.ask(&create(6_000)), Err("Function too deeply nested to be stored.".to_owned()));
    let long = format!("[75,[{table},\"long\",[69,[[2,[1]],\"{}\"]]]]", "x".repeat(5 << 20));
    assert_eq!(target.ask(&long), Err("Function too large to be stored (max 4 MiB).".to_owned()));
    // One captured variable: a list in a list, and so on.
    let lists = [b"\0\x01\0\0\0\0\0\0\0\0".to_vec(), b"\x01\x01".repeat(100_000)].concat();
    let blob = [b"$reql_index_function$\x09\x07\x07\x07".to_vec(), lists].concat();
    target.ask(&json!([75, [table, "deep", binary(&blob)]]).to_string()).unwrap_err();
}
