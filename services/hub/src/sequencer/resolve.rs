//! From a message as it was sent to what the ledger decides: references looked up, and what a repeated id is
//! answered with. The sequencer and `hansa verify` share it; where they look things up is their own.

use hansa_proto::v1;
use hansa_settlement::{Body, Instant, MemberId, MerchantIx, Message, Pos};

use super::ids::Id;
use crate::intake::{Action, Prepared};

/// The ledger's form of a message. `member` is the number that its reference means; `original` finds where the
/// merchant's earlier messages were decided.
pub fn resolve(
    merchant: u32,
    message: &Prepared,
    member: Option<u64>,
    original: impl Fn(&Id) -> Option<Pos>,
) -> Message {
    let body = match &message.action {
        Action::Accrual {
            currency,
            amount,
            points,
        } => Body::Accrual {
            currency: *currency,
            amount_micros: *amount,
            points: *points,
        },
        Action::Reversal {
            original: id,
            currency,
            amount,
        } => Body::AccrualReversal {
            original: original(id),
            currency: *currency,
            amount_micros: *amount,
        },
        Action::Authorisation { points } => Body::Authorisation { points: *points },
        Action::Capture {
            original: id,
            points,
        } => Body::Capture {
            authorisation: original(id),
            points: *points,
        },
        Action::Void { original: id } => Body::Void {
            authorisation: original(id),
        },
        Action::Refund {
            original: id,
            points,
        } => Body::Refund {
            capture: original(id),
            points: *points,
        },
    };
    Message {
        sender: MerchantIx(merchant),
        message_id: message.id,
        event_time: Instant(message.event_time),
        member: member.map(MemberId),
        body,
    }
}

/// The outcome of a message whose id was decided at `first` with `outcome`.
pub fn repeated(first: Pos, outcome: &v1::Outcome, same_bytes: bool) -> v1::Outcome {
    let answer = if same_bytes {
        v1::Outcome {
            replayed: true,
            ..*outcome
        }
    } else {
        v1::Outcome {
            code: v1::ResultCode::ModifiedRequest.into(),
            ..v1::Outcome::default()
        }
    };
    v1::Outcome {
        leaf_index: Some(first.seq()),
        entry_position: first.index(),
        ..answer
    }
}
