//! Decisions. A decision reads the alliance's side and one member and returns an outcome with effects; it never posts anything in part: a
//! refusal leaves only the member's due work and a count. Costs no IO and no allocation beyond the effects and the member's own vectors.

mod accrual;
mod attribution;
mod commission;
mod due;
mod facts;
mod packed;
mod redemption;
mod reversal;

use crate::cycle::CycleTotals;
use crate::effect::{Change, Effect};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::lot::Lot;
use crate::member::Member;
use crate::member_apply::apply_member;
use crate::message::{Body, Context, Message, MessageKind};
use crate::outcome::{MessageState, Outcome, OutcomeCode};
use crate::terms::{ContractTerms, MerchantState};
use smallvec::SmallVec;

pub use commission::{CommissionFact, CommissionFactRefusal, MAX_TOUCHES, decide_commission_fact};
pub use facts::{MemberFact, MemberFactRefusal, decide_member_fact, decide_merge};
pub use packed::decide_packed;

/// How far an event may lie ahead of the hub's clock, microseconds.
pub const MAX_AHEAD_MICROS: i64 = 300_000_000;

/// An outcome and what it changes. The effects are to be applied to the member and to the alliance's side, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// The effects: due work of the member first.
    pub effects: Vec<Effect>,
}

/// Decides a message without touching the member. See [`decide_mut`] for the same without a copy.
///
/// The scheduled cut of every cycle whose closing instant is at or before `decided_at` must be in the log before.
#[must_use]
pub fn decide(global: &Global, member: &Member, ctx: &Context, message: &Message) -> Decision {
    decide_mut(global, &mut member.clone(), ctx, message)
}

/// Decides a message; the effects are already applied to the member, so that only [`crate::apply_global`] is left to do.
pub fn decide_mut(
    global: &Global,
    member: &mut Member,
    ctx: &Context,
    message: &Message,
) -> Decision {
    let open = global.open_cycle();
    let late = message.event_time < open.opens_at;
    let mut fold = Fold::new(global, member, *ctx, open, late);
    if message.member.is_some() {
        fold.due_work(ctx.decided_at);
        let accruals = fold.member.accruals().len() as u64;
        if due::looks_for_old_records(message.body.kind(), accruals) {
            fold.prune();
        }
    }
    let result = admit(global, ctx, message).and_then(|()| match message.body {
        Body::Accrual {
            currency,
            amount_micros,
            points,
        } => fold.accrual(message, currency, amount_micros, points),
        Body::AccrualReversal {
            original,
            currency,
            amount_micros,
        } => fold.reversal(message, original, currency, amount_micros),
        Body::Authorisation { points } => fold.authorisation(message, points),
        Body::Capture {
            authorisation,
            points,
        } => fold.capture(message, authorisation, points),
        Body::Void { authorisation } => fold.void(message, authorisation),
        Body::Refund { capture, points } => fold.refund(message, capture, points),
        Body::Conversion => fold.conversion(message),
        Body::ConversionReturn {
            currency,
            amount_micros,
            reason,
            reference,
        } => fold.conversion_return(message, (currency, amount_micros), reason, reference),
        Body::ConversionApproval => fold.conversion_approval(message),
    });
    let (code, accepted) = match result {
        Ok(accepted) => (OutcomeCode::Accepted, accepted),
        Err(code) => {
            fold.push(Change::Refused {
                merchant: message.sender,
                kind: message.body.kind(),
                code,
            });
            (code, Accepted::new(MessageState::Rejected, 0))
        }
    };
    let (available, debt) = match message.member {
        Some(_) => (fold.available(), fold.member.debt()),
        None => (0, 0),
    };
    let outcome = accepted.outcome(code, open.no, late, (available, debt));
    Decision {
        outcome,
        effects: fold.finish(),
    }
}

/// What is due of a member up to an instant, in order, without touching it. Empty where nothing is.
#[must_use]
pub fn due(global: &Global, member: &Member, until: Instant, pos: crate::ids::Pos) -> Vec<Effect> {
    due_mut(global, &mut member.clone(), until, pos)
}

/// What is due of a member up to an instant; the effects are already applied to the member.
///
/// Nothing beyond the open cycle's scheduled close is answered: cut first, so that each item finds its own cycle.
pub fn due_mut(
    global: &Global,
    member: &mut Member,
    until: Instant,
    pos: crate::ids::Pos,
) -> Vec<Effect> {
    let until = global.next_close().map_or(until, |close| until.min(close));
    let ctx = Context {
        decided_at: until,
        pos,
    };
    let mut fold = Fold::new(global, member, ctx, global.open_cycle(), false);
    fold.due_work(until);
    fold.finish()
}

