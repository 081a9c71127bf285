//! Whether this process owns the log, and since when that is confirmed.
//!
//! The owner answers only while its last confirmed heartbeat is younger than 3 s by its own monotonic clock: a
//! stopped process that wakes up may have been replaced meanwhile.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

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
pub struct Ownership {
    role: Arc<Mutex<Role>>,
    /// Whether the log is loaded. Before, an owner knows no key and no term, and would refuse for good what it must
    /// only put off.
    loaded: watch::Receiver<bool>,
}

impl Ownership {
    /// Nothing yet; `loaded` tells whether the log is.
    pub fn new(loaded: watch::Receiver<bool>) -> Self {
        Self {
            role: Arc::new(Mutex::new(Role::Starting)),
            loaded,
        }
    }

    /// The role now.
    pub fn role(&self) -> Role {
        self.role
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes it.
    pub fn set(&self, role: Role) {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner) = role;
    }

    /// Whether this process may answer as the owner.
    pub fn check(&self) -> Result<(), HubError> {
        match self.role() {
            Role::Owner { confirmed_at }
                if *self.loaded.borrow()
                    && confirmed_at.is_none_or(|at| at.elapsed() < CONFIRMED_FOR) =>
            {
                Ok(())
            }
            Role::Owner { .. } | Role::Starting | Role::FrontEnd { .. } => {
                Err(HubError::not_owner())
            }
        }
    }
}
