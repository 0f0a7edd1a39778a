//! Values that change: a temperature that swings, as sensors in rooms do.

use coap::{Duration, Instant};
use lwm2m::{Path, Value};

/// The value that changes.
pub(crate) const TEMPERATURE: Path = Path::resource(3303, 0, 5700);

/// The temperature of a device at a time, in degrees Celsius with two decimals.
///
/// It depends on nothing else, so a run can be repeated. A period is an hour; neighbours are a
/// little apart.
pub(crate) fn temperature(index: usize, now: Instant) -> Value {
    const PERIOD_SECS: f64 = 3600.0;
    const MEAN: f64 = 21.0;
    const SWING: f64 = 4.0;
    let phase = index as f64 * 0.618_034;
    let turns = now.as_micros() as f64 / 1e6 / PERIOD_SECS + phase;
    // A faster, smaller swing on top, so that each change of a few seconds shows.
    let turn = std::f64::consts::TAU;
    let degrees = MEAN + SWING * (turn * turns).sin() + 0.5 * (turn * turns * 97.0).sin();
    Value::Float((degrees * 100.0).round() / 100.0)
}

/// When a device changes its value for the first time: the fleet is spread over one period.
pub(crate) fn first_change(index: usize, every: Duration, now: Instant) -> Instant {
    // The golden ratio spreads any number of devices evenly.
    let share = (index as f64 * 0.618_033_988_75).fract();
    now + every.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_move_stay_believable_and_differ() {
        let at = |index, secs: u64| match temperature(index, Instant::from_micros(secs * 1_000_000))
        {
            Value::Float(degrees) => degrees,
            other => panic!("{other:?}"),
        };
        for secs in 0..7200 {
            assert!((16.0..=26.0).contains(&at(3, secs)));
        }
        assert_ne!(at(0, 0), at(1, 0));
        assert_ne!(at(0, 0), at(0, 5));
    }

    #[test]
    fn first_changes_are_spread_over_one_period() {
        let every = Duration::from_secs(10);
        let mut late = 0;
        for index in 0..1000 {
            let at = first_change(index, every, Instant::ZERO);
            assert!(at <= Instant::ZERO + every);
            late += usize::from(at > Instant::ZERO + every / 2);
        }
        assert!((450..550).contains(&late), "{late}");
    }
}
