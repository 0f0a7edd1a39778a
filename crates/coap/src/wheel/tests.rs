use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::time::Duration;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn drain(wheel: &mut TimerWheel<u32>, now: Instant) -> Vec<u32> {
    core::iter::from_fn(|| wheel.poll_expired(now)).collect()
}

#[test]
fn an_entry_takes_24_bytes_with_a_key_of_twelve() {
    assert_eq!(size_of::<Entry<[u32; 3]>>(), 24);
    assert!(size_of::<Entry<u32>>() <= 16);
}

#[test]
fn a_deadline_never_fires_early_and_at_most_one_tick_late() {
    for deadline in [0, 1, 8_191, 8_192, 8_193, 1_000_000, 86_400_000_000, 1 << 40] {
        let mut wheel = TimerWheel::new();
        wheel.schedule(at(deadline), 7);
        if deadline > 0 {
            assert_eq!(wheel.poll_expired(at(deadline - 1)), None, "{deadline}");
        }
        assert_eq!(wheel.poll_expired(at(deadline + TICK_MICROS)), Some(7), "{deadline}");
        assert!(wheel.is_empty());
    }
}

#[test]
fn deadlines_of_centuries_are_kept() {
    let mut wheel = TimerWheel::new();
    let far = Duration::from_secs(136 * 366 * 86_400);
    wheel.schedule(Instant::ZERO + far, 1);
    wheel.schedule(at(u64::MAX), 2);
    assert_eq!(drain(&mut wheel, Instant::ZERO + far - Duration::from_secs(1)), []);
    assert_eq!(drain(&mut wheel, Instant::ZERO + far + Duration::from_millis(10)), [1]);
    assert_eq!(wheel.len(), 1);
}

#[test]
fn following_next_deadline_reaches_every_deadline_in_few_steps() {
    let mut wheel = TimerWheel::new();
    wheel.schedule(at(86_400_000_000), 1);
    let mut steps = 0;
    let mut now = Instant::ZERO;
    while wheel.poll_expired(now).is_none() {
        let next = wheel.next_deadline().unwrap();
        assert!(next > now, "time must move on");
        now = next;
        steps += 1;
    }
    assert!(now >= at(86_400_000_000) && now < at(86_400_000_000 + 2 * TICK_MICROS));
    assert!(steps <= LEVELS, "{steps} steps");
}

#[test]
fn places_are_used_again_and_given_back() {
    let mut wheel = TimerWheel::new();
    for round in 0..1_000u64 {
        for key in 0..10 {
            wheel.schedule(at(round * 1_000_000 + 500_000), key);
        }
        assert_eq!(drain(&mut wheel, at((round + 1) * 1_000_000)).len(), 10);
    }
    assert_eq!(wheel.entries.len(), 10);
    for key in 0..100_000 {
        wheel.schedule(at(2_000_000_000), key);
    }
    assert_eq!(drain(&mut wheel, at(3_000_000_000)).len(), 100_000);
    assert_eq!(wheel.entries.capacity(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Schedule(u64),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = prop_oneof![0u64..100_000, 0u64..20_000_000, 0u64..100_000_000_000, 0u64..(1 << 55)];
    let step = (any::<bool>(), span).prop_map(|(schedule, span)| {
        if schedule { Step::Schedule(span) } else { Step::Advance(span) }
    });
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn it_agrees_with_a_sorted_map(steps in steps()) {
        let mut wheel = TimerWheel::new();
        let mut model = BTreeMap::<(u64, u32), ()>::new();
        let mut now = 0u64;
        for (key, step) in (0u32..).zip(steps) {
            match step {
                Step::Schedule(span) => {
                    let deadline = now + span;
                    wheel.schedule(at(deadline), key);
                    model.insert((deadline.div_ceil(TICK_MICROS), key), ());
                }
                Step::Advance(span) => {
                    now += span;
                    let first = model.keys().next().map(|&(tick, _)| tick * TICK_MICROS);
                    prop_assert!(wheel.next_deadline().map(|next| next.as_micros()) <= first
                        || first.is_some_and(|first| first <= now));
                    let mut last = 0;
                    while let Some(key) = wheel.poll_expired(at(now)) {
                        let &(tick, _) = model.keys().find(|(_, found)| *found == key).unwrap();
                        prop_assert!(tick <= now / TICK_MICROS && tick >= last);
                        last = tick;
                        model.remove(&(tick, key));
                    }
                    let left = model.keys().next();
                    prop_assert!(left.is_none_or(|&(tick, _)| tick > now / TICK_MICROS));
                }
            }
            prop_assert_eq!(wheel.len(), model.len());
        }
    }
}
