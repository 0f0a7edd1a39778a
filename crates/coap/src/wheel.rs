//! A hierarchical timing wheel: many deadlines, each set in constant time and never fired early.
//!
//! A wheel keeps keys, not actions, and has no way to take one back: owners keep their current
//! deadline with their state and ignore a key that is out of date. Ticks are 2^13 µs (8.192 ms);
//! nine levels of 64 places cover every [`Instant`], so that there is no horizon. An entry takes
//! 8 bytes for its deadline, 4 for its link and the key: 24 with a key of up to 12 bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::time::Instant;

/// Deadlines with a key each, polled in the order of their ticks.
#[derive(Debug)]
pub struct TimerWheel<K> {
    /// The tick up to which everything is done.
    elapsed: u64,
    levels: [Level; LEVELS],
    /// First entry of the list that has fallen due, or [`NIL`].
    due: u32,
    /// First free entry, or [`NIL`].
    free: u32,
    entries: Vec<Entry<K>>,
    len: usize,
}

/// One level: 64 lists and which of them are in use. Made when first needed, since most wheels of
/// a fleet of small endpoints use two or three.
#[derive(Debug, Default)]
struct Level {
    occupied: u64,
    heads: Option<Box<[u32; PLACES]>>,
}

/// The tick in two halves, so that the entry is aligned to four bytes.
#[derive(Debug)]
struct Entry<K> {
    tick_high: u32,
    tick_low: u32,
    next: u32,
    key: K,
}

impl<K: Copy> Default for TimerWheel<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy> TimerWheel<K> {
    /// An empty wheel.
    pub const fn new() -> Self {
        Self {
            elapsed: 0,
            levels: [const { Level { occupied: 0, heads: None } }; LEVELS],
            due: NIL,
            free: NIL,
            entries: Vec::new(),
            len: 0,
        }
    }

    /// An empty wheel with room for that many deadlines.
    pub fn with_capacity(deadlines: usize) -> Self {
        Self { entries: Vec::with_capacity(deadlines), ..Self::new() }
    }

    /// Number of deadlines that have not been polled.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no deadline is set.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hands `key` out at the first poll that is not before `at`.
    pub fn schedule(&mut self, at: Instant, key: K) {
        let tick = at.as_micros().div_ceil(TICK_MICROS);
        let Some(index) = self.allocate(tick, key) else {
            debug_assert!(false, "more than 2^32 deadlines");
            return;
        };
        self.len += 1;
        self.place(index, tick);
    }

    /// The next key whose deadline is not after `now`; keys come in the order of their ticks.
    pub fn poll_expired(&mut self, now: Instant) -> Option<K> {
        let now = now.as_micros() / TICK_MICROS;
        loop {
            if self.due != NIL {
                return self.take_due();
            }
            match self.next_place() {
                Some(place) if place.tick <= now => self.open(place),
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return None;
                }
            }
        }
    }

    /// When to poll next: never after the earliest deadline's tick, perhaps before it, when a list
    /// of far deadlines has to be sorted into nearer ones.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.due != NIL {
            return Some(Instant::from_micros(self.elapsed.saturating_mul(TICK_MICROS)));
        }
        let place = self.next_place()?;
        Some(Instant::from_micros(place.tick.saturating_mul(TICK_MICROS)))
    }

    fn allocate(&mut self, tick: u64, key: K) -> Option<u32> {
        let entry = Entry { tick_high: (tick >> 32) as u32, tick_low: tick as u32, next: NIL, key };
        if let Some(slot) = self.entries.get_mut(self.free as usize) {
            let index = self.free;
            self.free = slot.next;
            *slot = entry;
            return Some(index);
        }
        let len = self.entries.len();
        let index = u32::try_from(len).ok().filter(|&index| index != NIL)?;
        if len == self.entries.capacity() && len >= GROWTH_SMALL {
            // Doubling would cost a wheel of a million deadlines as much again for a few more.
            self.entries.reserve_exact(len / 8);
        }
        self.entries.push(entry);
        Some(index)
    }

    /// Links an entry into the list of its tick, or into the due one.
    fn place(&mut self, index: u32, tick: u64) {
        let head = if tick <= self.elapsed {
            &mut self.due
        } else {
            // The highest bit in which the two ticks differ decides the level.
            let level = (tick ^ self.elapsed).ilog2() / PLACE_BITS;
            let place = (tick >> (level * PLACE_BITS)) as usize % PLACES;
            let Some(level) = self.levels.get_mut(level as usize) else {
                return;
            };
            level.occupied |= 1 << place;
            let heads = level.heads.get_or_insert_with(|| Box::new([NIL; PLACES]));
            let Some(head) = heads.get_mut(place) else {
                return;
            };
            head
        };
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.next = *head;
            *head = index;
        }
    }

    /// The list that comes first. Lists of a lower level all lie before those of a higher one.
    fn next_place(&self) -> Option<Place> {
        let (level, found) =
            self.levels.iter().enumerate().find(|(_, level)| level.occupied != 0)?;
        let index = found.occupied.trailing_zeros();
        let shift = level as u32 * PLACE_BITS;
        let above = self.elapsed.checked_shr(shift + PLACE_BITS).unwrap_or(0);
        let base = above.checked_shl(shift + PLACE_BITS).unwrap_or(0);
        Some(Place { level, index: index as usize, tick: base + (u64::from(index) << shift) })
    }

    /// Moves on to a list and deals its entries out: to nearer lists, or to the due one.
    fn open(&mut self, place: Place) {
        self.elapsed = place.tick;
        let Some(level) = self.levels.get_mut(place.level) else {
            return;
        };
        level.occupied &= !(1 << place.index);
        let head = level.heads.as_mut().and_then(|heads| heads.get_mut(place.index));
        let mut index = head.map_or(NIL, |head| core::mem::replace(head, NIL));
        while let Some(entry) = self.entries.get(index as usize) {
            let (next, tick) = (entry.next, entry.tick());
            self.place(index, tick);
            index = next;
        }
    }

    fn take_due(&mut self) -> Option<K> {
        let index = self.due;
        let entry = self.entries.get_mut(index as usize)?;
        let key = entry.key;
        self.due = entry.next;
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        self.shrink();
        Some(key)
    }

    /// Gives memory back once nothing is left: a burst of deadlines must not be paid for ever.
    fn shrink(&mut self) {
        if self.len == 0 && self.entries.capacity() > KEPT_ENTRIES {
            self.entries = Vec::new();
            self.free = NIL;
            self.due = NIL;
        }
    }
}

impl<K> Entry<K> {
    const fn tick(&self) -> u64 {
        (self.tick_high as u64) << 32 | self.tick_low as u64
    }
}

struct Place {
    level: usize,
    index: usize,
    tick: u64,
}

/// No entry.
const NIL: u32 = u32::MAX;

/// 8.192 ms: fine enough for a protocol of seconds, and a division that is a shift.
const TICK_MICROS: u64 = 1 << 13;

/// Places of a level, one bit each of a 64-bit word.
const PLACES: usize = 64;
const PLACE_BITS: u32 = 6;

/// 9 levels of 6 bits: more than the 51 bits of the largest tick.
const LEVELS: usize = 9;

/// From so many entries on the wheel grows by an eighth: 24 KiB at most.
const GROWTH_SMALL: usize = 1024;

/// Entries that an idle wheel keeps: 6 KiB at most.
const KEPT_ENTRIES: usize = 256;

#[cfg(test)]
mod tests;
