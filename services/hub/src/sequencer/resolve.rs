//! From a message as it was sent to what the ledger decides: references looked up, and what a repeated id is
//! answered with. The sequencer and `hansa verify` share it; where they look things up is their own.

use hansa_proto::v1;
use hansa_settlement::{
    Body, Instant, MemberId, MerchantIx, Message, Outcome, OutcomeCode, Pos, commission::Claim,
};

use super::ids::{Id, clicks_of, conversions_of, orders_of};
use crate::intake::{Action, Claimed, Prepared};

/// The account that a message concerns: the member that its reference means, or a conversion's. `used` finds, in a namespace of ids,
/// where one was used: a return or an approval names an accepted conversion, and no other message.
pub fn account(
    merchant: u32,
    message: &Prepared,
    pos: Pos,
    member: impl FnOnce() -> Option<u64>,
    used: impl Fn(u32, &Id) -> Option<Pos>,
) -> Option<u64> {
    match &message.action {
        Action::Conversion => Some(MemberId::of_conversion(pos).0),
        Action::ConversionReturn { original: id, .. }
        | Action::ConversionApproval { original: id } => {
            used(conversions_of(merchant), id).map(|pos| MemberId::of_conversion(pos).0)
        }
        Action::Accrual { .. }
        | Action::Reversal { .. }
        | Action::Authorisation { .. }
        | Action::Capture { .. }
        | Action::Void { .. }
        | Action::Refund { .. } => member(),
    }
}

/// The ledger's form of a message. `member` is the account that it concerns; `used` finds, in a namespace of ids, where one was used.
pub fn resolve(
    merchant: u32,
    message: &Prepared,
    member: Option<u64>,
    used: impl Fn(u32, &Id) -> Option<Pos>,
) -> Message {
    let original = |id: &Id| used(merchant, id);
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
        Action::Conversion => Body::Conversion,
        Action::ConversionReturn {
            currency,
            amount,
            reason,
            reference,
            ..
        } => Body::ConversionReturn {
            currency: *currency,
            amount_micros: *amount,
            reason: *reason,
            reference: *reference,
        },
        Action::ConversionApproval { .. } => Body::ConversionApproval,
    };
    let claim = |claimed: &Claimed| {
        let touches = claimed.touches.iter();
        Box::new(Claim {
            currency: claimed.currency,
            amount_micros: claimed.amount,
            country: claimed.country.clone(),
            category: claimed.category.clone(),
            touches: touches
                .map(|touch| (*touch, used(clicks_of(merchant), &touch.id)))
                .collect(),
            forged: claimed.forged,
            code: claimed.code.clone(),
            order_known: used(orders_of(merchant), &claimed.order).is_some(),
            recurs: claimed
                .recurs
                .map(|first| used(conversions_of(merchant), &first)),
        })
    };
    Message {
        sender: MerchantIx(merchant),
        message_id: message.id,
        event_time: Instant(message.event_time),
        member: member.map(MemberId),
        body,
        claim: message.claim.as_deref().map(claim),
    }
}

/// The ids that an accepted conversion uses up, each with its namespace: its own, its order reference, and the click that it is attributed to
/// unless an earlier conversion, of which it recurs, has it.
pub fn used_up(
    merchant: u32,
    message: &Prepared,
    decided: &Message,
    outcome: &Outcome,
) -> Vec<(u32, Id)> {
    let (Some(claimed), Some(claim)) = (&message.claim, &decided.claim) else {
        return Vec::new();
    };
    if outcome.code != OutcomeCode::Accepted {
        return Vec::new();
    }
    let click = outcome
        .touch
        .and_then(|place| claim.touches.get(usize::from(place)))
        .filter(|(_, used)| used.is_none())
        .map(|(touch, _)| (clicks_of(merchant), touch.id));
    let own = (conversions_of(merchant), message.id);
    let order = (orders_of(merchant), claimed.order);
    [own, order].into_iter().chain(click).collect()
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
