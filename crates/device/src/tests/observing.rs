//! Observe, notifications, attributes, cancellation.

use coap::{Code, Type};
use lwm2m::Value;

use super::{Lab, ask, get, path, profile, put};
use crate::{Event, InstanceNotifications, ObservationEnd, Profile, Reliability};

const TEMPERATURE: &str = "/3303/0/5700";

fn confirmable() -> Profile {
    Profile { notifications: Reliability::Confirmable, ..profile() }
}

fn observing(profile: Profile) -> Lab {
    let mut lab = Lab::registered(profile);
    let answer = lab.ask(get(TEMPERATURE).accept(0).observe(0).token(b"tok1"));
    assert_eq!((answer.code, answer.observe(), answer.text()), {
        (Code::CONTENT, Some(0), "21.5".to_owned())
    });
    lab.events();
    lab
}

fn celsius(degrees: f64) -> Value {
    Value::Float(degrees)
}

#[test]
fn changes_are_told_with_numbers_from_one_counter_that_begins_at_zero() {
    let mut lab = observing(profile());
    let second = lab.ask(get("/3/0/9").observe(0).token(b"tok2"));
    assert_eq!(second.observe(), Some(1));
    lab.set(TEMPERATURE, celsius(22.0));
    let told = lab.one();
    assert_eq!((told.kind, told.code), (Type::NonConfirmable, Code::CONTENT));
    assert_eq!((told.token.as_bytes(), told.observe()), (&b"tok1"[..], Some(2)));
    assert_eq!((told.format(), told.text()), (Some(0), "22".to_owned()));
    lab.set("/3/0/9", Value::Integer(99));
    assert_eq!(lab.one().observe(), Some(3));
    lab.set("/3/0/10", Value::Integer(1));
    lab.nothing();
}

#[test]
fn the_first_number_may_be_another() {
    let mut lab = Lab::registered(Profile::like_node_lib(super::models()));
    assert_eq!(lab.ask(get("/3/0/9").observe(0)).observe(), Some(1));
}

#[test]
fn an_observation_ends_by_observe_1_with_its_token_only() {
    let mut lab = observing(profile());
    let stranger = lab.ask(get(TEMPERATURE).accept(0).observe(1).token(b"other"));
    assert_eq!((stranger.code, stranger.observe()), (Code::CONTENT, None));
    assert_eq!(lab.device.observation_count(), 1);
    let answer = lab.ask(get(TEMPERATURE).accept(0).observe(1).token(b"tok1"));
    assert_eq!((answer.code, answer.observe()), (Code::CONTENT, None));
    assert_eq!(lab.device.observation_count(), 0);
    lab.set(TEMPERATURE, celsius(30.0));
    lab.nothing();
}

#[test]
fn a_reset_ends_the_observation_in_both_message_types() {
    for profile in [profile(), confirmable()] {
        let mut lab = observing(profile);
        lab.set(TEMPERATURE, celsius(22.0));
        let told = lab.one();
        lab.empty(Type::Reset, &told);
        let reason = ObservationEnd::Reset;
        let ended = Event::ObservationEnded { path: path(TEMPERATURE), reason };
        assert_eq!(lab.events().last(), Some(&ended));
        lab.set(TEMPERATURE, celsius(23.0));
        lab.nothing();
    }
}

#[test]
fn a_confirmable_notification_is_repeated_and_the_next_one_waits() {
    let mut lab = observing(confirmable());
    lab.set(TEMPERATURE, celsius(22.0));
    let told = lab.one();
    assert_eq!(told.kind, Type::Confirmable);
    lab.set(TEMPERATURE, celsius(23.0));
    lab.set(TEMPERATURE, celsius(24.0));
    lab.nothing();
    lab.pass_secs(4);
    assert_eq!(lab.one(), told, "the very same message again");
    lab.empty(Type::Acknowledgement, &told);
    let next = lab.one();
    assert_eq!((next.observe(), next.text()), (Some(2), "24".to_owned()));
}

/// Fact 31: without an acknowledgement the observation is dropped after MAX_RETRANSMIT.
#[test]
fn an_unacknowledged_notification_ends_its_observation() {
    let mut profile = confirmable();
    profile.lifetime = Some(86_400);
    let mut lab = observing(profile);
    lab.set(TEMPERATURE, celsius(22.0));
    lab.pass_secs(100);
    assert_eq!(lab.transmits().len(), 5);
    assert_eq!(lab.device.observation_count(), 0);
}

/// Fact 31: a NON-only device confirms at least every 24 hours.
#[test]
fn once_a_day_a_notification_is_confirmable() {
    let mut profile = profile();
    profile.lifetime = Some(864_000);
    let mut lab = observing(profile);
    lab.pass_secs(24 * 3600);
    lab.set(TEMPERATURE, celsius(22.0));
    let told = lab.one();
    assert_eq!(told.kind, Type::Confirmable);
    lab.empty(Type::Acknowledgement, &told);
    lab.set(TEMPERATURE, celsius(23.0));
    assert_eq!(lab.one().kind, Type::NonConfirmable);
}

#[test]
fn pmin_delays_and_pmax_repeats() {
    let mut lab = observing(profile());
    lab.ask(put(&format!("{TEMPERATURE}?pmin=10&pmax=30")));
    lab.set(TEMPERATURE, celsius(22.0));
    lab.set(TEMPERATURE, celsius(23.0));
    lab.nothing();
    lab.pass_secs(9);
    lab.nothing();
    lab.pass_secs(1);
    assert_eq!(lab.one().text(), "23");
    lab.pass_secs(29);
    lab.nothing();
    lab.pass_secs(1);
    assert_eq!(lab.one().text(), "23", "pmax tells an unchanged value");
}

