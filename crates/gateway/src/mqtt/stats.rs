//! Counters of the MQTT side, written by its tasks and read at scrape time.
//!
//! Levels of the queues are in [`crate::outbox::Level`]; rendering is the job of the metrics page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counters, each only ever growing.
        #[derive(Debug, Default)]
        pub struct MqttStats {
            connected: AtomicBool,
            $($(#[$doc])* pub $name: AtomicU64,)+
        }

        /// [`MqttStats`] at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct MqttStatsSnapshot {
            /// Whether a broker takes messages now.
            pub connected: bool,
            $($(#[$doc])* pub $name: u64,)+
        }

        impl MqttStats {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> MqttStatsSnapshot {
                MqttStatsSnapshot {
                    connected: self.connected.load(Ordering::Relaxed),
                    $($name: self.$name.load(Ordering::Relaxed),)+
                }
            }
        }

        impl MqttStatsSnapshot {
            /// The counters by name, in a fixed order.
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// Messages for which the broker took responsibility.
    published,
    /// Payload bytes of the same.
    published_bytes,
    /// Messages that the broker refused with a reason code.
    refused,
    /// Messages above the broker's maximum packet size.
    too_large,
    /// Messages sent again after a lost connection or session.
    resent,
    /// Messages that reached us.
    received,
    /// Payload bytes of the same.
    received_bytes,
    /// Repetitions of a message already taken, dropped.
    duplicates,
    /// Messages to us above the packet limit or with a malformed property, refused.
    malformed,
    /// Connections to the external broker, or of clients to the embedded one.
    connects,
    /// Connections that ended, for whatever reason.
    disconnects,
    /// Attempts to connect that failed.
    connect_errors,
    /// Messages that the embedded broker dropped because a subscriber was too slow or away.
    subscriber_drops,
}

impl MqttStats {
    /// Adds one.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `n`.
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}
