//! Backups of a daemon that sixteen clients write to, and that is killed now and then.
//!
//! Each writer inserts its documents one after the other, so a number tells which ones must exist. A backup
//! has to hold all documents that were acknowledged before it began. `BACKUP_ROUNDS` sets the number of
//! rounds (default 3), `BACKUP_SEED` the choice of those that are killed, and the time. `BACKUP_PROGRAM` is
//! another program than the one of this build, such as a release.
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use driver::{Conflict, Connector, Durability, Session, Stream, r};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reql_embedded::Server;
use serde_json::json;
use tokio::task::JoinSet;

const WRITERS: usize = 16;

/// The length of the text in every document, which makes a backup take a moment.
const PAD: usize = 2000;

/// The documents that a writer inserts in a round, at most. The more there are, the longer a backup takes,
/// and the longer it takes, the more there would be.
const MOST: u64 = 150;

/// The time between two writes beyond that, in a test that doesn't go on for long: time for other tests.
const PAUSE: Duration = Duration::from_millis(10);

/// A rate slow enough for something to happen meanwhile.
const RATE: &str = "16MiB";

fn program() -> PathBuf {
    let own = || env!("CARGO_BIN_EXE_reql-embedded").into();
    std::env::var_os("BACKUP_PROGRAM").map_or_else(own, PathBuf::from)
}

struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(program())
            .args(["--driver-port", "0", "--directory"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let start = "Listening for client driver connections on port ";
        let port = lines.find_map(|line| Some(line.unwrap().strip_prefix(start)?.parse().unwrap())).unwrap();
        Self { child, port }
    }

    async fn connect(&self) -> Session<Stream> {
        Connector::new(format!("127.0.0.1:{}", self.port)).connect().await.unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_soft(writer: usize) -> bool {
    writer % 2 == 1
}

/// Inserts documents until it has to stop, or the server is gone. Each has to be new: a writer stops between
/// two queries, so that none of its own is still under way when the table is looked at. Beyond [`MOST`], it
/// writes its last one again.
async fn write(mut session: Session<Stream>, writer: usize, written: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let durability = if is_soft(writer) { Durability::Soft } else { Durability::Hard };
    let begun = written.load(Ordering::SeqCst);
    while !stop.load(Ordering::SeqCst) {
        let count = written.load(Ordering::SeqCst);
        let is_new = count < begun + MOST;
        let (n, conflict, done_as) = match is_new {
            true => (count, Conflict::Error, "inserted"),
            false => (count - 1, Conflict::Replace, "replaced"),
        };
        let (id, pad, change) = (format!("{writer}-{n}"), "x".repeat(PAD), rand::random::<u32>());
        let document = json!({ "id": id, "writer": writer, "n": n, "pad": pad, "change": change });
        let insert = r.table("t").insert(document).durability(durability).conflict(conflict);
        match session.one::<serde_json::Value>(insert).await {
            Ok(done) => assert_eq!(done[done_as], 1, "{done}"),
            Err(_) => return,
        }
        written.store(n + 1, Ordering::SeqCst);
        if !is_new && !is_long() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Waits until all writers have ended, of which none may have failed.
async fn end(mut writers: JoinSet<()>) {
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// Returns the number of each writer's documents, none of which may be missing in between.
async fn found(session: &mut Session<Stream>) -> Vec<u64> {
    let rows: Vec<(usize, u64)> = session
        .all(r.table("t").map(|row: driver::Term| r.expr(vec![row.get_field("writer"), row.get_field("n")])))
        .await
        .unwrap();
    let mut found: HashMap<usize, Vec<u64>> = HashMap::new();
    rows.into_iter().for_each(|(writer, n)| found.entry(writer).or_default().push(n));
    let count = |writer| {
        let mut numbers = found.remove(&writer).unwrap_or_default();
        numbers.sort_unstable();
        let count = numbers.len() as u64;
        assert!(numbers.into_iter().eq(0..count), "writer {writer}: one of {count} is missing");
        count
    };
    (0..WRITERS).map(count).collect()
}

/// Opens a backup as the data of a server, and checks its contents.
async fn holds(backup: &Path, at_least: &[u64]) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(backup, directory.path().join("reql.redb")).unwrap();
    let server = Server::builder().data_dir(directory.path()).start().await.unwrap();
    let mut session = Connector::new(server.local_addr().to_string()).connect().await.unwrap();
    let found = found(&mut session).await;
    for (writer, (found, expected)) in found.iter().zip(at_least).enumerate() {
        assert!(found >= expected, "writer {writer}: {found} of {expected}");
    }
    let indexed: u64 =
        session.one(r.table("t").between(r.minval(), r.maxval()).index("n").count()).await.unwrap();
    assert_eq!(indexed, found.iter().sum::<u64>());
    server.shutdown().await;
}

fn tool(arguments: &[&Path]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program());
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Returns true if the number of rounds is set, which those do who want many.
fn is_long() -> bool {
    number("BACKUP_ROUNDS").is_some()
}

#[tokio::test]
async fn backups_under_writers_hold_what_was_acknowledged() {
    let rounds = number("BACKUP_ROUNDS").unwrap_or(3);
    let seed = number("BACKUP_SEED").unwrap_or_else(rand::random);
    println!("BACKUP_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = out.path().join("backup.redb");
    let mut daemon = Daemon::start(data.path());
    let mut session = daemon.connect().await;
    session.run(r.table_create("t")).await.unwrap();
    session.run(r.table("t").index_create("n")).await.unwrap();
    // Else the index of the first backup may be one that is still to be built.
    session.run(r.table("t").index_wait("n")).await.unwrap();
    let written: Vec<Arc<AtomicU64>> = (0..WRITERS).map(|_| Arc::default()).collect();
    let (mut done, mut killed, mut last) = (0, 0, None);
    for round in 0..rounds {
        let (mut writers, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for (writer, written) in written.iter().enumerate() {
            writers.spawn(write(daemon.connect().await, writer, written.clone(), stop.clone()));
        }
        // Always the second round of three, and one in three of the others.
        let kills = round % 3 == 1 || random.random_ratio(1, 3);
        tokio::time::sleep(Duration::from_millis(random.random_range(50..500))).await;
        let acknowledged: Vec<u64> = written.iter().map(|written| written.load(Ordering::SeqCst)).collect();
        let arguments = [Path::new("backup"), data.path(), &backup, Path::new("--rate"), Path::new(RATE)];
        let running = tool(&arguments).spawn().unwrap();
        if kills {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..1500))).await;
            daemon.kill();
        }
        let ended = running.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.success() {
            done += 1;
            last = Some(acknowledged);
        } else {
            assert!(kills && ended.status.code() == Some(2), "round {round}: {told}");
            killed += 1;
        }
        // A failed backup leaves the one before unchanged, and nothing beside it.
        if let Some(last) = &last {
            let checked = tool(&[Path::new("check"), &backup]).output().await.unwrap();
            assert!(checked.status.success(), "{checked:?}");
            holds(&backup, last).await;
        }
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), usize::from(last.is_some()));
        if kills {
            end(writers).await;
            daemon = Daemon::start(data.path());
            for (writer, found) in found(&mut daemon.connect().await).await.into_iter().enumerate() {
                let known = written[writer].swap(found, Ordering::SeqCst);
                assert!(found >= known || is_soft(writer), "writer {writer}: {found} of {known}");
            }
        } else {
            stop.store(true, Ordering::SeqCst);
            end(writers).await;
            let found = found(&mut daemon.connect().await).await;
            assert!(found.iter().copied().eq(written.iter().map(|written| written.load(Ordering::SeqCst))));
        }
    }
    println!("{done} backups, {killed} ended with their server");
}
