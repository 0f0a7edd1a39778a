//! Lifetimes, late devices and expiry: OMA Core 6.2.

use coap::{Code, Duration, Instant};

use super::rig::{Msg, Rig, peer, read};
use crate::{CommandError, Event, Profile, Settings};

fn settings() -> Settings {
    Settings { expiry_grace: Duration::from_secs(30), ..Settings::default() }
}

/// Fact 7: "late" is told at the end of the lifetime, "expired" at the end of the grace.
#[test]
fn a_silent_device_is_late_before_it_expires() {
    let mut rig = Rig::new(settings());
    let location = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.events.clear();
    rig.secs(59);
    assert!(rig.take_names().is_empty());
    rig.secs(2);
    assert_eq!(rig.take_names(), ["late"]);
    rig.secs(28);
    assert!(rig.take_names().is_empty());
    rig.secs(2);
    assert_eq!(rig.take_names(), ["expired"]);
    assert_eq!(rig.server.registrations(), 0);
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &update).code, Code::NOT_FOUND);
}

/// Fact 7: an Update within the grace is welcome, and the lifetime starts again.
#[test]
fn a_late_update_keeps_the_device_registered() {
    let mut rig = Rig::new(settings());
    let location = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.secs(80);
    rig.events.clear();
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &update).code, Code::CHANGED);
    rig.secs(59);
    assert_eq!(rig.take_names(), ["updated"]);
    rig.secs(2);
    assert_eq!(rig.take_names(), ["late"]);
}

#[test]
fn without_a_grace_nothing_is_late() {
    let mut rig = Rig::new(Settings { expiry_grace: Duration::ZERO, ..Settings::default() });
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.events.clear();
    rig.secs(61);
    assert_eq!(rig.take_names(), ["expired"]);
}

/// Fact 6: (case ETS 107) Register and Update restart the lifetime, other traffic does not.
#[test]
fn answers_do_not_extend_the_lifetime() {
    let mut rig = Rig::new(settings());
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.secs(50);
    rig.submit(read("/3/0")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT));
    rig.events.clear();
    rig.secs(11);
    assert_eq!(rig.take_names(), ["late"]);
}

/// Fact 8: the longest lifetime that can be written does not overflow a timer.
#[test]
fn the_longest_lifetime_never_ends() {
    let mut rig = Rig::with_profile(Profile::Emqx5);
    rig.register(peer(1), "ep=dev&lt=18446744073709551615&lwm2m=1.1");
    rig.events.clear();
    for _ in 0..3 {
        rig.now += Duration::from_secs(u64::from(u32::MAX));
        rig.server.handle_timeout(rig.now);
        rig.settle();
    }
    assert!(rig.take_names().is_empty());
    rig.now = Instant::from_micros(u64::MAX - 1);
    rig.server.handle_timeout(rig.now);
    assert_eq!(rig.server.registrations(), 1);
}

/// Fact 8: EMQX 5 takes the longest lifetime for 0 and publishes 0.
#[test]
fn lifetime_0_runs_as_the_longest_in_profile_5() {
    let settings = Settings { profile: Profile::Emqx5, lifetime_max: 100, ..Settings::default() };
    let mut rig = Rig::new(settings);
    rig.register(peer(1), "ep=dev&lt=0&lwm2m=1.1");
    let row = rig.server.lookup(rig.now, "dev").unwrap();
    assert_eq!(row.device.info.lifetime.as_secs(), 0);
    assert_eq!(row.lifetime_left, Duration::from_secs(100));
}

#[test]
fn a_shorter_lifetime_by_update_counts_at_once() {
    let mut rig = Rig::new(settings());
    let location = rig.register(peer(1), "ep=dev&lt=86400&lwm2m=1.1");
    rig.secs(7200);
    let update = Msg::post(rig.id(), &format!("{location}?lt=10"));
    rig.ask(peer(1), &update);
    rig.events.clear();
    rig.secs(11);
    assert_eq!(rig.take_names(), ["late"]);
}

#[test]
fn expiry_ends_commands_and_observations_once() {
    let mut rig = Rig::new(settings());
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let token = rig.observed(0);
    rig.secs(50);
    let flying = rig.submit_with(read("/3/0/0"), |c| c.timeout = Some(Duration::MAX)).unwrap();
    let waiting = rig.submit(read("/3/0/1")).unwrap();
    rig.sent.clear();
    rig.events.clear();
    rig.secs(41);
    // The message layer gives up an unacknowledged request by itself only after 62 to 93 s.
    for command in [flying, waiting] {
        assert_eq!(rig.outcome(command), Err(CommandError::RegistrationExpired));
    }
    assert!(matches!(rig.events.last(), Some(Event::Expired { .. })));
    assert_eq!((rig.server.observations(), rig.server.registrations()), (0, 0));
    rig.sent.clear();
    let late = Msg::with_token(token, coap::Type::Confirmable, Code::CONTENT, 900).observe(9);
    rig.send(peer(1), &late);
    assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(coap::Type::Reset, late.id));
    assert!(rig.notifications().is_empty());
}

/// A fleet that expires at once does so in turns of bounded work.
#[test]
fn a_fleet_expires_in_turns() {
    let mut rig = Rig::new(Settings { expiry_grace: Duration::ZERO, ..Settings::default() });
    for n in 0..1500_u16 {
        let device = super::rig::peer_at(1, 1000 + n);
        rig.register(device, &format!("ep=dev-{n}&lt=60&lwm2m=1.1"));
    }
    rig.now += Duration::from_secs(100);
    rig.server.handle_timeout(rig.now);
    let left = rig.server.registrations();
    assert!(left > 0 && left < 1500, "{left} are left after a turn");
    assert!(rig.server.poll_timeout().is_some_and(|at| at <= rig.now));
    rig.server.handle_timeout(rig.now);
    assert_eq!(rig.server.registrations(), 0);
}

/// Devices that come and go must not leave a timer behind each time.
#[test]
fn a_place_that_is_taken_again_keeps_its_timer() {
    let mut rig = Rig::new(settings());
    for _ in 0..100 {
        let location = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
        let delete = Msg::request(Code::DELETE, rig.id(), &location);
        rig.ask(peer(1), &delete);
        rig.now += Duration::from_millis(10);
    }
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.events.clear();
    rig.secs(61);
    assert_eq!(rig.take_names(), ["late"]);
    rig.secs(30);
    assert_eq!(rig.take_names(), ["expired"]);
}
