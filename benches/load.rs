//! Many clients: the throughput of each way to get a database connection, and the latency at half of that.
//!
//! Whatever is compared takes turns in short slices, since other work on the machine changes from one second
//! to the next; what counts are the medians of the ratios within a turn. `cargo bench --bench load` prints
//! the tables; with `-- --write` it also puts them, and the chart, into `docs/`. A part of them:
//! `-- --only reused --only standby --clients 16 --password no --rounds 3 --seconds 5`, or at moderate load
//! `--rate 5000` instead of `--clients 16`.

mod choice;
mod report;
mod stage;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use choice::Choice;
use report::Report;
use stage::{Client, Stage, Subject, Target};

/// Allocator of the service and of the embedded database, as programs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Duration of a slice that warms a subject up, or looks how much it can do.
const WARM_UP: Duration = Duration::from_millis(500);
/// Clients that make the moderate load together.
const PACED_CLIENTS: usize = 16;

/// The latencies of one slice, sorted.
#[derive(Debug, Clone)]
pub struct Slice {
    latencies: Vec<Duration>,
    took: Duration,
    /// The processor time of clients, service and database together.
    computed: Duration,
}

/// All rounds of one subject in one setting.
pub type Rounds = BTreeMap<Subject, Vec<Slice>>;

fn main() {
    let choice = Choice::of_arguments();
    let mut report = Report::of(&choice);
    for (password, text) in choice.passwords.iter().copied() {
        let stage = Stage::new(text);
        for subject in &choice.subjects {
            flat_out(stage.target(*subject), 4, WARM_UP);
        }
        if choice.moderate {
            let rate = choice.rate.unwrap_or_else(|| saturation(&stage) / 2.0);
            let moderate = turns(&choice.paced, choice.rounds, |subject| {
                paced(stage.target(subject), rate, 2 * choice.slice)
            });
            report.moderate(password, rate, moderate);
        }
        for clients in &choice.clients {
            let full = turns(&choice.subjects, choice.rounds, |subject| {
                flat_out(stage.target(subject), *clients, choice.slice)
            });
            report.full(password, *clients, full);
        }
    }
    print!("{}", report.tables());
    if choice.write {
        report.write().expect("docs can be written");
    }
}

/// Lets each subject have its slice in turn, forth and back, so that none always follows the same other.
fn turns(subjects: &[Subject], rounds: usize, mut slice: impl FnMut(Subject) -> Slice) -> Rounds {
    let mut turns = Rounds::new();
    let mut order = subjects.to_vec();
    for _ in 0..rounds {
        for subject in &order {
            turns.entry(*subject).or_default().push(slice(*subject));
        }
        order.reverse();
    }
    turns
}

/// Measures the requests per second that `standby` serves at full load.
fn saturation(stage: &Stage) -> f64 {
    let rounds =
        (0..6).map(|_| flat_out(stage.target(Subject::Standby), PACED_CLIENTS, WARM_UP).throughput());
    report::median(rounds.collect()).expect("there are rounds")
}

/// Clients that each ask as soon as they are answered.
fn flat_out(service: &Target, clients: usize, length: Duration) -> Slice {
    clients_of(service, clients, length, |_| Duration::ZERO)
}

/// Requests at random moments, this many a second.
fn paced(service: &Target, rate: f64, length: Duration) -> Slice {
    let pause = PACED_CLIENTS as f64 / rate;
    clients_of(service, PACED_CLIENTS, length, |random| {
        Duration::from_secs_f64(pause * -(1.0 - random.f64()).ln())
    })
}

fn clients_of(
    service: &Target,
    clients: usize,
    length: Duration,
    pause: impl Fn(&mut fastrand::Rng) -> Duration + Copy + Send + Sync,
) -> Slice {
    let mut ready: Vec<_> =
        (0..clients).map(|_| Client::connect(service).expect("the service listens")).collect();
    let (began, before) = (Instant::now(), processor_time());
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let ask = |client| scope.spawn(move || ask(client, began + length, pause));
        let threads: Vec<_> = ready.iter_mut().map(ask).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every request succeeds")).collect()
    });
    latencies.sort_unstable();
    Slice { latencies, took: began.elapsed(), computed: processor_time() - before }
}

/// Asks until the end; a request that is due while another runs follows at once.
fn ask(client: &mut Client, end: Instant, pause: impl Fn(&mut fastrand::Rng) -> Duration) -> Vec<Duration> {
    let mut random = fastrand::Rng::new();
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    loop {
        due += pause(&mut random);
        if due.max(Instant::now()) >= end {
            return latencies;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        client.get().expect("every request succeeds");
        latencies.push(asked.elapsed());
    }
}

/// The processor time of this process, in Linux's ticks of 10 ms; nothing elsewhere.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before the bracket may have spaces in it. User time is the twelfth field behind it, system
    // time follows.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

impl Slice {
    /// Requests a second.
    pub fn throughput(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Requests a second of processor time, which other work on the machine does not take away.
    pub fn frugality(&self) -> f64 {
        self.latencies.len() as f64 / self.computed.as_secs_f64()
    }

    /// The processor time of a request, in microseconds.
    pub fn cost(&self) -> f64 {
        1e6 / self.frugality()
    }

    /// The latency, in milliseconds, that this share of the requests stayed within.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let latency = self.latencies.get((last as f64 * share).round() as usize);
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}
