//! The one place that reads the clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The hub's clock: the system's, or one that a test moves.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's.
    System,
    /// Stands still until it is set.
    Test(Arc<AtomicI64>),
}

impl Clock {
    /// A test clock that stands at `micros`.
    pub fn test(micros: i64) -> Self {
        Self::Test(Arc::new(AtomicI64::new(micros)))
    }

    /// Microseconds since 1970, UTC.
    pub fn now_micros(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)),
            Self::Test(now) => now.load(Ordering::Acquire),
        }
    }

    /// Moves a test clock forwards, never back. Without effect on the system's.
    pub fn advance_to(&self, micros: i64) {
        match self {
            Self::System => {}
            Self::Test(now) => {
                now.fetch_max(micros, Ordering::AcqRel);
            }
        }
    }

    /// Whether this is a test clock.
    pub fn is_test(&self) -> bool {
        matches!(self, Self::Test(_))
    }
}
