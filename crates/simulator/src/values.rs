//! Values that change: a temperature that swings, as sensors in rooms do, or the time.

use coap::Instant;
use lwm2m::{Path, Value};

/// The value that changes unless a scenario names another one.
pub(crate) const TEMPERATURE: Path = Path::resource(3303, 0, 5700);

/// The temperature of a device at a time, in degrees Celsius with two decimals.
///
/// It depends on nothing else, so a run can be repeated. A period is an hour; neighbours are a
/// little apart.
pub(crate) fn temperature(device: usize, now: Instant) -> f64 {
    const PERIOD_SECS: f64 = 3600.0;
    const MEAN: f64 = 21.0;
    const SWING: f64 = 4.0;
    let phase = device as f64 * 0.618_034;
    let turns = now.as_micros() as f64 / 1e6 / PERIOD_SECS + phase;
    // A faster, smaller swing on top, so that each change of a few seconds shows.
    let turn = std::f64::consts::TAU;
    let degrees = MEAN + SWING * (turn * turns).sin() + 0.5 * (turn * turns * 97.0).sin();
    (degrees * 100.0).round() / 100.0
}

/// A time in microseconds since 1970 as seconds: an f64 has room for them until the year 2242.
pub(crate) fn seconds(wall_micros: i64) -> f64 {
    wall_micros as f64 / 1e6
}

/// A number in the type that stands there.
pub(crate) fn as_type_of(before: Option<&Value>, number: f64) -> Value {
    match before {
        Some(Value::Integer(_)) => Value::Integer(number.round() as i64),
        _ => Value::Float(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_move_stay_believable_and_differ() {
        let at = |device, secs: u64| temperature(device, Instant::from_micros(secs * 1_000_000));
        for secs in 0..7200 {
            assert!((16.0..=26.0).contains(&at(3, secs)));
        }
        assert_ne!(at(0, 0), at(1, 0));
        assert_ne!(at(0, 0), at(0, 5));
    }

    #[test]
    fn the_time_is_told_to_the_microsecond() {
        let wall = 1_900_000_000_123_457;
        assert_eq!((seconds(wall) * 1e6).round() as i64, wall);
        assert_ne!(seconds(wall), seconds(wall + 1));
    }

    #[test]
    fn a_number_keeps_the_type_of_the_resource() {
        assert_eq!(as_type_of(Some(&Value::Integer(1)), 20.6), Value::Integer(21));
        assert_eq!(as_type_of(Some(&Value::Float(1.0)), 20.6), Value::Float(20.6));
    }
}
