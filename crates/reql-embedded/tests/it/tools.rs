//! `reql-embedded check` and `compact`, as they are run.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::client::Client;
use crate::support::reql;
use redb::{Database, ReadableTable, TableDefinition, TableHandle, WriteTransaction};
use reql_embedded::Server;
use serde_json::json;

type Tree<'a, V> = TableDefinition<'a, &'static [u8], V>;

/// The outcome of a run of the binary.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn execute(tool: &str, path: &Path) -> Ran {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_reql-embedded")).arg(tool).arg(path).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Runs a tool on a file that no other process uses. The file has to be unchanged if the tool says so.
fn run(tool: &str, path: &Path) -> Ran {
    let file = if path.is_dir() { path.join("reql.redb") } else { path.to_owned() };
    let before = fs::read(&file).ok();
    let ran = execute(tool, path);
    if tool == "check" || ran.code != Some(0) {
        assert!(fs::read(&file).ok() == before, "the file was touched");
    }
    ran
}

/// Checks that both tools refuse the file, in one line and without touching it.
fn refused(path: &Path, reason: &str) {
    refused_by(run, path, reason);
}

fn refused_by(run: impl Fn(&str, &Path) -> Ran, path: &Path, reason: &str) {
    for tool in ["check", "compact"] {
        let ran = run(tool, path);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(reason), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
}

/// Checks that `check` reports this damage.
fn damaged(path: &Path, problem: &str) {
    let ran = run("check", path);
    assert_eq!((ran.code, &*ran.err), (Some(1), ""), "{ran:?}");
    assert!(ran.out.contains(problem) && ran.out.contains("Damage found: "), "{ran:?}");
}

fn sound(path: &Path) -> String {
    let ran = run("check", path);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    ran.out
}

async fn ask(client: &mut Client, text: &str) -> serde_json::Value {
    let answer = client.ask(1, &json!([1, reql::parse(text).unwrap(), {}]).to_string()).await;
    assert!(answer["t"] == 1 || answer["t"] == 2, "{text}: {answer}");
    answer["r"][0].clone()
}

/// Starts a server with a table of 500 documents, and indexes of each kind.
async fn serve(directory: &Path) -> (Server, Client) {
    let server = Server::builder().data_dir(directory).start().await.unwrap();
    let mut client = Client::connect(server.local_addr()).await;
    for text in [
        "r.table_create('t')",
        "r.table('t').index_create('a')",
        "r.table('t').index_create('ab', [r.row('a'), r.row('b')])",
        "r.table('t').index_create('tags', {multi: true})",
        "r.table('t').index_create('place', {geo: true})",
        "r.table('t').index_create('double', row => row('a').mul(2))",
        "r.table('t').index_wait()",
        "r.table('t').insert(r.range(500).map(n => ({id: n, a: n.mod(7), b: 'x', tags: [n, n.add(1), n],
            place: r.point(n.mod(90), n.mod(80)), pad: r.expr('pad').add(n.coerce_to('string'))}))
            .coerce_to('array'))",
    ] {
        ask(&mut client, text).await;
    }
    (server, client)
}

/// Returns the directory and the file of a server that has been shut down.
async fn closed() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = serve(directory.path()).await;
    drop(client);
    server.shutdown().await;
    let file = directory.path().join("reql.redb");
    (directory, file)
}

/// Returns the only tree of a kind in the file.
fn tree(file: &Path, prefix: &str) -> String {
    let txn = Database::open(file).unwrap().begin_write().unwrap();
    let mut trees = txn.list_tables().unwrap().map(|tree| tree.name().to_owned());
    trees.find(|name| name.starts_with(prefix)).unwrap()
}

/// Changes the contents of the file, behind the server's back.
fn alter(file: &Path, change: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(file).unwrap();
    let txn = database.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
}

#[tokio::test]
async fn a_sound_file_is_found_sound_and_loses_nothing_when_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let (server, mut client) = serve(directory.path()).await;
    ask(&mut client, "r.table('t').filter(r.row('id').lt(490)).delete()").await;
    drop(client);
    server.shutdown().await;
    let file = directory.path().join("reql.redb");
    assert_eq!(sound(&file), "No damage found: 1 tables, 10 documents, 5 indexes.\n");
    assert_eq!(sound(directory.path()), sound(&file), "the directory means the file in it");

    let before = fs::metadata(&file).unwrap().len();
    let ran = run("compact", directory.path());
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    assert!(ran.out.contains(" MB before, "), "{ran:?}");
    assert!(fs::metadata(&file).unwrap().len() < before);
    assert_eq!(sound(&file), "No damage found: 1 tables, 10 documents, 5 indexes.\n");

    let server = Server::builder().data_dir(directory.path()).start().await.unwrap();
    let mut client = Client::connect(server.local_addr()).await;
    assert_eq!(ask(&mut client, "r.table('t').get_all(0, {index: 'a'}).count()").await, json!(2));
}

