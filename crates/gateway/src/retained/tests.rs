use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::mqtt::Qos;

const NOW: Instant = Instant::from_micros(1_000_000);
const LIMITS: RetainedLimits = RetainedLimits { entries: 3, bytes: 1 << 16 };

fn name(text: &str) -> EndpointName {
    EndpointName::parse(text).unwrap()
}

fn incoming(topic: &str, payload: &str) -> Incoming {
    Incoming {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos: Qos::AtLeastOnce,
        retained: true,
        dup: false,
        response_topic: None,
        correlation: None,
        expiry: None,
    }
}

/// A cache, and messages on `lwm2m/NAME/dn/...` for it.
struct Bench(RetainedCommands);

impl Bench {
    fn new() -> Self {
        Self(RetainedCommands::new(LIMITS))
    }

    fn take(&self, topic: &str, payload: &str) -> Taken {
        self.take_message(&incoming(topic, payload), None)
    }

    fn take_message(&self, incoming: &Incoming, home: Option<RegistrationId>) -> Taken {
        let device = name(incoming.topic.split('/').nth(1).unwrap());
        let candidate = Candidate { incoming, names: vec![device], usable: true };
        self.0.take(candidate, NOW, |_| home)
    }

    /// The payloads that a device gets.
    fn given(&self, device: &str, occasion: Occasion, now: Instant) -> Vec<String> {
        let given = self.0.hand_out(&name(device), occasion, now);
        given.iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
    }

    fn given_at_register(&self, device: &str) -> Vec<String> {
        self.given(device, Occasion::Register(RegistrationId::new(0, 1)), NOW)
    }
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

#[test]
fn a_device_gets_what_was_kept_for_it_in_order_each_time_it_registers() {
    let bench = Bench::new();
    for (topic, payload) in [("lwm2m/a/dn/2", "1st"), ("lwm2m/a/dn/1", "2nd"), ("lwm2m/b/dn", "b")]
    {
        assert_eq!(bench.take(topic, payload), Taken::New);
    }
    assert_eq!(bench.given_at_register("a"), ["1st", "2nd"]);
    assert_eq!(bench.given_at_register("a"), ["1st", "2nd"]);
    assert_eq!(bench.given_at_register("c"), [""; 0]);
}

#[test]
fn a_later_message_on_a_topic_takes_the_place_of_the_former_and_an_empty_one_removes_it() {
    let bench = Bench::new();
    bench.take("lwm2m/a/dn", "old");
    bench.take("lwm2m/a/dn", "new");
    assert_eq!(bench.given_at_register("a"), ["new"]);
    bench.0.remove("lwm2m/a/dn");
    assert_eq!(bench.given_at_register("a"), [""; 0]);
    assert_eq!(bench.0.level(), (0, 0));
    assert!(bench.0.kept.lock().by_name.is_empty());
}

#[test]
fn what_a_registered_device_was_given_live_is_not_given_again_to_the_same_registration() {
    let bench = Bench::new();
    let registration = RegistrationId::new(0, 1);
    bench.take_message(&incoming("lwm2m/a/dn", "x"), Some(registration));
    assert_eq!(bench.given_at_register("a"), [""; 0]);
    let next = Occasion::Register(RegistrationId::new(0, 2));
    assert_eq!(bench.given("a", next, NOW), ["x"]);
    assert_eq!(bench.given("a", Occasion::Update, NOW), ["x"]);
}

#[test]
fn what_the_broker_repeats_is_told_by_its_content_once() {
    let bench = Bench::new();
    bench.take("lwm2m/a/dn", "x");
    assert_eq!(bench.take("lwm2m/a/dn", "x"), Taken::New, "published again");
    bench.0.await_again(&[filter("lwm2m/+/dn/#")]);
    assert_eq!(bench.take("lwm2m/a/dn", "x"), Taken::Repeated);
    assert_eq!(bench.take("lwm2m/a/dn", "x"), Taken::New, "published again");
    bench.0.await_again(&[filter("lwm2m/+/dn/#")]);
    assert_eq!(bench.take("lwm2m/a/dn", "y"), Taken::New, "changed while we were away");
}

#[test]
fn what_the_broker_does_not_repeat_is_gone() {
    let bench = Bench::new();
    bench.take("lwm2m/a/dn", "a");
    bench.take("lwm2m/b/dn", "b");
    bench.take("other/c/dn", "c");
    bench.0.await_again(&[filter("lwm2m/+/dn/#")]);
    bench.take("lwm2m/b/dn", "b");
    bench.0.end_of_repetition();
    assert_eq!(bench.given_at_register("a"), [""; 0]);
    assert_eq!(bench.given_at_register("b"), ["b"]);
    assert_eq!(bench.given_at_register("c"), ["c"]);
}

#[test]
fn what_no_filter_matches_any_more_is_forgotten() {
    let bench = Bench::new();
    bench.take("lwm2m/a/dn", "a");
    bench.take("other/b/dn", "b");
    bench.0.keep_matching(&[filter("other/+/dn")]);
    assert_eq!((bench.given_at_register("a").len(), bench.given_at_register("b").len()), (0, 1));
}

#[test]
fn an_expiry_goes_on_while_a_command_is_kept() {
    let bench = Bench::new();
    let expiry = Some(Duration::from_secs(10));
    let message = Incoming { expiry, ..incoming("lwm2m/a/dn", "x") };
    bench.take_message(&message, None);
    let register = Occasion::Register(RegistrationId::new(0, 1));
    let after = |seconds| NOW + Duration::from_secs(seconds);
    let given = bench.0.hand_out(&name("a"), register, after(4));
    assert_eq!(given[0].expiry, Some(Duration::from_secs(6)));
    assert_eq!(bench.given("a", register, after(10)), [""; 0]);
    assert_eq!(bench.0.level().0, 0);
}

#[test]
fn both_bounds_hold_and_expired_commands_make_room() {
    let bench = Bench::new();
    for number in 0..LIMITS.entries {
        let expiry = (number == 0).then(|| Duration::from_secs(1));
        let topic = format!("lwm2m/{number}/dn");
        bench.take_message(&Incoming { expiry, ..incoming(&topic, "x") }, None);
    }
    assert_eq!(bench.take("lwm2m/more/dn", "x"), Taken::Full);
    assert_eq!(bench.take("lwm2m/1/dn", "y"), Taken::New, "in the place of the former");
    let more = incoming("lwm2m/more/dn", "x");
    let candidate = Candidate { incoming: &more, names: vec![name("more")], usable: true };
    assert_eq!(bench.0.take(candidate, NOW + Duration::from_secs(1), |_| None), Taken::New);
    let bench = Bench::new();
    assert_eq!(bench.take("lwm2m/a/dn", &"x".repeat(LIMITS.bytes)), Taken::Full);
    let off = RetainedCommands::new(RetainedLimits { entries: 0, ..LIMITS });
    assert_eq!(Bench(off).take("lwm2m/a/dn", "x"), Taken::Full);
}

#[test]
fn what_is_no_command_is_remembered_but_not_given() {
    let bench = Bench::new();
    let nonsense = incoming("lwm2m/a/dn", "nonsense");
    let candidate = || Candidate { incoming: &nonsense, names: vec![name("a")], usable: false };
    bench.0.take(candidate(), NOW, |_| None);
    assert_eq!(bench.given_at_register("a"), [""; 0]);
    bench.0.await_again(&[filter("#")]);
    assert_eq!(bench.0.take(candidate(), NOW, |_| None), Taken::Repeated);
}
