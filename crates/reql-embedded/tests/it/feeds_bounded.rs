//! The memory of changes that wait for slow readers, in bytes: of a feed, and of all feeds of a server.
use std::sync::Arc;

use crate::support::{delete, id, num, options, put, table, write};
use reql_embedded::budget::Budget;
use reql_embedded::budget::fuel::{self, Place};
use reql_embedded::budget::memory::Pool;
use reql_embedded::datum::Datum;
use reql_embedded::engine::Interrupt;
use reql_embedded::error::{Error, ErrorKind, Result};
use reql_embedded::feed::{Capacity, Extent, Feed, Flat, Form, Options, Ranges, Transform, Wake, Window};
use reql_embedded::storage::{Direction, KeyRange, Store, Table};

/// A form for which there may be no memory, or which is larger than any may be.
struct Large(Option<Error>);

impl Transform for Large {
    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        fuel::keep(2 * MB)?;
        self.0.clone().map_or(Ok(Some(document.clone())), Err)
    }
}

#[test]
fn a_feed_fails_for_want_of_memory_and_leaves_out_what_can_not_be() {
    let store = crate::support::store();
    let table = table(&store);
    let too_large = Error::new(ErrorKind::ResourceLimit, "Array over size limit.");
    for (error, memory, expected) in [
        (None, 4 * MB, Ok(true)),
        (None, MB, Err(ErrorKind::ResourceLimit)),
        (Some(too_large), 4 * MB, Ok(false)),
    ] {
        let mut feed = feed_of(&table, Box::new(Large(error)), Capacity::default(), false);
        write(&table, vec![put(&crate::support::document(1, 1))]);
        let budget = Budget::new(Interrupt::default(), Pool::new(memory as u64));
        let next = fuel::within(&budget, Place::Worker, || feed.next());
        assert_eq!(next.map(|row| row.is_some()).map_err(|error| error.kind()), expected);
        write(&table, vec![delete(1)]);
    }
}

struct AsItIs;

impl Transform for AsItIs {
    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        Ok(Some(document.clone()))
    }
}

fn feed(table: &Table, queue: Capacity, squash: bool) -> Flat {
    feed_of(table, Box::new(AsItIs), queue, squash)
}

fn feed_of(table: &Table, transform: Box<dyn Transform>, queue: Capacity, squash: bool) -> Flat {
    let form = Form { types: false, states: false, offsets: false };
    let squash = squash.then_some(std::time::Duration::ZERO);
    let options = Options { squash, include_initial: false, form, queue };
    let ranges = Ranges::One(KeyRange::all());
    let extent = Extent { table: table.clone(), index: None, ranges, multiplicity: None };
    Flat::open(extent, transform, options, Arc::new(Wake::default()), false).unwrap()
}

/// Reads the rows that there are. Returns the number of changes, and the number that were skipped.
fn read(feed: &mut Flat) -> (usize, usize) {
    let (mut read, mut skipped) = (0, 0);
    while let Some(row) = feed.next().unwrap() {
        match row.get("error") {
            None => read += 1,
            Some(error) => {
                let text = error.as_str().unwrap();
                let count = text.strip_prefix("Changefeed cache over array size limit, skipped ");
                let count = count.and_then(|text| text.strip_suffix(" elements.")).expect(text);
                skipped += count.parse::<usize>().unwrap();
            }
        }
    }
    (read, skipped)
}

/// Writes a document of this many bytes, and a little more.
fn write_large(table: &Table, n: i64, bytes: usize) {
    write(table, vec![put(&Datum::object([("id", num(n)), ("text", Datum::str("x".repeat(bytes)))]))]);
}

const KB: usize = 1024;
const MB: usize = 1024 * KB;

