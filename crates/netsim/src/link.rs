//! The link: what is on its way, in which direction, and when it arrives.
//!
//! How likely each mishap is stands in [`crate::Conditions`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use crate::conditions::{Conditions, Permille};

/// Which way a datagram travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the device to the server.
    ToServer,
    /// From the server to the device.
    ToDevice,
}

impl Direction {
    /// The other way.
    pub const fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToDevice,
            Self::ToDevice => Self::ToServer,
        }
    }
}

/// A datagram that has arrived, with the address it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel<A> {
    /// Which way it travelled.
    pub direction: Direction,
    /// The address given to [`Link::send_as`]: the link does not look at it.
    pub address: A,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// What a [`Link`] has done so far; both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Datagrams given to the link.
    pub sent: u64,
    /// Datagrams handed out, repetitions included.
    pub delivered: u64,
    /// Datagrams that vanished by chance, by [`Link::drop_next`] or in a partition.
    pub lost: u64,
    /// Repetitions made.
    pub duplicated: u64,
    /// Datagrams held back so that others may overtake them.
    pub reordered: u64,
}

/// A path between one device and one server; `A` is an address of the caller's, e.g. for a device
/// that changes its port.
#[derive(Debug, Clone)]
pub struct Link<A = ()> {
    conditions: Conditions,
    chance: ChaCha8Rng,
    flights: BinaryHeap<Reverse<Flight<A>>>,
    departures: u64,
    to_server: Lane,
    to_device: Lane,
    stats: Stats,
}

impl Link<()> {
    /// A link with [`Conditions::LOSSY`]; the same seed gives the same mishaps.
    pub fn seeded(seed: u64) -> Self {
        Self::with_conditions(Conditions::LOSSY, seed)
    }

    /// A link that delivers everything once, in order and at once.
    pub fn perfect() -> Self {
        Self::with_conditions(Conditions::PERFECT, 0)
    }

    /// Puts a datagram on its way at time `now` in microseconds.
    pub fn send(&mut self, now: u64, direction: Direction, bytes: Vec<u8>) {
        self.send_as(now, direction, (), bytes);
    }

    /// The next datagram that has arrived by `now`, in order of arrival.
    pub fn poll(&mut self, now: u64) -> Option<(Direction, Vec<u8>)> {
        self.poll_parcel(now).map(|parcel| (parcel.direction, parcel.bytes))
    }
}

impl<A: Clone> Link<A> {
    /// A link of the given conditions; the same seed gives the same mishaps.
    pub fn with_conditions(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            chance: ChaCha8Rng::seed_from_u64(seed),
            flights: BinaryHeap::new(),
            departures: 0,
            to_server: Lane::default(),
            to_device: Lane::default(),
            stats: Stats::default(),
        }
    }

    /// Changes the conditions for what is sent from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Loses the next datagram of that direction; further calls lose further ones.
    pub fn drop_next(&mut self, direction: Direction) {
        self.drop_next_many(direction, 1);
    }

    /// Loses the next `count` datagrams of that direction.
    pub fn drop_next_many(&mut self, direction: Direction, count: u32) {
        let lane = self.lane(direction);
        lane.drops = lane.drops.saturating_add(count);
    }

    /// Delivers the next datagram of that direction twice.
    pub fn duplicate_next(&mut self, direction: Direction) {
        self.lane(direction).duplicate_next = true;
    }

    /// Delivers the next datagram of that direction late by `extra` microseconds, so others may
    /// overtake it.
    pub fn hold_next(&mut self, direction: Direction, extra: u64) {
        self.lane(direction).hold_next = Some(extra);
    }

    /// Loses everything sent in that direction until [`Link::heal`]; what is on its way arrives.
    pub fn cut(&mut self, direction: Direction) {
        self.lane(direction).cut = true;
    }

    /// Loses everything sent in either direction until [`Link::heal`].
    pub fn partition(&mut self) {
        self.cut(Direction::ToServer);
        self.cut(Direction::ToDevice);
    }

    /// Ends every cut.
    pub fn heal(&mut self) {
        self.to_server.cut = false;
        self.to_device.cut = false;
    }

    /// Puts a datagram with an address on its way at time `now` in microseconds.
    pub fn send_as(&mut self, now: u64, direction: Direction, address: A, bytes: Vec<u8>) {
        self.stats.sent += 1;
        let fate = self.draw_fate();
        let orders = self.lane(direction).take_orders();
        if fate.lost || orders.lost {
            self.stats.lost += 1;
            return;
        }
        if fate.repeated || orders.repeated {
            self.stats.duplicated += 1;
            let parcel = Parcel { direction, address: address.clone(), bytes: bytes.clone() };
            let at = self.arrival(now, direction, fate.repetition_jitter);
            self.depart(at, parcel);
        }
        let held_back = orders.held_back.unwrap_or(fate.held_back);
        self.stats.reordered += u64::from(held_back > 0);
        let at = self.arrival(now, direction, fate.jitter).saturating_add(held_back);
        self.depart(at, Parcel { direction, address, bytes });
    }

    /// The next datagram that has arrived by `now`, with its address, in order of arrival.
    pub fn poll_parcel(&mut self, now: u64) -> Option<Parcel<A>> {
        if self.next_at()? > now {
            return None;
        }
        self.stats.delivered += 1;
        self.flights.pop().map(|Reverse(flight)| flight.parcel)
    }

    /// When the next datagram arrives, in microseconds; `None` when nothing is on its way.
    pub fn next_at(&self) -> Option<u64> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    /// How many datagrams are on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// What the link has done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Draws the same count of numbers for each datagram, so that an explicit order or another
    /// chance does not shift the mishaps of the datagrams behind it.
    fn draw_fate(&mut self) -> Fate {
        let conditions = self.conditions;
        let held_back = conditions.held_back;
        Fate {
            lost: self.happens(conditions.loss),
            repeated: self.happens(conditions.duplication),
            held_back: if self.happens(conditions.reordering) { held_back } else { 0 },
            jitter: self.below(conditions.jitter),
            repetition_jitter: self.below(conditions.jitter),
        }
    }

    /// Arrival in order: jitter never lets a datagram overtake the one before it.
    fn arrival(&mut self, now: u64, direction: Direction, jitter: u64) -> u64 {
        let at = now.saturating_add(self.conditions.delay).saturating_add(jitter);
        let lane = self.lane(direction);
        lane.last_arrival = lane.last_arrival.max(at);
        lane.last_arrival
    }

    fn depart(&mut self, at: u64, parcel: Parcel<A>) {
        self.departures += 1;
        self.flights.push(Reverse(Flight { at, departure: self.departures, parcel }));
    }

    fn happens(&mut self, chance: Permille) -> bool {
        self.chance.next_u32() % 1000 < u32::from(chance.0)
    }

    /// A number of microseconds from 0 to `limit`, both included.
    fn below(&mut self, limit: u64) -> u64 {
        let drawn = self.chance.next_u64();
        limit.checked_add(1).map_or(drawn, |bound| drawn % bound)
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToDevice => &mut self.to_device,
        }
    }
}

