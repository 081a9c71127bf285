//! Fraud beside the hub: follows log and touches behind the traffic, raises flags, lets conversions wait, and keeps what people decide.
//!
//! Runs where the log is owned. Once a day everybody is judged, an hour after midnight UTC, when no touch of the day can still come; while
//! something is held, once an hour those that are flagged already. What came of it goes into the log as a `FraudRun`, together with
//! the holds; what people decide as a `FraudDecided`. So flags are a fold over log and touches: [`Flags::replay`] comes to the same,
//! byte for byte, or says where it does not.
//!
//! - [`traffic`] - log and touches as one stream of events
//! - [`desk`] - the state: the fraud crate's engine, numbers of flags, what waits
//! - [`decide`] - steps of people
//! - [`follow`] - the loop, restarts, the ledger
//! - [`points`] - messages of points, scored
//! - [`wire`] - the module's words on the wire

pub mod decide;
pub mod desk;
pub mod follow;
pub mod points;
pub mod traffic;
pub mod wire;

use hansa_fraud::TokenKey;
use hansa_store::Store;
use tokio::sync::Mutex;

use crate::{
    clock::Clock,
    error::HubError,
    registry::{Registry, SharedRegistry},
    sequencer::Sequencer,
};
use follow::Followed;

/// A participant's id by its number.
pub(crate) fn slug(registry: &Registry, number: u32) -> String {
    registry
        .slugs
        .get(number as usize)
        .cloned()
        .unwrap_or_default()
}

/// The keeper of flags of this process.
#[derive(Debug)]
pub struct Flags {
    log: Store,
    touches: Store,
    tokens: TokenKey,
    registry: SharedRegistry,
    sequencer: Sequencer,
    clock: Clock,
    /// Messages of points are scored, too.
    score_points: bool,
    /// As far as it was followed; `None`: not read yet, or what was appended last is unknown.
    followed: Mutex<Option<Followed>>,
    /// Why the state could not be made again, and when that was tried.
    differs: std::sync::Mutex<Option<(std::time::Instant, HubError)>>,
}

impl Flags {
    /// Nothing is read yet.
    pub fn new(
        (log, touches): (Store, Store),
        tokens: TokenKey,
        registry: SharedRegistry,
        sequencer: Sequencer,
        clock: Clock,
        score_points: bool,
    ) -> Self {
        Self {
            log,
            touches,
            tokens,
            registry,
            sequencer,
            clock,
            score_points,
            followed: Mutex::new(None),
            differs: std::sync::Mutex::default(),
        }
    }
}
