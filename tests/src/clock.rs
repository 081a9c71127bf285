//! The time that a hub and its merchants live by: the system's, or a test clock's.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use hansa_client::time::system_now_micros;
use prost_types::Timestamp;

/// One second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One day in microseconds.
pub const DAY: i64 = 24 * 60 * MINUTE;

/// A clock that a hub's clients share.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// A test clock that stands at `micros` since 1970.
    #[must_use]
    pub fn test(micros: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(micros))))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        match &self.0 {
            Some(now) => now.load(Ordering::Acquire),
            None => system_now_micros(),
        }
    }

    /// Whether it is a test clock.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        self.0.is_some()
    }

    /// What the hub's clock was set to.
    pub(crate) fn set(&self, micros: i64) {
        if let Some(now) = &self.0 {
            now.store(micros, Ordering::Release);
        }
    }
}

/// An instant in RFC 3339, e.g. `2026-03-02T09:00:00Z`, as microseconds since 1970.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn at(text: &str) -> i64 {
    let timestamp: Timestamp = text.parse().unwrap();
    micros(&timestamp)
}

/// A timestamp as microseconds since 1970.
#[must_use]
pub fn micros(timestamp: &Timestamp) -> i64 {
    timestamp.seconds * SECOND + i64::from(timestamp.nanos / 1_000)
}