/// The checks before the rules: event-time window, merchant's state, contract, role, member.
fn admit(global: &Global, ctx: &Context, message: &Message) -> Result<(), OutcomeCode> {
    let kind = message.body.kind();
    let terms = global
        .contract(message.sender, ctx.decided_at)
        .map(|(_, terms)| terms);
    if !message.event_time.is_sane()
        || message.event_time > ctx.decided_at.plus_micros(MAX_AHEAD_MICROS)
    {
        return Err(if message.event_time > ctx.decided_at {
            OutcomeCode::EventTimeTooFarAhead
        } else {
            OutcomeCode::EventTimeTooOld
        });
    }
    if terms.is_some_and(|terms| {
        message.event_time < ctx.decided_at.plus_micros(-terms.max_late_micros)
    }) {
        return Err(OutcomeCode::EventTimeTooOld);
    }
    let merchant = global
        .merchant(message.sender)
        .ok_or(OutcomeCode::MerchantStateRefuses)?;
    if !state_allows(merchant.state, kind) {
        return Err(OutcomeCode::MerchantStateRefuses);
    }
    if global
        .contract(message.sender, message.event_time)
        .is_none()
    {
        return Err(OutcomeCode::ContractNotFound);
    }
    let has_role = match kind {
        MessageKind::Accrual => merchant.roles.earn,
        MessageKind::Authorisation => merchant.roles.burn,
        MessageKind::Conversion => merchant.roles.affiliate,
        // They act on what was accepted under the role.
        MessageKind::AccrualReversal
        | MessageKind::Capture
        | MessageKind::Void
        | MessageKind::Refund
        | MessageKind::ConversionReturn
        | MessageKind::ConversionApproval => true,
    };
    if !has_role {
        return Err(OutcomeCode::RoleMissing);
    }
    match kind {
        // It is not a member that is missing, but the conversion: which is said when its turn comes.
        MessageKind::ConversionReturn | MessageKind::ConversionApproval => Ok(()),
        MessageKind::Accrual
        | MessageKind::AccrualReversal
        | MessageKind::Authorisation
        | MessageKind::Capture
        | MessageKind::Void
        | MessageKind::Refund
        | MessageKind::Conversion => match message.member {
            Some(_) => Ok(()),
            None => Err(OutcomeCode::MemberNotFound),
        },
    }
}

/// Rule 11.
fn state_allows(state: MerchantState, kind: MessageKind) -> bool {
    match (state, kind) {
        (MerchantState::Onboarding | MerchantState::Closed, _) => false,
        (MerchantState::Active, _) => true,
        (MerchantState::BurnOnly, MessageKind::Accrual | MessageKind::Conversion) => false,
        (
            MerchantState::WindingDown,
            MessageKind::Accrual | MessageKind::Authorisation | MessageKind::Conversion,
        ) => false,
        (
            MerchantState::Suspended,
            MessageKind::Accrual
            | MessageKind::Authorisation
            | MessageKind::Capture
            | MessageKind::Conversion,
        ) => false,
        (
            MerchantState::BurnOnly,
            MessageKind::AccrualReversal
            | MessageKind::Authorisation
            | MessageKind::Capture
            | MessageKind::Void
            | MessageKind::Refund
            | MessageKind::ConversionReturn
            | MessageKind::ConversionApproval,
        )
        | (
            MerchantState::WindingDown,
            MessageKind::AccrualReversal
            | MessageKind::Capture
            | MessageKind::Void
            | MessageKind::Refund
            | MessageKind::ConversionReturn
            | MessageKind::ConversionApproval,
        )
        | (
            MerchantState::Suspended,
            MessageKind::AccrualReversal
            | MessageKind::Void
            | MessageKind::Refund
            | MessageKind::ConversionReturn
            | MessageKind::ConversionApproval,
        ) => true,
    }
}

/// What the rules say about an accepted message.
struct Accepted {
    state: MessageState,
    points: i64,
    bonus_points: i64,
    owed_points: i64,
    forgiven_points: i64,
    due_at: Option<Instant>,
    commission_micros: i64,
    touch: Option<u8>,
    affiliate: Option<MerchantIx>,
}

