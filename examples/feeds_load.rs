//! A load generator for live queries on a running service. It reports memory, lost events, delays and CPU
//! time.
//!
//! `cargo run --release --example feeds_load -- --clients 1000 --writes 100 --seconds 60 --pid SERVICE --pid
//! DATABASE`. With `--idle` nobody writes; with `--resume` clients are cut off while others write, and come
//! back. It makes the table `feeds_load` and drops it. The service needs `limits.connections`,
//! `limits.feeds` and file descriptors for the clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{interval, sleep, timeout};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Options {
    /// Address of the service.
    #[arg(long, default_value = "127.0.0.1:8000")]
    addr: SocketAddr,
    /// Number of live queries to open.
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// Documents to write per second; 0 writes a single one.
    #[arg(long, default_value_t = 0)]
    writes: u64,
    /// Time to write for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Number of distinct lists that the clients follow. Each list has all documents.
    #[arg(long, default_value_t = 1)]
    lists: usize,
    /// Write nothing, and report the costs of idle clients after this many seconds.
    #[arg(long)]
    idle: Option<u64>,
    /// Disconnect the clients for three seconds while 50 documents are written, and check the events that
    /// they get when they come back.
    #[arg(long)]
    resume: bool,
    /// Processes whose memory and CPU time to report.
    #[arg(long)]
    pid: Vec<u32>,
}

