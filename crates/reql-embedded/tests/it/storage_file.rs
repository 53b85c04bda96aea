//! The file: refusal and recovery.
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use redb::{Database, TableDefinition};
use reql_embedded::storage::{Direction, Durability, KeyRange, Started, Store};

fn file(directory: &Path) -> PathBuf {
    directory.join("reql.redb")
}

/// Returns the error of opening this file, which has to stay unchanged.
fn refusal(directory: &Path) -> String {
    let permissions = || fs::metadata(file(directory)).unwrap().permissions();
    let before = (fs::read(file(directory)).unwrap(), permissions());
    let text = message(Store::open(options().path(directory)));
    assert!((fs::read(file(directory)).unwrap(), permissions()) == before, "the file was touched");
    text
}

#[test]
fn a_file_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(directory.path()), "a text that is longer than any header\n".repeat(100)).unwrap();
    assert!(refusal(directory.path()).ends_with("it is not a database of this server."));
    fs::write(file(directory.path()), "short").unwrap();
    assert!(refusal(directory.path()).ends_with("it is not a database of this server."));
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(file(directory.path())).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(refusal(directory.path()).ends_with("it is another program's database."));
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(options().path(directory.path())).unwrap());
    let database = Database::open(file(directory.path())).unwrap();
    let txn = database.begin_write().unwrap();
    let format = TableDefinition::<&str, u64>::new("reql-embedded");
    txn.open_table(format).unwrap().insert("format", 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(
        refusal(directory.path()).ends_with("it was written by a newer version of this server (format 2).")
    );
}

#[test]
fn a_truncated_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        let table = table(&store);
        write_as(&table, (0..2000).map(|n| put(&document(n, n))).collect(), Durability::Hard);
    }
    let length = fs::metadata(file(directory.path())).unwrap().len();
    for kept in [length / 2, 5000, 100] {
        let handle = fs::OpenOptions::new().write(true).open(file(directory.path())).unwrap();
        handle.set_len(kept).unwrap();
        assert!(refusal(directory.path()).contains("was left as it is"), "{kept} of {length} bytes");
    }
}

#[test]
fn a_file_that_was_torn_in_a_crash_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write_as(&table, (0..2000).map(|n| put(&document(n, n))).collect(), Durability::Hard);
    let bytes = fs::read(file(directory.path())).unwrap();
    for kept in [bytes.len() / 2, 5000, 100] {
        let copy = tempfile::tempdir().unwrap();
        fs::write(file(copy.path()), &bytes[..kept]).unwrap();
        assert!(refusal(copy.path()).contains("was left as it is"), "{kept} of {} bytes", bytes.len());
    }
}

#[test]
fn an_empty_file_is_as_good_as_none() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(directory.path()), "").unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    assert!(store.is_new());
}

#[cfg(unix)]
#[test]
fn a_file_that_was_moved_or_replaced_takes_no_more_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write_as(&table, vec![put(&document(1, 1))], Durability::Hard);
    let refused = || {
        for durability in [Durability::Hard, Durability::Soft] {
            let error = table.write(vec![put(&document(2, 2))], durability).unwrap_err();
            assert!(
                error.message().ends_with("was removed or replaced; no more can be written to it."),
                "{error}"
            );
        }
        assert!(store.create_database("other").is_err());
        assert_eq!(table.get(&id(1)).unwrap(), Some(document(1, 1)), "reads go on");
        assert_eq!(table.get(&id(2)).unwrap(), None);
    };
    let aside = directory.path().join("aside");
    fs::rename(file(directory.path()), &aside).unwrap();
    refused();
    fs::copy(&aside, file(directory.path())).unwrap();
    refused();
    fs::rename(&aside, file(directory.path())).unwrap();
    write_as(&table, vec![put(&document(2, 2))], Durability::Hard);
    assert_eq!(table.get(&id(2)).unwrap(), Some(document(2, 2)), "the file is back");

    fs::remove_file(file(directory.path())).unwrap();
    assert!(table.write(vec![put(&document(3, 3))], Durability::Hard).is_err());
    assert_eq!(table.get(&id(2)).unwrap(), Some(document(2, 2)));
    store.close();
    assert!(!file(directory.path()).exists(), "nothing makes up a file in its place");
}

