use super::*;
use crate::datum::syntax;
use crate::term::Backtraces;

fn parse(json: &str) -> RawTerm {
    let arena = syntax::Arena::new();
    let tree = syntax::parse(json.as_bytes(), &arena).unwrap();
    RawTerm::parse(tree, &mut Backtraces::default()).unwrap()
}

/// Checks the printer. Each block has a term as JSON in the first line, then the output of RethinkDB's own
/// printer.
#[test]
fn terms_look_as_rethinkdb_shows_them() {
    for block in include_str!("golden.txt").split_terminator("\n\n") {
        let (json, expected) = block.split_once('\n').unwrap();
        assert_eq!(as_javascript(&parse(json)), expected, "{json}");
    }
}

#[test]
fn functions_name_their_parameters() {
    let shown = |json| function_as_javascript(&parse(json));
    assert_eq!(
        shown(r#"[69,[[2,[-19]],[31,[[10,[-19]],"v"]]]]"#),
        r#"function(_var19) { return _var19.getField("v"); }"#
    );
    assert_eq!(shown("[69,[[2,[1,2]],[180,[]]]]"), "function(var1, var2) { return r.minval; }");
    assert_eq!(shown(r#"[11,["(x) => x"]]"#), "r.js((x) => x)");
}

#[test]
fn bytes_are_shown_in_base64() {
    assert_eq!(
        as_javascript(&parse(r#"[155,[[1,{"$reql_type$":"BINARY","data":"Zm9v"}]]]"#)),
        "r.expr(Buffer(Zm9v, 'base64')).binary()"
    );
}