#[test]
fn a_feed_keeps_no_more_bytes_than_it_may() {
    let store = crate::support::store();
    let table = table(&store);
    for squash in [false, true] {
        let mut feed = feed(&table, Capacity { bytes: 100 * KB, ..Capacity::default() }, squash);
        (0..9).for_each(|n| write_large(&table, n, 10 * KB));
        assert_eq!(read(&mut feed), (9, 0), "nine fit");
        // From here on, each change holds two versions of a document.
        let small = (0..9).map(delete).collect();
        write(&table, small);
        assert_eq!(read(&mut feed), (9, 0));
        (20..45).for_each(|n| write_large(&table, n, 10 * KB));
        assert_eq!(read(&mut feed), (5, 20), "ten are too much, and so are the next ten");
        write(&table, (20..45).map(delete).collect());
        read(&mut feed);
    }
}

#[test]
fn a_document_of_any_size_is_told() {
    let store = crate::support::store();
    let table = table(&store);
    let mut feed = feed(&table, Capacity { bytes: 100 * KB, ..Capacity::default() }, false);
    write_large(&table, 1, 500 * KB);
    assert_eq!(read(&mut feed), (1, 0));
    write_large(&table, 1, 400 * KB);
    write_large(&table, 2, 1);
    assert_eq!(read(&mut feed), (0, 2));
}

#[test]
fn changes_of_one_document_that_squash_are_counted_as_what_they_hold() {
    let store = crate::support::store();
    let table = table(&store);
    let mut feed = feed(&table, Capacity { bytes: 100 * KB, ..Capacity::default() }, true);
    for round in 0..100 {
        write_large(&table, 1, 10 * KB + round);
    }
    assert_eq!(read(&mut feed), (1, 0));
    write(&table, vec![delete(1)]);
    write_large(&table, 1, 10 * KB + 99);
    assert_eq!(read(&mut feed), (0, 0), "that comes to nothing");
}

#[test]
fn a_window_takes_no_more_than_four_full_queues() {
    let store = crate::support::store();
    let table = table(&store);
    let open = |limit: usize| {
        let form = Form { types: false, states: false, offsets: false };
        let queue = Capacity { bytes: 100 * KB, ..Capacity::default() };
        let options = Options { squash: None, include_initial: false, form, queue };
        let ranges = Ranges::One(KeyRange::all());
        let extent = Extent { table: table.clone(), index: None, ranges, multiplicity: None };
        let order = (Direction::Forward, limit);
        Window::open(extent, Box::new(AsItIs), options, Arc::new(Wake::default()), order)
    };
    (0..60).for_each(|n| write_large(&table, n, 10 * KB));
    let mut window = open(15).unwrap();
    assert_eq!(open(60).err().unwrap().kind(), ErrorKind::ResourceLimit);
    write_large(&table, 1, 20 * KB);
    assert!(window.next().unwrap().is_some());
    let grown = (2..15).find_map(|n| {
        write_large(&table, n, 20 * KB);
        std::iter::from_fn(|| window.next().transpose()).find_map(Result::err)
    });
    assert_eq!(grown.unwrap().kind(), ErrorKind::ResourceLimit);
}

fn store(backlog: usize) -> Store {
    Store::open(options().backlog_bytes(backlog)).unwrap()
}

#[test]
fn feeds_share_the_bytes_of_a_change() {
    let store = store(400 * KB);
    let table = table(&store);
    let mut feeds: Vec<_> = (0..20).map(|_| feed(&table, Capacity::default(), false)).collect();
    (0..20).for_each(|n| write_large(&table, n, 10 * KB));
    for feed in &mut feeds {
        assert_eq!(read(feed), (20, 0));
    }
}

