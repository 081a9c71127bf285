//! Deciding on a packed member. A plain accrual, the bulk of all messages, is decided from the member's summary and added to its bytes:
//! the cost does not depend on how much the member has. Everything else decodes the member and goes the long way.

use super::accrual::{change, earn};
use super::due::looks_for_old_records;
use super::{Accepted, Decision, admit, decide_mut};
use crate::calendar::ExpiryRule;
use crate::effect::{Change, Corrupt, Effect};
use crate::global::Global;
use crate::ids::Instant;
use crate::message::{Body, Context, Message};
use crate::outcome::{MessageState, OutcomeCode};
use crate::packed::PackedMember;
use smallvec::SmallVec;

/// Decides a message as [`decide_mut`] does: the same outcome, the same effects, and bytes that are those of the same member.
/// `scratch` is overwritten.
///
/// # Errors
/// Where the bytes are not a member.
pub fn decide_packed(
    global: &Global,
    packed: &mut PackedMember,
    ctx: &Context,
    message: &Message,
    scratch: &mut Vec<u8>,
) -> Result<Decision, Corrupt> {
    if let Some(decision) = plain_accrual(global, packed, ctx, message, scratch)? {
        return Ok(decision);
    }
    let mut member = packed.decode()?;
    let decision = decide_mut(global, &mut member, ctx, message);
    packed.replace(&member, scratch);
    Ok(decision)
}

/// An accrual that only adds to its member: nothing is due, nothing is owed, no other lot moves, and its points live. `None` for
/// everything else.
fn plain_accrual(
    global: &Global,
    packed: &mut PackedMember,
    ctx: &Context,
    message: &Message,
    scratch: &mut Vec<u8>,
) -> Result<Option<Decision>, Corrupt> {
    let Body::Accrual {
        currency,
        amount_micros,
        points,
    } = message.body
    else {
        return Ok(None);
    };
    let summary = packed.summary()?;
    let moves_lots = matches!(
        global.programme(message.event_time).expiry,
        ExpiryRule::InactivityMonths(_)
    );
    if message.member.is_none()
        || summary.owes
        || summary.next_due().is_some_and(|due| due <= ctx.decided_at)
        || summary.chain.pos >= ctx.pos
        || looks_for_old_records(message.body.kind(), summary.accruals)
        || moves_lots
    {
        return Ok(None);
    }
    let open = global.open_cycle();
    let late = message.event_time < open.opens_at;
    let in_open_cycle = |late, change| Effect {
        cycle: open.no,
        late,
        change,
    };
    let purchase = (currency, amount_micros, points);
    let earned = admit(global, ctx, message)
        .and_then(|()| earn(global, ctx, message, purchase, (summary.last_activity, &[])));
    let earned = match earned {
        Ok(earned) => earned,
        Err(code) => {
            let refused = Change::Refused {
                merchant: message.sender,
                kind: message.body.kind(),
                code,
            };
            let outcome = Accepted::new(MessageState::Rejected, 0).outcome(
                code,
                open.no,
                late,
                (summary.unheld.max(0), 0),
            );
            return Ok(Some(Decision {
                outcome,
                effects: vec![in_open_cycle(late, refused)],
            }));
        }
    };
    let posted = earned.accrual.parts.iter().filter(|part| part.points > 0);
    let (due, gained) = match earned.posts_at {
        Some(posts_at) => ((posts_at, 1), 0),
        None => (
            (earned.expires_at, posted.clone().count()),
            posted.map(|part| part.points).sum(),
        ),
    };
    if gained > 0 && earned.expires_at <= ctx.decided_at {
        // Born expired.
        return Ok(None);
    }
    let (posts_at, expires_at) = (earned.posts_at, earned.expires_at);
    packed.accrue(&earned.accrual, ctx.pos, (posts_at, expires_at), scratch)?;
    let available = (summary.unheld + gained).max(0);
    let outcome = earned
        .accepted
        .outcome(OutcomeCode::Accepted, open.no, late, (available, 0));
    let mut effects = Vec::with_capacity(2);
    effects.push(in_open_cycle(
        late,
        change(earned.accrual, posts_at, expires_at),
    ));
    if let (at, count @ 1..) = due
        && at != Instant::NEVER
    {
        let mut changes = SmallVec::new();
        changes.push((at, count as i32));
        effects.push(in_open_cycle(false, Change::Calendar { changes }));
    }
    Ok(Some(Decision { outcome, effects }))
}