/// What chance wants to happen to one datagram.
struct Fate {
    lost: bool,
    repeated: bool,
    held_back: u64,
    jitter: u64,
    repetition_jitter: u64,
}

/// What the caller ordered for one datagram.
struct Orders {
    lost: bool,
    repeated: bool,
    held_back: Option<u64>,
}

/// What is ordered for one direction.
#[derive(Debug, Clone, Default)]
struct Lane {
    drops: u32,
    duplicate_next: bool,
    hold_next: Option<u64>,
    cut: bool,
    last_arrival: u64,
}

impl Lane {
    /// A drop leaves the other orders to the next datagram that is not dropped.
    fn take_orders(&mut self) -> Orders {
        if self.cut || self.drops > 0 {
            self.drops = self.drops.saturating_sub(1);
            return Orders { lost: true, repeated: false, held_back: None };
        }
        let repeated = std::mem::take(&mut self.duplicate_next);
        Orders { lost: false, repeated, held_back: self.hold_next.take() }
    }
}

/// A datagram on its way; ordered by arrival, then by departure.
#[derive(Debug, Clone)]
struct Flight<A> {
    at: u64,
    departure: u64,
    parcel: Parcel<A>,
}

impl<A> PartialEq for Flight<A> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.departure) == (other.at, other.departure)
    }
}

impl<A> Eq for Flight<A> {}

