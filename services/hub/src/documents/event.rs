//! What happened, as documents name it.

use hansa_settlement::{Change, CommissionChange, Instant, Pos, Release};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message, at this place of the log.
    Message {
        /// Its sender's index, as the entry has it.
        sender: Option<u32>,
        /// Where it was decided.
        at: Pos,
        /// A name for documents.
        kind: &'static str,
    },
    /// Something by time alone, or by a fact of the hub.
    Due {
        /// When.
        at: Instant,
        /// A name for documents.
        kind: &'static str,
    },
}

impl Event {
    /// The name for documents.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Message { kind, .. } | Self::Due { kind, .. } => kind,
        }
    }

    /// What an entry that says nothing else of itself is.
    #[must_use]
    pub const fn fact(decided_at: i64) -> Self {
        Self::Due {
            at: Instant(decided_at),
            kind: "FACT",
        }
    }
}

/// The event that a change begins; what follows within a decision belongs to it.
#[must_use]
pub fn event_of(change: &Change, sender: Option<u32>, decided_at: i64, pos: Pos) -> Option<Event> {
    let message = |kind| {
        Some(Event::Message {
            sender,
            at: pos,
            kind,
        })
    };
    match change {
        Change::Accrued { .. } | Change::Pended { .. } => message("ACCRUAL"),
        Change::Returned { .. } | Change::PendingLowered { .. } => message("ACCRUAL_REVERSAL"),
        Change::Held { .. } => message("REDEMPTION_AUTHORISATION"),
        Change::Captured { .. } => message("REDEMPTION_CAPTURE"),
        Change::Refunded { .. } => message("REDEMPTION_REFUND"),
        Change::Released {
            how: Release::Voided,
            ..
        } => message("REDEMPTION_VOID"),
        Change::Refused { .. } => message("REFUSED"),
        Change::PendingPosted {
            original, merchant, ..
        } => Some(Event::Message {
            sender: Some(merchant.0),
            at: *original,
            kind: "ACCRUAL",
        }),
        Change::Expired { at, .. } => Some(Event::Due {
            at: *at,
            kind: "EXPIRY",
        }),
        Change::Released {
            how: Release::Expired,
            at,
            ..
        } => Some(Event::Due {
            at: *at,
            kind: "AUTHORISATION_END",
        }),
        Change::Commission(change) => match change {
            CommissionChange::Accrued(_) => message("CONVERSION"),
            CommissionChange::Reduced { returned: true, .. } => message("CONVERSION_RETURN"),
            CommissionChange::Locked { approved: true, .. } => message("CONVERSION_APPROVAL"),
            CommissionChange::Locked { at, .. } | CommissionChange::Payable { at, .. } => {
                Some(Event::Due {
                    at: *at,
                    kind: "COMMISSION_LOCK",
                })
            }
            CommissionChange::Reduced { .. }
            | CommissionChange::Reattributed { .. }
            | CommissionChange::Invalidated { .. }
            | CommissionChange::Held { .. }
            | CommissionChange::Released { .. } => Some(Event::fact(decided_at)),
        },
        Change::Opened { .. } | Change::Reinstated { .. } => Some(Event::fact(decided_at)),
        Change::Taken { .. }
        | Change::Repaid { .. }
        | Change::Owed { .. }
        | Change::Forgiven { .. }
        | Change::ExpiryMoved { .. }
        | Change::Pruned { .. }
        | Change::Calendar { .. }
        | Change::MergedOut { .. }
        | Change::MergedIn(_) => None,
    }
}
