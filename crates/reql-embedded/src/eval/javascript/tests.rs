use std::time::Instant;

use super::*;
use crate::datum::json;
use crate::error::ErrorKind;
use crate::interrupt::Reason;

fn env(interrupt: Interrupt) -> Env {
    Env::begin(None, Arc::default(), interrupt, true)
}

fn script(source: &str, timeout: Duration) -> Script {
    Script { source: source.into(), timeout }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the value of a script as JSON, or its error.
fn eval(env: &Env, source: &str) -> String {
    match env.javascript.eval(env, &script(source, MINUTE)) {
        Ok(Outcome::Value(datum)) => json::to_string(&datum).expect("JSON"),
        Ok(Outcome::Function) => "a function".into(),
        Err(error) => error.message().to_owned(),
    }
}

/// Returns the result of a function for a value.
fn call(env: &Env, source: &str, arg: Datum) -> String {
    match script(source, MINUTE).call(env, &[arg]) {
        Ok(datum) => json::to_string(&datum).expect("JSON"),
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn values_become_reql() {
    let env = env(Interrupt::default());
    for (source, answer) in [
        ("1 + 1; 2 + 2", "4"),
        ("-0", "-0.0"),
        ("'a' + '\\0' + '\u{1f600}'", "\"a\\u0000\u{1f600}\""),
        ("[1, 'two', [true, null]]", "[1,\"two\",[true,null]]"),
        ("({b: 1, a: {}, 'b': 2})", "{\"a\":{},\"b\":2}"),
        (
            "new Date(1375147296681)",
            "{\"$reql_type$\":\"TIME\",\"epoch_time\":1375147296.681,\"timezone\":\"+00:00\"}",
        ),
        ("(function(x) { return x; })", "a function"),
        ("(class {})", "a function"),
        ("undeclared = 5; undeclared", "5"),
    ] {
        assert_eq!(eval(&env, source), answer, "{source}");
    }
}

#[test]
fn what_reql_does_not_have_is_refused() {
    let env = env(Interrupt::default());
    for (source, message) in [
        ("undefined", "Cannot convert javascript `undefined` to ql::datum_t."),
        ("[1, undefined]", "Cannot convert javascript `undefined` to ql::datum_t."),
        ("({f: function() {}})", "Cannot convert function to ql::datum_t."),
        ("/a/", "Cannot convert RegExp to ql::datum_t."),
        ("1 / 0", "Number return value is not finite."),
        ("new Date(NaN)", "Non-finite number: nan"),
        ("10n", "Unhandled value type when converting to ql::datum_t."),
        ("Symbol('a')", "Unhandled value type when converting to ql::datum_t."),
        ("({get a() { throw 1; }})", "Unhandled value type when converting to ql::datum_t."),
        ("let a = []; a[0] = a; a", "Recursion limit exceeded in js_to_json (circular reference?)."),
        ("'\\ud83c'", "Cannot convert a string with a lone surrogate to ql::datum_t."),
        ("({'\\ud83c': 1})", "Cannot convert a string with a lone surrogate to ql::datum_t."),
        ("new Proxy({}, {ownKeys() { throw 1; }})", "Could not get object properties."),
        ("({$reql_type$: 'NONE'})", "Unknown $reql_type$ `PTYPE<NONE>`."),
    ] {
        assert_eq!(eval(&env, source), message, "{source}");
    }
    assert!(eval(&env, "new Array(4294967295)").starts_with("Array over size limit `100000`."));
}

#[test]
fn exceptions_are_shown_as_text() {
    let env = env(Interrupt::default());
    for (source, message) in [
        ("function() { return 1; }", "SyntaxError: function name expected"),
        ("throw 'text'", "text"),
        ("throw new TypeError('wrong')", "TypeError: wrong"),
        ("missing", "ReferenceError: missing is not defined"),
        ("throw Symbol('a')", "Javascript query `throw Symbol('a')` caused a crash in a worker process."),
    ] {
        assert_eq!(eval(&env, source), message, "{source}");
    }
    assert_eq!(eval(&env, "1"), "1");
}

#[test]
fn functions_get_values_of_reql() {
    let env = env(Interrupt::default());
    let time = pseudo_time(1375147296.681);
    assert_eq!(call(&env, "(t => t.getTime())", time.clone()), "1375147296681");
    assert_eq!(call(&env, "(t => t)", time.clone()), json::to_string(&time).expect("JSON"));
    let object = Datum::object([("__proto__", Datum::Num(1.0)), ("a", Datum::array(vec![Datum::Null]))]);
    assert_eq!(call(&env, "(x => Object.keys(x))", object.clone()), r#"["__proto__","a"]"#);
    assert_eq!(call(&env, "(x => x)", object), r#"{"__proto__":1,"a":[null]}"#);
    assert_eq!(call(&env, "(x => x + 'bar')", Datum::str("foo")), "\"foobar\"");
    assert_eq!(call(&env, "(function() { return this === globalThis; })", Datum::Null), "true");
    for (arg, message) in [
        (Datum::MinVal, "`r.minval` cannot be passed to `r.js`."),
        (Datum::MaxVal, "`r.maxval` cannot be passed to `r.js`."),
        (Datum::Binary(Arc::from([1])), "`r.binary` data cannot be used in `r.js`."),
    ] {
        assert_eq!(call(&env, "(x => x)", arg), message);
    }
    let deep = (0..501).fold(Datum::Null, |inner, _| Datum::array(vec![inner]));
    let message = "Values passed to `r.js` may be nested 500 levels deep at most.";
    assert_eq!(call(&env, "(x => 1)", deep), message);
    let message = "Returning functions from within `r.js` is unsupported.";
    assert_eq!(call(&env, "(x => () => x)", Datum::Null), message);
}

fn pseudo_time(epoch: f64) -> Datum {
    crate::datum::pseudo::time::make(epoch, "+00:00").expect("a time")
}

#[test]
fn scripts_of_a_query_share_their_globals() {
    let first = env(Interrupt::default());
    assert_eq!(eval(&first, "count = 1"), "1");
    assert_eq!(call(&first, "(n => count += n)", Datum::Num(1.0)), "2");
    assert_eq!(eval(&first, "count"), "2");
    assert_eq!(eval(&env(Interrupt::default()), "typeof count"), "\"undefined\"");
}

#[test]
fn many_functions_make_place_for_each_other() {
    let env = env(Interrupt::default());
    for number in 0..250 {
        assert_eq!(call(&env, &format!("(x => x + {number})"), Datum::Num(0.0)), number.to_string());
    }
    assert_eq!(call(&env, "(x => x + 0)", Datum::Num(7.0)), "7");
}

#[test]
fn time_runs_out() {
    let env = env(Interrupt::default());
    let short = Duration::from_millis(50);
    for source in [
        "while (true) {}",
        "try { while (true) {} } finally { while (true) {} }",
        "(function f() { try { f(); } finally { f(); } })()",
        "/(a*)*b/.test('a'.repeat(40))",
        "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)",
        "new Array(1e9).join('')",
        "({get a() { while (true) {} }})",
        "throw {toString() { while (true) {} }}",
    ] {
        let error = env.javascript.eval(&env, &script(source, short)).expect_err("no end");
        assert_eq!(error.message(), format!("JavaScript query `{source}` timed out after 0.050 seconds."));
    }
    let function = script("(x => { while (true) {} })", short);
    assert!(matches!(env.javascript.eval(&env, &function), Ok(Outcome::Function)));
    assert!(function.call(&env, &[]).is_err());
    assert_eq!(eval(&env, "1"), "1");
}

#[test]
fn an_interrupt_ends_a_script() {
    let interrupt = Interrupt::default();
    let env = env(interrupt.clone());
    let begin = Instant::now();
    let (started, starts) = mpsc::channel();
    let runner = thread::spawn(move || {
        started.send(()).expect("a listener");
        env.javascript.eval(&env, &script("while (true) {}", MINUTE)).map(|_| ())
    });
    starts.recv().expect("a start");
    interrupt.raise(Reason::Stopped);
    let error = runner.join().expect("no panic").expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(begin.elapsed() < MINUTE);
}

#[test]
fn memory_and_stack_are_limited() {
    let env = env(Interrupt::default());
    for (source, message) in [
        ("let a = []; while (true) a.push('x'.repeat(1e6) + a.length + 'y')", "InternalError: out of memory"),
        ("new ArrayBuffer(2 ** 30)", "InternalError: out of memory"),
        ("(function f() { return f() + 1; })()", "RangeError: Maximum call stack size exceeded"),
    ] {
        let answer = eval(&env, source);
        assert!(answer.contains(message), "{source}: {answer}");
    }
    for source in [
        "let o = {}; for (let i = 0; i < 1e5; i++) o = {o}; JSON.stringify(o)",
        "eval('['.repeat(1e6))",
        "new RegExp('('.repeat(1e5))",
        "JSON.parse('['.repeat(1e6))",
        "let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); p.x",
        "let q = []; for (let i = 0; i < 1e5; i++) q = [q]; q.flat(Infinity).length; q.toString()",
    ] {
        eval(&env, source);
        assert_eq!(eval(&env, "1"), "1", "{source}");
    }
}
