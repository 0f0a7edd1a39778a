//! What the subscriber counts: messages by kind, time on the way, gaps in numbered notifications.
//!
//! Nothing is parsed as JSON. The topic tells the kind; the few members that are looked at are
//! found by their name, since the payloads are those of a server that we started.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One notification out of so many is looked at for its time on the way: parsing each would cost
/// more than counting it.
const TIMED_ONE_IN: u64 = 8;

/// Times on the way above this are taken for values that are no clocks.
const ON_THE_WAY_MAX: Duration = Duration::from_secs(600);

/// A count of messages by kind; only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) register: u64,
    pub(crate) update: u64,
    pub(crate) notify: u64,
    pub(crate) response: u64,
    pub(crate) other: u64,
    pub(crate) bytes: u64,
    /// What the external broker says it has dropped.
    pub(crate) broker_dropped: u64,
}

impl Counts {
    /// Events of any kind.
    pub(crate) const fn all(&self) -> u64 {
        self.register + self.update + self.notify + self.response + self.other
    }
}

/// What became of numbered notifications, all devices together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Numbers that were passed over.
    pub(crate) missing: u64,
    /// Numbers that came again.
    pub(crate) repeated: u64,
    /// Numbers below the last one that had not been seen last.
    pub(crate) late: u64,
}

/// Quantiles of a span, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spans {
    pub(crate) count: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

/// Times in microseconds, within a thousandth, up to ten minutes.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        let most = ON_THE_WAY_MAX.as_micros() as u64;
        Self(Histogram::new_with_bounds(1, most, 3).expect("1 < most and 3 digits are allowed"))
    }

    pub(crate) fn record(&mut self, span: Duration) {
        self.0.saturating_record(span.as_micros() as u64);
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    pub(crate) fn spans(&self) -> Spans {
        Spans {
            count: self.0.len(),
            p50_us: self.0.value_at_quantile(0.5),
            p99_us: self.0.value_at_quantile(0.99),
            max_us: self.0.max(),
        }
    }
}

/// What a message is, by the last level of its topic; see [`crate::gateway`] for the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    Update,
    Notify,
    Response,
    BrokerDropped,
    Other,
}

impl Kind {
    pub(crate) fn of(topic: &[u8]) -> Self {
        let start = topic.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        match topic.get(start..).unwrap_or_default() {
            b"register" => Self::Register,
            b"update" => Self::Update,
            b"notify" => Self::Notify,
            b"resp" => Self::Response,
            b"dropped" if topic.starts_with(b"$SYS/") => Self::BrokerDropped,
            _ => Self::Other,
        }
    }
}

/// Whether the sequence numbers of notifications are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Order,
    Nothing,
}

/// Everything that is counted.
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) order: Order,
    pub(crate) on_the_way: Times,
    follow: Follow,
    /// The last sequence number of each device, by the number in its name.
    last: Vec<Option<u32>>,
}

impl Tally {
    pub(crate) fn new(follow: Follow) -> Self {
        Self {
            counts: Counts::default(),
            order: Order::default(),
            on_the_way: Times::new(),
            follow,
            last: Vec::new(),
        }
    }

    pub(crate) fn message(&mut self, kind: Kind, topic: &[u8], payload: &[u8]) {
        let counts = &mut self.counts;
        counts.bytes += payload.len() as u64;
        match kind {
            Kind::Register => counts.register += 1,
            Kind::Update => counts.update += 1,
            Kind::Response => counts.response += 1,
            Kind::Other => counts.other += 1,
            Kind::BrokerDropped => {
                counts.broker_dropped = whole_number(payload).unwrap_or(counts.broker_dropped);
            }
            Kind::Notify => {
                counts.notify += 1;
                self.notification(topic, payload);
            }
        }
    }

    fn notification(&mut self, topic: &[u8], payload: &[u8]) {
        if self.counts.notify.is_multiple_of(TIMED_ONE_IN)
            && let Some(span) = on_the_way(payload, SystemTime::now())
        {
            self.on_the_way.record(span);
        }
        if self.follow == Follow::Order
            && let Some(device) = device_number(topic)
            && let Some(number) = member(payload, b"\"seqNum\":").and_then(whole_number)
        {
            self.numbered(device, number as u32);
        }
    }

