//! Backups while the server runs.
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driver::{Connector, Session, Stream, r};
use redb::{ReadOnlyTable, ReadableDatabase, TableDefinition, TableHandle};
use reql_embedded::{Backup, DataError, DataErrorKind, Server};
use serde_json::json;
use tempfile::TempDir;

/// The fastest rate.
const FAST: u64 = u64::MAX;

/// Longer than any test here takes.
const LONG: Duration = Duration::from_secs(60);

async fn serve(directory: &Path) -> Server {
    Server::builder().data_dir(directory).start().await.unwrap()
}

async fn connect(server: &Server) -> Session<Stream> {
    Connector::new(server.local_addr().to_string()).connect().await.unwrap()
}

/// Starts a server with two tables, an index and `documents` documents of a kilobyte.
async fn server_with(directory: &Path, documents: u64) -> Server {
    let server = serve(directory).await;
    let mut session = connect(&server).await;
    session.run(r.table_create("t")).await.unwrap();
    session.run(r.table_create("empty")).await.unwrap();
    session.run(r.table("t").index_create("n")).await.unwrap();
    for from in (0..documents).step_by(1000) {
        let rows: Vec<_> = (from..documents.min(from + 1000))
            .map(|n| json!({ "id": n, "n": n % 10, "text": "x".repeat(1000) }))
            .collect();
        session.run(r.table("t").insert(rows)).await.unwrap();
    }
    session.run(r.table("t").index_wait("n")).await.unwrap();
    server
}

async fn backup_from(source: PathBuf, file: PathBuf, rate: u64) -> Result<Backup, DataError> {
    tokio::task::spawn_blocking(move || Server::backup_from(source, file, rate)).await.unwrap()
}

/// Returns the names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Returns all trees of a file, as bytes.
fn trees(file: &Path) -> Vec<(String, Rows)> {
    fn rows<K: redb::Key + 'static, V: redb::Value + 'static>(tree: &ReadOnlyTable<K, V>) -> Rows {
        let rows = tree.range::<K::SelfType<'_>>(..).unwrap().map(Result::unwrap);
        rows.map(|(key, value)| {
            (K::as_bytes(&key.value()).as_ref().to_vec(), V::as_bytes(&value.value()).as_ref().to_vec())
        })
        .collect()
    }
    let database = redb::Database::open(file).unwrap();
    let txn = database.begin_read().unwrap();
    let mut trees: Vec<_> = txn
        .list_tables()
        .unwrap()
        .map(|tree| {
            let name = tree.name().to_owned();
            let rows = match name.as_str() {
                "reql-embedded" => rows(&txn.open_table(TableDefinition::<&str, u64>::new(&name)).unwrap()),
                "meta" => rows(&txn.open_table(TableDefinition::<&str, &[u8]>::new(&name)).unwrap()),
                _ if name.starts_with("i:") => {
                    rows(&txn.open_table(TableDefinition::<&[u8], u32>::new(&name)).unwrap())
                }
                _ => rows(&txn.open_table(TableDefinition::<&[u8], &[u8]>::new(&name)).unwrap()),
            };
            (name, rows)
        })
        .collect();
    trees.sort();
    trees
}

#[tokio::test]
async fn what_a_server_of_the_same_number_left_is_no_hindrance() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let left = data.path().join(format!(".backup.sock.{}", std::process::id()));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("backup.sock"), "").unwrap();
    let server = serve(data.path()).await;
    assert_eq!(names(data.path()), ["backup.sock", "reql.redb"]);
    backup_from(data.path().to_owned(), out.path().join("copy.redb"), FAST).await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn a_backup_holds_what_the_file_does() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1.redb.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(packed).unwrap()).read_to_end(&mut bytes).unwrap();
    fs::write(data.path().join("reql.redb"), bytes).unwrap();
    let server = serve(data.path()).await;
    let by_itself = server.backup(out.path().join("itself.redb"), FAST).await.unwrap();
    let by_another =
        backup_from(data.path().to_owned(), out.path().join("another.redb"), FAST).await.unwrap();
    server.shutdown().await;
    let later = backup_from(data.path().to_owned(), out.path().join("later.redb"), FAST).await.unwrap();
    let own = data.path().join(".").join("reql.redb");
    let refused = backup_from(data.path().to_owned(), own, FAST).await.unwrap_err().to_string();
    assert!(refused.contains("is the data itself"), "{refused}");
    assert_eq!(names(data.path()), ["reql.redb"]);
    assert_eq!(names(out.path()), ["another.redb", "itself.redb", "later.redb"]);
    let expected = trees(&data.path().join("reql.redb"));
    assert!(expected.len() > 9, "{}", expected.len());
    for (name, backup) in [("itself.redb", by_itself), ("another.redb", by_another), ("later.redb", later)] {
        let file = out.path().join(name);
        assert_eq!((backup.report.documents, backup.report.indexes), (307, 4));
        assert_eq!(fs::metadata(&file).unwrap().len(), backup.size);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Server::check(&file).unwrap().problems, Vec::<String>::new());
        assert!(trees(&file) == expected, "{name}");
    }
}