/// Counters of what the clients have received.
struct Seen {
    started: Instant,
    ready: AtomicUsize,
    events: AtomicU64,
    gaps: AtomicU64,
    ended: AtomicUsize,
    /// Delays from a write to its event, in microseconds.
    delays: Mutex<Vec<u32>>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    let addr = options.addr;
    request(addr, "DELETE", "/tables/feeds_load", "").await?;
    request(addr, "POST", "/tables", r#"{"name":"feeds_load"}"#).await?;
    match options.resume {
        true => resume(&options).await?,
        false => load(&options).await?,
    }
    request(addr, "DELETE", "/tables/feeds_load", "").await?;
    Ok(())
}

/// Opens all live queries, and writes.
async fn load(options: &Options) -> Outcome<()> {
    let before: Vec<_> = options.pid.iter().map(|pid| memory(*pid)).collect();
    let seen = Arc::new(Seen {
        started: Instant::now(),
        ready: AtomicUsize::new(0),
        events: AtomicU64::new(0),
        gaps: AtomicU64::new(0),
        ended: AtomicUsize::new(0),
        delays: Mutex::default(),
    });
    // Those that were refused can't be waited for.
    let clients = open_all(options, &seen).await?;
    sleep(Duration::from_secs(2)).await;
    for (pid, before) in options.pid.iter().zip(before) {
        let after = memory(*pid);
        let each = after.saturating_sub(before) as f64 / clients as f64;
        println!("process {pid}: {before} kB before, {after} kB after: {each:.1} kB for each client");
    }
    let (began, busy) = (Instant::now(), Busy::of(&options.pid));
    if let Some(seconds) = options.idle {
        sleep(Duration::from_secs(seconds)).await;
        busy.tell(began.elapsed(), seen.events.load(Ordering::Relaxed));
        return Ok(());
    }
    let (written, acknowledged) = write(options.addr, options.writes, options.seconds, &seen).await?;
    let expected = written * clients as u64;
    let waiting = Instant::now();
    until("all events have come", || {
        seen.events.load(Ordering::Relaxed) >= expected || seen.gaps.load(Ordering::Relaxed) > 0
    })
    .await?;
    println!("{written} writes, the last events {} ms after the last of them", waiting.elapsed().as_millis());
    let (events, gaps) = (seen.events.load(Ordering::Relaxed), seen.gaps.load(Ordering::Relaxed));
    let ended = seen.ended.load(Ordering::Relaxed);
    println!("{events} of {expected} events, {gaps} gaps, {ended} streams ended");
    busy.tell(began.elapsed(), events);
    quantiles("from before a write to its event", seen.delays.lock().await.clone());
    quantiles("from before a write to its answer", acknowledged);
    for pid in &options.pid {
        println!("process {pid}: {} kB at the end", memory(*pid));
    }
    Ok(())
}

/// Opens all live queries, and returns how many there are.
async fn open_all(options: &Options, seen: &Arc<Seen>) -> Outcome<usize> {
    let clients = options.clients;
    // No more than a service with usual limits takes in at once.
    let opening = Arc::new(Semaphore::new(64));
    for client in 0..clients {
        let permit = Arc::clone(&opening).acquire_owned().await?;
        let stream = open(options.addr, client % options.lists, "").await?;
        tokio::spawn(follow(stream, Arc::clone(seen), permit));
    }
    let opened = || seen.ready.load(Ordering::Relaxed) + seen.ended.load(Ordering::Relaxed);
    until("all are ready", || opened() == clients).await?;
    let ready = seen.ready.load(Ordering::Relaxed);
    println!("{ready} of {clients} clients after {:.1} s", seen.started.elapsed().as_secs_f64());
    Ok(ready)
}

/// Cuts clients off while others write.
async fn resume(options: &Options) -> Outcome<()> {
    const MISSED: usize = 50;
    const AWAY: Duration = Duration::from_secs(3);
    let addr = options.addr;
    let mut ids = Vec::new();
    for client in 0..options.clients {
        let mut stream = open(addr, client % options.lists, "").await?;
        let told =
            read_until(&mut stream, |told| told.contains("event:ready") && told.contains("\nid:")).await?;
        ids.push(told.rsplit("\nid:").next().and_then(|id| id.lines().next()).unwrap_or_default().to_owned());
    }
    println!("{} clients are cut off", ids.len());
    for n in 0..MISSED {
        request(addr, "POST", "/tables/feeds_load/docs", &format!(r#"{{"n":{n},"at":0}}"#)).await?;
        sleep(AWAY / MISSED as u32).await;
    }
    let began = Instant::now();
    let mut right = 0;
    for (client, id) in ids.iter().enumerate() {
        let mut stream = open(addr, client % options.lists, &format!("Last-Event-ID: {id}\r\n")).await?;
        let told = read_until(&mut stream, |told| told.matches("\nid:").count() >= MISSED).await?;
        let numbers: Vec<usize> = told
            .split("\"n\":")
            .skip(1)
            .filter_map(|rest| rest.split([',', '}']).next()?.parse().ok())
            .collect();
        let is_right = numbers.iter().copied().eq(0..MISSED) && told.matches("event:").count() == MISSED;
        right += usize::from(is_right);
    }
    println!("{right} of {} got exactly the {MISSED} that they missed", ids.len());
    println!("all were told them after {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Reads until what has come is enough.
async fn read_until(stream: &mut TcpStream, is_enough: impl Fn(&str) -> bool) -> Outcome<String> {
    let (mut told, mut buffer) = (String::new(), vec![0; 64 << 10]);
    while !is_enough(&told) {
        let read = timeout(Duration::from_secs(30), stream.read(&mut buffer)).await??;
        if read == 0 {
            return Err(format!("the stream has ended: {told}").into());
        }
        told.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    Ok(told)
}

/// Writes at a steady rate, without waiting for one write before the next.
async fn write(addr: SocketAddr, rate: u64, seconds: u64, seen: &Arc<Seen>) -> Outcome<(u64, Vec<u32>)> {
    let count = if rate == 0 { 1 } else { rate * seconds };
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate.max(1) as f64));
    let mut writing = Vec::new();
    for n in 0..count {
        ticks.tick().await;
        let seen = Arc::clone(seen);
        writing.push(tokio::spawn(async move {
            let at = seen.started.elapsed();
            let body = format!(r#"{{"n":{n},"at":{}}}"#, at.as_micros());
            request(addr, "POST", "/tables/feeds_load/docs", &body).await?;
            let delay = (seen.started.elapsed() - at).as_micros() as u32;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(delay)
        }));
    }
    let mut acknowledged = Vec::new();
    for write in writing {
        acknowledged.push(write.await??);
    }
    Ok((count, acknowledged))
}

/// Asks for a list, each of which has all documents.
async fn open(addr: SocketAddr, list: usize, header: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let path = format!("/tables/feeds_load/docs?initial=false&n=gte.-{list}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: load\r\nAccept: text/event-stream\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Reads events until the end. Each of them comes as a chunk of its own, in lines. The permit is for opening.
async fn follow(mut stream: TcpStream, seen: Arc<Seen>, permit: OwnedSemaphorePermit) -> Outcome<()> {
    let mut opening = Some(permit);
    let (mut buffer, mut pending) = (vec![0; 4096], Vec::new());
    let mut delays = Vec::new();
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            seen.ended.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let now = seen.started.elapsed().as_micros() as u64;
        pending.extend_from_slice(&buffer[..read]);
        let whole = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut events = 0;
        for line in pending[..whole].split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data:{\"old\":null") {
                let text = std::str::from_utf8(data)?;
                let at = text.split("\"at\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
                let at: u64 = at.unwrap_or_default().parse()?;
                delays.push(now.saturating_sub(at) as u32);
                events += 1;
            } else if line.starts_with(b"event:ready") {
                seen.ready.fetch_add(1, Ordering::Relaxed);
                opening = None;
            } else if opening.is_some() && line.starts_with(b"HTTP/1.1") && !line.starts_with(b"HTTP/1.1 200")
            {
                eprint!("refused: {}", String::from_utf8_lossy(&pending));
                seen.ended.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            } else if line.starts_with(b"event:gap") {
                seen.gaps.fetch_add(1, Ordering::Relaxed);
            }
        }
        pending.drain(..whole);
        if events > 0 {
            seen.delays.lock().await.append(&mut delays);
            seen.events.fetch_add(events, Ordering::Relaxed);
        }
    }
}

/// A request on a connection of its own.
async fn request(addr: SocketAddr, method: &str, path: &str, body: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: load\r\nConnection: close\r\nContent-Length: {}",
        body.len()
    );
    stream.write_all(format!("{head}\r\nContent-Type: application/json\r\n\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status: u16 = answer.split(' ').nth(1).unwrap_or_default().parse()?;
    if status >= 400 && status != 404 {
        return Err(format!("{method} {path}: {answer}").into());
    }
    Ok(answer)
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Outcome<()> {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(120), wait).await.map_err(|_| format!("not after two minutes: {what}").into())
}

/// Returns the resident memory of a process, in kB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}

/// The time of the processor that processes, this one among them, have taken at some time.
struct Busy(Vec<(String, Duration)>);

impl Busy {
    fn of(pids: &[u32]) -> Busy {
        let names = pids.iter().map(u32::to_string).chain(["self".to_owned()]);
        Busy(names.map(|name| (name.clone(), processor(&name))).collect())
    }

    /// Tells what they have taken since.
    fn tell(&self, time: Duration, events: u64) {
        for (name, before) in &self.0 {
            let taken = processor(name).saturating_sub(*before).as_secs_f64();
            let part = 100.0 * taken / time.as_secs_f64();
            let each = if events > 0 { taken * 1e6 / events as f64 } else { 0.0 };
            println!(
                "process {name}: {taken:.2} s of the processor ({part:.1} %), {each:.2} us for each event"
            );
        }
    }
}

/// Returns the time of the processor that a process has taken, to a hundredth of a second.
fn processor(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn quantiles(what: &str, mut times: Vec<u32>) {
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len().saturating_sub(1) as f64 * part) as usize;
        f64::from(times.get(index).copied().unwrap_or_default()) / 1000.0
    };
    println!("{what}: median {:.2} ms, 99% {:.2} ms, worst {:.2} ms", at(0.5), at(0.99), at(1.0));
}