    fn numbered(&mut self, device: usize, number: u32) {
        if device >= self.last.len() {
            self.last.resize(device + 1, None);
        }
        let Some(place) = self.last.get_mut(device) else { return };
        match place.replace(number) {
            Some(last) if number == last => self.order.repeated += 1,
            Some(last) if number < last => self.order.late += 1,
            Some(last) => self.order.missing += u64::from(number - last - 1),
            None => {}
        }
    }
}

/// How long ago the clock stood at the value that was notified.
fn on_the_way(payload: &[u8], now: SystemTime) -> Option<Duration> {
    let value = member(payload, b"\"value\":")?;
    let length = value.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))?;
    let seconds: f64 = std::str::from_utf8(value.get(..length)?).ok()?.parse().ok()?;
    let now = now.duration_since(UNIX_EPOCH).ok()?;
    let span = now.as_secs_f64() - seconds;
    let believable = (0.0..ON_THE_WAY_MAX.as_secs_f64()).contains(&span);
    believable.then(|| Duration::from_secs_f64(span))
}

/// What stands behind a member's name.
pub(crate) fn member<'a>(payload: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = payload.windows(name.len()).position(|window| window == name)?;
    payload.get(at + name.len()..)
}

/// The number that a text begins with.
pub(crate) fn whole_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}

/// The number at the end of the endpoint name in `lwm2m/NAME/up/...`.
fn device_number(topic: &[u8]) -> Option<usize> {
    let name = topic.split(|byte| *byte == b'/').nth(1)?;
    let digits = name.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    whole_number(name.get(digits..)?).map(|number| number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &[u8] = b"lwm2m/sim-7/up/notify";

    fn payload(seq: u32) -> Vec<u8> {
        format!("{{\"reqID\":1,\"msgType\":\"notify\",\"seqNum\":{seq},\"data\":{{}}}}")
            .into_bytes()
    }

    #[test]
    fn messages_are_told_by_the_end_of_their_topic() {
        for (topic, kind) in [
            ("lwm2m/a/up/register", Kind::Register),
            ("lwm2m/a/up/update", Kind::Update),
            ("lwm2m/a/up/notify", Kind::Notify),
            ("lwm2m/a/up/resp", Kind::Response),
            ("$SYS/broker/publish/messages/dropped", Kind::BrokerDropped),
            ("dropped", Kind::Other),
        ] {
            assert_eq!(Kind::of(topic.as_bytes()), kind, "{topic}");
        }
    }

    #[test]
    fn gaps_repetitions_and_late_numbers_are_counted_per_device() {
        let mut tally = Tally::new(Follow::Order);
        for seq in [3, 4, 4, 7, 6] {
            tally.message(Kind::Notify, NOTIFY, &payload(seq));
        }
        tally.message(Kind::Notify, b"lwm2m/sim-8/up/notify", &payload(90));
        assert_eq!(tally.order, Order { missing: 2, repeated: 1, late: 1 });
        assert_eq!(tally.counts.notify, 6);
    }

    #[test]
    fn the_time_on_the_way_is_that_since_the_clock_in_the_value() {
        let sent = UNIX_EPOCH + Duration::from_micros(1_764_000_000_250_000);
        let payload = b"{\"content\":[{\"path\":\"/3303/0/5700\",\"value\":1764000000.25}]}";
        let span = on_the_way(payload, sent + Duration::from_micros(1500)).unwrap();
        assert!(span.abs_diff(Duration::from_micros(1500)) < Duration::from_micros(2), "{span:?}");
        assert_eq!(on_the_way(b"{\"value\":21.5}", sent), None);
        assert_eq!(on_the_way(b"{\"value\":\"text\"}", sent), None);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut times = Times::new();
        assert_eq!(times.spans(), Spans::default());
        for micros in 1..=1000 {
            times.record(Duration::from_micros(micros));
        }
        let spans = times.spans();
        assert_eq!((spans.count, spans.p50_us, spans.p99_us), (1000, 500, 990));
        assert_eq!(spans.max_us, 1000);
        times.clear();
        assert_eq!(times.spans().count, 0);
    }
}