#[test]
fn the_feeds_that_nobody_reads_skip_first() {
    let store = store(400 * KB);
    let table = table(&store);
    let mut stalled = feed(&table, Capacity::default(), false);
    let (mut slow, mut quick) =
        (feed(&table, Capacity::default(), false), feed(&table, Capacity::default(), false));
    let (mut slowly, mut quickly) = ((0, 0), (0, 0));
    let add = |sum: &mut (usize, usize), (read, skipped)| *sum = (sum.0 + read, sum.1 + skipped);
    for n in 0..200 {
        write_large(&table, n, 10 * KB);
        add(&mut quickly, read(&mut quick));
        if n % 20 == 19 {
            add(&mut slowly, read(&mut slow));
        }
    }
    assert_eq!((quickly, slowly), ((200, 0), (200, 0)));
    let (left, skipped) = read(&mut stalled);
    assert_eq!(left + skipped, 200);
    assert!(skipped >= 160, "only {skipped} were skipped");
}

#[test]
fn a_feed_whose_reader_stalls_halfway_takes_nothing_from_others() {
    let store = store(400 * KB);
    let table = table(&store);
    let (mut slow, mut quick) =
        (feed(&table, Capacity::default(), false), feed(&table, Capacity::default(), false));
    (0..38).for_each(|n| write_large(&table, n, 10 * KB));
    assert_eq!(read(&mut quick), (38, 0));
    assert!(slow.next().unwrap().is_some());
    for n in 100..200 {
        write_large(&table, n, 10 * KB);
        assert_eq!(read(&mut quick), (1, 0), "write {n}");
    }
    let (left, skipped) = read(&mut slow);
    assert_eq!(1 + left + skipped, 138);
    assert!(left > 0);
}

#[test]
fn a_feed_that_still_reads_its_documents_takes_a_few_changes_at_a_time() {
    let store = store(400 * KB);
    let table = table(&store);
    (0..100).for_each(|n| write_large(&table, n, 1));
    let form = Form { types: false, states: false, offsets: false };
    let options = Options { squash: None, include_initial: true, form, queue: Capacity::default() };
    let ranges = Ranges::One(KeyRange::all());
    let extent = Extent { table: table.clone(), index: None, ranges, multiplicity: None };
    let mut feed = Flat::open(extent, Box::new(AsItIs), options, Arc::new(Wake::default()), false).unwrap();
    (0..64).for_each(|_| assert!(feed.next().unwrap().is_some()));
    // Of documents that have been shown, and are to be told before the others.
    (0..35).for_each(|n| write_large(&table, n, 10 * KB));
    assert!(feed.next().unwrap().is_some());
    (35..70).for_each(|n| write_large(&table, n, 10 * KB));
    let (told, skipped) = read(&mut feed);
    assert!(skipped > 20, "only {skipped} were skipped");
    assert!(told >= 36, "{told}: the other documents");
}

#[test]
fn feeds_of_other_tables_count_as_well_and_so_do_the_places_of_small_changes() {
    let store = store(400 * KB);
    let first = table(&store);
    let second =
        store.create_table("test", "other", reql_embedded::storage::TableOptions::default()).unwrap();
    let mut stalled = feed(&first, Capacity::default(), false);
    (0..30).for_each(|n| write_large(&first, n, 10 * KB));
    let mut many: Vec<_> = (0..20).map(|_| feed(&second, Capacity::default(), false)).collect();
    // Each of the documents has a hundred places.
    write(&second, (0..100).map(|n| put(&crate::support::document(n, n))).collect());
    assert_eq!(read(&mut stalled), (0, 30));
    for feed in &mut many {
        assert_eq!(read(feed), (100, 0));
    }
}

#[test]
fn what_is_read_or_dropped_makes_room() {
    let store = store(400 * KB);
    let table = table(&store);
    for round in 0..20 {
        let mut read_to_the_end = feed(&table, Capacity::default(), false);
        let dropped = feed(&table, Capacity::default(), false);
        (0..20).for_each(|n| write_large(&table, round * 20 + n, 10 * KB));
        assert_eq!(read(&mut read_to_the_end), (20, 0));
        drop(dropped);
        assert!(table.get(&id(round * 20)).unwrap().is_some());
    }
}
