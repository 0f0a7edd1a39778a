//! A queue between one producer and one consumer: a ring, and what does not fit into it.
//!
//! The ring allocates nothing; the overflow has no bound, which those who push have to have.

use crossbeam_queue::{ArrayQueue, SegQueue};

/// First in, first out, with one thread at each end.
#[derive(Debug)]
pub(super) struct Line<T> {
    ring: ArrayQueue<T>,
    /// Everything in it is younger than everything in the ring.
    overflow: SegQueue<T>,
}

impl<T> Line<T> {
    /// `ring` is how many find room without an allocation, at least one.
    pub(super) fn new(ring: usize) -> Self {
        Self { ring: ArrayQueue::new(ring), overflow: SegQueue::new() }
    }

    /// For the producer. Nothing goes into the ring as long as the overflow holds something older.
    pub(super) fn push(&self, item: T) {
        let rest = match self.overflow.is_empty() {
            true => self.ring.push(item).err(),
            false => Some(item),
        };
        if let Some(item) = rest {
            self.overflow.push(item);
        }
    }

    /// For the consumer.
    pub(super) fn pop(&self) -> Option<T> {
        if let Some(item) = self.ring.pop() {
            return Some(item);
        }
        if self.overflow.is_empty() {
            return None;
        }
        // The ring may have been filled between the two looks; from now on it is not until the
        // overflow is empty.
        self.ring.pop().or_else(|| self.overflow.pop())
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.overflow.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_holds_whatever_the_ring_has_room_for() {
        let line = Line::new(2);
        let (mut pushed, mut popped) = (0, 0);
        // Runs over, is emptied in part, and runs over again.
        for (push, pop) in [(1, 1), (5, 2), (3, 1), (0, 5), (4, 4), (7, 7)] {
            for _ in 0..push {
                line.push(pushed);
                pushed += 1;
            }
            for _ in 0..pop {
                assert_eq!(line.pop(), Some(popped));
                popped += 1;
            }
        }
        assert!(line.is_empty());
        assert_eq!(line.pop(), None);
    }

    #[test]
    fn the_order_holds_between_threads() {
        const COUNT: u32 = 200_000;
        let line = Line::new(3);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COUNT).for_each(|number| line.push(number)));
            let mut next = 0;
            while next < COUNT {
                match line.pop() {
                    Some(number) => {
                        assert_eq!(number, next);
                        next += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
    }
}
