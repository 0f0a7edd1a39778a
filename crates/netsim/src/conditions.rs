//! How bad a link is: chances and times.
//!
//! Applying them to datagrams is the job of [`crate::Link`].

/// A chance in thousandths; above 1000 is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Permille(pub u16);

impl Permille {
    /// Never happens.
    pub const NEVER: Self = Self(0);
    /// Always happens.
    pub const ALWAYS: Self = Self(1000);
}

/// What a [`crate::Link`] does to the datagrams of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Chance that a datagram vanishes.
    pub loss: Permille,
    /// Chance that a datagram arrives a second time, after a delay of its own.
    pub duplication: Permille,
    /// Chance that a datagram is held back by [`Conditions::held_back`], so later ones overtake it.
    pub reordering: Permille,
    /// Time on the way in microseconds.
    pub delay: u64,
    /// Largest addition to the delay in microseconds; it alone never changes the order.
    pub jitter: u64,
    /// By how much a reordered datagram is late, in microseconds.
    pub held_back: u64,
}

impl Conditions {
    /// Nothing is lost, everything arrives at once.
    pub const PERFECT: Self = Self {
        loss: Permille::NEVER,
        duplication: Permille::NEVER,
        reordering: Permille::NEVER,
        delay: 0,
        jitter: 0,
        held_back: 0,
    };

    /// A bad cellular uplink: 10 % lost, 5 % repeated, 10 % overtaken, 30 to 50 ms on the way.
    ///
    /// An overtaken datagram is 300 ms late: more than one turn of both sides, yet below the 2 s
    /// after which RFC 7252 4.8 lets a sender repeat itself.
    pub const LOSSY: Self = Self {
        loss: Permille(100),
        duplication: Permille(50),
        reordering: Permille(100),
        delay: 30_000,
        jitter: 20_000,
        held_back: 300_000,
    };

    /// These conditions with another loss.
    pub const fn with_loss(self, loss: Permille) -> Self {
        Self { loss, ..self }
    }

    /// These conditions with another delay and jitter, both in microseconds.
    pub const fn with_delay(self, delay: u64, jitter: u64) -> Self {
        Self { delay, jitter, ..self }
    }
}
