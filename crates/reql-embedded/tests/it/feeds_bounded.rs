//! The memory of changes that wait for slow readers, in bytes: of a feed, and of all feeds of a server.
use std::sync::Arc;

use crate::support::{delete, id, num, options, put, table, write};
use reql_embedded::datum::Datum;
use reql_embedded::error::{ErrorKind, Result};
use reql_embedded::feed::{Capacity, Extent, Feed, Flat, Form, Options, Ranges, Transform, Wake, Window};
use reql_embedded::storage::{Direction, KeyRange, Store, Table};

struct AsItIs;

impl Transform for AsItIs {
    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        Ok(Some(document.clone()))
    }
}

fn feed(table: &Table, queue: Capacity, squash: bool) -> Flat {
    let form = Form { types: false, states: false, offsets: false };
    let squash = squash.then_some(std::time::Duration::ZERO);
    let options = Options { squash, include_initial: false, form, queue };
    let ranges = Ranges::One(KeyRange::all());
    let extent = Extent { table: table.clone(), index: None, ranges, multiplicity: None };
    Flat::open(extent, Box::new(AsItIs), options, Arc::new(Wake::default()), false).unwrap()
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
