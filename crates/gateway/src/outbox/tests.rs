//! The outbox's bounds, order, accounting and wake-up.

use super::*;
use crate::mqtt::Qos;
use std::thread;

fn message(text: &str) -> Publication {
    Publication {
        topic: "t".into(),
        payload: text.as_bytes().to_vec(),
        qos: Qos::AtMostOnce,
        retain: false,
        correlation: None,
    }
}

fn one(limits: Limits) -> (Outbox, OutboxReader, OutboxMonitor) {
    let (mut ends, reader, monitor) = outboxes(1, limits);
    (ends.remove(0), reader, monitor)
}

fn limits(entries: usize, bytes: usize, reserved: usize) -> Limits {
    Limits { entries, bytes, reserved }
}

#[test]
fn a_slot_is_held_until_the_ticket_is_released() {
    let (outbox, mut reader, monitor) = one(limits(2, 1 << 20, 0));
    outbox.try_push(message("1")).unwrap();
    outbox.try_push(message("2")).unwrap();
    let Full(back) = outbox.try_push(message("3")).unwrap_err();
    assert_eq!(back.payload, b"3", "the refused message is handed back");
    assert!(!outbox.has_room(1));

    let mut batch = Vec::new();
    assert_eq!(reader.take(&mut batch, 10), 2);
    assert!(outbox.try_push(message("3")).is_err(), "taken out is not handed over");
    batch.remove(0).ticket.release(Handover::Taken);
    outbox.try_push(message("3")).unwrap();

    let level = monitor.levels()[0];
    assert_eq!((level.entries, level.entries_high, level.refused, level.taken), (2, 2, 2, 1));
}

#[test]
fn the_bound_in_bytes_holds_and_lets_one_oversize_message_pass_alone() {
    let (outbox, mut reader, monitor) = one(limits(100, 1000, 0));
    outbox.try_push(message(&"x".repeat(2000))).unwrap();
    assert!(outbox.try_push(message("y")).is_err());
    let mut batch = Vec::new();
    reader.take(&mut batch, 1);
    batch.remove(0).ticket.release(Handover::Failed);
    outbox.try_push(message("y")).unwrap();
    assert!(outbox.try_push(message(&"x".repeat(900))).is_err());
    let level = monitor.levels()[0];
    assert_eq!((level.failed, level.bytes), (1, 2 + ENTRY_OVERHEAD));
    assert_eq!(level.bytes_high, 2001 + ENTRY_OVERHEAD);
}

/// The reader looks at the queues in any order; what was said before a name moved leaves first.
#[test]
fn what_a_shard_said_before_a_name_moved_leaves_before_what_the_next_one_says() {
    for first_lane in 0..3 {
        let (ends, mut reader, _monitor) = outboxes(3, limits(100, 1 << 20, 0));
        let mut batch = Vec::new();
        for _ in 0..first_lane {
            reader.take(&mut batch, 10);
        }
        let [zero, one, two] = &ends[..] else { panic!("three ends") };
        for text in ["a: ended", "b: ended"] {
            two.try_push(message(text)).unwrap();
        }
        two.note_move();
        zero.try_push(message("a: registered")).unwrap();
        zero.note_move();
        one.try_push(message("a: registered again")).unwrap();
        zero.try_push(message("c")).unwrap();
        while reader.take(&mut batch, 2) > 0 {}
        let order: Vec<_> = batch
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.publication.payload).into_owned())
            .filter(|text| text.starts_with("a:"))
            .collect();
        assert_eq!(order, ["a: ended", "a: registered", "a: registered again"]);
        assert_eq!(batch.len(), 5);
    }
}

#[test]
fn outcomes_fit_when_events_do_not() {
    let (outbox, mut reader, monitor) = one(limits(1, 1 << 20, 2));
    let first = outbox.reserve().unwrap();
    let second = outbox.reserve().unwrap();
    assert!(outbox.reserve().is_none());
    outbox.try_push(message("event")).unwrap();
    let copy = first.another();
    outbox.push_reserved(copy, message("for the response topic"));
    assert!(outbox.reserve().is_none());
    outbox.push_reserved(first, message("outcome"));
    assert!(outbox.try_push(message("event")).is_err());
    drop(second);
    assert_eq!(monitor.levels()[0].reserved, 0);
    let mut batch = Vec::new();
    assert_eq!(reader.take(&mut batch, 10), 3);
    assert_eq!(batch[2].publication.payload, b"outcome");
}

#[test]
fn a_dropped_ticket_counts_as_abandoned_and_frees_its_slot() {
    let (outbox, mut reader, monitor) = one(limits(1, 1 << 20, 0));
    outbox.try_push(message("x")).unwrap();
    let mut batch = Vec::new();
    reader.take(&mut batch, 1);
    batch.clear();
    assert_eq!(monitor.left(), 0);
    assert_eq!(monitor.levels()[0].abandoned, 1);
}

#[test]
fn a_busy_shard_leaves_room_for_the_others() {
    let (ends, mut reader, _monitor) = outboxes(2, Limits::default());
    for n in 0..100 {
        ends[0].try_push(message(&format!("a{n}"))).unwrap();
    }
    ends[1].try_push(message("b")).unwrap();
    let mut batch = Vec::new();
    reader.take(&mut batch, 10);
    assert!(batch.iter().any(|entry| entry.publication.payload == b"b"));
    assert!(batch.len() <= 10);
}

#[tokio::test]
async fn drained_waits_for_the_last_ticket_and_names_what_is_left() {
    let (outbox, mut reader, monitor) = one(Limits::default());
    outbox.try_push(message("1")).unwrap();
    outbox.try_push(message("2")).unwrap();
    let mut batch = Vec::new();
    reader.next_batch(&mut batch, 10).await;
    batch.remove(0).ticket.release(Handover::Taken);
    assert_eq!(monitor.drained(Duration::from_millis(20)).await, 1);
    let ticket = batch.remove(0).ticket;
    let waiting = tokio::spawn(async move { monitor.drained(Duration::from_secs(5)).await });
    ticket.release(Handover::Taken);
    assert_eq!(waiting.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_in_order_and_no_wake_up_is_lost() {
    const MESSAGES: usize = 50_000;
    const SHARDS: usize = 2;
    let (ends, mut reader, monitor) = outboxes(SHARDS, limits(64, 1 << 20, 0));
    let threads: Vec<_> = ends
        .into_iter()
        .zip(["a", "b"])
        .map(|(outbox, shard)| {
            thread::spawn(move || {
                for n in 0..MESSAGES {
                    let topic = shard.to_owned();
                    let mut next = Publication { topic, ..message(&n.to_string()) };
                    while let Err(Full(back)) = outbox.try_push(next) {
                        next = back;
                        outbox.wake();
                        thread::yield_now();
                    }
                    if n % 7 == 0 {
                        outbox.wake();
                    }
                }
                outbox.wake();
            })
        })
        .collect();
    let read = async {
        let mut batch = Vec::new();
        let mut next = [0_usize; SHARDS];
        while next.iter().sum::<usize>() < MESSAGES * SHARDS {
            reader.next_batch(&mut batch, 16).await;
            for Entry { publication, ticket } in batch.drain(..) {
                let shard = usize::from(publication.topic == "b");
                assert_eq!(publication.payload, next[shard].to_string().into_bytes());
                next[shard] += 1;
                ticket.release(Handover::Taken);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("no lost wake-up");
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(monitor.left(), 0);
}
