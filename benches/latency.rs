//! One request at a time, over a connection that stays open: the latency of each way to get a database
//! connection, on an otherwise idle machine.

mod stage;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use stage::{Client, Stage, Subject};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (group, password) in [("without a password", ""), ("with a password", "a password")] {
        let stage = Stage::new(password);
        let mut group = criterion.benchmark_group(group);
        for subject in Subject::ALL {
            let mut client = Client::connect(stage.target(subject)).expect("the service listens");
            group.bench_function(BenchmarkId::from_parameter(subject.name()), |bencher| {
                bencher.iter(|| client.get().expect("every request succeeds"));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