impl<A> PartialOrd for Flight<A> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Flight<A> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.departure).cmp(&(other.at, other.departure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(link: &mut Link, until: u64) -> Vec<(Direction, Vec<u8>)> {
        std::iter::from_fn(|| link.poll(until)).collect()
    }

    fn run(seed: u64) -> (Vec<(u64, Direction, Vec<u8>)>, Stats) {
        let mut link = Link::seeded(seed);
        for number in 0..1000_u32 {
            let direction = if number % 2 == 0 { Direction::ToServer } else { Direction::ToDevice };
            link.send(u64::from(number) * 10_000, direction, number.to_be_bytes().to_vec());
        }
        let mut log = Vec::new();
        while let Some(at) = link.next_at() {
            let (direction, bytes) = link.poll(at).unwrap();
            log.push((at, direction, bytes));
        }
        (log, link.stats())
    }

    #[test]
    fn a_perfect_link_delivers_once_in_order_and_at_once() {
        let mut link = Link::perfect();
        for number in 0..100_u8 {
            link.send(5, Direction::ToServer, vec![number]);
        }
        let expected: Vec<_> = (0..100_u8).map(|n| (Direction::ToServer, vec![n])).collect();
        assert_eq!(arrivals(&mut link, 5), expected);
        assert_eq!(link.next_at(), None);
    }

    #[test]
    fn the_seed_decides_everything() {
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
    }

    #[test]
    fn a_lossy_link_does_what_its_conditions_say() {
        let (_, stats) = run(7);
        assert_eq!(stats.sent, 1000);
        assert!((60..140).contains(&stats.lost), "{stats:?}");
        assert!((20..80).contains(&stats.duplicated), "{stats:?}");
        assert!((60..140).contains(&stats.reordered), "{stats:?}");
        assert_eq!(stats.delivered, stats.sent - stats.lost + stats.duplicated);
    }

    #[test]
    fn nothing_arrives_before_its_delay() {
        let conditions = Conditions::PERFECT.with_delay(1_000, 500);
        let mut link = Link::with_conditions(conditions, 1);
        link.send(10, Direction::ToDevice, vec![1]);
        let at = link.next_at().unwrap();
        assert!((1_010..=1_510).contains(&at), "{at}");
        assert_eq!(link.poll(at - 1), None);
        assert_eq!(link.poll(at), Some((Direction::ToDevice, vec![1])));
    }

    #[test]
    fn jitter_alone_keeps_the_order() {
        let mut link = Link::with_conditions(Conditions::PERFECT.with_delay(0, 1_000_000), 3);
        for number in 0..200_u8 {
            link.send(u64::from(number), Direction::ToServer, vec![number]);
        }
        let order: Vec<u8> = arrivals(&mut link, u64::MAX).iter().map(|(_, b)| b[0]).collect();
        assert_eq!(order, (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn drop_next_concerns_one_datagram_of_one_direction() {
        let mut link = Link::perfect();
        link.drop_next(Direction::ToServer);
        link.send(0, Direction::ToDevice, vec![1]);
        link.send(0, Direction::ToServer, vec![2]);
        link.send(0, Direction::ToServer, vec![3]);
        assert_eq!(
            arrivals(&mut link, 0),
            [(Direction::ToDevice, vec![1]), (Direction::ToServer, vec![3])]
        );
    }

    #[test]
    fn an_explicit_drop_does_not_shift_later_mishaps() {
        let survivors = |drops: u32| -> Vec<u8> {
            let mut link = Link::seeded(11);
            link.drop_next_many(Direction::ToServer, drops);
            for number in 0..200_u8 {
                link.send(0, Direction::ToServer, vec![number]);
            }
            let mut numbers: Vec<u8> =
                arrivals(&mut link, u64::MAX).iter().map(|(_, bytes)| bytes[0]).collect();
            numbers.sort_unstable();
            numbers
        };
        let mut expected = survivors(0);
        expected.retain(|number| *number >= 20);
        assert_eq!(survivors(20), expected);
    }

    #[test]
    fn duplicate_next_and_hold_next_make_the_classic_mishaps() {
        let mut link = Link::perfect();
        link.duplicate_next(Direction::ToServer);
        link.send(0, Direction::ToServer, vec![1]);
        link.hold_next(Direction::ToServer, 10);
        link.send(0, Direction::ToServer, vec![2]);
        link.send(0, Direction::ToServer, vec![3]);
        let order: Vec<u8> = arrivals(&mut link, 10).iter().map(|(_, b)| b[0]).collect();
        assert_eq!(order, [1, 1, 3, 2]);
    }

    #[test]
    fn a_partition_loses_what_is_sent_in_it_and_heals() {
        let mut link = Link::with_conditions(Conditions::PERFECT.with_delay(100, 0), 0);
        link.send(0, Direction::ToServer, vec![1]);
        link.partition();
        link.send(1, Direction::ToServer, vec![2]);
        link.send(1, Direction::ToDevice, vec![3]);
        link.heal();
        link.send(2, Direction::ToDevice, vec![4]);
        let order: Vec<u8> = arrivals(&mut link, 200).iter().map(|(_, b)| b[0]).collect();
        assert_eq!(order, [1, 4]);
        assert_eq!(link.stats().lost, 2);
    }

    #[test]
    fn addresses_travel_with_their_datagrams() {
        let mut link: Link<u16> = Link::with_conditions(Conditions::PERFECT, 0);
        link.send_as(0, Direction::ToServer, 5001, vec![1]);
        link.send_as(0, Direction::ToServer, 5002, vec![2]);
        assert_eq!(link.poll_parcel(0).unwrap().address, 5001);
        assert_eq!(link.poll_parcel(0).unwrap().address, 5002);
    }

    #[test]
    fn times_at_the_end_of_the_clock_do_not_overflow() {
        let mut link = Link::with_conditions(Conditions::LOSSY.with_loss(Permille::NEVER), 0);
        link.send(u64::MAX, Direction::ToServer, vec![1]);
        assert_eq!(link.next_at(), Some(u64::MAX));
    }
}
