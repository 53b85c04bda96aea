//! The errors that a program which embeds the server gets when data can't be used, and the tools for data
//! without a running server.
use std::fs;
use std::io;
use std::path::Path;

use redb::{Database, TableDefinition};
use reql_embedded::{DataErrorKind, Server, StartError};

async fn start(directory: &Path) -> Result<Server, StartError> {
    Server::builder().in_process().data_dir(directory).start().await
}

/// Returns a directory with the data of a server that has been shut down.
async fn closed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).await.unwrap().shutdown().await;
    directory
}

/// Returns the kind of reason for which both a server and a tool refuse the data. The data stays unchanged.
async fn refused(directory: &Path) -> DataErrorKind {
    let file = directory.join("reql.redb");
    let before = fs::read(&file).unwrap();
    let Err(StartError::Data(error)) = start(directory).await else { panic!("it was taken") };
    assert_eq!(Server::compact(directory).unwrap_err().kind(), error.kind());
    assert!(error.to_string().contains("reql.redb"), "{error}");
    assert!(fs::read(&file).unwrap() == before, "the file was touched");
    error.kind()
}

#[tokio::test]
async fn data_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await.unwrap();
    let Err(StartError::Data(error)) = start(directory.path()).await else { panic!("it was taken twice") };
    assert_eq!(error.kind(), DataErrorKind::InUse);
    assert_eq!(Server::check(directory.path()).unwrap_err().kind(), DataErrorKind::InUse);
    server.shutdown().await;
    start(directory.path()).await.unwrap();
}

#[tokio::test]
async fn damaged_data() {
    let directory = closed().await;
    let file = directory.path().join("reql.redb");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(refused(directory.path()).await, DataErrorKind::Damaged);
    assert!(!Server::check(directory.path()).unwrap().problems.is_empty(), "damage is in the report");
}

#[tokio::test]
async fn data_of_a_newer_version() {
    let directory = closed().await;
    let database = Database::open(directory.path().join("reql.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    let format = TableDefinition::<&str, u64>::new("reql-embedded");
    txn.open_table(format).unwrap().insert("format", 1_000_000).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert_eq!(refused(directory.path()).await, DataErrorKind::Newer);
}

#[tokio::test]
async fn what_is_no_data_of_a_server() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("reql.redb"), "a text that is longer than any header\n".repeat(100))
        .unwrap();
    assert_eq!(refused(directory.path()).await, DataErrorKind::Foreign);
}

#[tokio::test]
async fn what_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let error = Server::check(directory.path()).unwrap_err();
    assert_eq!(error.kind(), DataErrorKind::Other);
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = Server::builder().bind(addr).start().await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("Cannot listen on {addr}: ")), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn sound_data_is_found_sound_and_compacted() {
    let directory = closed().await;
    let report = Server::check(directory.path()).unwrap();
    assert_eq!((report.problems, report.tables), (Vec::new(), 0));
    let sizes = Server::compact(directory.path()).unwrap();
    assert!(0 < sizes.after && sizes.after <= sizes.before);
    start(directory.path()).await.unwrap();
}
