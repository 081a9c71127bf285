//! Whether this process owns the log, and since when that is confirmed.
//!
//! The owner answers only while its last confirmed heartbeat is younger than 3 s by its own monotonic clock: a
//! stopped process that wakes up may have been replaced meanwhile.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::HubError;

/// How long a confirmed heartbeat counts.
pub const CONFIRMED_FOR: Duration = Duration::from_secs(3);

/// What this process is to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Nothing yet.
    Starting,
    /// Owner; the epoch's last confirmation.
    Owner {
        /// When the gate was last confirmed. `None`: no other process can take it (SQLite).
        confirmed_at: Option<Instant>,
    },
    /// Front end of the owner at this address.
    FrontEnd {
        /// Base URL, e.g. `http://10.0.0.1:7443`.
        address: String,
    },
}

/// The role, shared.
#[derive(Debug, Clone)]
pub struct Ownership(Arc<Mutex<Role>>);

impl Default for Ownership {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Role::Starting)))
    }
}

impl Ownership {
    /// The role now.
    pub fn role(&self) -> Role {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes it.
    pub fn set(&self, role: Role) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = role;
    }

    /// Whether this process may answer as the owner.
    pub fn check(&self) -> Result<(), HubError> {
        match self.role() {
            Role::Owner { confirmed_at }
                if confirmed_at.is_none_or(|at| at.elapsed() < CONFIRMED_FOR) =>
            {
                Ok(())
            }
            Role::Owner { .. } | Role::Starting | Role::FrontEnd { .. } => {
                Err(HubError::not_owner())
            }
        }
    }
}
