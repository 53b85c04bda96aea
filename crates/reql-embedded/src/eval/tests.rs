//! Queries that only wait for something have no turn on the processors, where others compute.

use std::sync::Arc;

use super::{Env, Functions, run};
use crate::datum::syntax;
use crate::error::{Error, ErrorKind};
use crate::instance::{Guarded, Instance};
use crate::interrupt::{Interrupt, Reason};
use crate::storage::{Options, Store};
use crate::term::Query;
use crate::workers::comes_to_a_checkpoint;

fn instance() -> Arc<Instance> {
    let store = Store::open(Options::new(Arc::new(Functions))).expect("a store in memory");
    store.create_database("test").expect("a new database");
    Arc::new(Instance::new(store, 0, "", Some("server".to_owned())).expect("a new server"))
}

fn failure(instance: &Arc<Instance>, term: &str, interrupt: Interrupt) -> Option<Error> {
    let arena = syntax::Arena::new();
    let term = syntax::parse(term.as_bytes(), &arena).expect("JSON");
    let query = Query::new(Some(term), &[]).expect("a query");
    run(&query, Env::new(instance.clone(), "admin".into(), interrupt, true)).err()
}

fn ask(instance: &Arc<Instance>, term: &str) {
    let failure = failure(instance, term, Interrupt::default());
    assert!(failure.is_none(), "{term}: {failure:?}");
}

/// Returns true if a query would take turns with others. It has been interrupted, so that it ends when it
/// looks for that.
fn takes_turns(instance: &Arc<Instance>, term: &str) -> bool {
    let interrupt = Interrupt::default();
    interrupt.raise(Reason::Stopped);
    comes_to_a_checkpoint(|| {
        let failure = failure(instance, term, interrupt);
        let kind = failure.map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::Interrupted), "{term}");
    })
}

#[test]
fn who_computes_has_turns() {
    assert!(takes_turns(&instance(), "[43,[[173,[1e6]]]]"));
}

#[test]
fn who_waits_for_an_index_has_none() {
    let instance = instance();
    ask(&instance, r#"[60,["t"]]"#);
    ask(&instance, r#"[56,[[15,["t"]],{"id":1}]]"#);
    // As long as nobody drops the index: `r.range(1e15).count()`.
    ask(&instance, r#"[75,[[15,["t"]],"slow",[69,[[2,[1]],[43,[[173,[1e15]]]]]]]]"#);
    assert!(!takes_turns(&instance, r#"[140,[[15,["t"]]]]"#));
}

#[test]
fn who_waits_for_a_row_of_a_system_table_has_none() {
    let instance = instance();
    let _held = instance.locks.lock(Guarded::Scratch, || Ok(())).expect("a free lock");
    assert!(!takes_turns(&instance, r#"[56,[[15,[[14,["rethinkdb"]],"_debug_scratch"]],{"id":1}]]"#));
}
