//! Decisions about conversions that were accepted before, between the wire's types and the ledger's. Shared by the sequencer and `hansa verify`.

use hansa_proto::v1::{self, commission_decision::Decision};
use hansa_settlement::{CommissionFact, MemberId, Pos};

use crate::{
    convert::{self, Fields},
    error::HubError,
};

/// Decisions of one fact at most: each has a place of its own in the entry.
pub const MAX_DECISIONS: usize = 4_000;

/// What a place in the log must be.
pub const NO_PLACE: &str = "a leaf below 2^48 and a position below 4 096";

/// The place of a conversion; `None`: no entry has such a place.
pub fn place_of(leaf_index: u64, entry_position: u32) -> Option<Pos> {
    let fits = leaf_index < 1 << 48 && entry_position < 1 << Pos::INDEX_BITS;
    fits.then(|| Pos::new(leaf_index, entry_position))
}

/// The place of a conversion as the wire names it.
pub fn place(leaf_index: u64, entry_position: u32) -> Result<Pos, HubError> {
    place_of(leaf_index, entry_position)
        .ok_or_else(|| HubError::field("leaf_index", "OUT_OF_RANGE", NO_PLACE))
}

/// The accounts that a fact changes, and how, in order.
pub fn read(decided: &v1::CommissionsDecided) -> Result<Vec<(MemberId, CommissionFact)>, HubError> {
    let mut fields = Fields::default();
    let count = decided.decisions.len();
    if !(1..=MAX_DECISIONS).contains(&count) {
        let text = format!("1 to {MAX_DECISIONS} decisions, not {count}");
        fields.broken("decisions", "LENGTH", text);
    }
    let mut read = Vec::with_capacity(count);
    for (index, wire) in decided.decisions.iter().enumerate() {
        let at = |name: &str| format!("decisions[{index}].{name}");
        let Some(pos) = place_of(wire.leaf_index, wire.entry_position) else {
            fields.broken(&at("leaf_index"), "OUT_OF_RANGE", NO_PLACE);
            continue;
        };
        let fact = match &wire.decision {
            Some(Decision::HoldForFlag(flag)) => CommissionFact::Hold { flag: *flag },
            Some(Decision::ReleaseFromFlag(flag)) => CommissionFact::Release { flag: *flag },
            Some(Decision::Reverse(reason)) => {
                let reason = v1::CommissionReason::try_from(*reason).unwrap_or_default();
                let Some(reason) = convert::commission_reason(reason) else {
                    fields.broken(&at("reverse"), "REQUIRED", "say why");
                    continue;
                };
                CommissionFact::Reverse { reason }
            }
            Some(Decision::InvalidateTouch(touch)) => {
                let Ok(touch) = touch.as_slice().try_into() else {
                    fields.broken(&at("invalidate_touch"), "LENGTH", "exactly 16 bytes");
                    continue;
                };
                CommissionFact::InvalidateTouch { touch }
            }
            None => {
                fields.broken(&at("decision"), "REQUIRED", "say what is decided");
                continue;
            }
        };
        read.push((MemberId::of_conversion(pos), fact));
    }
    fields.finish(read)
}
