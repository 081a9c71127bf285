//! Instants on the wire and inside: microseconds since 1970-01-01T00:00:00Z as `i64`.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

/// Microseconds of one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// First instant that a message may name: 1970-01-01T00:00:00Z. Unit: microseconds since 1970.
pub const MIN_MICROS: i64 = 0;

/// First instant that is too late for any field: 10000-01-01T00:00:00Z. Unit: microseconds since 1970.
pub const END_MICROS: i64 = 253_402_300_800 * MICROS_PER_SECOND;

/// Microseconds since 1970 of a timestamp, rounded down. `None` where its nanoseconds are not 0..1e9 or it lies
/// outside the years 1970-9999.
#[must_use]
pub fn micros(timestamp: &Timestamp) -> Option<i64> {
    if !(0..1_000_000_000).contains(&timestamp.nanos) {
        return None;
    }
    let micros = timestamp
        .seconds
        .checked_mul(MICROS_PER_SECOND)?
        .checked_add(i64::from(timestamp.nanos / 1_000))?;
    (MIN_MICROS..END_MICROS).contains(&micros).then_some(micros)
}

/// The timestamp of an instant. Unit: microseconds since 1970.
#[must_use]
pub fn timestamp(micros: i64) -> Timestamp {
    // The remainder is below 1e6, so the product fits into i32.
    let nanos = micros.rem_euclid(MICROS_PER_SECOND) * 1_000;
    Timestamp {
        seconds: micros.div_euclid(MICROS_PER_SECOND),
        nanos: i32::try_from(nanos).unwrap_or(0),
    }
}

/// The system's clock. Unit: microseconds since 1970; 0 for a clock before 1970.
#[must_use]
pub fn system_now_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| i64::try_from(d.as_micros()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_wire() {
        for at in [
            0,
            1,
            999_999,
            1_000_000,
            1_772_000_000_123_456,
            END_MICROS - 1,
        ] {
            assert_eq!(micros(&timestamp(at)), Some(at));
        }
        assert_eq!(timestamp(-1).seconds, -1);
        assert_eq!(timestamp(-1).nanos, 999_999_000);
    }

    #[test]
    fn out_of_range_is_none() {
        let at = |seconds, nanos| micros(&Timestamp { seconds, nanos });
        assert_eq!(at(0, 1_999), Some(1));
        assert_eq!(at(-1, 999_999_999), None);
        assert_eq!(at(0, -1), None);
        assert_eq!(at(0, 1_000_000_000), None);
        assert_eq!(at(253_402_300_799, 999_999_999), Some(END_MICROS - 1));
        assert_eq!(at(253_402_300_800, 0), None);
        assert_eq!(at(i64::MAX, 0), None);
        assert_eq!(at(i64::MIN, 0), None);
    }
}