#[test]
fn damage_inside_the_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        let table = table(&store);
        write_as(&table, (0..2000).map(|n| put(&document(n, n))).collect(), Durability::Hard);
    }
    let mut bytes = fs::read(file(directory.path())).unwrap();
    // The header stays; every page behind it gets a wrong byte.
    bytes.iter_mut().skip(4096 + 2000).step_by(4096).for_each(|byte| *byte ^= 0xff);
    fs::write(file(directory.path()), bytes).unwrap();
    let checked = Store::open(options().path(directory.path())).and_then(|store| store.check());
    assert!(checked.map_or(true, |report| !report.problems.is_empty()));
}

#[test]
fn a_file_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = Store::open(options().path(directory.path())).unwrap();
    let text = message(Store::open(options().path(directory.path())));
    assert!(text.ends_with("is in use by another process."), "{text}");
}

#[test]
fn a_directory_that_can_not_be_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    assert!(message(Store::open(options().path(path.join("below")))).starts_with("Cannot use `"));
}

/// Returns the store in the state that a power failure right now would leave.
fn after_power_failure(directory: &Path) -> (tempfile::TempDir, Store) {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(file(directory), file(copy.path())).unwrap();
    let store = Store::open(options().path(copy.path())).unwrap();
    (copy, store)
}

#[test]
fn hard_writes_are_in_the_file_when_they_are_answered_and_soft_ones_after_a_sync() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write_as(&table, vec![put(&document(1, 1))], Durability::Hard);
    write_as(&table, vec![put(&document(2, 2))], Durability::Soft);
    let (_copy, copy) = after_power_failure(directory.path());
    assert_eq!(copy.table("test", "t").unwrap().get(&id(1)).unwrap(), Some(document(1, 1)));
    store.sync().unwrap();
    let (_copy, copy) = after_power_failure(directory.path());
    assert_eq!(copy.table("test", "t").unwrap().get(&id(2)).unwrap(), Some(document(2, 2)));
    assert!(copy.check().unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_hard_write_that_changes_nothing_waits_for_the_soft_one_whose_work_it_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write_as(&table, vec![put(&document(1, 1))], Durability::Soft);
    assert!(!write_as(&table, vec![put(&document(1, 1))], Durability::Hard)[0].changed);
    write_as(&table, vec![put(&document(2, 2))], Durability::Soft);
    match table.start_write(put(&document(2, 2)), Durability::Hard).unwrap() {
        Started::Done(_) => {}
        Started::Submitted(results) => drop(results.await.unwrap().unwrap()),
    }
    let (_copy, copy) = after_power_failure(directory.path());
    for n in [1, 2] {
        assert_eq!(copy.table("test", "t").unwrap().get(&id(n)).unwrap(), Some(document(n, n)));
    }
}

#[test]
fn a_server_that_dies_idle_needs_no_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    for (n, durability) in [(1, Durability::Hard), (2, Durability::Soft)] {
        write_as(&table, vec![put(&document(n, n))], durability);
        // The writer has the time of the whole test.
        let start = Instant::now();
        let report = loop {
            let copy = tempfile::tempdir().unwrap();
            fs::copy(file(directory.path()), file(copy.path())).unwrap();
            let report = reql_embedded::storage::check(copy.path(), options().compiler).unwrap();
            let is_as_expected = !report.was_recovered && report.documents == n as u64;
            if is_as_expected || start.elapsed() > Duration::from_secs(60) {
                break report;
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!((report.was_recovered, report.documents, report.problems), (false, n as u64, Vec::new()));
    }
}

#[test]
fn compaction_gives_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    indexed(&table, simple("a"));
    write(&table, (0..20_000).map(|n| put(&document(n, n))).collect());
    write(&table, (0..19_990).map(delete).collect());
    store.sync().unwrap();
    let before = store.file_size();
    assert!(store.compact().unwrap());
    assert!(store.file_size() < before);
    assert_eq!(table.len().unwrap(), 10);
    assert!(store.check().unwrap().problems.is_empty());
}

