//! Many clients: the throughput of each way to get a database connection, and the latency at half of that.
//!
//! Whatever is compared takes turns in short slices, since other work on the machine changes from one second
//! to the next; what counts are the medians of the ratios within a turn. `cargo bench --bench load` prints
//! the tables; with `-- --write` it also puts them, and the chart, into `docs/`.

mod report;
mod stage;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use report::Report;
use stage::{Client, Stage, Subject, Target};

/// Numbers of concurrent clients.
const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];
/// Repetitions of each slice.
const ROUNDS: usize = 6;
/// Duration of a slice of full load.
const SLICE: Duration = Duration::from_millis(500);
/// Duration of a slice of moderate load.
const PACED_SLICE: Duration = Duration::from_secs(1);
/// Clients that make the moderate load together.
const PACED_CLIENTS: usize = 16;
const PACED: [Subject; 4] = [Subject::Reused, Subject::Standby, Subject::Fresh, Subject::DialByHand];

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
    let arguments: Vec<_> = std::env::args().collect();
    // `cargo test --benches` only wants to know whether it runs.
    let brief = !arguments.iter().any(|argument| argument == "--bench");
    let mut report = Report::default();
    for (password, text) in [("without a password", ""), ("with a password", "a password")] {
        let stage = Stage::new(text);
        for subject in Subject::ALL {
            flat_out(stage.target(subject), 4, SLICE);
        }
        let rate = saturation(&stage) / 2.0;
        let rounds = if brief { 1 } else { ROUNDS };
        report.moderate(password, rate, turns(&PACED, rounds, |subject| paced(stage.target(subject), rate)));
        for clients in if brief { &CLIENTS[..1] } else { &CLIENTS } {
            let turns =
                turns(&Subject::ALL, rounds, |subject| flat_out(stage.target(subject), *clients, SLICE));
            report.full(password, *clients, turns);
        }
    }
    print!("{}", report.tables());
    if arguments.iter().any(|argument| argument == "--write") {
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
        (0..ROUNDS).map(|_| flat_out(stage.target(Subject::Standby), PACED_CLIENTS, SLICE).throughput());
    report::median(rounds.collect())
}

/// Clients that each ask as soon as they are answered.
fn flat_out(service: &Target, clients: usize, length: Duration) -> Slice {
    clients_of(service, clients, length, |_| Duration::ZERO)
}

/// Requests at random moments, this many a second.
fn paced(service: &Target, rate: f64) -> Slice {
    let pause = PACED_CLIENTS as f64 / rate;
    clients_of(service, PACED_CLIENTS, PACED_SLICE, |random| {
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

    /// The latency, in milliseconds, that this share of the requests stayed within.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let latency = self.latencies.get((last as f64 * share).round() as usize);
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}