#[tokio::test]
async fn a_backup_that_is_copied_back_is_the_database_as_it_was() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = server_with(data.path(), 3000).await;
    let mut session = connect(&server).await;
    let file = out.path().join("b.redb");
    server.backup(&file, FAST).await.unwrap();
    session.run(r.table("t").delete()).await.unwrap();
    session.run(r.table_drop("empty")).await.unwrap();
    server.shutdown().await;

    fs::copy(&file, data.path().join("reql.redb")).unwrap();
    let server = serve(data.path()).await;
    let mut session = connect(&server).await;
    assert_eq!(session.one::<u64>(r.table("t").count()).await.unwrap(), 3000);
    assert_eq!(session.one::<u64>(r.table("empty").count()).await.unwrap(), 0);
    session.run(r.table("t").insert(json!({ "id": 3000, "n": 3 }))).await.unwrap();
    // Again, over the backup before.
    let backup = server.backup(&file, FAST).await.unwrap();
    assert_eq!((backup.report.tables, backup.report.documents), (2, 3001));
    assert_eq!(names(out.path()), ["b.redb"]);
}

#[tokio::test]
async fn what_is_kept_in_memory_can_be_backed_up_by_its_process() {
    let out = tempfile::tempdir().unwrap();
    let server = Server::builder().start().await.unwrap();
    connect(&server).await.run(r.table_create("t")).await.unwrap();
    let backup = server.backup(out.path().join("b.redb"), FAST).await.unwrap();
    assert_eq!(backup.report.tables, 1);
}

#[tokio::test]
async fn only_backups_are_replaced() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = tempfile::tempdir().unwrap();
    let (server, used) = (server_with(data.path(), 10).await, serve(other.path()).await);
    let text = out.path().join("text");
    fs::write(&text, "no database").unwrap();
    let link = out.path().join("link");
    std::os::unix::fs::symlink(data.path().join("reql.redb"), &link).unwrap();
    for (file, kind) in [
        (data.path().join("reql.redb"), DataErrorKind::InUse),
        (other.path().join("reql.redb"), DataErrorKind::InUse),
        (text.clone(), DataErrorKind::Foreign),
        (link.clone(), DataErrorKind::Other),
        (out.path().to_owned(), DataErrorKind::Other),
        (out.path().join("none/b.redb"), DataErrorKind::Other),
        (PathBuf::from("/"), DataErrorKind::Other),
    ] {
        let error = server.backup(&file, FAST).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let error = backup_from(data.path().to_owned(), file, FAST).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(fs::read(&text).unwrap(), b"no database");
    assert_eq!(names(out.path()), ["link", "text"]);
    assert_eq!(connect(&server).await.one::<u64>(r.table("t").count()).await.unwrap(), 10);
    used.shutdown().await;
    // What was a server's data may be one's again.
    let stopped = other.path().join("reql.redb");
    let before = fs::metadata(&stopped).unwrap().len();
    let error = server.backup(&stopped, FAST).await.unwrap_err();
    assert_eq!((error.kind(), fs::metadata(&stopped).unwrap().len()), (DataErrorKind::Other, before));
    // An empty file could be anybody's.
    fs::write(&text, "").unwrap();
    server.backup(&text, FAST).await.unwrap();
}

