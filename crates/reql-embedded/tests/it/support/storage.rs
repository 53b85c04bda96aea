//! The parts that the storage tests share: an index compiler whose source is a field's name, and shortcuts
//! for reading and writing.
use std::sync::Arc;

use reql_embedded::datum::{Datum, key};
use reql_embedded::error::{Error, Result};
use reql_embedded::eval;
use reql_embedded::instance::Instance;
use reql_embedded::storage::{
    Change, Direction, Durability, IndexCompiler, IndexFunction, IndexSpec, KeyRange, Mutation, Options,
    Outcome, Store, Table, TableOptions,
};

/// Compiles the name of a field to a function that returns the field; `!` at the start is a syntax error.
pub struct Fields;

struct Field {
    name: String,
    multi: bool,
}

impl IndexCompiler for Fields {
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        if spec.source.starts_with('!') {
            return Err(Error::logic("No such function."));
        }
        Ok(Arc::new(Field { name: spec.source.clone(), multi: spec.multi }))
    }
}

impl IndexFunction for Field {
    fn keys(&self, document: &Datum) -> Vec<Vec<u8>> {
        match document.get(&self.name) {
            Some(Datum::Array(items)) if self.multi => {
                items.iter().filter_map(|item| key::secondary(&item).ok()).collect()
            }
            Some(value) => key::secondary(&value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

pub fn options() -> Options {
    Options::new(Arc::new(Fields))
}

pub fn store() -> Store {
    Store::open(options()).unwrap()
}

pub fn table(store: &Store) -> Table {
    store.create_database("test").unwrap();
    store.create_table("test", "t", TableOptions::default()).unwrap()
}

pub fn num(value: i64) -> Datum {
    Datum::from(value)
}

pub fn id(value: i64) -> Vec<u8> {
    key::primary(&num(value)).unwrap()
}

pub fn value(value: i64) -> Vec<u8> {
    key::secondary(&num(value)).unwrap()
}

pub fn document(id: i64, a: i64) -> Datum {
    Datum::object([("id", num(id)), ("a", num(a))])
}

pub fn put(document: &Datum) -> Mutation {
    let stored = document.clone();
    let key = key::primary(&document.get("id").unwrap()).unwrap();
    Mutation::new(key, move |_| Ok(Change::Put(stored.clone())))
}

pub fn delete(key: i64) -> Mutation {
    Mutation::new(id(key), |_| Ok(Change::Delete))
}

/// Returns a mutation that adds 1 to field `a`, or starts it at 1.
pub fn increment(key: i64) -> Mutation {
    Mutation::new(id(key), move |old| {
        let a = old.and_then(|old| old.get("a")).map_or(0, |a| a.as_int().unwrap());
        Ok(Change::Put(document(key, a + 1)))
    })
}

pub fn write(table: &Table, mutations: Vec<Mutation>) -> Vec<Outcome> {
    write_as(table, mutations, Durability::Soft)
}

pub fn write_as(table: &Table, mutations: Vec<Mutation>, durability: Durability) -> Vec<Outcome> {
    table.write(mutations, durability).unwrap().into_iter().map(|outcome| outcome.unwrap()).collect()
}

pub fn scan(table: &Table, range: KeyRange, direction: Direction) -> Vec<Datum> {
    let mut scan = table.scan(range, direction);
    std::iter::from_fn(|| scan.next().unwrap()).collect()
}

pub fn index_scan(table: &Table, index: &str, range: KeyRange, direction: Direction) -> Vec<Datum> {
    let mut scan = table.index_scan(index, range, direction).unwrap();
    std::iter::from_fn(|| scan.next().unwrap()).collect()
}

pub fn ids(documents: &[Datum]) -> Vec<i64> {
    documents.iter().map(|document| document.get("id").unwrap().as_int().unwrap()).collect()
}

pub fn simple(name: &str) -> IndexSpec {
    IndexSpec { name: name.into(), source: name.into(), multi: false, geo: false }
}

pub fn multi(name: &str) -> IndexSpec {
    IndexSpec { multi: true, ..simple(name) }
}

/// Creates an index and waits until it is ready.
pub fn indexed(table: &Table, spec: IndexSpec) {
    let name = spec.name.clone();
    table.create_index(spec, false).unwrap();
    ready(table, &name);
}

pub fn ready(table: &Table, name: &str) {
    table.wait_indexes(&[name], &|| Ok(())).unwrap();
}

pub fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().message().to_owned()
}

/// Makes the instance of a server in memory, without any database.
pub fn instance() -> Instance {
    let options = Options::new(Arc::new(eval::Functions));
    let cache_bytes = options.cache_bytes;
    let store = Store::open(options).expect("a store in memory");
    Instance::new(store, cache_bytes, "", Some("server".to_owned())).expect("a new server")
}