/// Fact 71: pmax below pmin is ignored.
#[test]
fn a_pmax_below_pmin_is_ignored() {
    let mut lab = observing(profile());
    assert_eq!(lab.ask(put(&format!("{TEMPERATURE}?pmin=20&pmax=5"))).code, Code::CHANGED);
    lab.pass_secs(100);
    lab.nothing();
}

#[test]
fn thresholds_and_steps_hold_changes_back() {
    let mut lab = observing(profile());
    lab.ask(put(&format!("{TEMPERATURE}?gt=30&lt=10&st=5")));
    for (degrees, told) in [
        (22.0, false),
        (26.4, false),
        // A step of 5 from 21.5, the value last told.
        (26.5, true),
        (29.0, false),
        // Above gt.
        (30.5, true),
        (31.0, false),
        // Below gt again.
        (29.5, true),
    ] {
        lab.set(TEMPERATURE, celsius(degrees));
        assert_eq!(lab.transmits().len(), usize::from(told), "{degrees}");
    }
}

#[test]
fn the_default_periods_of_the_server_object_hold() {
    let mut lab = observing(profile());
    assert_eq!(lab.ask(put("/1/0/2").with(0, "5")).code, Code::CHANGED);
    lab.set(TEMPERATURE, celsius(22.0));
    lab.nothing();
    lab.pass_secs(5);
    assert_eq!(lab.one().text(), "22");
}

#[test]
fn an_instance_is_told_whole_or_only_what_changed() {
    for (mode, whole) in
        [(InstanceNotifications::Whole, true), (InstanceNotifications::Changed, false)]
    {
        let profile = Profile { instance_notifications: mode, ..profile() };
        let mut lab = Lab::registered(profile);
        lab.ask(get("/3303/0").accept(110).observe(0));
        lab.set(TEMPERATURE, celsius(22.0));
        let text = lab.one().text();
        assert!(text.contains("22"), "{text}");
        assert_eq!(text.contains("Cel"), whole, "{text}");
    }
}

/// Fact 60: a notification in SenML may say the time of its values.
#[test]
fn a_client_with_a_clock_states_the_time_of_its_values() {
    let anjay =
        Profile { epoch_ms: Some(1_600_000_000_000), ..Profile::like_anjay(super::models()) };
    let mut lab = Lab::registered(anjay);
    let answer = lab.ask(get("/3303/0").accept(110).observe(0));
    assert!(!answer.text().contains("1600000001"), "{}", answer.text());
    lab.set(TEMPERATURE, celsius(22.0));
    let text = lab.one().text();
    assert!(text.contains("1600000001"), "{text}");
}

/// Fact 32: an error code in a notification ends the observation.
#[test]
fn the_deletion_of_what_is_observed_is_told_by_an_error() {
    let mut lab = observing(profile());
    assert_eq!(lab.ask(ask(Code::DELETE, "/3303/0")).code, Code::DELETED);
    let sent = lab.transmits();
    let told = sent.iter().find(|message| message.token.as_bytes() == b"tok1").unwrap();
    assert_eq!((told.code, told.observe()), (Code::NOT_FOUND, None));
    assert_eq!(lab.device.observation_count(), 0);
}

/// Fact 66: the answer of a composite observation always carries the full set.
#[test]
fn a_composite_observation_tells_the_full_set() {
    let mut lab = Lab::registered(profile());
    let paths = r#"[{"n":"/3303/0/5700"},{"n":"/3/0/9"}]"#;
    let observe = ask(Code::FETCH, "/").with(110, paths).accept(110).observe(0);
    assert_eq!(lab.ask(observe.clone()).observe(), Some(0));
    lab.set("/3/0/9", Value::Integer(42));
    let text = lab.one().text();
    assert!(text.contains("42") && text.contains("21.5"), "{text}");
    let mut cancel = observe;
    cancel.options.replace_uint(coap::OptionNumber::OBSERVE, 1);
    lab.ask(cancel);
    assert_eq!(lab.device.observation_count(), 0);
}

#[test]
fn the_same_token_again_is_the_same_observation() {
    let mut lab = observing(profile());
    lab.ask(get(TEMPERATURE).accept(0).observe(0).token(b"tok1"));
    assert_eq!(lab.device.observation_count(), 1);
    lab.set(TEMPERATURE, celsius(22.0));
    assert_eq!(lab.one().observe(), Some(2));
}

#[test]
fn observations_are_bounded() {
    let mut lab = Lab::registered(profile());
    for number in 0..100_u8 {
        let answer = lab.ask(get(TEMPERATURE).observe(0).token(&[number]));
        assert_eq!(answer.code, Code::CONTENT);
        assert_eq!(answer.observe().is_some(), number < 64);
    }
}

/// Fact 9: a registration begins without observations, on the device too.
#[test]
fn a_new_registration_ends_the_observations() {
    let mut lab = observing(profile());
    lab.device.register(lab.now);
    assert_eq!(lab.device.observation_count(), 0);
    let register = lab.one();
    // Observed before the 2.01 arrives: that is one of the new registration.
    lab.ask(get(TEMPERATURE).observe(0));
    lab.answer(&register, super::created());
    assert_eq!(lab.device.observation_count(), 1);
}