#[tokio::test]
async fn damaged_data_makes_no_backup() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server_with(data.path(), 10).await.shutdown().await;
    let database = redb::Database::open(data.path().join("reql.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    let name = txn.list_tables().unwrap().map(|tree| tree.name().to_owned());
    let name = name.filter(|name| name.starts_with("t:")).last().unwrap();
    let tree = TableDefinition::<&[u8], &[u8]>::new(&name);
    txn.open_table(tree).unwrap().insert(&b"N"[..], &b"\xff"[..]).unwrap();
    txn.commit().unwrap();
    drop(database);
    let file = out.path().join("b.redb");
    let error = backup_from(data.path().to_owned(), file, FAST).await.unwrap_err();
    assert_eq!(error.kind(), DataErrorKind::Damaged, "{error}");
    assert!(error.to_string().contains("does not decode"), "{error}");
    assert_eq!(names(out.path()), Vec::<String>::new());
}

#[tokio::test]
async fn the_socket_is_the_servers_users_alone_and_goes_with_it() {
    // A path longer than that of a socket may be.
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("d".repeat(200));
    let socket = data.join("backup.sock");
    let server = server_with(&data, 10).await;
    let found = fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    for source in [&data, &socket] {
        backup_from(source.clone(), parent.path().join("b.redb"), FAST).await.unwrap();
    }
    server.shutdown().await;
    assert_eq!(names(&data), ["reql.redb"]);
    // The remains of a server that was killed.
    drop(UnixListener::bind(parent.path().join("s")).unwrap());
    fs::rename(parent.path().join("s"), &socket).unwrap();
    backup_from(data.clone(), parent.path().join("b.redb"), FAST).await.unwrap();
    let server = serve(&data).await;
    backup_from(socket, parent.path().join("b.redb"), FAST).await.unwrap();
    server.shutdown().await;
    assert_eq!(names(parent.path()).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_backup_at_a_time_and_it_ends_with_whoever_asked() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = server_with(data.path(), 4000).await;
    let slow = std::os::unix::net::UnixStream::connect(data.path().join("backup.sock")).unwrap();
    let mut first = [0; 23];
    (&slow).read_exact(&mut first).unwrap();
    assert_eq!(&first, b"reql-embedded backup 1\n");
    let file = out.path().join("b.redb");
    let error = backup_from(data.path().to_owned(), file.clone(), FAST).await.unwrap_err();
    assert!(error.to_string().contains("Another backup is under way"), "{error}");
    drop(slow);
    let again = async {
        while backup_from(data.path().to_owned(), file.clone(), FAST).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();

    // Nor does a server wait for a slow backup.
    let slow = std::os::unix::net::UnixStream::connect(data.path().join("backup.sock")).unwrap();
    (&slow).read_exact(&mut first).unwrap();
    tokio::time::timeout(LONG, server.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_backup_that_is_dropped_leaves_nothing() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = server_with(data.path(), 2000).await;
    let backup = server.backup(out.path().join("b.redb"), 1);
    // So slow that the backup would not end in any reasonable time.
    assert!(tokio::time::timeout(Duration::from_millis(200), backup).await.is_err());
    let gone = async {
        while !names(out.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

/// Sends bytes that are no backup, from sockets that claim to be a server.
#[tokio::test]
async fn nonsense_makes_no_backup() {
    const HELLO: &[u8] = b"reql-embedded backup 1\n";
    fn frame(kind: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        [&[kind][..], &length(key), &length(value), key, value].concat()
    }
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "gone before"),
        (b"HTTP/1.1 400 Bad Request".to_vec(), "another version"),
        (HELLO.to_vec(), "gone before"),
        ([HELLO, b"R\xff\xff\xff\xff\xff\xff\xff\xff"].concat(), "is no backup"),
        ([HELLO, b"R\0\0\0\0\xff\xff\xff\x0f", &[7; 1000][..]].concat(), "gone before"),
        ([HELLO, &frame(b'R', b"k", b"v")].concat(), "is no backup"),
        ([HELLO, &frame(b'T', b"\xff", b"")].concat(), "is no backup"),
        ([HELLO, &frame(b'T', b"x:1", b"")].concat(), "belongs to no table"),
        ([HELLO, &frame(b'T', b"meta", b""), &frame(b'R', b"\xff", b"v")].concat(), "makes no sense"),
        ([HELLO, &frame(b'T', b"i:1", b""), &frame(b'R', b"k", b"v")].concat(), "makes no sense"),
        ([HELLO, &frame(b'T', b"t:1", b""), &frame(b'R', b"k", b"v")].concat(), "gone before"),
        (
            [HELLO, &frame(b'T', b"t:1", b""), &frame(b'E', b"", &1_u64.to_le_bytes())].concat(),
            "is no backup",
        ),
        // Complete, but a tree without a table.
        ([HELLO, &frame(b'T', b"t:1", b""), &frame(b'E', b"", &[0; 8])].concat(), "belongs to no table"),
        ([HELLO, &frame(b'F', b"", b"a reason")].concat(), "gave up: a reason"),
    ];
    let directory = TempDir::new().unwrap();
    let listener = UnixListener::bind(directory.path().join("backup.sock")).unwrap();
    for (sent, told) in cases {
        let served = listener.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            let (mut stream, _) = served.accept().unwrap();
            // A client that has seen enough hangs up.
            let _ = stream.write_all(&sent);
        });
        let file = directory.path().join("b.redb");
        let error = backup_from(directory.path().to_owned(), file, FAST).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        sending.join().unwrap();
        assert_eq!(names(directory.path()), ["backup.sock"]);
    }
}