#[tokio::test]
async fn what_a_crash_leaves_is_sound() {
    let (directory, file) = closed().await;
    let database = Database::open(&file).unwrap();
    let txn = database.begin_write().unwrap();
    let records = TableDefinition::<&str, &[u8]>::new("meta");
    txn.open_table(records).unwrap().insert("a null", [0].as_slice()).unwrap();
    txn.commit().unwrap();
    // In the state of the disk right after a write.
    let crashed = directory.path().join("crashed");
    fs::copy(&file, &crashed).unwrap();
    drop(database);
    let out = sound(&crashed);
    assert!(out.starts_with("The file was not closed cleanly; the next start will recover it.\n"), "{out}");
    assert!(out.ends_with("No damage found: 1 tables, 500 documents, 5 indexes.\n"), "{out}");
    assert_eq!(run("compact", &crashed).code, Some(0));
    assert_eq!(sound(&crashed), "No damage found: 1 tables, 500 documents, 5 indexes.\n");
}

#[tokio::test]
async fn a_file_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _server = Server::builder().data_dir(directory.path()).start().await.unwrap();
    // The server itself writes to it.
    refused_by(execute, directory.path(), "is in use by another process.");
    refused_by(execute, &directory.path().join("reql.redb"), "is in use by another process.");
}

#[test]
fn what_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    refused(directory.path(), "No such file or directory");
    refused(&file, "No such file or directory");
    assert!(!file.exists());
    fs::write(&file, "").unwrap();
    refused(&file, "it holds no data of this server.");
    fs::write(&file, [0; 8192]).unwrap();
    refused(&file, "its creation was cut short");
    fs::write(&file, "a text that is longer than any header\n".repeat(100)).unwrap();
    refused(&file, "it is not a database of this server.");
}

#[test]
fn another_programs_database_is_refused_even_after_its_crash() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("theirs");
    let database = Database::create(&file).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    let crashed = directory.path().join("crashed");
    fs::copy(&file, &crashed).unwrap();
    drop(database);
    refused(&file, "it is another program's database.");
    refused(&crashed, "it is another program's database.");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let (_directory, file) = closed().await;
    let format = TableDefinition::<&str, u64>::new("reql-embedded");
    alter(&file, |txn| drop(txn.open_table(format).unwrap().insert("format", 2).unwrap()));
    refused(&file, "it was written by a newer version of this server (format 2).");
}

#[test]
fn a_wrong_command_line_is_an_error() {
    for arguments in
        [&["check"][..], &["compact"], &["check", "a", "b"], &["--memory", "check", "a"], &["mend", "a"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_reql-embedded")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_torn_file_is_damaged() {
    let (_directory, file) = closed().await;
    let bytes = fs::read(&file).unwrap();
    for kept in [bytes.len() / 2, 5000, 100] {
        fs::write(&file, &bytes[..kept]).unwrap();
        damaged(&file, "was left as it is: it is damaged (");
        let ran = run("compact", &file);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(2), 1), "{ran:?}");
    }
}

#[tokio::test]
async fn a_wrong_byte_is_damage_wherever_it_is_in_the_data() {
    let (_directory, file) = closed().await;
    let bytes = fs::read(&file).unwrap();
    let places: Vec<usize> =
        bytes.windows(3).enumerate().filter(|(_, w)| w == b"pad").map(|(at, _)| at).collect();
    let mut found = 0;
    for at in places.iter().step_by(places.len().div_ceil(12)) {
        let mut wrong = bytes.clone();
        wrong[*at] = b'P';
        fs::write(&file, &wrong).unwrap();
        // Some pages are no longer in use.
        found += usize::from(run("check", &file).code == Some(1));
    }
    assert!(found > 0, "none of {} pages", places.len());
}

#[tokio::test]
async fn a_document_that_does_not_decode_is_damage() {
    let (_directory, file) = closed().await;
    let documents = tree(&file, "t:");
    alter(&file, |txn| {
        let mut documents = txn.open_table(Tree::<&[u8]>::new(&documents)).unwrap();
        let (key, document) =
            documents.first().unwrap().map(|(k, v)| (k.value().to_vec(), v.value().to_vec())).unwrap();
        documents.insert(&*key, &document[..document.len() - 3]).unwrap();
    });
    damaged(&file, "does not decode.");
}

#[tokio::test]
async fn an_index_that_lacks_an_entry_or_has_one_too_many_is_damage() {
    let (_directory, file) = closed().await;
    let entries = tree(&file, "i:");
    let index = Tree::<u32>::new(&entries);
    alter(&file, |txn| drop(txn.open_table(index).unwrap().pop_first().unwrap()));
    damaged(&file, "and 1 are missing.");

    alter(&file, |txn| drop(txn.open_table(index).unwrap().insert([0xff].as_slice(), 1).unwrap()));
    damaged(&file, "and 1 are missing.");
}

#[tokio::test]
async fn trees_and_catalog_have_to_agree() {
    let (_directory, file) = closed().await;
    let documents = tree(&file, "t:");
    alter(&file, |txn| drop(txn.open_table(Tree::<&[u8]>::new("t:stray")).unwrap()));
    damaged(&file, "The tree `t:stray` belongs to no table.");

    alter(&file, |txn| {
        txn.delete_table(Tree::<&[u8]>::new(&documents)).unwrap();
    });
    damaged(&file, &format!("The tree `{documents}` is missing."));

    let databases = Tree::<&[u8]>::new("databases");
    alter(&file, |txn| {
        txn.open_table(databases).unwrap().insert([7; 16].as_slice(), [9, 9].as_slice()).unwrap();
    });
    damaged(&file, "A record in `databases` does not decode.");
}
