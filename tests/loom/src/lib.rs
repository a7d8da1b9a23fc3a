//! The load table and what is remembered of it, tried by loom in every order in which threads may run and in which what one writes
//! may become visible to another.
//!
//! The files are kamari's own, with loom's atomics in place of the standard library's.
#![cfg(all(test, loom))]
#![allow(dead_code, reason = "only what lookups and the owner do at the same time is tried")]

#[path = "../../../src/balance/minima.rs"]
mod minima;
#[path = "../../../src/balance/table.rs"]
mod table;

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use minima::{Lots, Minima};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use table::{LANES, LoadTable, Slot};

const NODE: Slot = Slot::new(0);

/// What a choice believes of the only group: from memory where the counts of changes allow it, else computed and remembered. Of each
/// node the cost is its calls.
fn believed(minima: &Minima, table: &LoadTable) -> Lots {
    minima.of_group(0, table.group_changes(0), || {
        let least = minima.of_block(0, table.changes(0), || table.totals(0).map(|total| total as f32));
        least.into()
    })
}

/// What is true of it.
fn computed(table: &LoadTable) -> Lots {
    Minima::new(1).of_group(0, 0, || minima::Least::of(&table.totals(0).map(|total| total as f32)).into())
}

#[test]
fn the_last_place_is_given_once() {
    loom::model(|| {
        let table = Arc::new(LoadTable::new(1));
        let other = Arc::clone(&table);
        let thread = thread::spawn(move || other.try_reserve(NODE, 1, None));
        let mine = table.try_reserve(NODE, 1, None);
        let theirs = thread.join().expect("no panic");
        assert!(mine ^ theirs, "one of two gets it");
        assert_eq!((table.load(NODE).reserved, table.attempts(NODE)), (1, 1));
    });
}

#[test]
fn the_last_attempt_is_made_once() {
    loom::model(|| {
        let table = Arc::new(LoadTable::new(1));
        let other = Arc::clone(&table);
        let thread = thread::spawn(move || other.try_reserve(NODE, 9, Some(1)));
        let mine = table.try_reserve(NODE, 9, Some(1));
        let theirs = thread.join().expect("no panic");
        assert!(mine ^ theirs, "one of two may");
        assert_eq!((table.load(NODE).reserved, table.attempts(NODE)), (1, 1));
    });
}

#[test]
fn a_call_that_arrives_while_another_is_promised_counts_once() {
    loom::model(|| {
        let table = Arc::new(LoadTable::new(1));
        assert!(table.try_reserve(NODE, 9, None));
        let owner = Arc::clone(&table);
        let thread = thread::spawn(move || owner.confirm(NODE));
        assert!(table.try_reserve(NODE, 9, None));
        thread.join().expect("no panic");
        let load = table.load(NODE);
        assert_eq!((load.own, load.reserved, load.total()), (1, 1, 2));
    });
}

#[test]
fn what_was_promised_meanwhile_is_known_to_the_next_choice() {
    loom::model(|| {
        let (table, minima) = (Arc::new(LoadTable::new(LANES)), Arc::new(Minima::new(1)));
        let writer = Arc::clone(&table);
        let thread = thread::spawn(move || writer.try_reserve(NODE, 9, None));
        // A choice at the same time remembers what it saw, before, after or in between.
        believed(&minima, &table);
        assert!(thread.join().expect("no panic"));
        assert_eq!(believed(&minima, &table), computed(&table));
    });
}

#[test]
fn what_two_changed_at_once_is_known_to_the_next_choice() {
    loom::model(|| {
        let (table, minima) = (Arc::new(LoadTable::new(LANES)), Arc::new(Minima::new(1)));
        assert!(table.try_reserve(NODE, 9, None));
        believed(&minima, &table);
        let owner = Arc::clone(&table);
        let thread = thread::spawn(move || owner.give_back(NODE));
        assert!(table.try_reserve(Slot::new(1), 9, None));
        believed(&minima, &table);
        thread.join().expect("no panic");
        assert_eq!(believed(&minima, &table), computed(&table));
    });
}

/// The twin: were the change counted before it is made, a choice could remember what was before under the count of what is now.
#[test]
#[should_panic(expected = "an old sum is believed")]
fn counted_before_it_is_made_a_change_may_be_missed() {
    loom::model(|| {
        let (word, changes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (written, counted) = (Arc::clone(&word), Arc::clone(&changes));
        let thread = thread::spawn(move || {
            counted.fetch_add(1, Release);
            written.store(1, Relaxed);
        });
        let (count, remembered) = (changes.load(Acquire), word.load(Relaxed));
        thread.join().expect("no panic");
        let good = count != changes.load(Acquire) || remembered == word.load(Relaxed);
        assert!(good, "an old sum is believed");
    });
}
