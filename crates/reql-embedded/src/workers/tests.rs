use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::*;
use crate::interrupt::{Interrupt, Reason};

/// Longer than any test here takes, even on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

fn workers(threads: usize, shared: usize) -> Workers {
    Workers::with_limits(Limits { threads, shared, processors: 1 })
}

/// Work that goes on until it is told to end, with the number of its pieces that run.
#[derive(Clone, Default)]
struct Endless(Arc<(Mutex<bool>, Condvar)>, Arc<AtomicUsize>);

impl Endless {
    fn work(&self) -> impl FnOnce() + Send + 'static {
        let Endless(ended, running) = self.clone();
        move || {
            running.fetch_add(1, Ordering::SeqCst);
            let guard = ended.0.lock().unwrap();
            drop(ended.1.wait_while(guard, |ended| !*ended).unwrap());
            running.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Starts `count` pieces of the work in a lane.
    fn fill(&self, lane: &Lane, count: usize) -> Vec<tokio::task::JoinHandle<Option<()>>> {
        (0..count).map(|_| tokio::spawn(lane.run(Interrupt::default(), self.work()))).collect()
    }

    fn end(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    async fn reaches(&self, count: usize) {
        until(|| self.1.load(Ordering::SeqCst) == count).await;
    }
}

/// Waits until this is so.
async fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "it isn't so after {LONG:?}");
        tokio::task::yield_now().await;
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.expect("its turn")
}

#[tokio::test]
async fn work_is_done_and_its_result_comes_back() {
    let workers = workers(4, 4);
    let lane = workers.lane();
    for n in 0..100 {
        assert_eq!(soon(lane.run(Interrupt::default(), move || n * 2)).await, Some(n * 2));
    }
    let all: Vec<_> = (0..100).map(|n| tokio::spawn(lane.run(Interrupt::default(), move || n))).collect();
    for (n, done) in all.into_iter().enumerate() {
        assert_eq!(soon(done).await.unwrap(), Some(n));
    }
}

#[tokio::test]
async fn a_panic_is_one_works_problem() {
    let workers = workers(1, 0);
    let lane = workers.lane();
    assert_eq!(soon(lane.run(Interrupt::default(), || panic!("as ordered"))).await, None::<()>);
    assert_eq!(soon(lane.run(Interrupt::default(), || 1)).await, Some(1));
}

#[tokio::test]
async fn work_is_inside_of_the_runtime() {
    let workers = workers(1, 0);
    let found = soon(workers.lane().run(Interrupt::default(), || Handle::try_current().is_ok())).await;
    assert_eq!(found, Some(true));
}

#[tokio::test]
async fn one_lane_has_its_share_however_much_it_asks_for() {
    let workers = workers(512, 8);
    let (greedy, other) = (workers.lane(), workers.lane());
    let endless = Endless::default();
    let all = endless.fill(&greedy, 600);
    endless.reaches(1 + 8 / 2).await;
    for n in 0..50 {
        assert_eq!(soon(other.run(Interrupt::default(), move || n)).await, Some(n));
    }
    let threads = workers.0.lock().threads;
    assert!(threads < 50, "{threads} threads: some were started for what isn't to run");
    endless.end();
    for done in all {
        assert_eq!(soon(done).await.unwrap(), Some(()));
    }
}

#[tokio::test]
async fn every_lane_gets_a_thread_while_there_are_any() {
    let workers = workers(20, 4);
    let endless = Endless::default();
    let lanes: Vec<_> = (0..19).map(|_| workers.lane()).collect();
    let all: Vec<_> = lanes.iter().flat_map(|lane| endless.fill(lane, 1)).collect();
    endless.reaches(19).await;
    assert_eq!(soon(workers.lane().run(Interrupt::default(), || 1)).await, Some(1));
    endless.end();
    for done in all {
        soon(done).await.unwrap();
    }
}

#[tokio::test]
async fn who_has_nothing_running_goes_first() {
    let workers = workers(1, 1);
    let (busy, late) = (workers.lane_with(10), workers.lane());
    let endless = Endless::default();
    let first = endless.fill(&busy, 1);
    endless.reaches(1).await;
    let (tell, order) = mpsc::channel();
    let note = |name: &'static str| {
        let tell = tell.clone();
        move || tell.send(name).unwrap()
    };
    let mut all: Vec<_> =
        (0..5).map(|_| tokio::spawn(busy.run(Interrupt::default(), note("busy")))).collect();
    all.push(tokio::spawn(late.run(Interrupt::default(), note("late"))));
    all.push(tokio::spawn(late.run(Interrupt::default(), note("late"))));
    endless.end();
    for done in first.into_iter().chain(all) {
        soon(done).await.unwrap();
    }
    let order: Vec<_> = order.try_iter().collect();
    // They take turns once the only thread is free.
    assert_eq!(order[..4].iter().filter(|name| **name == "late").count(), 2, "{order:?}");
}

