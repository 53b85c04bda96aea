//! A file that an earlier version wrote is read as it was written.
//!
//! `tests/data/format-1.redb.gz` holds such a file, and `format-1.json` its contents. Both stay unchanged: a
//! version that can't read them has another format (see `docs/file-format.md`). A new pair, for another
//! format, is made with
//!
//! ```text
//! FORMAT_FILE=format-2 cargo test -p reql-embedded --test it file_format -- --ignored
//! ```
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::asking::Asking;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reql_embedded::eval::Functions;
use reql_embedded::storage;
use serde_json::{Value, json};

/// Queries that make the contents of the file: something of everything.
const MADE: &[&str] = &[
    "r.dbCreate('shop')",
    "r.db('shop').tableCreate('wares', {primary_key: 'code'})",
    "r.db('shop').tableCreate('empty', {durability: 'soft'})",
    "r.db('shop').table('wares').indexCreate('price')",
    "r.db('shop').table('wares').indexCreate('tags', {multi: true})",
    "r.db('shop').table('wares').indexCreate('place', {geo: true})",
    "r.db('shop').table('wares').indexCreate('both', w => [w('price'), w('name').downcase()])",
    "r.db('shop').table('wares').indexWait()",
    "r.db('shop').table('wares').insert([
        {code: 1, name: 'Apple', price: 0.5, tags: ['fruit', 'red'], place: r.point(-122.4, 37.7)},
        {code: 'two', name: 'Bréad 🍞', price: 3, tags: [], place: r.line([0, 0], [1, 1])},
        {code: [3, true], name: 'Cup', price: -0.25, tags: ['red', null, 1], at: r.epochTime(1375147296.681)},
        {code: r.epochTime(10), name: 'Date', price: null, nested: {a: [1, {b: [[]]}], '': {}}},
        {code: {'$reql_type$': 'BINARY', data: 'AAEC/w=='}, name: 'Egg', price: 1e300,
         bytes: {'$reql_type$': 'BINARY', data: 'AAEC/w=='}},
        {code: false, name: '', price: 2147483648, big: -2147483648, small: 5e-324}
    ])",
    "r.db('shop').table('wares').insert(r.range(300).map(n =>
        ({code: r.add(100, n), name: 'ware', price: n.mod(7),
          text: r.expr(['x']).mul(n).reduce((a, b) => a.add(b)).default('')})))('inserted')",
    "r.db('shop').table('wares').setWriteHook((context, old, made) =>
        r.branch(made.eq(null), null, made.merge({hooked: true})))",
    "r.db('shop').table('wares').insert({code: 999, name: 'Hook'})('inserted')",
    "r.db('rethinkdb').table('users').insert({id: 'bob', password: 'secret'})('inserted')",
    "r.db('shop').grant('bob', {read: true, write: false})",
    "r.db('shop').table('wares').grant('bob', {read: true, write: true})",
];

/// Queries that read all of it, in every way that depends on the file's bytes.
const READ: &[&str] = &[
    "r.dbList()",
    "r.db('shop').tableList()",
    "r.db('shop').table('wares').info().without('doc_count_estimates')",
    "r.db('shop').table('empty').config().without('shards')",
    "r.db('shop').table('wares').count()",
    "r.db('shop').table('wares').orderBy({index: 'code'})",
    "r.db('shop').table('wares').getAll('two', false, [3, true])",
    "r.db('shop').table('wares').indexStatus().without('progress')",
    "r.db('shop').table('wares').orderBy({index: 'price'}).pluck('code', 'price')",
    "r.db('shop').table('wares').between(0, 1, {index: 'price'})('code')",
    "r.db('shop').table('wares').getAll('red', {index: 'tags'})('name')",
    "r.db('shop').table('wares').between([0, 'a'], [5, 'c'], {index: 'both'})('code')",
    "r.db('shop').table('wares').getIntersecting(r.circle([-122.4, 37.7], 1000), {index: 'place'})('code')",
    "r.db('shop').table('wares').getIntersecting(r.line([0.5, 0], [0.5, 1]), {index: 'place'})('code')",
    "r.db('shop').table('wares').getWriteHook()",
    "r.db('rethinkdb').table('users')",
    "r.db('rethinkdb').table('permissions').without('id')",
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn answers(server: &mut Asking) -> Vec<Value> {
    READ.iter().map(|query| json!({ "query": query, "answer": server.get(query) })).collect()
}

/// Unpacks the file of an earlier version, in a directory of its own.
fn unpacked() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(data("format-1.redb.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    fs::write(directory.path().join("reql.redb"), bytes).unwrap();
    directory
}

#[test]
fn a_file_of_an_earlier_version_is_read_as_it_was_written() {
    let directory = unpacked();
    let mut server = Asking::new(Some(directory.path()));
    let expected: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(data("format-1.json")).unwrap()).unwrap();
    for (now, then) in answers(&mut server).iter().zip(&expected) {
        assert_eq!(now, then);
    }
    assert_eq!(expected.len(), READ.len());
}

#[test]
fn a_file_of_an_earlier_version_is_sound_before_and_after_it_is_written_to() {
    let directory = unpacked();
    let check = || storage::check(directory.path(), Arc::new(Functions)).unwrap();
    let before = check();
    assert_eq!((&before.problems, before.documents, before.indexes), (&Vec::new(), 307, 4));
    let mut server = Asking::new(Some(directory.path()));
    let wares = "r.db('shop').table('wares')";
    assert_eq!(
        server.get(&format!("{wares}.insert({{code: 'new', price: 4, tags: ['red']}})('inserted')")),
        json!(1)
    );
    assert_eq!(server.get(&format!("{wares}.get('new')('hooked')")), json!(true));
    assert_eq!(
        server.get(&format!("{wares}.update({{price: r.row('price').add(1).default(0)}})('errors')")),
        json!(0)
    );
    assert_eq!(server.get(&format!("{wares}.getAll('red', {{index: 'tags'}}).count()")), json!(3));
    drop(server);
    let after = check();
    assert_eq!((&after.problems, after.documents, after.indexes), (&Vec::new(), 308, 4));
}

#[test]
#[ignore = "makes the file that the others read; see the top of this file"]
fn make() {
    let name = std::env::var("FORMAT_FILE").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut server = Asking::new(Some(directory.path()));
    MADE.iter().for_each(|query| drop(server.get(query)));
    drop(server);
    let file = directory.path().join("reql.redb");
    let mut packed =
        GzEncoder::new(File::create(data(&format!("{name}.redb.gz"))).unwrap(), Compression::best());
    packed.write_all(&fs::read(file).unwrap()).unwrap();
    packed.finish().unwrap();
    let mut server = Asking::new(Some(directory.path()));
    let text = serde_json::to_string_pretty(&answers(&mut server)).unwrap();
    fs::write(data(&format!("{name}.json")), text + "\n").unwrap();
}