impl Accepted {
    const fn new(state: MessageState, points: i64) -> Self {
        Self {
            state,
            points,
            bonus_points: 0,
            owed_points: 0,
            forgiven_points: 0,
            due_at: None,
            commission_micros: 0,
            touch: None,
            affiliate: None,
        }
    }

    /// The outcome in a cycle, with what is then available and owed.
    const fn outcome(
        self,
        code: OutcomeCode,
        cycle: CycleNo,
        late: bool,
        (available_after, debt_after): (i64, i64),
    ) -> Outcome {
        Outcome {
            code,
            state: self.state,
            points: self.points,
            bonus_points: self.bonus_points,
            owed_points: self.owed_points,
            forgiven_points: self.forgiven_points,
            due_at: self.due_at,
            cycle,
            late,
            available_after,
            debt_after,
            commission_micros: self.commission_micros,
            touch: self.touch,
            affiliate: self.affiliate,
        }
    }

    fn due_at(self, at: Instant) -> Self {
        Self {
            due_at: Some(at).filter(|at| *at != Instant::NEVER),
            ..self
        }
    }
}

type Verdict = Result<Accepted, OutcomeCode>;

/// A decision in the making: every change is applied to the working member at once, so that the next step sees it.
struct Fold<'a> {
    global: &'a Global,
    member: &'a mut Member,
    ctx: Context,
    cycle: CycleNo,
    late: bool,
    effects: Vec<Effect>,
    before: SmallVec<[Instant; 16]>,
}

impl<'a> Fold<'a> {
    fn new(
        global: &'a Global,
        member: &'a mut Member,
        ctx: Context,
        cycle: &CycleTotals,
        late: bool,
    ) -> Self {
        let before = calendar(member);
        Self {
            global,
            member,
            ctx,
            cycle: cycle.no,
            late,
            effects: Vec::with_capacity(2),
            before,
        }
    }

    /// Records a change of the message itself, in the open cycle.
    fn push(&mut self, change: Change) {
        let (cycle, late) = (self.cycle, self.late);
        self.push_in(cycle, late, change);
    }

    fn push_in(&mut self, cycle: CycleNo, late: bool, change: Change) {
        let effect = Effect {
            cycle,
            late,
            change,
        };
        apply_member(self.member, &effect, self.ctx.pos);
        self.effects.push(effect);
    }

    /// Spendable points, with nothing overdue left.
    fn available(&self) -> i64 {
        (self.member.lots.iter().map(Lot::unheld).sum::<i64>() - self.member.debt()).max(0)
    }

    fn contract(
        &self,
        message: &Message,
    ) -> Result<(crate::ids::ContractIx, &'a ContractTerms), OutcomeCode> {
        self.global
            .contract(message.sender, message.event_time)
            .ok_or(OutcomeCode::ContractNotFound)
    }

    /// Closes the decision with the difference that it made to the due calendar.
    fn finish(mut self) -> Vec<Effect> {
        let after = calendar(self.member);
        let changes = difference(&self.before, &after);
        if !changes.is_empty() {
            self.effects.push(Effect {
                cycle: self.cycle,
                late: false,
                change: Change::Calendar { changes },
            });
        }
        self.effects
    }
}

/// The instants of all due items, sorted.
fn calendar(member: &Member) -> SmallVec<[Instant; 16]> {
    let mut instants: SmallVec<[Instant; 16]> = member.dues().map(|due| due.at).collect();
    instants.sort_unstable();
    instants
}

/// Differences between two sorted lists, per instant.
fn difference(before: &[Instant], after: &[Instant]) -> SmallVec<[(Instant, i32); 2]> {
    let mut changes: SmallVec<[(Instant, i32); 2]> = SmallVec::new();
    let (mut i, mut j) = (0, 0);
    while i < before.len() || j < after.len() {
        let (at, n) = match (before.get(i), after.get(j)) {
            (Some(old), Some(new)) if old == new => {
                (i, j) = (i + 1, j + 1);
                continue;
            }
            (Some(old), Some(new)) if old > new => {
                j += 1;
                (*new, 1)
            }
            (Some(old), _) => {
                i += 1;
                (*old, -1)
            }
            (None, Some(new)) => {
                j += 1;
                (*new, 1)
            }
            (None, None) => break,
        };
        match changes.last_mut() {
            Some((last, count)) if *last == at => *count += n,
            _ => changes.push((at, n)),
        }
    }
    changes
}