/// Tests as another user than root, for whom permissions mean nothing. They run as nobody if they have to.
#[cfg(unix)]
mod no_permission {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const DIRECTORY: &str = "REQL_READ_ONLY_DIRECTORY";
    const NOBODY: u32 = 65534;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Returns true if permissions mean nothing to this process.
    fn is_root() -> bool {
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), 0o500);
        fs::write(directory.path().join("file"), "").is_ok()
    }

    #[test]
    fn what_may_not_be_written_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), 0o755);
        let data = directory.path().join("data");
        let store = Store::open(options().path(&data)).unwrap();
        let table = table(&store);
        write_as(&table, vec![put(&document(1, 1))], Durability::Hard);
        // The server has its file open and needs no other access to the directory.
        set_mode(&data, 0o555);
        set_mode(&file(&data), 0o444);
        write_as(&table, vec![put(&document(2, 2))], Durability::Hard);
        assert_eq!(table.get(&id(2)).unwrap(), Some(document(2, 2)));
        store.close();
        fs::create_dir(directory.path().join("empty")).unwrap();
        set_mode(&directory.path().join("empty"), 0o555);

        if !is_root() {
            return refuses(directory.path());
        }
        // The user nobody may have no access to the directory of the binary.
        let binary = directory.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        set_mode(&binary, 0o755);
        let status = Command::new(binary)
            .args(["--exact", "storage_file::no_permission::without_permission", "--ignored"])
            .env(DIRECTORY, directory.path())
            .uid(NOBODY)
            .current_dir("/")
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    #[ignore = "runs in a process of its own, started by the test above"]
    fn without_permission() {
        let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
        refuses(&directory);
    }

    fn refuses(directory: &Path) {
        assert!(refusal(&directory.join("data")).contains("Permission denied"));
        let text = message(Store::open(options().path(directory.join("empty"))));
        assert!(text.starts_with("Cannot use `") && text.contains("Permission denied"), "{text}");
        let report = reql_embedded::storage::check(&directory.join("data"), options().compiler).unwrap();
        assert_eq!((report.problems.len(), report.documents), (0, 2), "what may be read can be checked");
    }
}

/// Tests with a limit on the size of the writer's file, so that writes fail as on a full disk. The limit has
/// to be set before the process starts.
#[cfg(unix)]
mod full_disk {
    use std::process::Command;

    use super::*;

    const DIRECTORY: &str = "REQL_FULL_DISK_DIRECTORY";

    #[test]
    fn a_full_disk_fails_writes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; ulimit -f 12000; exec "$@""#, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "storage_file::full_disk::inside_the_limit", "--ignored"])
            .env(DIRECTORY, directory.path())
            .status()
            .unwrap();
        assert!(status.success());

        let store = Store::open(options().path(directory.path())).unwrap();
        assert!(store.check().unwrap().problems.is_empty());
        let acknowledged: i64 = fs::read_to_string(directory.path().join("count")).unwrap().parse().unwrap();
        let table = store.table("test", "t").unwrap();
        (0..acknowledged).for_each(|n| assert_eq!(table.get(&id(n)).unwrap(), Some(padded(n))));
        write_as(&table, vec![put(&padded(-3))], Durability::Hard);
    }

    fn padded(n: i64) -> reql_embedded::datum::Datum {
        use reql_embedded::datum::Datum;
        Datum::object([("id", num(n)), ("pad", Datum::str("x".repeat(10_000)))])
    }

    #[test]
    #[ignore = "runs in a process of its own, started by the test above"]
    fn inside_the_limit() {
        let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
        let store = Store::open(options().path(&directory)).unwrap();
        let table = table(&store);
        write(&table, vec![put(&padded(-2)), put(&padded(-1))]);
        let mut scan = table.scan(KeyRange::all(), Direction::Forward);
        assert_eq!(scan.next().unwrap(), Some(padded(-2)));
        let mut count = 0;
        let error = loop {
            match table.write(vec![put(&padded(count))], Durability::Hard) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
            assert!(count < 10_000, "the limit was never reached");
        };
        assert!(error.message().starts_with("The disk is full"), "{error}");
        assert!(count > 10);
        assert_eq!(table.get(&id(0)).unwrap(), Some(padded(0)), "reads go on");
        (0..count).for_each(|n| assert_eq!(table.get(&id(n)).unwrap(), Some(padded(n))));
        scan.suspend();
        assert_eq!(scan.next().unwrap(), Some(padded(-1)), "a scan that was under way can go on");
        assert!(table.write(vec![put(&padded(count))], Durability::Soft).is_err());
        assert_eq!(table.get(&id(count)).unwrap(), None);
        fs::write(directory.join("count"), count.to_string()).unwrap();
    }
}
