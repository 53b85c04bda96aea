use super::*;
use crate::budget::memory::Pool;
use crate::error::ErrorKind;
use crate::interrupt::{Interrupt, Reason};

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn inline_work_ends_when_its_fuel_does() {
    let budget = Budget::default();
    let ended = within(&budget, Place::Inline, || {
        for _ in 0..LIGHT {
            spend(1)?;
        }
        assert_eq!(kind(spend(1)), Some(ErrorKind::WouldBlock));
        spend(1)
    });
    assert_eq!(kind(ended), Some(ErrorKind::WouldBlock));
    assert_eq!(budget.spent(), LIGHT as u64);
}

#[test]
fn the_writer_does_little_and_waits_for_nothing() {
    let budget = Budget::default();
    let work = |units| within(&budget, Place::Writer, || spend(units));
    assert_eq!((kind(work(LIGHT)), kind(work(LIGHT + 1))), (None, Some(ErrorKind::WouldBlock)));
    let waiting = within(&budget, Place::Writer, about_to_wait);
    assert_eq!(kind(waiting), Some(ErrorKind::WouldBlock));
}

#[test]
fn a_large_piece_of_work_is_refused_before_it_begins() {
    let ended = within(&Budget::default(), Place::Inline, || spend_bytes(100 << 20));
    assert_eq!(kind(ended), Some(ErrorKind::WouldBlock));
}

#[test]
fn what_is_made_after_the_fuel_ran_out_does_not_count() {
    let ended = within(&Budget::default(), Place::Inline, || Ok(burn(LIGHT + 1)));
    assert_eq!(kind(ended), Some(ErrorKind::WouldBlock));
}

#[test]
fn an_interrupt_is_seen_soon_and_for_good() {
    let interrupt = Interrupt::default();
    let ended = within(&Budget::new(interrupt.clone(), Pool::default()), Place::Worker, || {
        spend(10 * STEP)?;
        interrupt.raise(Reason::Stopped);
        assert!((0..=STEP).any(|_| !burn(1)));
        assert_eq!(kind(spend(1)), Some(ErrorKind::Interrupted));
        Ok(())
    });
    assert_eq!(kind(ended), Some(ErrorKind::Interrupted));
    assert!(burn(10 * STEP), "nothing limits who works for nobody");
}

#[test]
fn a_part_has_no_fuel_of_its_own() {
    let budget = Budget::default();
    let ended = within(&budget, Place::Inline, || within(&budget, Place::Worker, || spend(LIGHT + 1)));
    assert_eq!(kind(ended), Some(ErrorKind::WouldBlock));
}

#[test]
fn what_has_been_done_is_finished() {
    let ended = within(&Budget::default(), Place::Inline, || {
        commit();
        spend(10 * LIGHT)
    });
    assert_eq!(kind(ended), None);
}

#[test]
fn what_is_done_apart_is_done_to_the_end() {
    let ended = within(&Budget::default(), Place::Inline, || {
        assert!(apart(|| burn(10 * LIGHT)));
        spend(LIGHT)
    });
    assert_eq!(kind(ended), None);
}

#[test]
fn large_values_are_counted_while_a_scope_lasts() {
    let pool = Pool::new(20 << 20);
    let budget = Budget::new(Interrupt::default(), pool.clone());
    let ended = within(&budget, Place::Worker, || {
        keep(4 << 20)?;
        for _ in 0..10 {
            let _scope = Scope::begin();
            keep(10 << 20)?;
        }
        assert!((4 << 20..6 << 20).contains(&pool.used()), "{pool:?}");
        let _scope = Scope::begin();
        keep(10 << 20)?;
        keep(10 << 20)
    });
    assert_eq!(kind(ended), Some(ErrorKind::ResourceLimit));
    assert_eq!(pool.used(), 0);
}

#[test]
fn large_values_that_are_held_on_count_on() {
    let pool = Pool::new(20 << 20);
    let budget = Budget::new(Interrupt::default(), pool.clone());
    let held = within(&budget, Place::Worker, || {
        keep(4 << 20)?;
        let held = take_kept();
        let scope = Scope::begin();
        keep(10 << 20)?;
        drop(scope);
        keep(1 << 20)?;
        assert!(take_kept().is_some());
        assert!(take_kept().is_none());
        Ok(held)
    });
    assert!((4 << 20..6 << 20).contains(&pool.used()), "{pool:?}");
    drop(held);
    assert_eq!(pool.used(), 0);
    assert!(take_kept().is_none());
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let panicked = std::panic::catch_unwind(|| {
        within(&Budget::default(), Place::Inline, || -> Result<()> { panic!("as it happens") })
    });
    assert!(panicked.is_err());
    assert!(burn(10 * LIGHT));
}