#[tokio::test]
async fn what_is_interrupted_before_its_turn_is_given_up() {
    let workers = workers(1, 0);
    let lane = workers.lane();
    let endless = Endless::default();
    let running = endless.fill(&lane, 1);
    endless.reaches(1).await;
    let (interrupt, held) = (Interrupt::default(), Arc::new(()));
    let holds = held.clone();
    let waiting = tokio::spawn(lane.run(interrupt.clone(), move || drop(holds)));
    interrupt.raise(Reason::Stopped);
    assert_eq!(soon(waiting).await.unwrap(), None);
    assert_eq!(Arc::strong_count(&held), 1, "nothing of it is left");
    endless.end();
    for done in running {
        soon(done).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_interrupted_while_it_runs_is_waited_for() {
    let workers = workers(1, 0);
    let lane = workers.lane();
    let (interrupt, endless) = (Interrupt::default(), Endless::default());
    let running = tokio::spawn(lane.run(interrupt.clone(), endless.work()));
    endless.reaches(1).await;
    interrupt.raise(Reason::Stopped);
    tokio::task::yield_now().await;
    endless.end();
    assert_eq!(soon(running).await.unwrap(), Some(()));
}

#[tokio::test]
async fn a_lane_that_goes_leaves_nothing_behind() {
    let workers = workers(2, 0);
    let (lane, endless) = (workers.lane(), Endless::default());
    let all = endless.fill(&lane, 5);
    endless.reaches(1).await;
    drop(lane);
    endless.end();
    let done: Vec<_> =
        futures_util::future::join_all(all).await.into_iter().map(|done| done.unwrap()).collect();
    assert_eq!(done, [Some(()), None, None, None, None]);
    // A thread notes the end of work after it has given its result away.
    until(|| workers.0.lock().lanes.is_empty()).await;
}

#[tokio::test]
async fn threads_end_with_their_owner() {
    let workers = workers(8, 8);
    let lane = workers.lane();
    let all: Vec<_> = (0..8).map(|_| tokio::spawn(lane.run(Interrupt::default(), || ()))).collect();
    for done in all {
        soon(done).await.unwrap();
    }
    let pool = workers.0.clone();
    drop(workers);
    until(|| pool.lock().threads == 0).await;
}

/// Computes until it is told to end, and counts its checkpoints.
fn compute(
    ended: &Arc<std::sync::atomic::AtomicBool>,
    count: &Arc<AtomicUsize>,
) -> impl FnOnce() + Send + 'static {
    let (ended, count) = (ended.clone(), count.clone());
    let interrupt = Interrupt::default();
    move || {
        while !ended.load(Ordering::Relaxed) {
            count.fetch_add(1, Ordering::Relaxed);
            checkpoint(&interrupt);
        }
    }
}

#[tokio::test]
async fn what_computes_for_long_takes_turns_by_lane() {
    let workers = workers(32, 30);
    let (greedy, modest) = (workers.lane(), workers.lane());
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let mut all = Vec::new();
    for _ in 0..15 {
        all.push(tokio::spawn(greedy.run(Interrupt::default(), compute(&ended, &counts[0]))));
    }
    all.push(tokio::spawn(modest.run(Interrupt::default(), compute(&ended, &counts[1]))));
    // One of sixteen would have a sixteenth; it has about a half, once what others do on the machine has
    // evened out.
    let began = Instant::now();
    loop {
        let turn = workers.0.lock().turn + 100;
        while workers.0.lock().turn < turn {
            assert!(began.elapsed() < LONG, "nobody gives turns");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let [greedy, modest] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        if modest * 8 > greedy {
            break;
        }
        assert!(began.elapsed() < LONG, "{modest} of {greedy}");
    }
    ended.store(true, Ordering::Relaxed);
    for done in all {
        soon(done).await.unwrap();
    }
}

/// Results that nobody takes hold up their own lane alone, until they are taken.
#[tokio::test]
async fn a_lane_waits_until_its_results_are_taken() {
    let workers = workers(8, 8);
    let (full, other) = (Arc::new(workers.lane_with(2)), workers.lane());
    let begun = Arc::new(AtomicUsize::new(0));
    let work = || {
        let (lane, begun) = (full.clone(), begun.clone());
        tokio::spawn(full.run(Interrupt::default(), move || {
            begun.fetch_add(1, Ordering::SeqCst);
            lane.hold(1 << 20)
        }))
    };
    let mut all: Vec<_> = (0..20).map(|_| work()).collect();
    let mut results = Vec::new();
    for taken in 1..=20 {
        results.push(soon(all.remove(0)).await.unwrap());
        // Two pieces run at once; one that is given up must not be run later.
        let begun = begun.load(Ordering::SeqCst);
        assert!((taken..=taken + 1).contains(&begun), "{begun} of {taken}");
        assert_eq!(soon(other.run(Interrupt::default(), || 7)).await, Some(7));
        results.clear();
    }
    soon(full.room()).await;
    assert_eq!(begun.load(Ordering::SeqCst), 20);
}

/// Nobody is called for work that comes in while results wait. All of it is called for once they are taken.
#[tokio::test]
async fn what_has_waited_for_results_to_be_taken_runs_side_by_side() {
    let workers = workers(8, 8);
    let lane = Arc::new(workers.lane_with(3));
    let held = lane.hold(1 << 20);
    let endless = Endless::default();
    let all = endless.fill(&lane, 5);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(endless.1.load(Ordering::SeqCst), 0);
    drop(held);
    endless.reaches(3).await;
    endless.end();
    for done in all {
        assert_eq!(soon(done).await.unwrap(), Some(()));
    }
}
