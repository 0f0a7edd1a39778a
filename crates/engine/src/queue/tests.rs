//! Tests of the queue of one device.

use coap::{Code, Duration, Instant};
use lwm2m::{OperationKind, Path};

use super::{Accepted, Queue, Reachability, Room};
use crate::command::{Origin, Priority};
use crate::identity::CommandId;
use crate::interface::management::Prepared;
use crate::settings::{QueueLimits, QueueOverflow};

fn command(number: u64, priority: Priority) -> Accepted {
    Accepted {
        id: CommandId(number),
        origin: Origin::default(),
        request: Prepared {
            operation: OperationKind::Read,
            path: Path::ROOT,
            method: Code::GET,
            accept: None,
            format: None,
            choice: crate::formats::Choice::Stated,
            query: Vec::new(),
            payload: Vec::new(),
        },
        timeout: Duration::from_secs(120),
        expires: Instant::from_micros(number),
        priority,
    }
}

fn normal(number: u64) -> Accepted {
    command(number, Priority::Normal)
}

fn order(queue: &mut Queue) -> Vec<u64> {
    core::iter::from_fn(|| queue.pop_ready(usize::MAX)).map(|command| command.id.0).collect()
}

#[test]
fn commands_leave_in_the_order_they_came() {
    let mut queue = Queue::default();
    (1..=3).for_each(|number| queue.push(normal(number)));
    assert_eq!(order(&mut queue), [1, 2, 3]);
    assert!(queue.is_empty());
}

#[test]
fn urgent_commands_go_before_the_others_and_keep_their_order() {
    let mut queue = Queue::default();
    queue.push(normal(1));
    queue.push(command(2, Priority::Urgent));
    queue.push(normal(3));
    queue.push(command(4, Priority::Urgent));
    assert_eq!(order(&mut queue), [2, 4, 1, 3]);
}

#[test]
fn a_command_put_back_is_the_first_again() {
    let mut queue = Queue::default();
    (1..=2).for_each(|number| queue.push(normal(number)));
    let first = queue.pop_ready(1).unwrap();
    queue.push_front(first);
    assert_eq!(order(&mut queue), [1, 2]);
}

#[test]
fn what_expired_is_taken_out_wherever_it_stands() {
    let mut queue = Queue::default();
    [5, 2, 9].into_iter().for_each(|number| queue.push(normal(number)));
    assert_eq!(queue.next_deadline(), Some(Instant::from_micros(2)));
    let now = Instant::from_micros(5);
    let expired: Vec<u64> =
        core::iter::from_fn(|| queue.pop_expired(now)).map(|command| command.id.0).collect();
    assert_eq!(expired, [5, 2]);
    assert_eq!(order(&mut queue), [9]);
}

#[test]
fn room_is_made_by_dropping_the_oldest_only_if_asked() {
    let size = normal(0).size();
    let refuse = QueueLimits { commands: 2, ..QueueLimits::default() };
    let drop_oldest = QueueLimits { overflow: QueueOverflow::DropOldest, ..refuse };
    let mut queue = Queue::default();
    (1..=2).for_each(|number| queue.push(normal(number)));
    assert!(matches!(queue.make_room(size, &refuse), Room::None));
    let Room::After(dropped) = queue.make_room(size, &drop_oldest) else { panic!("no room") };
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].id, CommandId(1));
    assert!(matches!(queue.make_room(size, &refuse), Room::Enough));
}

/// 50 kB for a device that has nothing else to do must not be refused for ever.
#[test]
fn a_command_larger_than_the_bound_passes_alone() {
    let limits = QueueLimits { bytes: 1000, ..QueueLimits::default() };
    let mut queue = Queue::default();
    assert!(matches!(queue.make_room(1001, &limits), Room::Enough));
    queue.push(normal(1));
    assert!(matches!(queue.make_room(1001, &limits), Room::None));
}

/// A command larger than the bound does not empty the queue in vain.
#[test]
fn nothing_is_dropped_for_a_command_that_never_fits() {
    let overflow = QueueOverflow::DropOldest;
    let limits = QueueLimits { bytes: 1000, overflow, ..QueueLimits::default() };
    let mut queue = Queue::default();
    queue.push(normal(1));
    assert!(matches!(queue.make_room(1001, &limits), Room::None));
    assert_eq!(queue.waiting(), 1);
}

#[test]
fn a_window_ends_at_its_end() {
    let at = Instant::from_micros(100);
    assert_eq!(
        Reachability::until(at, Instant::from_micros(99)),
        Reachability::Awake { until: at }
    );
    assert_eq!(Reachability::until(at, at), Reachability::Asleep);
    assert!(Reachability::Always.listens() && !Reachability::Asleep.listens());
}
